"""Builds a Document piece by piece, so that offsets are right by construction. Knows nothing of formats.

In: headings, paragraphs, code, table rows and pictures, in reading order. Out: the text, with blocks, pages and
words as spans over it.
"""

from __future__ import annotations

from dataclasses import replace

from indexing.loaders.decode import clean
from indexing.types import Block, BlockKind, Box, Document, Modality, Page, Picture, Words
from models.common.cell_separator import CELL

BREAK = "\n\n"  # between blocks; the rows of a table are on neighbouring lines
TABLE = (BlockKind.HEADER, BlockKind.ROW)

PlacedWord = tuple[str, Box, float]  # a word, its box in 0..1 of the page, and OCR's confidence; 1.0 for a text layer


class DocumentBuilder:
    """Append headings, paragraphs and rows in reading order; `page()` before the blocks of each page."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._pages: list[Page] = []
        self._open: dict | None = None  # the page that is being filled
        self._words: list[tuple[int, int, Box, float]] = []  # of the open page: start, end, box, confidence
        self._pictures: list[Picture] = []

    def page(self, number: int, width: float = 0.0, height: float = 0.0, label: str = "") -> None:
        """Begin a page, see `indexing.types.Page`; what is appended from now on belongs to it."""
        self._close_page()
        if self._parts:
            self._append(BREAK)
        self._open = {"number": number, "start": self._length, "width": width, "height": height, "label": label}

    def heading(self, text: str, level: int = 1) -> None:
        """level: 1 is the outermost."""
        self._block(BlockKind.HEADING, " ".join(text.split()), level)

    def paragraph(self, text: str) -> None:
        self._block(BlockKind.PARAGRAPH, text.strip())

    def code(self, text: str) -> None:
        self._block(BlockKind.CODE, text.strip("\n"))

    def header(self, cells: list[str]) -> None:
        self._row(BlockKind.HEADER, cells)

    def row(self, cells: list[str]) -> None:
        self._row(BlockKind.ROW, cells)

    def words(
        self, lines: list[list[PlacedWord]], kind: BlockKind = BlockKind.PARAGRAPH, level: int = 0,
        break_before: int = 0,
    ) -> None:
        """A block given as lines of words. Words are joined by a space, lines by a newline.

        break_before: number of a line that BREAK goes before, instead of a newline.
        """
        text, at, spans = [], self._length + len(self._glue(kind)), []
        for number, line in enumerate(lines):
            before = "" if number == 0 else BREAK if number == break_before else "\n"
            for position, (word, box, confidence) in enumerate(line):
                glue = " " if position else before
                at += len(glue)
                spans.append((at, at + len(word), box, confidence))
                text += [glue, word]
                at += len(word)
        joined = "".join(text)
        assert joined == joined.strip(), "a word carries outer white space or is empty"
        if joined:
            self._block(kind, joined, level)
            self._words += spans

    def cells(self, row: list[list[PlacedWord]], kind: BlockKind) -> None:
        """A row of a table (HEADER or ROW) given as cells of words. Words are joined by a space, cells by CELL."""
        text, spans = "", []
        for number, cell in enumerate(row):
            text += CELL if number else ""
            for position, (word, box, confidence) in enumerate(cell):
                text += " " if position else ""
                spans.append((len(text), len(text) + len(word), box, confidence))
                text += word
        filled = text[: spans[-1][1]] if spans else ""  # without empty cells at the end
        at = self._length + len(self._glue(kind)) - (len(filled) - len(filled.lstrip()))
        self._block(kind, filled.strip())
        self._words += [(at + start, at + end, box, confidence) for start, end, box, confidence in spans]

    def placed_figure(self, caption: list[list[PlacedWord]], inside: list[list[PlacedWord]], picture: Picture) -> None:
        """A figure of the open page: the lines of its caption, the lines in it, and its picture with its box."""
        self._pictures.append(replace(picture, block=len(self._blocks)))
        if caption or inside:
            self.words([*caption, *inside], BlockKind.FIGURE, break_before=len(caption))
        else:
            self._blocks.append(Block(BlockKind.FIGURE, self._length, self._length))

    def figure(self, text: str, picture: Picture) -> None:
        """A picture among the blocks. text: its caption, alternative text and the words on it; may be empty."""
        page = self._open["number"] if self._open else 0
        self._pictures.append(replace(picture, block=len(self._blocks), page=page))
        if text.strip():
            self._block(BlockKind.FIGURE, text.strip())
        else:
            self._blocks.append(Block(BlockKind.FIGURE, self._length, self._length))

    def picture(self, picture: Picture) -> None:
        """The picture of the whole open page."""
        self._pictures.append(picture)

    def build(
        self, *, title: str = "", key: str = "", format: str = "", modality: Modality = Modality.TEXT
    ) -> Document:
        """The document, see `indexing.types.Document`. format: the loader's name."""
        self._close_page()
        return Document(
            text="".join(self._parts), blocks=tuple(self._blocks), title=" ".join(title.split()), key=key,
            format=format, pages=tuple(self._pages), pictures=tuple(self._pictures), modality=modality,
        )

    def _row(self, kind: BlockKind, cells: list[str]) -> None:
        tidy = [" ".join(cell.split()) for cell in cells]
        while tidy and not tidy[-1]:  # empty cells at the end are left out
            tidy.pop()
        self._block(kind, CELL.join(tidy).strip())

    def _glue(self, kind: BlockKind) -> str:
        """The separator between the text so far and a next block of this kind."""
        if not self._parts or (self._open is not None and self._length == self._open["start"]):
            return ""
        return "\n" if kind is BlockKind.ROW and self._blocks[-1].kind in TABLE else BREAK

    def _block(self, kind: BlockKind, text: str, level: int = 0) -> None:
        if not text.strip():
            return
        self._append(self._glue(kind))
        self._blocks.append(Block(kind, self._length, self._length + len(text), level))
        self._append(text)

    def _append(self, text: str) -> None:
        self._parts.append(clean(text))  # the same length, so that offsets hold
        self._length += len(text)

    def _close_page(self) -> None:
        if self._open is None:
            return
        words = None
        if self._words:
            import numpy as np

            starts, ends, boxes, confidence = zip(*self._words, strict=True)
            recognised = any(value < 1.0 for value in confidence)
            words = Words(
                np.asarray(starts, np.int32), np.asarray(ends, np.int32), np.asarray(boxes, np.float32),
                np.asarray(confidence, np.float32) if recognised else None,
            )
        self._pages.append(Page(end=self._length, words=words, **self._open))
        self._words, self._open = [], None
