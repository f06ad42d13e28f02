"""Features of a sentence beside a question, and logistic regression over them.

In: a question with the rarity of its words, a piece of evidence, embeddings, and what a reader found. Out: rows of
SENTENCE_FEATURES (and READER_FEATURES, ROW_FEATURES), of which the best sentence is chosen by a linear score, and
ANSWER_FEATURES, from which its confidence follows. The weights are fitted by `python -m rag.training.fit_quote` and
`fit_reader`, and stand in calibration.json.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.common.cell_separator import CELL
from models.reader.types import Finding
from rag.dates import days, years
from rag.reading import bounded
from rag.types import Evidence
from rag.word_lists import any_of
from rag.words import WORD_LISTS, stem, stems

PRIOR = 200  # chunks added to those of an index, so that in an index of three chunks no word counts as common

SENTENCE_FEATURES = (
    "similarity", "similarity_in_context", "coverage", "coverage_in_context", "chunk_similarity", "reciprocal_rank",
    "wanted_kind", "length", "brevity", "row", "question_back", "similarity_before", "coverage_before",
    "similarity_after", "kind_and_coverage",
)  # fmt: skip
ANSWER_FEATURES = (
    "best", "margin", "share", "similarity", "similarity_in_context", "coverage", "coverage_in_context",
    "rarest_in_context", "wanted_kind", "chunk_similarity", "agreement",
)  # fmt: skip
READER_FEATURES = ("span", "answerable", "evidence", "row_coverage")  # of a sentence that was read, and of the answer
ROW_FEATURES = ("row_match",)  # of a sentence that was read, behind READER_FEATURES
READ = slice(len(SENTENCE_FEATURES), len(SENTENCE_FEATURES) + len(READER_FEATURES))  # of a row of features
# (what a question holds, what a sentence must hold to answer it)
_ANSWER_FORMS = tuple((any_of(form["question"]), re.compile(form["answer"])) for form in WORD_LISTS["answer_forms"])


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the features see it: its embedding and its words, each with how rare it is in the index."""

    text: str
    vector: np.ndarray  # (d,) unit length
    rarity: Mapping[str, float]  # stem -> inverse document frequency


def asked(text: str, vector: np.ndarray, counts: Mapping[str, int], chunks: int) -> Asked:
    """counts: in how many of the `chunks` chunks each content word of the question stands."""
    total = chunks + PRIOR
    rarity = {stem(word): math.log(total / (count + 0.5)) for word, count in counts.items()}
    rarity |= {day.isoformat(): math.log(total) for day in days(text)}
    return Asked(text, vector, rarity)


def chunk_features(
    question: Asked, evidence: Evidence, rank: int, opening: str, texts: Sequence[str], alone: np.ndarray,
    in_context: np.ndarray,
) -> list[list[float]]:  # fmt: skip
    """SENTENCE_FEATURES of each sentence of the evidence at `rank` (from 0), in their order.

    opening: of its document, as far as it stands before the chunk. alone, in_context: (n, d) embeddings of sentences
    by themselves and under their headings.
    """
    wide = stems(" ".join((evidence.text, *evidence.headings, opening)))
    held = [stems(text) for text in texts]
    near, near_in_context = (alone @ question.vector).tolist(), (in_context @ question.vector).tolist()
    covered = [coverage(question, words) for words in held]
    kind = next((pattern for cue, pattern in _ANSWER_FORMS if cue.search(question.text)), None)
    dense = evidence.channels.get("dense")
    rows = []
    for i, text in enumerate(texts):
        words = text.count(" ") + 1
        wanted = 0.5 if kind is None else float(bool(kind.search(text)))
        before = (near[i - 1], covered[i - 1]) if i else (0.0, 0.0)
        after = near[i + 1] if i + 1 < len(texts) else 0.0
        rows.append([
            near[i], near_in_context[i], covered[i], coverage(question, held[i] | wide), dense.score if dense else 0.0,
            1 / (1 + rank), wanted, math.log(words), max(0.0, 1 - words / 5), float(CELL in text),
            float(text.rstrip().endswith("?")), *before, after, wanted * covered[i],
        ])  # fmt: skip
    return rows


def reader_features(finding: Finding, row: Sequence[float]) -> list[float]:
    """READER_FEATURES of a sentence: log-odds of its best answer, logits of its chunk, and `row_coverage`.

    The latter, because a row is named by numbers and codes, which the reader tells apart badly. row: SENTENCE_FEATURES.
    """
    read = [bounded(value) for value in (finding.span, finding.answerable, finding.evidence)]
    return [*read, row_coverage(row)]


def another_year(question: str, piece: Evidence, opening: str) -> bool:
    """Whether the question names a year that the evidence lacks, while its headings or file name give another one.

    opening: how its document begins.
    """
    over = years(" ".join((*piece.headings, piece.document)))
    return bool(over and years(question) - over - years(f"{piece.text} {opening}"))


def row_coverage(row: Sequence[float]) -> float:
    """How much of the question the row of a table holds, 0 for what is none. row: its SENTENCE_FEATURES."""
    values = dict(zip(SENTENCE_FEATURES, row, strict=True))
    return values["row"] * values["coverage"]


def row_matches(rows: Sequence[Sequence[float]], owner: Sequence[int], headers: Sequence[bool]) -> list[float]:
    """ROW_FEATURES of each sentence: its row's coverage of the question over the largest one of a row in its chunk.

    A header names the columns of all rows, and gets 0. rows: SENTENCE_FEATURES of each; owner: the chunk of each.
    """
    covered = [0.0 if header else row_coverage(row) for row, header in zip(rows, headers, strict=True)]
    most: dict[int, float] = {}
    for value, at in zip(covered, owner, strict=True):
        most[at] = max(value, most.get(at, 0.0))
    return [value / most[at] if most[at] else 0.0 for value, at in zip(covered, owner, strict=True)]


def answer_features(
    question: Asked, scores: np.ndarray, features: np.ndarray, best: int, evidence: Sequence[Evidence],
    owner: Sequence[int],
) -> list[float]:  # fmt: skip
    """ANSWER_FEATURES of the best sentence among all, and its READER_FEATURES where it was read.

    scores: (n,). features: (n, SENTENCE_FEATURES and perhaps READER_FEATURES). owner[i]: the evidence of sentence i.
    """
    row = dict(zip(SENTENCE_FEATURES, features[best], strict=False))
    piece = evidence[owner[best]]
    rest = [value for value, at in zip(scores, owner, strict=True) if at != owner[best]]
    wide = stems(piece.text) | stems(" ".join(piece.headings))
    rarest = max(question.rarity.values(), default=0.0)
    missing = max((value for word, value in question.rarity.items() if word not in wide), default=0.0)
    return [
        float(scores[best]), float(scores[best] - max(rest, default=scores[best] - 1)), float(shares(scores)[best]),
        row["similarity"], row["similarity_in_context"], row["coverage"], row["coverage_in_context"],
        1 - missing / rarest if rarest else 0.0, row["wanted_kind"], row["chunk_similarity"],
        float({"dense", "bm25"} <= piece.channels.keys()), *features[best][READ].tolist(),
    ]  # fmt: skip


def shares(scores: np.ndarray) -> np.ndarray:
    """Softmax: (n,) -> (n,)."""
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum()


def coverage(question: Asked, words: frozenset[str]) -> float:
    """The share of the question's words, weighed by rarity, that are among `words`."""
    total = sum(question.rarity.values())
    return sum(value for word, value in question.rarity.items() if word in words) / total if total else 0.0
