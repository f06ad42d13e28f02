"""Cloze questions from prose: what all have in common, and which spans are asked for in a text that is known."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qa_files import write_jsonl

from models.common.errors import DataError
from models.training.question_sets import QaRow
from models.training.recurring_spans import MASK, PER_DOCUMENT, REMAINING, recurring

POOL = (
    "The architect Marta Ruiz drew the old harbour museum before the river was widened. "
    "Its towers were raised in 1921 by masons from the northern villages. "
    "Every year the town council sends visitors along the quay and past the small boats. "
    "Some years later the architect named Marta Ruiz built a second river bridge. "
    "The masons of the northern villages finished those towers in 1921 and went home. "
    "Bread and fish are sold to visitors along the quay while the old harbour museum of the architect is open. "
    "Rain falls often and the streets behind the market were paved with grey stone. "
    "A letter from Lisbon tells of storms, broken masts and a winter without any bread."
)
SAID_TWICE = ("Marta Ruiz", "old harbour museum", "1921", "northern villages")
BOOK = {
    "title": "Ports",
    "sections": [{"heading": "Ports", "paragraphs": [POOL]}, {"heading": "South", "paragraphs": [POOL]}],
}
PAGE = {"title": "Harbours", "paragraphs": [POOL]}

WORDS = [
    "Marta",
    "Ruiz",
    "Pål",
    "İzmir",
    "Sea",
    "ſea",
    "1921",
    "28.5",
    "river",
    "rivers",
    "the",
    "of",
    "(a)",
    "stone-grey",
    "Ruiz’s",
    "[MASK]",
    "–",
]
SENTENCE = st.lists(st.sampled_from(WORDS), min_size=5, max_size=14).map(
    lambda words: " ".join(["It", "was", *words]) + "."
)
PARAGRAPHS = st.lists(st.lists(SENTENCE, min_size=2, max_size=9).map(" ".join), min_size=1, max_size=4)


def made(folder: Path, *records: dict, count: int = 100, seed: int = 0, name: str = "pages") -> list[QaRow]:
    write_jsonl(folder / f"{name}.jsonl.gz", records)
    return recurring(folder, count, seed)


@given(paragraphs=PARAGRAPHS, seed=st.integers(0, 9))
def test_what_every_question_keeps(tmp_path_factory: pytest.TempPathFactory, paragraphs: list[str], seed: int) -> None:
    rows = made(tmp_path_factory.getbasetemp() / "property", {"title": "It", "paragraphs": paragraphs}, seed=seed)
    for row in rows:
        assert (row.source, row.kind, row.title) == ("recurring", "extractive", "It")
        assert (row.span is None) == row.unanswerable and len(row.answers) == (not row.unanswerable)
        for answer in row.answers:
            assert row.context[answer.start : answer.start + len(answer.text)] == answer.text != ""
            assert answer.text.lower() not in row.question.lower()
    assert len({row.id for row in rows}) == len(rows) <= PER_DOCUMENT


def test_of_a_known_text_a_span_of_two_sentences_is_asked(tmp_path: Path) -> None:
    rows = [row for seed in range(60) for row in made(tmp_path, PAGE, seed=seed)]
    answers = {row.span.text for row in rows if row.span}
    assert {"Marta Ruiz", "old harbour museum", "1921"} < answers
    # parts of a longer span, or said once
    assert not {"Marta", "harbour museum", "old harbour", "museum", "Lisbon"} & answers
    for row in rows:
        masked = MASK in row.question
        assert masked or row.question.endswith("?")
        assert masked == (
            "what" not in row.question.lower()
            and "who" not in row.question.lower()
            and "which" not in row.question.lower()
        )
        if masked and row.span:
            asked = row.question.replace(MASK, row.span.text)
            assert asked in POOL and asked not in row.context


def test_the_wh_word_fits(tmp_path: Path) -> None:
    asked = {
        row.span.text: row.question
        for seed in range(60)
        for row in made(tmp_path, PAGE, seed=seed)
        if row.span and MASK not in row.question
    }
    assert re.search(r"(architect|named) who (drew|built)", asked["Marta Ruiz"])
    assert "in which year" in asked["1921"]
    assert re.search(r"(drew|while) what", asked["old harbour museum"])  # without its article


def test_the_answer_is_in_the_sentence_that_shares_most_with_the_question(tmp_path: Path) -> None:
    far = "In the far hills Marta Ruiz kept a garden. "
    rows = [row for seed in range(60) for row in made(tmp_path, {"title": "x", "paragraphs": [far + POOL]}, seed=seed)]
    drawn = [row for row in rows if row.span and row.span.text == "Marta Ruiz" and "widened" in row.question]
    assert drawn and all(row.context[: row.span.start].endswith("the architect named ") for row in drawn)


def test_the_unanswerable_lose_every_sentence_that_says_it(tmp_path: Path) -> None:
    rows = [row for seed in range(60) for row in made(tmp_path, PAGE, seed=seed)]
    hidden = [row for row in rows if row.unanswerable]
    assert 0.1 < len(hidden) / len(rows) < 0.35
    for row in hidden:
        assert len(row.context.split()) >= REMAINING
        if MASK in row.question:
            [span] = [span for span in SAID_TWICE if row.question.replace(MASK, span) in POOL]
            assert not any(re.search(rf"\b{word}\b", row.context, re.IGNORECASE) for word in span.split())


def test_books_and_pages_are_read_and_the_glossary_is_not(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "glossary.jsonl.gz", [{"term": "quay", "meaning": "a wharf"}])
    write_jsonl(tmp_path / "ports.jsonl.gz", [BOOK])
    rows = made(tmp_path, PAGE)
    assert {row.title for row in rows} == {"Ports", "Ports - South", "Harbours"}


def test_a_span_that_the_title_says_is_not_asked(tmp_path: Path) -> None:
    rows = [row for seed in range(30) for row in made(tmp_path, {**PAGE, "title": "Marta Ruiz"}, seed=seed)]
    assert rows and not any(row.span and "Ruiz" in row.span.text for row in rows)


def test_a_sentence_that_shares_nothing_with_the_rest_is_not_asked(tmp_path: Path) -> None:
    alone = (
        "Two tall brothers of Marta Ruiz carved seven wooden spoons. "
        "Nobody remembers how Marta Ruiz lost that fine silver painting. "
    )
    rest = (
        POOL.replace("Marta Ruiz", "Ana Sol")
        .replace("1921", "1922")
        .replace("old harbour museum", "building")
        .replace("northern", "far")
    )
    said = [{"title": "Ana Sol 1922 far villages", "paragraphs": [alone + rest]}]
    assert not any(made(tmp_path, *said, seed=seed) for seed in range(30))


def test_what_a_gap_must_not_cut(tmp_path: Path) -> None:
    halves = POOL.replace("named Marta Ruiz", "named Ana Ruiz")  # Ruiz now recurs, but always as half of a name
    rows = [row for seed in range(30) for row in made(tmp_path, {"title": "x", "paragraphs": [halves]}, seed=seed)]
    assert rows and not any(row.span and "Ruiz" in row.span.text for row in rows)


def test_no_more_than_asked_for_nor_than_a_document_gives(tmp_path: Path) -> None:
    long = {"title": "x", "paragraphs": [POOL] * 20}
    assert len(made(tmp_path, long, long)) == 2 * PER_DOCUMENT
    assert len(made(tmp_path, long, long, count=4)) == 4
    assert made(tmp_path, {"title": "x", "paragraphs": ["Nothing is said twice here."]}) == []


def test_documents_are_drawn_by_their_length(tmp_path: Path) -> None:
    long, short = {"title": "long", "paragraphs": [POOL] * 9}, {"title": "short", "paragraphs": [POOL]}
    first = [made(tmp_path, short, long, count=1, seed=seed)[0].title for seed in range(60)]
    assert 45 < first.count("long") < 60


def test_the_same_for_a_seed(tmp_path: Path) -> None:
    records = [{"title": str(number), "paragraphs": [POOL] * 3} for number in range(8)]
    first = made(tmp_path, *records)
    assert made(tmp_path, *records) == first != made(tmp_path, *records, seed=1)


def test_figures_and_notes_leave_no_litter(tmp_path: Path) -> None:
    rows = made(tmp_path, {"title": "x", "paragraphs": [POOL.replace("1921", "1921 ()[12][citation needed]")]})
    assert rows and not any("()" in row.context or "[12]" in row.context or "citation" in row.context for row in rows)


BROKEN = [
    "{", "7", "[]", json.dumps({"title": "x"}), json.dumps({"title": "x", "paragraphs": [7]}),
    json.dumps({"paragraphs": [POOL]}), json.dumps({"title": "x", "sections": [{"heading": "y"}]}),
    json.dumps({"title": 7, "paragraphs": []}), "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("line", BROKEN)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "pages.jsonl.gz").write_bytes(gzip.compress(f"{json.dumps(PAGE)}\n{line}\n".encode()))
    with pytest.raises(DataError, match=r"pages\.jsonl\.gz, line 2"):
        recurring(tmp_path, 1, 0)


def test_a_damaged_file_or_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no prose"):
        recurring(tmp_path / "text", 1, 0)
    whole = write_jsonl(tmp_path / "pages.jsonl.gz", [PAGE]).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"no archive"):
        (tmp_path / "pages.jsonl.gz").write_bytes(damaged)
        with pytest.raises(DataError, match=r"pages\.jsonl\.gz"):
            recurring(tmp_path, 1, 0)


@pytest.mark.parametrize("odd", ["{} and", "{} in .", "{} = 7.", "{}:"])
def test_what_is_no_plain_sentence_is_not_asked(tmp_path: Path, odd: str) -> None:
    text = "\n".join(odd.format(sentence.rstrip(".")) for sentence in POOL.split(". "))
    assert not any(made(tmp_path, {"title": "x", "paragraphs": [text]}, seed=seed) for seed in range(5))
