"""python -m rag.evaluate: how well the right documents are found, and how well questions are answered from them.

    python -m rag.evaluate retrieval BEIR_DIR [--index DIR] [--split test] [--json]
    python -m rag.evaluate answers FILE.jsonl --index DIR [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from models.common.errors import FolioError
from models.common.metrics import (
    CORRECT,
    Detection,
    Ranking,
    Score,
    abstention,
    calibration_error,
    mean,
    ranking,
    ratio,
    risk_coverage,
    squad,
)
from rag.beir import Benchmark, EvaluationError, Question, read_beir, read_questions
from rag.citations import without_markers
from rag.types import Answer, Citation, Evidence
from rag.words import content_words

CHANNELS = ("dense", "bm25")
DEPTH = 200  # chunks asked for, so that some hundred documents are among them


class Pipeline(Protocol):
    """What is evaluated: a RagPipeline, as far as it is used here."""

    def search(self, query: str, k: int = ..., channels: tuple[str, ...] = ...) -> tuple[Evidence, ...]: ...

    def ask(self, question: str) -> Answer: ...


@dataclass(frozen=True, slots=True)
class ChannelReport:
    channel: str
    scores: Ranking


@dataclass(frozen=True, slots=True)
class AnswerReport:
    """`exact_match` and `f1`: an abstention is right where a question is unanswerable and wrong elsewhere (SQuAD 2.0).

    `citation_precision`: the share of citations whose document is among the question's, and whose quote shares at least
    half of its words with the question's quote, where it has one; every citation of an unanswerable question is wrong.
    `citation_recall`: the share of the question's documents that are cited. `risk_coverage` and `calibration_error` are
    over the questions that were answered, with 1 - F1 as the loss and F1 of at least 0.5 as correct.
    """

    exact_match: Score
    f1: Score
    citation_precision: Score
    citation_recall: Score
    abstention: Detection
    risk_coverage: Score
    calibration_error: Score


def evaluate_retrieval(pipeline: Pipeline, benchmark: Benchmark) -> tuple[ChannelReport, ...]:
    """One report for each channel alone, then one for all of them fused. A document ranks by its best chunk."""
    reports = []
    for name, channels in [*((channel, (channel,)) for channel in CHANNELS), ("fused", CHANNELS)]:
        ranked = {}
        for query, text in _watched(benchmark.queries.items(), name):
            found = (_key(evidence.document) for evidence in pipeline.search(text, k=DEPTH, channels=channels))
            # BEIR leaves out a document that is the query itself (Quora, ArguAna).
            ranked[query] = [document for document in dict.fromkeys(found) if document != query]
        reports.append(ChannelReport(name, ranking(benchmark.relevant, ranked)))
    return tuple(reports)


def evaluate_answers(pipeline: Pipeline, questions: Sequence[Question]) -> AnswerReport:
    answers = [pipeline.ask(question.question) for question in _watched(questions, "answers")]
    return score_answers(questions, answers)


def score_answers(questions: Sequence[Question], answers: Sequence[Answer]) -> AnswerReport:
    """The report of answers in the order of their questions."""
    pairs = list(zip(questions, answers, strict=True))
    squads = [_squad(q, a) for q, a in pairs if q.answers or q.unanswerable]
    judged = [(q, a) for q, a in pairs if a.citations and _is_judged(q)]
    cited = [(sum(_is_right(c, q) for c in a.citations), len(a.citations)) for q, a in judged]
    recalls = [
        sum(any(_is_named(c.document, document) for c in a.citations) for document in q.documents) / len(q.documents)
        for q, a in pairs
        if q.documents and not q.unanswerable
    ]
    given = [(a.confidence, _squad(q, a)[1]) for q, a in pairs if not a.abstained and (q.answers or q.unanswerable)]
    confidence = [confidence for confidence, _ in given]
    return AnswerReport(
        exact_match=mean([exact for exact, _ in squads]),
        f1=mean([f1 for _, f1 in squads]),
        citation_precision=ratio([right for right, _ in cited], [count for _, count in cited]),
        citation_recall=mean(recalls),
        abstention=abstention([a.abstained for a in answers], [q.unanswerable for q in questions]),
        risk_coverage=risk_coverage(confidence, [1 - f1 for _, f1 in given]),
        calibration_error=calibration_error(confidence, [f1 >= CORRECT for _, f1 in given]),
    )


def _squad(question: Question, answer: Answer) -> tuple[float, float]:
    if question.unanswerable or answer.abstained:
        right = float(question.unanswerable and answer.abstained)
        return right, right
    return squad(without_markers(answer.text), question.answers)


def _is_judged(question: Question) -> bool:
    """Whether somebody said which documents hold the answer, or that none does."""
    return bool(question.documents) or question.unanswerable


def _is_right(citation: Citation, question: Question) -> bool:
    if question.unanswerable or not any(_is_named(citation.document, document) for document in question.documents):
        return False
    wanted, quoted = content_words(question.quote), content_words(citation.quote)
    return not question.quote or 2 * len(wanted & quoted) >= min(len(wanted), len(quoted)) > 0


def _is_named(document: str, name: str) -> bool:
    """Whether a file of questions means this document: by its whole name, the end of its path, or its key in a file."""
    return document == name or document.endswith((f"/{name}", f"\\{name}", f"#{name}"))


def _key(document: str) -> str:
    """BEIR's `_id` of a document that the index calls PATH#_id."""
    return document.rpartition("#")[2]


def _watched(items: Iterable, name: str) -> Iterable:
    from tqdm import tqdm

    return tqdm(list(items), desc=name, disable=None)  # None: silent where nobody watches


def _index_of(corpus: Path, stack: ExitStack) -> Path:
    """A new index of a corpus, gone with the stack."""
    from indexing.build.run import build

    directory = Path(stack.enter_context(TemporaryDirectory(prefix="folio-evaluate-"))) / "index"
    summary = build([corpus], directory)
    if summary.failures:
        raise EvaluationError(f"{summary.failures[0].path} could not be indexed: {summary.failures[0].reason}")
    return directory


def _show(scores: Ranking | AnswerReport | Detection, prefix: str = "") -> None:
    for field in fields(scores):
        value = getattr(scores, field.name)
        if isinstance(value, Score):
            print(f"{prefix + field.name:<24}{value}")
        else:
            _show(value, f"{prefix}{field.name}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rag.evaluate", description="Measure retrieval and answers.")
    commands = parser.add_subparsers(dest="command", required=True)
    retrieval = commands.add_parser("retrieval", help="nDCG, recall and MRR on a BEIR folder, per channel and fused")
    retrieval.add_argument("beir", type=Path, help="a folder with corpus.jsonl, queries.jsonl and qrels/")
    retrieval.add_argument("--index", type=Path, help="an index of its corpus.jsonl; else one is made and removed")
    retrieval.add_argument("--split", default="test", help="which qrels to use (test)")
    answers = commands.add_parser("answers", help="answers, citations, abstention and calibration")
    answers.add_argument("file", type=Path, help="a JSON object per line: question, answers, documents, unanswerable")
    answers.add_argument("--index", type=Path, required=True)
    for command in (retrieval, answers):
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        with ExitStack() as stack:
            if options.command == "retrieval":
                benchmark = read_beir(options.beir, options.split)
                reports = evaluate_retrieval(_open(options.index or _index_of(benchmark.corpus, stack)), benchmark)
            else:
                reports = evaluate_answers(_open(options.index), read_questions(options.file))
    except FolioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(_as_json(reports), indent=2))
    elif isinstance(reports, AnswerReport):
        _show(reports)
    else:
        for report in reports:
            _show(report.scores, f"{report.channel}.")
    return 0


def _as_json(reports: tuple[ChannelReport, ...] | AnswerReport) -> dict:
    if isinstance(reports, AnswerReport):
        return asdict(reports)
    return {report.channel: asdict(report.scores) for report in reports}


def _open(index: Path) -> Pipeline:
    from rag import RagPipeline

    return RagPipeline.from_index(index)


if __name__ == "__main__":
    sys.exit(main())
