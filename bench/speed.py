"""Speed of indexing, searching and starting, and peak memory of answering.

    python -m bench.speed index  DATA [--txtai PYTHON]   text -> committed index, beside a baseline and txtai
    python -m bench.speed search DATA                    search and ask over 10,000 chunks
    python -m bench.speed cold   DATA                    a new process to its first answer; peak memory
    python -m bench.speed rerun                          a second run over 10,000 unchanged files

All take --json. DATA is a folder with text/*.jsonl.gz (sections of paragraphs). --txtai names the Python of an
environment with txtai.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.common import parser_of, report

ROOT = Path(__file__).parents[1]
WORDS = 115  # of a chunk: about 150 tokens of this prose
CHUNKS, LARGE = 1500, 10_000  # of the indexes that are built and searched
Figures = dict[str, Any]

BASELINE = """
import json, sys, time
from models.common.torchvision_ops import ensure_operators
ensure_operators()
from sentence_transformers import SentenceTransformer
import faiss
from models.common.base_encoder import folder
texts = json.load(open(sys.argv[1]))
model = SentenceTransformer(str(folder()), device="cpu")
model.encode(texts[:32])
start = time.perf_counter()
vectors = model.encode(texts, batch_size=32, normalize_embeddings=True)
index = faiss.IndexFlatIP(vectors.shape[1])
index.add(vectors)
faiss.write_index(index, sys.argv[2] + "/baseline.faiss")
json.dump(texts, open(sys.argv[2] + "/baseline.json", "w"))
print(time.perf_counter() - start)
"""

TXTAI = """
import json, sys, time
sys.path.insert(0, sys.argv[4])
from models.common.torchvision_ops import ensure_operators
ensure_operators()
from txtai import Embeddings
texts = json.load(open(sys.argv[1]))
embeddings = Embeddings(path=sys.argv[3], content=True, hybrid=True)
embeddings.transform(texts[0])
start = time.perf_counter()
embeddings.index(list(enumerate(texts)))
embeddings.save(sys.argv[2] + "/txtai")
print(time.perf_counter() - start)
"""

FOLIO = """
import sys, time
from indexing.build.run import build
start = time.perf_counter()
summary = build([sys.argv[1]], sys.argv[2])
print(time.perf_counter() - start)
"""


SEARCHER = """
import json, re, sys
from rag import RagPipeline
rag = RagPipeline.from_index(sys.argv[1])
for question in json.load(open(sys.argv[2])):
    rag.search(question)
    rag.ask(question)
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024)
"""


def passages(data: Path, count: int) -> list[str]:
    """Distinct chunks of prose."""
    found = []
    for path in sorted((data / "text").glob("*.jsonl.gz")):
        if path.name.startswith("glossary"):
            continue
        with gzip.open(path, "rt") as file:
            for row in map(json.loads, file):
                for section in row.get("sections", [row]):
                    words = " ".join(section["paragraphs"]).split()
                    found += [" ".join(words[at : at + WORDS]) for at in range(0, len(words) - WORDS, WORDS)]
    return random.Random(0).sample(found, count)


def write_corpus(texts: list[str], path: Path) -> None:
    with path.open("w") as file:
        for number, text in enumerate(texts):
            file.write(json.dumps({"_id": str(number), "title": "", "text": text}) + "\n")


def run(python: str, code: str, *arguments: object) -> float:
    """The number that a program prints last, in a process of its own without the network."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = [python, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.splitlines()[-1])


def timed(arguments: list[str]) -> float:
    """Seconds of `python` with these arguments, the whole process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=True)
    return time.perf_counter() - started


def bench_index(options: argparse.Namespace) -> Figures:
    from models.common.base_encoder import folder

    texts = passages(options.data, CHUNKS)
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "texts.json").write_text(json.dumps(texts))
        write_corpus(texts, Path(work) / "corpus.jsonl")
        seconds: dict[str, list[float]] = {}
        for number in range(3):
            baseline = run(sys.executable, BASELINE, f"{work}/texts.json", work)
            seconds.setdefault("sentence-transformers + IndexFlatIP", []).append(baseline)
            folio = run(sys.executable, FOLIO, f"{work}/corpus.jsonl", f"{work}/folio-{number}")
            seconds.setdefault("folio", []).append(folio)
            if options.txtai:
                txtai = run(options.txtai, TXTAI, f"{work}/texts.json", work, folder(), ROOT)
                seconds.setdefault("txtai", []).append(txtai)
    rates = {name: len(texts) / statistics.median(times) for name, times in seconds.items()}
    fastest = max(rate for name, rate in rates.items() if name != "folio")
    return {"chunks a second": rates, "folio against the fastest other": rates["folio"] / fastest}


def index_of(data: Path, work: Path, count: int) -> Path:
    from indexing.build.run import build

    write_corpus(passages(data, count), work / "corpus.jsonl")
    build([work / "corpus.jsonl"], work / "index")
    return work / "index"


def questions(data: Path, count: int) -> list[str]:
    with gzip.open(data / "qa" / "dev" / "squad11_dev_rest.jsonl.gz", "rt") as file:
        return [json.loads(line)["question"] for line in file][:count]


def bench_search(options: argparse.Namespace) -> Figures:
    from rag import RagPipeline

    figures = {}
    with tempfile.TemporaryDirectory() as work:
        rag = RagPipeline.from_index(index_of(options.data, Path(work), LARGE))
        asked = questions(options.data, 200)
        rag.search(asked[0])  # opens the models
        for name, call in (("search", rag.search), ("ask", rag.ask)):
            times = []
            for question in asked:
                started = time.perf_counter()
                call(question)
                times.append(1000 * (time.perf_counter() - started))
            figures[name] = {"p50 ms": float(np.percentile(times, 50)), "p95 ms": float(np.percentile(times, 95))}
    return figures


def bench_cold(options: argparse.Namespace) -> Figures:
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as work:
        index = index_of(options.data, Path(work), LARGE)
        question = ["Why do stars twinkle?", "--index", str(index)]
        commands = {
            "ask": ["-m", "rag", "ask", *question], "search": ["-m", "rag", "search", *question],
            "rag --help": ["-m", "rag", "--help"], "indexing --help": ["-m", "indexing", "--help"],
        }  # fmt: skip
        for name, arguments in commands.items():
            times = [timed(arguments) for _ in range(7)]
            figures[name] = {"median s": statistics.median(times), "slowest s": max(times)}
        (Path(work) / "questions.json").write_text(json.dumps(questions(options.data, 120)))
        figures["peak MB of 120 questions"] = run(sys.executable, SEARCHER, index, f"{work}/questions.json")
    return figures


def bench_rerun(options: argparse.Namespace) -> Figures:
    from indexing.build.run import build

    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "docs"
        for number in range(10_000):
            path = folder / f"{number % 100:02}" / f"note-{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"Note {number}: the lamp at berth {number % 37} was lit at {number % 24} hours.")
        first = build([folder], Path(work) / "index").seconds
        again = [timed(["-m", "indexing", str(folder), "--index", f"{work}/index"]) for _ in range(5)]
    return {"first run s": first, "unchanged, whole process: median s": statistics.median(again)}


BENCHES = {"index": bench_index, "search": bench_search, "cold": bench_cold, "rerun": bench_rerun}


def main() -> None:
    arguments = sys.argv[1:]
    chooser = argparse.ArgumentParser(prog="python -m bench.speed", description=__doc__.splitlines()[0])
    chooser.add_argument("bench", choices=BENCHES)
    bench = chooser.parse_args(arguments[:1]).bench
    parser = parser_of(f"speed {bench}", __doc__)
    if bench != "rerun":
        parser.add_argument("data", type=Path)
    if bench == "index":
        parser.add_argument("--txtai", type=Path, metavar="PYTHON", help="the Python of an environment with txtai")
    options = parser.parse_args(arguments[1:])
    report(parser, options, BENCHES[bench](options))


if __name__ == "__main__":
    main()
