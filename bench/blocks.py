"""How the time to read grows with the number of retrieved blocks, their lower states kept on disk and not.

    python bench/blocks.py DATA [--model DIR...] [--json]

Blocks are passages of DATA/qa/dev/squad2_dev; a time is the median over questions of reading all blocks and ablating the best one. Several folders of weights
take turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from models.reader import shipped_weights
from models.reader.ablation import Decoder
from models.reader.extractive_reader import Reader
from models.reader.onnx_encoder import Encoder
from models.reader.state_cache import Kept
from models.reader.windows import Passage
from models.training.question_sets import read_qa

BLOCKS = (1, 4, 16, 64)
QUESTIONS = 9


def measure(encoder: Encoder, decoder: Decoder, questions: list[str], passages: list[Passage]) -> dict[str, float]:
    """Seconds; and operations of the encoder, in thousand millions, which do not count the decoder's."""
    reader, times, operations = Reader(encoder, decoder), [], []
    units = [[(0, len(passage.text))] for passage in passages]
    for question in questions:
        started = time.perf_counter()
        findings, windows = reader.study(question, passages, units)
        best = max(range(len(findings)), key=lambda i: findings[i][0].span)
        reader.ablation(question, windows, best, (findings[best][0].start, findings[best][0].end))
        times.append(time.perf_counter() - started)
        operations.append(sum(window.cost.flops for window in windows))
    return {"seconds": statistics.median(times), "gflop": statistics.median(operations) / 1e9}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path, nargs="+", default=[shipped_weights.FOLDER], help="folders of shipped weights")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = read_qa(options.data / "qa" / "dev" / "squad2_dev.jsonl.gz")
    passages = [Passage(text, title) for text, title in {row.context: row.title for row in rows}.items()]
    questions = [row.question for row in rows[:: len(rows) // QUESTIONS][:QUESTIONS]]
    opened = {str(model): (shipped_weights.encoder(shipped_weights.describe(model)), shipped_weights.decoder(shipped_weights.describe(model))) for model in options.model}
    measured: dict[str, dict[int, dict[str, dict[str, float]]]] = {name: {} for name in opened}
    for count in BLOCKS:
        for name, (encoder, decoder) in opened.items():
            with tempfile.TemporaryDirectory() as folder:
                keeping = replace(encoder, cache=Kept(Path(folder)))
                measure(keeping, decoder, questions[:1], passages[:count])
                ways = {"kept": keeping, "not kept": encoder}
                measured[name][count] = {way: measure(reads, decoder, questions, passages[:count]) for way, reads in ways.items()}
    if options.json:
        print(json.dumps(measured))
        return
    for name, counts in measured.items():
        print(name)
        for count, times in counts.items():
            print(f"{count:>3} blocks: " + ", ".join(f"{way} {1000 * one['seconds']:.0f} ms, {one['gflop']:.1f} GFLOP" for way, one in times.items()))


if __name__ == "__main__":
    main()
