"""Jupyter notebooks, by nbformat -> markdown cells as markdown, code cells as code with their outputs and pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.decode import read_text
from indexing.loaders.images.inner_pictures import InnerPictures, from_data_url
from indexing.loaders.loader import Alive
from indexing.loaders.text import markdown
from indexing.types import BlockKind, Document, LoadError

if TYPE_CHECKING:
    from nbformat import NotebookNode

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
REPR = re.compile(r"<[^<>]*>", re.DOTALL)  # <Figure size 640x480 with 1 Axes>
MAX_OUTPUT = 10_000  # characters of one output; progress bars and dumps run to megabytes


def load(path: Path, alive: Alive) -> Iterator[Document]:
    import nbformat

    text = read_text(path)
    try:
        notebook = nbformat.reads(text, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, RecursionError) as error:
        raise LoadError("not a readable notebook: not the JSON that Jupyter writes") from error
    alive()
    builder, pictures, title = DocumentBuilder(), InnerPictures(alive), ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = _markdown(builder, _joined(cell.source))
            title = title or heading
            for attachment in cell.get("attachments", {}).values():
                pictures.put(builder, _picture(attachment, encoded=True))
        elif cell.cell_type == "code":
            builder.code(_joined(cell.source))
            for output in cell.get("outputs", ()):
                shown = pictures.put(builder, _picture(output.get("data", {})))
                text = _output(output)
                builder.code("" if shown and REPR.fullmatch(text) else text)
        else:
            builder.paragraph(_joined(cell.source))
    yield builder.build(title=title, format="ipynb")


def _markdown(builder: DocumentBuilder, text: str) -> str:
    """Append the cell, return its first heading."""
    blocks = markdown.blocks_of(text)
    for block in blocks:
        part = text[block.start : block.end]
        if block.kind is BlockKind.HEADING:
            builder.heading(part, block.level)
        elif block.kind is BlockKind.CODE:
            builder.code(part)
        elif block.kind is BlockKind.PARAGRAPH:
            builder.paragraph(part)
        else:
            cells = [cell.strip() for cell in part.strip().strip("|").split("|")]
            (builder.header if block.kind is BlockKind.HEADER else builder.row)(cells)
    return markdown.title_of(text, blocks)


def _output(output: NotebookNode) -> str:
    kind = output.get("output_type")
    if kind == "stream":
        text = _joined(output.get("text", ""))
    elif kind == "error":
        text = f"{output.get('ename', '')}: {output.get('evalue', '')}"
    else:
        text = _joined(output.get("data", {}).get("text/plain", ""))
    return ANSI.sub("", text)[:MAX_OUTPUT].rstrip()


def _picture(data: NotebookNode | dict, *, encoded: bool = False) -> bytes | None:
    """The picture of an output or attachment. encoded: SVG too is base64, as in attachments."""
    for kind in ("image/png", "image/jpeg", "image/svg+xml"):
        if kind in data:
            content = _joined(data[kind])
            if kind == "image/svg+xml" and not encoded:
                return content.encode("utf-8", "replace")
            return from_data_url(f"data:{kind};base64,{content}")
    return None


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)
