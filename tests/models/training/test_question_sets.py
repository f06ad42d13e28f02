"""Files of questions: what is read, and what is said of a file that cannot be."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from qa_files import row, write_jsonl

from models.common.errors import DataError
from models.training.question_sets import QaRow, Span, read_qa

POOL = "The pool is heated to 28 degrees. Children pay nothing."
HEATED = row("How warm is the pool?", POOL, "28 degrees", id="a", source="leaflet", title="Pool", kind="extractive")


@pytest.mark.parametrize("name", ["set.jsonl", "set.jsonl.gz"])
def test_a_row_is_read_as_it_was_written(tmp_path: Path, name: str) -> None:
    [read] = read_qa(write_jsonl(tmp_path / name, [HEATED]))
    assert read == QaRow(
        "a", "leaflet", "How warm is the pool?", POOL, "Pool", (Span("28 degrees", 22),), False, "extractive"
    )
    assert read.span == Span("28 degrees", 22)


def test_what_a_row_may_leave_out(tmp_path: Path) -> None:
    [read] = read_qa(write_jsonl(tmp_path / "set.jsonl", [{"question": "Why?", "context": "", "title": None}]))
    assert (read.answers, read.title, read.source, read.kind, read.span) == ((), "", "", "extractive", None)
    assert read.id.endswith("set.jsonl, line 1")


def test_the_span_is_the_first_answer_that_stands_in_the_context(tmp_path: Path) -> None:
    free, blank, stands = (
        {"text": "warm"},
        {"text": " ", "start": 3},
        {"text": "nothing", "start": POOL.index("nothing")},
    )
    rows = [{**HEATED, "answers": [free, blank, stands]}, {**HEATED, "answers": [{"text": "warm", "start": -1}]}]
    first, second = read_qa(write_jsonl(tmp_path / "set.jsonl", rows))
    assert first.span == Span("nothing", POOL.index("nothing")) and second.span is None
    assert second.answers == (Span("warm", -1),)


def test_an_unanswerable_question_has_no_answers(tmp_path: Path) -> None:
    [read] = read_qa(write_jsonl(tmp_path / "set.jsonl", [{**HEATED, "unanswerable": True}]))
    assert read.unanswerable and read.answers == () and read.span is None


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("user:Is it warm? \tagent:Yes. \tuser:How warm? ", "How warm?"),
        ("user:How warm? \tagent:Say more.", "How warm?"),  # not what the agent said after it
        ("user:How warm? \tuser: ", "How warm?"),
        ("user:", "user:"),
        ("What is a superuser: root or not?", "What is a superuser: root or not?"),
    ],
)
def test_of_a_dialogue_the_last_thing_that_the_user_said(tmp_path: Path, written: str, asked: str) -> None:
    assert read_qa(write_jsonl(tmp_path / "set.jsonl", [{**HEATED, "question": written}]))[0].question == asked


BROKEN = {
    "not JSON": "{",
    "nested too deep": "[" * 100_000,
    "a list": "[1]",
    "a number": "7",
    "no question": json.dumps({"context": POOL}),
    "no context": json.dumps({"question": "Why?"}),
    "context null": json.dumps({**HEATED, "context": None, "answers": []}),
    "question a list": json.dumps({**HEATED, "question": ["Why?"]}),
    "answers null": json.dumps({**HEATED, "answers": None}),
    "answers of strings": json.dumps({**HEATED, "answers": ["28 degrees"]}),
    "answer a number": json.dumps({**HEATED, "answers": [{"text": 28, "start": -1}]}),
    "title a number": json.dumps({**HEATED, "title": 1}),
    "unknown kind": json.dumps({**HEATED, "kind": "tabular"}),
    "offset off by one": json.dumps({**HEATED, "answers": [{"text": "28 degrees", "start": 21}]}),
    "offset beyond the end": json.dumps({**HEATED, "answers": [{"text": "28 degrees", "start": 999}]}),
    "offset from the end": json.dumps({**HEATED, "answers": [{"text": "nothing", "start": -8}]}),
    "offset a string": json.dumps({**HEATED, "answers": [{"text": "28 degrees", "start": "22"}]}),
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_a_line_that_is_no_question_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(f"{json.dumps(HEATED)}\n\n{line}\n")  # the blank line counts
    with pytest.raises(DataError, match=r"set\.jsonl, line 3: "):
        read_qa(path)


def test_a_file_that_breaks_off_is_named_with_the_last_good_line(tmp_path: Path) -> None:
    written = gzip.compress("".join(json.dumps({**HEATED, "id": str(i)}) + "\n" for i in range(2000)).encode())
    path = tmp_path / "set.jsonl.gz"
    path.write_bytes(written[: len(written) // 2])
    with pytest.raises(DataError, match=r"set\.jsonl\.gz cannot be read beyond line [1-9]\d*: "):
        read_qa(path)
    path.write_bytes(written[:100] + b"\xff" * 100 + written[200:])
    with pytest.raises(DataError, match=r"set\.jsonl\.gz"):
        read_qa(path)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "plain.jsonl.gz").write_text(json.dumps(HEATED))
    (tmp_path / "latin.jsonl").write_bytes(b'{"question": "Gr\xf6\xdfe?"}')
    for name in ("plain.jsonl.gz", "latin.jsonl", "missing.jsonl", "."):
        with pytest.raises(DataError, match="cannot be read"):
            read_qa(tmp_path / name)
