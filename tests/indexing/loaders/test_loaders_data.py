"""Tables and records: CSV, JSON, JSON Lines."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest

from indexing.loaders import load
from indexing.loaders.data import delimited
from indexing.types import LoadError
from tests.indexing.checks import check, kinds, parts


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", 'name,note\n"Smith, J","said ""no"""\nB,\n'),
        ("b.csv", 'name;note\n"Smith, J";"said ""no"""\nB;\n'),
        ("c.tsv", 'name\tnote\n"Smith, J"\t"said ""no"""\nB\t\n'),
    ],
)
def test_csv_dialects(tmp_path: Path, name: str, data: str) -> None:
    (tmp_path / name).write_text(data)
    (document,) = load(tmp_path / name)
    check(document)
    assert kinds(document) == [("header", "name | note"), ("row", 'Smith, J | said "no"'), ("row", "B")]


def test_csv_of_numbers_only_has_no_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n3,4.5\n")
    (document,) = load(tmp_path / "a.csv")
    assert kinds(document) == [("row", "1 | 2"), ("row", "3 | 4.5")]


def test_long_csv_comes_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "PART_ROWS", 10)
    (tmp_path / "a.csv").write_text("n,word\n" + "".join(f"{i},w{i}\n" for i in range(25)))
    documents = list(load(tmp_path / "a.csv"))
    assert [d.key for d in documents] == ["rows 1-10", "rows 11-20", "rows 21-25"]
    assert all(parts(d)[0] == "n | word" for d in documents)
    assert [row for d in documents for row in parts(d)[1:]] == [f"{i} | w{i}" for i in range(25)]


def test_csv_with_absurd_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" + "," * 100_000 + "x\n")
    with pytest.raises(LoadError, match="columns"):
        list(load(tmp_path / "a.csv"))


def test_json_keeps_records_together_and_says_paths(tmp_path: Path) -> None:
    value = {
        "title": "Fleet",
        "ships": [{"name": f"ship {i}", "crew": {"size": i}, "tags": ["a", 1]} for i in range(60)],
    }
    (tmp_path / "a.json").write_text(json.dumps(value))
    (document,) = load(tmp_path / "a.json")
    check(document)
    assert document.title == "Fleet"
    assert parts(document)[:2] == ["title: Fleet", "ships[0].name: ship 0\nships[0].crew.size: 0\nships[0].tags: a, 1"]
    assert len(parts(document)) == 61


@pytest.mark.parametrize("text", ["[1, 2", "{'a': 1}", "[" * 100_000, "9" * 10_000])
def test_bad_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(LoadError, match="not readable JSON"):
        list(load(tmp_path / "a.json"))


def test_jsonl_records_and_other_lines(tmp_path: Path) -> None:
    lines = [{"_id": "d7", "title": "T", "text": "one\n\n two "}, {"name": "x", "n": {"k": 2}}, [1, "a"]]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    first, second, third = load(tmp_path / "a.jsonl")
    assert (first.key, first.title, first.text, parts(first)) == ("d7", "T", "one\n\n two ", ["one", "two"])
    assert (second.key, second.text) == ("2", "name: x\nn.k: 2")
    assert (third.key, third.text) == ("3", "1, a")


def test_jsonl_streams(tmp_path: Path) -> None:
    """The tenth document is there before the damaged eleventh line is reached."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"_id": "x", "text": "y"}\n' * 10 + "{damaged\n")
    documents = load(path)
    assert len(list(islice(documents, 10))) == 10
    with pytest.raises(LoadError, match="line 11 is not JSON"):
        next(documents)


def test_lone_surrogates_become_storable(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"_id": "1", "text": "a\\ud800b\\u0000c"}\n')
    (document,) = load(tmp_path / "a.jsonl")
    check(document)
    assert document.text == "a\ufffdb\ufffdc"
