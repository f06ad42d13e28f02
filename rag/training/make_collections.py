"""Makes retrieval collections in BEIR's form: `python -m rag.training.make_collections DATA OUT`.

In: the question sets and the prose of a data folder. Out: a folder for each collection. Each folder gets corpus.jsonl,
queries.jsonl, qrels/train.tsv (to fit on) and qrels/test.tsv (held out, by document).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

QUERIES = 300  # of each split
QUESTION_SETS = (
    "squad2_dev", "squad11_dev_rest", "qed_nq", "policyqa", "doc2dial_val", "covidqa", "medquad", "pubmedqa",
    "fairytaleqa", "tatqa", "wtq", "fetaqa", "tabfact", "boolq_dev", "condaqa", "qmsum_spans",
)


@dataclass
class Collection:
    """Documents by id, and for each split its queries with the ids of their relevant documents."""

    documents: dict[str, str] = field(default_factory=dict)
    queries: dict[str, dict[str, set[str]]] = field(default_factory=lambda: {"train": {}, "test": {}})

    def add(self, split: str, query: str, *texts: str) -> None:
        ids = {hashlib.blake2b(text.encode(), digest_size=8).hexdigest(): text for text in texts}
        self.documents.update(ids)
        self.queries[split].setdefault(query.strip(), set()).update(ids)

    def write(self, folder: Path) -> None:
        (folder / "qrels").mkdir(parents=True, exist_ok=True)
        with (folder / "corpus.jsonl").open("w") as file:
            for id, text in sorted(self.documents.items()):
                file.write(json.dumps({"_id": id, "title": "", "text": text}) + "\n")
        with (folder / "queries.jsonl").open("w") as queries:
            for split, answers in self.queries.items():
                chosen = random.Random(0).sample(sorted(answers), min(QUERIES, len(answers)))
                with (folder / "qrels" / f"{split}.tsv").open("w") as qrels:
                    qrels.write("query-id\tcorpus-id\tscore\n")
                    for number, query in enumerate(chosen):
                        queries.write(json.dumps({"_id": f"{split}-{number}", "text": query}) + "\n")
                        for id in sorted(answers[query]):
                            qrels.write(f"{split}-{number}\t{id}\t1\n")


def lines(path: Path) -> Iterator[dict]:
    with gzip.open(path, "rt") as file:
        yield from map(json.loads, file)


def question_set(data: Path, name: str) -> Collection:
    made = Collection()
    for folder, split in (("train", "train"), ("dev", "test")):
        for row in lines(data / "qa" / folder / f"{name}.jsonl.gz"):
            question = re.split(r"user:", row["question"])[-1]
            if not row["unanswerable"]:
                made.add(split, question, row["context"])
    return made


def term_lookups(data: Path) -> Collection:
    """Query: a term of a glossary. Relevant: the paragraphs of its module that use the term."""
    made = Collection()
    modules = {
        row["module"]: [p for section in row["sections"] for p in section["paragraphs"]]
        for book in ("anatomy", "astronomy", "chemistry", "economics", "microbiology", "physics")
        for row in lines(data / "text" / f"{book}.jsonl.gz")
    }
    for row in lines(data / "text" / "glossary.jsonl.gz"):
        term = row["term"]
        using = [p for p in modules.get(row["module"], []) if re.search(rf"\b{re.escape(term)}\b", p, re.IGNORECASE)]
        if using:
            split = "test" if hashlib.blake2b(row["module"].encode()).digest()[0] % 4 == 0 else "train"
            made.add(split, term, *using)
    return made


def titles(data: Path) -> Collection:
    """Query: the title of a page. Relevant: its long paragraphs."""
    made = Collection()
    for number, row in enumerate(lines(data / "text" / "wikipedia.jsonl.gz")):
        paragraphs = [p for p in row["paragraphs"] if len(p) > 200][:8]
        if paragraphs and number % 2:
            made.add("test" if number % 8 == 1 else "train", row["title"], *paragraphs)
    return made


def meanings(data: Path) -> Collection:
    """Query: the definition of a term, which need not name it. Relevant: the first paragraph that uses the term."""
    made = Collection()
    modules = {
        row["module"]: [p for section in row["sections"] for p in section["paragraphs"]]
        for book in ("anatomy", "economics", "physics") for row in lines(data / "text" / f"{book}.jsonl.gz")
    }
    for row in lines(data / "text" / "glossary.jsonl.gz"):
        using = [p for p in modules.get(row["module"], []) if row["term"].lower() in p.lower()]
        if using:
            split = "test" if hashlib.blake2b(row["module"].encode()).digest()[0] % 4 == 0 else "train"
            made.add(split, row["meaning"], using[0])
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    makers = {name: lambda data, name=name: question_set(data, name) for name in QUESTION_SETS}
    makers |= {"terms": term_lookups, "titles": titles, "meanings": meanings}
    for name, make in makers.items():
        made = make(options.data)
        made.write(options.out / name)
        print(name, len(made.documents), {split: len(queries) for split, queries in made.queries.items()})


if __name__ == "__main__":
    main()
