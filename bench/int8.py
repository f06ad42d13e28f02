"""nDCG@10 of exact dense search with the int8 text encoder, beside the same weights in torch.

    python -m bench.int8 BEIR_DIR... [--json]

BEIR_DIR: a collection in BEIR's form (corpus.jsonl, queries.jsonl, qrels/test.tsv).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from bench.common import parser_of, report
from indexing.embedder import Embedder

DEPTH = 100


def measure(folder: Path, embedders: dict[str, Embedder]) -> dict[str, float]:
    """Embedder -> nDCG@10 on one collection; and its numbers of queries and documents."""
    import pytrec_eval

    corpus = [json.loads(line) for line in (folder / "corpus.jsonl").open()]
    texts = {row["_id"]: row["text"] for row in map(json.loads, (folder / "queries.jsonl").open())}
    relevant: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        relevant.setdefault(query, {})[document] = int(grade)
    figures: dict[str, float] = {"queries": len(relevant), "documents": len(corpus)}
    for name, embedder in embedders.items():
        documents = embedder.encode_documents([f"{row['title']}\n{row['text']}".strip() for row in corpus])
        queries = embedder.encode_queries([texts[query] for query in relevant])
        best = np.argsort(-(queries @ documents.T), axis=1)[:, :DEPTH]
        ranked = zip(relevant, best, strict=True)
        run = {query: {corpus[i]["_id"]: float(-rank) for rank, i in enumerate(row)} for query, row in ranked}
        scores = pytrec_eval.RelevanceEvaluator(relevant, {"ndcg_cut.10"}).evaluate(run)
        figures[f"nDCG@10 {name}"] = float(np.mean([score["ndcg_cut_10"] for score in scores.values()]))
    return figures


def embedders() -> dict[str, Embedder]:
    from indexing.embedder import SentenceTransformerEmbedder
    from models.common import base_encoder, minilm

    return {"int8": minilm.MiniLM(), "torch fp32": SentenceTransformerEmbedder(str(base_encoder.folder()))}


def main() -> None:
    parser = parser_of("int8", __doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="BEIR_DIR")
    options = parser.parse_args()
    opened = embedders()
    report(parser, options, {folder.name: measure(folder, opened) for folder in options.folders})


if __name__ == "__main__":
    main()
