"""How the time to read grows with the number of retrieved blocks, with and without a cache of encoder states.

    python -m bench.blocks DATA [--model DIR...] [--json]

Blocks are passages of DATA/qa/dev/squad2_dev; a time is the median over questions of reading all blocks and ablating
the best one. Several folders of weights take turns.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench.common import parser_of, report
from models.reader import shipped_weights
from models.reader.ablation import Decoder
from models.reader.extractive_reader import Reader
from models.reader.onnx_encoder import Encoder
from models.reader.state_cache import StateCache
from models.reader.windows import Passage
from models.training.question_sets import read_qa

BLOCKS = (1, 4, 16, 64)
QUESTIONS = 9


def measure(encoder: Encoder, decoder: Decoder, questions: list[str], passages: list[Passage]) -> dict[str, float]:
    """Medians of seconds, and of the encoder's operations in thousand millions (the decoder's are not counted)."""
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


def opened(model: Path) -> tuple[Encoder, Decoder]:
    weights = shipped_weights.describe(model)
    return shipped_weights.encoder(weights), shipped_weights.decoder(weights)


def main() -> None:
    parser = parser_of("blocks", __doc__)
    parser.add_argument("data", type=Path)
    models = [shipped_weights.FOLDER]
    parser.add_argument("--model", type=Path, nargs="+", default=models, help="folders of shipped weights")
    options = parser.parse_args()
    rows = read_qa(options.data / "qa" / "dev" / "squad2_dev.jsonl.gz")
    passages = [Passage(text, title) for text, title in {row.context: row.title for row in rows}.items()]
    questions = [row.question for row in rows[:: len(rows) // QUESTIONS][:QUESTIONS]]
    models = {"/".join(model.parts[-2:]): opened(model) for model in options.model}
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for count in BLOCKS:
        for name, (encoder, decoder) in models.items():
            with tempfile.TemporaryDirectory() as folder:
                caching = replace(encoder, cache=StateCache(Path(folder)))
                measure(caching, decoder, questions[:1], passages[:count])  # fills the cache
                for way, reads in (("cached", caching), ("not cached", encoder)):
                    figures.setdefault(f"{name}, {count} blocks", {})[way] = measure(
                        reads, decoder, questions, passages[:count]
                    )
    report(parser, options, figures)


if __name__ == "__main__":
    main()
