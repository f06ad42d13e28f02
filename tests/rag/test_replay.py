"""A saved answer asked again: the same bytes from the same index, and what differs when something changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from indexing.build.run import build
from indexing.filters import Filter
from rag import RagPipeline
from rag.__main__ import main
from rag.types import Answer

QUESTION = "How many cubic metres does the pond hold?"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "pond.txt").write_text("The pond holds nine thousand cubic metres of water.")
    (folder / "cat.md").write_text("# Cat\n\nThe mill cat is called Thistle and eats mackerel.")
    (folder / "wheel.md").write_text("# Wheel\n\nThe wheel turns at six revolutions a minute.")
    build([folder], tmp_path / "index")
    return folder


@pytest.fixture
def index(docs: Path) -> str:
    return str(docs.parent / "index")


@pytest.fixture
def saved(index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """What `ask --json > FILE` leaves."""
    assert main(["ask", QUESTION, "--index", index, "--threshold", "0.1", "--json"]) == 0
    file = tmp_path / "answer.json"
    file.write_text(capsys.readouterr().out)
    assert not json.loads(file.read_text())["abstained"]
    return file


def save(answer: Answer, file: Path) -> str:
    file.write_text(json.dumps(answer.to_json()))
    return str(file)


def test_the_same_index_gives_the_same_answer(saved: Path, index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(saved), "--index", index]) == 0
    assert capsys.readouterr().out == "the same answer\n"


def test_it_is_asked_as_it_was_asked(index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rag = RagPipeline.from_index(index, top_k=1, threshold=0.0)
    answer = rag.ask(
        "And what does it eat?", history=["What is the cat called?"], only=Filter.parse(["type=md", "date>=2000"])
    )
    assert answer.citations
    monkeypatch.setenv("FOLIO_TOP_K", "3")
    monkeypatch.setenv("FOLIO_THRESHOLD", "1")
    assert main(["replay", save(answer, tmp_path / "a.json"), "--index", index]) == 0
    monkeypatch.delenv("FOLIO_TOP_K")
    for kept in ("history", "filter", "settings"):
        shown = json.loads((tmp_path / "a.json").read_text())
        shown["trace"][kept] = {
            "history": ["How fast does the wheel turn?"],
            "filter": {"paths": ["*pond*"]},
            "settings": {"threshold": 1.0},
        }[kept]
        (tmp_path / "b.json").write_text(json.dumps(shown))
        assert main(["replay", str(tmp_path / "b.json"), "--index", index]) == 1, kept


def test_settings_of_earlier_versions_are_dropped_at_their_defaults_alone(
    saved: Path, index: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = json.loads(saved.read_text())
    answer["trace"]["settings"] |= {"together": 0, "risk": -1.0, "budget": 0.0}
    saved.write_text(json.dumps(answer))
    assert main(["replay", str(saved), "--index", index]) == 0
    answer["trace"]["settings"]["together"] = 1
    saved.write_text(json.dumps(answer))
    assert main(["replay", str(saved), "--index", index]) == 2
    assert "unknown setting 'together'" in capsys.readouterr().err


def test_a_changed_document_is_named(saved: Path, docs: Path, index: str, capsys: pytest.CaptureFixture[str]) -> None:
    (docs / "pond.txt").write_text("The pond holds four thousand cubic metres of water.")
    build([docs], index)
    assert main(["replay", str(saved), "--index", index]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"document: {docs}/pond.txt has changed" in lines
    assert any(line.startswith("cited before: ") and "nine thousand" in line for line in lines)
    assert any(line.startswith("cited now: ") and "four thousand" in line for line in lines)
    assert any(line.startswith("text: ") and "nine" in line and "four" in line for line in lines)
    assert "evidence: 1 of 3 chunks were not among it before" in lines
    assert not any("cat.md" in line for line in lines)


def test_a_document_that_is_gone_is_named(
    saved: Path, docs: Path, index: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (docs / "pond.txt").unlink()
    build([docs], index, prune=True)
    assert main(["replay", str(saved), "--index", index]) == 1
    assert f"document: {docs}/pond.txt is no longer in the index" in capsys.readouterr().out


def test_another_confidence_space_or_setting_of_the_generator_is_told(
    saved: Path, index: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = json.loads(saved.read_text())
    answer["confidence"], answer["trace"]["embedder"], answer["trace"]["generation"]["threshold"] = (
        0.5,
        "other@1/384/l2",
        0.2,
    )
    saved.write_text(json.dumps(answer))
    assert main(["replay", str(saved), "--index", index]) == 1
    confidence, *reasons = capsys.readouterr().out.splitlines()
    assert confidence.startswith("confidence: 0.5 before, ")
    assert [line.partition(" before")[0] for line in reasons] == [
        "embedder: other@1/384/l2",
        "generation threshold: 0.2",
    ]


ASKED = {
    "question": "x",
    "history": [],
    "filter": None,
    "settings": {},
    "generator": "quote",
    "embedder": "",
    "generation": {},
}
EMPTY = {"text": "", "abstained": True, "confidence": 0, "citations": [], "evidence": [], "trace": ASKED}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no JSON",
        *map(
            json.dumps,
            (
                [],
                {},
                None,
                {**EMPTY, "trace": {}},
                {**EMPTY, "evidence": [{}]},
                {**EMPTY, "citations": 5},
                {"trace": ASKED},
            ),
        ),
    ],
)
def test_what_is_no_saved_answer_is_one_line_and_exit_2(
    content: str, index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.json").write_text(content)
    assert main(["replay", str(tmp_path / "x.json"), "--index", index]) == 2
    assert (
        capsys.readouterr().err
        == f"error: {tmp_path}/x.json is no answer that `python -m rag ask ... --json` printed\n"
    )


def test_a_missing_file_or_index_is_one_line_and_exit_2(
    saved: Path, index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in ([str(tmp_path / "none.json"), "--index", index], [str(saved), "--index", str(tmp_path)]):
        assert main(["replay", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1
