"""reStructuredText, by docutils. File inclusion and raw markup are off: reading a file opens no other file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.decode import read_text
from indexing.loaders.loader import Alive
from indexing.types import Document

if TYPE_CHECKING:
    from docutils import nodes

LIMIT_MB = 5  # docutils builds a large tree, slowly: some 0.2 MB a second
SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,  # unknown roles and directives (Sphinx's) are no reason to refuse a page
    "halt_level": 5,
    "warning_stream": False,
    "_disable_config": True,
    "line_length_limit": 1_000_000,
    "syntax_highlight": "none",
    "doctitle_xform": False,
    "docinfo_xform": False,
}


def load(path: Path, alive: Alive) -> Iterator[Document]:
    from docutils.core import publish_doctree

    tree = publish_doctree(read_text(path, LIMIT_MB), settings_overrides=SETTINGS)
    alive()
    builder = DocumentBuilder()
    _feed(builder, tree, 0, "")
    title = next((node.astext() for node in tree.findall() if node.tagname == "title"), "")
    yield builder.build(title=title, format="rst")


def _feed(builder: DocumentBuilder, node: nodes.Node, depth: int, marker: str) -> None:
    name = node.tagname
    if name in ("comment", "substitution_definition", "target", "pending", "system_message"):
        return
    if name in ("title", "subtitle", "rubric"):
        builder.heading(node.astext(), max(depth, 1))
    elif name in ("literal_block", "doctest_block", "math_block"):
        builder.code(node.astext())
    elif name == "problematic" or name == "#text":
        builder.paragraph(node.astext())
    elif name in ("paragraph", "line_block", "term", "caption", "attribution", "field_name"):
        builder.paragraph(marker + node.astext())
    elif name == "image":
        builder.paragraph(str(node.get("alt", "")))
    elif name == "row":
        _row(builder, node)
    else:
        children = list(node.children)
        for number, child in enumerate(children):
            inner = depth + 1 if child.tagname == "section" else depth
            _feed(builder, child, inner, _marker(node, number, marker))


def _marker(parent: nodes.Node, number: int, marker: str) -> str:
    """The mark of a list item goes to the first paragraph inside it."""
    if parent.tagname == "bullet_list":
        return "- "
    if parent.tagname == "enumerated_list":
        return f"{int(parent.get('start', 1)) + number}. "
    return marker if number == 0 else ""


def _row(builder: DocumentBuilder, row: nodes.Node) -> None:
    cells: list[str] = []
    for entry in row.children:
        cells += [entry.astext(), *[""] * int(entry.get("morecols", 0))]
    (builder.header if row.parent.tagname == "thead" else builder.row)(cells)
