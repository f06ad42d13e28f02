"""Speed and memory, side by side in one run.

    python bench/speed.py index  DATA [--txtai PYTHON]   chunk text -> committed index, against the plain floor and txtai
    python bench/speed.py search DATA                    both channels at 10,000 chunks, and ask
    python bench/speed.py cold   DATA                    a new process to its first answer
    python bench/speed.py rerun                          a second run over 10,000 unchanged files
    python bench/speed.py memory                         peak while 1 GB of PDF is indexed
    python bench/speed.py faiss  [--rows N]              recall and speed of the FAISS kind that is chosen
    python bench/speed.py int8   BEIR_DIR...             nDCG@10 of the int8 encoder beside the same weights in torch

DATA is a folder with text/*.jsonl.gz (sections of paragraphs). txtai runs in an environment of its own, named by --txtai.
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
import threading
import time
import zlib
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
WORDS = 115  # of a chunk: about 150 tokens of this prose

FLOOR = """
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
faiss.write_index(index, sys.argv[2] + "/floor.faiss")
json.dump(texts, open(sys.argv[2] + "/floor.json", "w"))
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


def timed(python: str, code: str, *arguments: object) -> float:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([python, "-c", code, *map(str, arguments)], cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.splitlines()[-1])


def bench_index(options: argparse.Namespace) -> None:
    from models.common.base_encoder import folder

    texts = passages(options.data, 1500)
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "texts.json").write_text(json.dumps(texts))
        write_corpus(texts, Path(work) / "corpus.jsonl")
        rows: dict[str, list[float]] = {"plain floor": [], "folio": []} | ({"txtai": []} if options.txtai else {})
        for round_ in range(3):
            rows["plain floor"].append(timed(sys.executable, FLOOR, f"{work}/texts.json", work))
            rows["folio"].append(timed(sys.executable, FOLIO, f"{work}/corpus.jsonl", f"{work}/folio-{round_}"))
            if options.txtai:
                rows["txtai"].append(timed(options.txtai, TXTAI, f"{work}/texts.json", work, folder(), ROOT))
    rates = {name: len(texts) / statistics.median(seconds) for name, seconds in rows.items()}
    fastest = max(rate for name, rate in rates.items() if name != "folio")
    for name, rate in rates.items():
        print(f"{name:12} {rate:6.1f} chunks/s")
    print(f"folio against the fastest other: {rates['folio'] / fastest:.2f}x")


def index_of(data: Path, work: Path, count: int) -> Path:
    from indexing.build.run import build

    write_corpus(passages(data, count), work / "corpus.jsonl")
    build([work / "corpus.jsonl"], work / "index")
    return work / "index"


def questions(data: Path, count: int) -> list[str]:
    with gzip.open(data / "qa" / "dev" / "squad11_dev_rest.jsonl.gz", "rt") as file:
        return [json.loads(line)["question"] for line in file][:count]


def bench_search(options: argparse.Namespace) -> None:
    from rag import RagPipeline

    with tempfile.TemporaryDirectory() as work:
        rag = RagPipeline.from_index(index_of(options.data, Path(work), 10_000))
        asked = questions(options.data, 200)
        rag.search(asked[0])
        for name, call in (("search", rag.search), ("ask", rag.ask)):
            times = []
            for question in asked:
                start = time.perf_counter()
                call(question)
                times.append(1000 * (time.perf_counter() - start))
            print(f"{name}: p50 {np.percentile(times, 50):.1f} ms, p95 {np.percentile(times, 95):.1f} ms")


def bench_cold(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as work:
        index = index_of(options.data, Path(work), 10_000)
        for name, arguments in (
            ("ask", ["-m", "rag", "ask", "Why do stars twinkle?", "--index", str(index)]),
            ("search", ["-m", "rag", "search", "Why do stars twinkle?", "--index", str(index)]),
            ("rag --help", ["-m", "rag", "--help"]), ("indexing --help", ["-m", "indexing", "--help"]),
        ):
            times = []
            for _ in range(7):
                start = time.perf_counter()
                subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=True)
                times.append(time.perf_counter() - start)
            print(f"{name}: median {statistics.median(times):.2f} s, slowest {max(times):.2f} s")
        (Path(work) / "questions.json").write_text(json.dumps(questions(options.data, 120)))
        peak = timed(sys.executable, SEARCHER, index, f"{work}/questions.json")
        print(f"peak memory of a process that searched and asked 120 questions: {peak:.0f} MB")


def bench_rerun(options: argparse.Namespace) -> None:
    from indexing.build.run import build

    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "docs"
        for number in range(10_000):
            path = folder / f"{number % 100:02}" / f"note-{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"Note {number}: the lamp at berth {number % 37} was lit at {number % 24} hours.")
        print(f"first run: {build([folder], Path(work) / 'index').seconds:.1f} s")
        times = []
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", "indexing", str(folder), "--index", f"{work}/index"], cwd=ROOT, capture_output=True, check=True)
            times.append(time.perf_counter() - start)
        print(f"unchanged, whole process: median {statistics.median(times):.2f} s")


def heavy_pdf(path: Path, number: int) -> None:
    """A page of text beside a picture of ten megabytes."""
    picture = zlib.compress(np.random.default_rng(number).integers(0, 256, 10_000_000, np.uint8).tobytes(), 0)
    text = f"BT /F1 12 Tf 72 720 Td (Survey sheet {number}: the shoal lies {number % 90} metres east of the buoy.) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> /XObject << /I 6 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text), b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /XObject /Subtype /Image /Width 2500 /Height 4000 /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /FlateDecode "
        b"/Length %d >>\nstream\n%s\nendstream" % (len(picture), picture),
    ]
    with path.open("wb") as file:
        file.write(b"%PDF-1.4\n")
        offsets = []
        for index, body in enumerate(objects, 1):
            offsets.append(file.tell())
            file.write(b"%d 0 obj\n%s\nendobj\n" % (index, body))
        start = file.tell()
        file.write(b"xref\n0 7\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % at for at in offsets))
        file.write(b"trailer << /Size 7 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % start)


def resident(process: int) -> float:
    """Megabytes that a process and its children hold now (Linux)."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20 + sum(resident(int(child)) for child in children)


def bench_memory(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "docs"
        folder.mkdir()
        for number in range(100):
            heavy_pdf(folder / f"sheet-{number:03}.pdf", number)
        print(f"{sum(path.stat().st_size for path in folder.iterdir()) / 1e9:.2f} GB")
        process = subprocess.Popen([sys.executable, "-m", "indexing", str(folder), "--index", f"{work}/index"], cwd=ROOT, stderr=subprocess.DEVNULL)
        samples: list[float] = []

        def watch() -> None:
            while process.poll() is None:
                try:
                    samples.append(resident(process.pid))
                except (FileNotFoundError, ProcessLookupError):  # it ended between two looks
                    return
                time.sleep(0.1)

        watcher = threading.Thread(target=watch)
        watcher.start()
        process.wait()
        watcher.join()
        quarters = np.array_split(samples, 4)
        print("peak of parent and reader, by quarter of the run: " + ", ".join(f"{part.max():.0f} MB" for part in quarters))


def clustered(count: int, dimension: int = 384, clusters: int = 2000, chunk: int = 50_000):
    """Batches of (ids, unit vectors) around centres, as embeddings are; the same on every call."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(clusters, dimension)).astype(np.float32)
    for first in range(0, count, chunk):
        size = min(chunk, count - first)
        vectors = centres[rng.integers(clusters, size=size)] + 0.8 * rng.standard_normal((size, dimension), np.float32)
        yield np.arange(first, first + size, dtype=np.int64), vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def bench_faiss(options: argparse.Namespace) -> None:
    import faiss

    from indexing.stores import ann

    count, dimension = options.rows, 384
    rng = np.random.default_rng(1)
    _, some = next(clustered(count))
    queries = some[:200] + 0.5 * (noise := rng.standard_normal((200, dimension), np.float32)) / np.linalg.norm(noise, axis=1, keepdims=True)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)

    def flat() -> faiss.Index:
        index = faiss.IndexFlatIP(dimension)
        for _, vectors in clustered(count):
            index.add(vectors)
        return index

    def graph() -> faiss.Index:
        index = faiss.IndexHNSWFlat(dimension, 32, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efSearch = 128
        for _, vectors in clustered(count):
            index.add(vectors)
        return index

    contenders = {"Flat": flat, "folio": lambda: ann.build(lambda: clustered(count), count, dimension, count).index}
    if options.hnsw:
        contenders["HNSW32"] = graph
    truth = None
    for name, make in contenders.items():
        start = time.perf_counter()
        index = make()
        built = time.perf_counter() - start
        start = time.perf_counter()
        found = np.stack([index.search(query[None], 10)[1][0] for query in queries])
        each = 1000 * (time.perf_counter() - start) / len(queries)
        truth = found if truth is None else truth
        recall = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(found, truth, strict=True)])
        with tempfile.TemporaryDirectory() as work:
            faiss.write_index(index, f"{work}/i")
            size = Path(work, "i").stat().st_size
        probes = f", nprobe {index.nprobe} of {index.nlist}" if hasattr(index, "nprobe") else ""
        print(f"{count:,} rows, {name} ({type(index).__name__}{probes}): recall@10 {recall:.3f}, {each:.2f} ms a query, built in {built:.0f} s, {size / 2**20:.0f} MB")
        del index


def bench_int8(options: argparse.Namespace) -> None:
    import pytrec_eval

    from indexing.embedder import SentenceTransformerEmbedder
    from models.common import base_encoder, minilm

    embedders = {"int8": minilm.MiniLM(), "torch fp32": SentenceTransformerEmbedder(str(base_encoder.folder()))}
    for folder in options.folders:
        corpus = [json.loads(line) for line in (folder / "corpus.jsonl").open()]
        asked = {row["_id"]: row["text"] for row in map(json.loads, (folder / "queries.jsonl").open())}
        relevant: dict[str, dict[str, int]] = {}
        for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
            query, document, grade = line.split("\t")
            relevant.setdefault(query, {})[document] = int(grade)
        figures = []
        for name, embedder in embedders.items():
            documents = embedder.encode_documents([f"{row['title']}\n{row['text']}".strip() for row in corpus])
            queries = embedder.encode_queries([asked[query] for query in relevant])
            best = np.argsort(-(queries @ documents.T), axis=1)[:, :100]
            run = {query: {corpus[i]["_id"]: float(-rank) for rank, i in enumerate(row)} for query, row in zip(relevant, best, strict=True)}
            scores = pytrec_eval.RelevanceEvaluator(relevant, {"ndcg_cut.10"}).evaluate(run)
            figures.append(f"{name} {np.mean([score['ndcg_cut_10'] for score in scores.values()]):.4f}")
        print(f"{folder.name} ({len(relevant)} queries, {len(corpus)} documents), nDCG@10: {', '.join(figures)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for name, run in (("index", bench_index), ("search", bench_search), ("cold", bench_cold)):
        command = commands.add_parser(name)
        command.add_argument("data", type=Path)
        command.set_defaults(run=run)
        if name == "index":
            command.add_argument("--txtai", metavar="PYTHON", help="the python of an environment with txtai")
    for name, run in (("rerun", bench_rerun), ("memory", bench_memory), ("faiss", bench_faiss)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        if name == "faiss":
            command.add_argument("--rows", type=int, default=100_000)
            command.add_argument("--hnsw", action="store_true", help="beside HNSW too (slow to build)")
    command = commands.add_parser("int8")
    command.add_argument("folders", type=Path, nargs="+", metavar="BEIR_DIR")
    command.set_defaults(run=bench_int8)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
