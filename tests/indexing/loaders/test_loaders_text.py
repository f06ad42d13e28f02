"""Texts: encodings, code, markdown, reStructuredText, HTML. What a text says must come out once, whole and in place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing.loaders import load
from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.html import page
from indexing.loaders.text import markdown, spans
from indexing.types import Document, LoadError
from tests.indexing.checks import check, kinds, parts

WORDS = "Größe, naïveté, déjà vu: 12 € — «ça va»"


def read(path: Path, data: bytes | str) -> Document:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    (document,) = load(path)
    check(document)
    return document


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_encodings(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path / "a.txt", (WORDS + "\nplain words follow here\n").encode(encoding)).text.startswith(WORDS)


def test_old_one_byte_encoding(tmp_path: Path) -> None:
    prose = "Die Straße führt über den Fluß. Für Gäste gibt es dort ein schönes Café mit großer Küche. " * 4
    assert read(tmp_path / "a.txt", prose.encode("cp1252")).text == prose


def test_one_damaged_byte_does_not_change_the_encoding_of_the_rest(tmp_path: Path) -> None:
    data = ("Größe und Straße. " * 5000).encode()
    assert read(tmp_path / "a.txt", data[:70_000] + b"\xff" + data[70_000:]).text.count("Größe") >= 4999


def test_newlines_and_blocks_of_prose(tmp_path: Path) -> None:
    document = read(tmp_path / "a.txt", "one\r\ntwo\r\n\r\n \r\n  three  \rfour")
    assert document.text == "one\ntwo\n\n \n  three  \nfour"
    assert parts(document) == ["one\ntwo", "three  \nfour"]


def test_code_is_split_before_definitions_and_kept_whole(tmp_path: Path) -> None:
    definitions = "def f():\n    a = 1\n\n    return a\n\n\nclass C:\n    x = 1\n\n    def g(self):\n        pass\n"
    source = f"import os\n\n\n{definitions}"
    document = read(tmp_path / "a.py", source)
    assert document.text == source
    assert parts(document) == [
        "import os",
        "def f():\n    a = 1\n\n    return a",
        "class C:\n    x = 1\n\n    def g(self):\n        pass",
    ]
    assert {kind for kind, _ in kinds(document)} == {"code"}


def test_a_closing_bracket_does_not_begin_a_definition() -> None:
    text = "void f() {\n  a();\n\n}\n\nint b;"
    assert [text[b.start : b.end] for b in spans.code(text)] == ["void f() {\n  a();\n\n}", "int b;"]


MARKDOWN = """---
title: hidden
---
# Title *here* ##

Setext
two
---

A paragraph
of lines.

- item one
  goes on
  - inner

> quoted

```py
def f():

    return 1
```

    indented code

| a | b |
|---|---|
| 1 | 2 |

<!-- a comment -->
last
"""


def test_markdown_blocks(tmp_path: Path) -> None:
    document = read(tmp_path / "a.md", MARKDOWN)
    assert document.text == MARKDOWN and document.title == "Title *here*"
    assert kinds(document) == [
        ("heading", "Title *here*"),
        ("heading", "Setext\ntwo"),
        ("paragraph", "A paragraph\nof lines."),
        ("paragraph", "- item one\n  goes on"),
        ("paragraph", "- inner"),
        ("paragraph", "> quoted"),
        ("code", "def f():\n\n    return 1"),
        ("code", "    indented code"),
        ("header", "| a | b |"),
        ("row", "| 1 | 2 |"),
        ("paragraph", "last"),
    ]
    assert [b.level for b in document.blocks][:2] == [1, 2]


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("#-*>|`~ \n\tab1.[]()<!=\\&;:\r\u2028\x0b\xa0"), max_size=120))
def test_markdown_spans_hold_for_any_text(text: str) -> None:
    text = text.replace("\r", "\n")
    blocks = markdown.blocks_of(text)
    check(Document(text=text, blocks=blocks))
    assert all(text[b.start].strip() or b.kind == "code" for b in blocks)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80))
def test_prose_and_code_spans_lose_nothing_but_space(text: str) -> None:
    for blocks in (spans.prose(text), spans.code(text)):
        end = 0
        for block in blocks:
            assert not text[end : block.start].strip() and text[block.start : block.end].strip()
            end = block.end
        assert not text[end:].strip()


RST = """Title
=====

A paragraph with *emphasis* and ``code``.

Part
----

#. first
#. second

* bullet

.. a comment
.. include:: /etc/passwd
.. raw:: html

   <b>raw</b>

::

    literal block

=====  =====
Name   Size
=====  =====
one    1
=====  =====
"""


def test_rst_structure_and_no_inclusion(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    document = read(tmp_path / "a.rst", RST)
    assert kinds(document) == [
        ("heading", "Title"),
        ("paragraph", "A paragraph with emphasis and code."),
        ("heading", "Part"),
        ("paragraph", "1. first"),
        ("paragraph", "2. second"),
        ("paragraph", "- bullet"),
        ("code", "literal block"),
        ("header", "Name | Size"),
        ("row", "one | 1"),
    ]
    assert document.title == "Title" and [b.level for b in document.blocks if b.kind == "heading"] == [1, 2]
    assert capfd.readouterr() == ("", "")


def body(markup: str) -> list[tuple[str, str]]:
    builder = DocumentBuilder()
    page.feed(builder, page.parse(f"<html><body>{markup}</body></html>"))
    document = builder.build()
    check(document)
    return kinds(document)


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<p>a<b>b</b>c <i>d</i>, e</p>", [("paragraph", "abc d, e")]),
        ("one<div>two</div>three", [("paragraph", "one"), ("paragraph", "two"), ("paragraph", "three")]),
        ("<p>a<br>b</p>", [("paragraph", "a\nb")]),
        ("<ul><li>a<ul><li>b</li></ul>c</li></ul>", [("paragraph", "- a"), ("paragraph", "- b"), ("paragraph", "c")]),
        ("<ol start=3><li><p>x</p></li><li>y</li></ol>", [("paragraph", "3. x"), ("paragraph", "4. y")]),
        ("<h2>A <span>B</span></h2><p>c", [("heading", "A B"), ("paragraph", "c")]),
        ("<pre>  a\n\n   b<br>c</pre>", [("code", "  a\n\n   b\nc")]),
        (
            "<script>x</script><style>y</style><nav>z</nav><p hidden>h</p><p style='display: none'>n</p>q",
            [("paragraph", "q")],
        ),
        (
            "<figure><img src=a.png alt='a cat'><figcaption>Tom</figcaption></figure>",
            [("paragraph", "a cat"), ("paragraph", "Tom")],
        ),
        ("so&shy;ft <!-- gone --> x&nbsp;y", [("paragraph", "soft x y")]),
    ],
)
def test_html_text(markup: str, expected: list[tuple[str, str]]) -> None:
    assert body(markup) == expected


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        (
            "<caption>Cap</caption><tr><th>A<th>B<tr><td>1<td>2",
            [("paragraph", "Cap"), ("header", "A | B"), ("row", "1 | 2")],
        ),
        (  # spans: down is repeated, across is not, save in headers, whose rows fold into one
            "<tr><th rowspan=2>Y<th colspan=2>Size<tr><th>w<th>h<tr><td rowspan=2>9<td>1<td>2"
            "<tr><td>3<td>4<tr><td colspan=2>x<td>5",
            [("header", "Y | Size w | Size h"), ("row", "9 | 1 | 2"), ("row", "9 | 3 | 4"), ("row", "x |  | 5")],
        ),
        ("<tr><th colspan=2>Banner<tr><th>K<td>V", [("header", "Banner"), ("row", "K | V")]),
        ("<tr><td>only</td></tr><tr><td>column</td></tr>", [("paragraph", "only"), ("paragraph", "column")]),
        (
            "<tr><td>a<td><table><tr><td>b<td>c</table><tr><td>d<td>e",
            [("paragraph", "a"), ("row", "b | c"), ("row", "d | e")],
        ),
        ("<tr><td rowspan=99999 colspan=99999>a<td>b", [("row", "a" + " | " * 256 + "b")]),
    ],
)
def test_html_tables(markup: str, expected: list[tuple[str, str]]) -> None:
    assert body(f"<table>{markup}</table>") == expected


def test_html_deep_nesting_loses_nothing() -> None:
    assert body("<div>" * 3000 + "deep" + "</div>" * 3000 + "<p>after") == [
        ("paragraph", "deep"),
        ("paragraph", "after"),
    ]


LEAVES = st.text(st.sampled_from("abc xyz"), min_size=1, max_size=6)
TAGS = st.sampled_from(
    ["div", "p", "b", "span", "ul", "li", "td", "tr", "table", "h2", "section", "pre", "th", "blockquote", "dl", "dd"]
)
TREES = st.recursive(LEAVES, lambda kids: st.tuples(TAGS, st.lists(kids, max_size=4)), max_leaves=14)


def markup_of(tree: str | tuple) -> str:
    return tree if isinstance(tree, str) else f"<{tree[0]}>{''.join(map(markup_of, tree[1]))}</{tree[0]}>"


@settings(max_examples=200, deadline=None)
@given(TREES)
def test_html_says_everything_once(tree: str | tuple) -> None:
    markup = markup_of(tree)
    said = "".join(text for _, text in body(markup))
    seen = page.parse(f"<html><body>{markup}</body></html>").get_text()
    letters = [char for char in said if char in "abcxyz"]
    assert sorted(letters) == sorted(char for char in seen if char in "abcxyz"), markup


def test_html_encoding_declared_by_the_page(tmp_path: Path) -> None:
    head = '<head><meta charset="iso-8859-2"><title>Łódź</title></head>'
    page = f"<html>{head}<body>Zażółć gęślą jaźń</body></html>"
    document = read(tmp_path / "a.html", page.encode("iso-8859-2"))
    assert (document.title, document.text) == ("Łódź", "Zażółć gęślą jaźń")


@pytest.mark.parametrize("suffix", [".txt", ".py", ".md", ".html", ".rst", ".csv", ".json", ".jsonl", ".ipynb"])
def test_binary_content_under_a_text_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(bytes(range(256)) * 40)
    with pytest.raises(LoadError, match="binary content"):
        list(load(path))
