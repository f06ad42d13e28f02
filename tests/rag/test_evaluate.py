import json
from dataclasses import asdict
from pathlib import Path

import pytest
from samples_rag import evidence

import rag
from rag.beir import EvaluationError, Question, read_beir, read_questions
from rag.evaluate import DEPTH, evaluate_answers, evaluate_retrieval, main, score_answers
from rag.types import Answer, Citation, Evidence


def answer(text: str = "", confidence: float = 0.5, cites: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An abstention where there is no text."""
    citations = tuple(Citation(name, None, quote, 0, len(quote), (), "id") for name, quote in cites)
    return Answer(text, not text, confidence, citations, (), {})


class FakePipeline:
    """Ranks by hand: dense finds what begins with the query, bm25 what ends with it, both find both."""

    def __init__(self, names: tuple[str, ...] = (), answers: tuple[Answer, ...] = ()) -> None:
        self.names = names
        self.answers = dict(zip((f"q{number}" for number in range(len(answers))), answers, strict=True))

    def search(self, query: str, k: int = 10, channels: tuple[str, ...] = ("dense", "bm25")) -> tuple[Evidence, ...]:
        assert k == DEPTH
        tests = {"dense": str.startswith, "bm25": str.endswith}
        keys = [name for channel in channels for name in self.names if tests[channel](name.rpartition("#")[2], query)]
        return tuple(evidence("text", name) for name in keys)

    def ask(self, question: str) -> Answer:
        return self.answers[question]


def beir(folder: Path, qrels: str = "query-id\tcorpus-id\tscore\n1\tab\t1\n1\tcb\t1\n2\tzz\t1\n") -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "qrels" / "test.tsv").write_text(qrels)
    texts = {"ab": "Heated pools", "cb": "Cold seas", "zz": "Roofs of straw"}
    (folder / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": k, "title": "", "text": v}) + "\n" for k, v in texts.items())
    )
    (folder / "queries.jsonl").write_text(
        '{"_id": "1", "text": "a"}\n\n{"_id": 2, "text": "b"}\n{"_id": "3", "text": "unjudged"}\n'
    )
    return folder


def test_retrieval_per_channel_and_fused(tmp_path: Path) -> None:
    benchmark = read_beir(beir(tmp_path / "beir", "query-id\tcorpus-id\tscore\n1\tab\t1\n1\tcb\t1\n2\tcb\t1\n"))
    assert benchmark.queries == {"1": "a", "2": "b"}
    names = ("c.jsonl#ab", "c.jsonl#ab", "c.jsonl#1", "dir#1/c.jsonl#cb")
    dense, bm25, fused = evaluate_retrieval(FakePipeline(names), benchmark)
    assert [report.channel for report in (dense, bm25, fused)] == ["dense", "bm25", "fused"]
    assert (dense.scores.recall_10.value, dense.scores.mrr.value) == (0.25, 0.5)  # query 1 finds one of two
    assert (bm25.scores.recall_10.value, bm25.scores.mrr.value) == (0.5, 0.25)  # query 2 finds its one as the second
    assert fused.scores.recall_10.value == 0.75
    assert dense.scores.mrr.n == 2


def test_a_query_does_not_find_itself(tmp_path: Path) -> None:
    benchmark = read_beir(beir(tmp_path / "beir", "1\ta1\t1\n"))
    (dense, *_) = evaluate_retrieval(FakePipeline(("c#a1",)), benchmark)
    assert dense.scores.mrr.value == 1.0
    benchmark = type(benchmark)(benchmark.corpus, {"a1": "a"}, {"a1": {"a1": 1, "a2": 1}})
    (dense, *_) = evaluate_retrieval(FakePipeline(("c#a1", "c#a2")), benchmark)
    assert (dense.scores.mrr.value, dense.scores.recall_10.value) == (1.0, 0.5)


QUESTIONS = (
    Question("q0", ("28 degrees",), ("manual.md",), quote="It is heated to 28 degrees."),
    Question("q1", ("in 2005",), ("roof.txt", "visitors.csv")),
    Question("q2", unanswerable=True),
    Question("q3", documents=("manual.md",), unanswerable=True),
    Question("q4", ("12",)),
)
ANSWERS = (
    answer(
        "28 degrees [1].", 0.9, (("/home/manual.md", "heated to 28 degrees"), ("manual.md", "Children pay nothing"))
    ),
    answer("In 2005 it was", 0.6, (("roof.txt", "mended in 2005"), ("sunroof.txt", "2005"))),
    answer(),
    answer("Sure", 0.3, (("manual.md", "The pool"),)),
    answer(),
)


def test_answers_by_hand() -> None:
    report = evaluate_answers(FakePipeline(answers=ANSWERS), QUESTIONS)
    f1 = 2 * (2 / 4) / (2 / 4 + 1)  # "in 2005 it was" against "in 2005"
    assert (report.exact_match.value, report.exact_match.n) == (pytest.approx((1 + 0 + 1 + 0 + 0) / 5), 5)
    assert report.f1.value == pytest.approx((1 + f1 + 1 + 0 + 0) / 5)
    # Right: the heated pool, the roof. Wrong: another quote, another document, a citation for what has no answer.
    assert (report.citation_precision.value, report.citation_precision.n) == (pytest.approx(2 / 5), 5)
    assert (report.citation_recall.value, report.citation_recall.n) == (pytest.approx((1 + 1 / 2) / 2), 2)
    assert report.abstention.f1.value == pytest.approx(1 / 2)  # one hit, one miss, one false alarm
    assert report.risk_coverage.value == pytest.approx((0 + (1 - f1) / 2 + (2 - f1) / 3) / 3)
    assert report.calibration_error.value == pytest.approx((0.1 + 0.4 + 0.3) / 3)


def test_nothing_to_measure_is_undefined_and_never_a_crash() -> None:
    assert score_answers((), ()).f1.value is None
    silent = score_answers(QUESTIONS, [answer()] * 5)
    assert (silent.risk_coverage.value, silent.calibration_error.value, silent.citation_precision.value) == (
        None,
        None,
        None,
    )
    assert silent.citation_recall.value == 0.0
    lost = score_answers((Question("q", unanswerable=True),) * 2, [answer()] * 2)
    assert (lost.exact_match.value, lost.abstention.f1.value, lost.citation_recall.value) == (1.0, 1.0, None)
    unknown = score_answers((Question("q"),), [answer("x", 0.5, (("a", "b"),))])
    assert (unknown.exact_match.value, unknown.citation_precision.value, unknown.abstention.f1.value) == (
        None,
        None,
        None,
    )
    assert json.dumps(asdict(silent))


def test_command_for_answers(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    class Opened:
        @classmethod
        def from_index(cls, index: Path) -> FakePipeline:
            assert index == tmp_path
            return FakePipeline(answers=ANSWERS)

    monkeypatch.setitem(vars(rag), "RagPipeline", Opened)
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(asdict(question)) + "\n" for question in QUESTIONS).replace(', "quote": ""', ""))
    assert read_questions(file) == QUESTIONS
    assert main(["answers", str(file), "--index", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["citation_precision"]["value"] == pytest.approx(0.4)
    assert report["abstention"]["f1"]["n"] == 5
    assert main(["answers", str(file), "--index", str(tmp_path)]) == 0
    assert "abstention.f1           0.5000 [" in capsys.readouterr().out


def test_one_document_and_nothing(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(
        '{"question": "q", "document": "a.md", "page": 2, "quote": "x"}\n'
        '{"question": "r", "document": null, "answers": null, "quote": "", "unanswerable": null}\n'
    )
    assert read_questions(file) == (Question("q", documents=("a.md",), quote="x"), Question("r"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: not a JSON object"),
        ("{}", "line 2: 'question' must be a text"),
        ('{"question": "q", "answers": "a"}', "'answers' must be a list of texts"),
        ('{"question": "q", "documents": [1]}', "'documents' must be a list of texts"),
        ('{"question": "q", "document": 1}', "'document' must be a text"),
        ('{"question": "q", "quote": 1}', "'quote' must be a text"),
        ('{"question": "q", "unanswerable": 1}', "'unanswerable' must be true or false"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(f'{{"question": "q\u2028r"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(EvaluationError, match=message):
        read_questions(file)


def test_a_bad_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["retrieval", str(tmp_path)]) == 1
    assert "has no corpus.jsonl" in capsys.readouterr().err
    beir(tmp_path / "beir", "1\tab\tone\n")
    assert main(["retrieval", str(tmp_path / "beir")]) == 1
    assert "line 1: expected query" in capsys.readouterr().err
    assert main(["retrieval", str(tmp_path / "beir"), "--split", "dev"]) == 1
    assert "dev.tsv cannot be read" in capsys.readouterr().err
    beir(tmp_path / "other", "9\tab\t1\n")
    assert main(["retrieval", str(tmp_path / "other")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_command_for_retrieval_on_an_index_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = beir(tmp_path / "beir")
    (folder / "queries.jsonl").write_text('{"_id": "1", "text": "cold seas"}\n{"_id": "2", "text": "straw roofs"}\n')
    assert main(["retrieval", str(folder), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == ["dense", "bm25", "fused"]
    # Query 1 wants the heated pools too, which share no word with it.
    assert report["bm25"]["mrr"]["value"] == 1.0
    assert report["bm25"]["recall_10"] == {"value": 0.75, "low": 0.5, "high": 1.0, "n": 2}
    assert report["fused"]["recall_100"]["value"] == 1.0
