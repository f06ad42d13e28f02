"""The types of indexing: Document, Page, Block, Picture (made by loaders), Chunk and Locator (stored).

All offsets are character offsets (Python `str` indices) into `Document.text`; an end is exclusive.
All boxes are (x0, y0, x1, y1) in page units: 0..1, origin top left.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from models.common.errors import FolioError

if TYPE_CHECKING:  # only annotations need it, and loading it takes most of the time of `--help`
    import numpy as np

Box = tuple[float, float, float, float]


class LoadError(FolioError):
    """A file that could not be read; the message is the reason, without the path."""


class Modality(StrEnum):
    TEXT = "text"
    TABLE = "table"
    IMAGE = "image"


class BlockKind(StrEnum):
    HEADING = "heading"
    PARAGRAPH = "paragraph"
    CODE = "code"
    HEADER = "header"  # the header row of a table; the ROWs after it belong to it
    ROW = "row"  # one table row: its cells joined by " | "
    FIGURE = "figure"  # a figure's caption and the words in it; of no length where it has neither


@dataclass(frozen=True, slots=True)
class Block:
    """One structural unit of a document's text: text[start:end]. `level` is a heading's depth, 1 = outermost."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """The words of a page with their boxes, in reading order. Word i is document.text[starts[i]:ends[i]]."""

    starts: np.ndarray  # (n,) int32, ascending
    ends: np.ndarray  # (n,) int32
    boxes: np.ndarray  # (n, 4) float32, page units
    confidence: np.ndarray | None = None  # (n,) float32 in 0..1, only where the words were recognised (OCR)


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A page, slide, sheet or picture: text[start:end], `number` counted from 1."""

    number: int
    start: int
    end: int
    width: float = 0.0  # points for PDF, pixels for a picture, 0 where the format has no size
    height: float = 0.0
    label: str = ""  # a name that it has beside its number: that of a sheet
    words: Words | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture of a document, kept in the index: a whole page, or a figure (the FIGURE block number `block`)."""

    page: int  # 0 where the format has no pages
    width: int  # pixels of the original
    height: int
    preview: bytes  # WebP, longest side at most 1280; empty where it is rendered from its page when it is shown
    thumbnail: bytes  # WebP, longest side at most 256: what is embedded
    block: int = -1  # -1: the whole page
    box: Box | None = None  # of a figure, where its page has a size


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One document as its loader read it.

    `blocks` are ordered and do not overlap. `pages` is empty for formats without pages; otherwise the pages are
    ordered, do not overlap, and no block crosses the end of a page.
    """

    text: str
    blocks: tuple[Block, ...]
    title: str = ""
    key: str = ""  # "" for a file that is one document, else the id of this record in it (a JSONL line's `_id`)
    format: str = ""  # the loader's name: "pdf", "markdown", ...
    pages: tuple[Page, ...] = ()
    pictures: tuple[Picture, ...] = ()
    modality: Modality = Modality.TEXT  # of its chunks, but for table rows and figures


@dataclass(frozen=True, slots=True)
class Locator:
    """The place of a span. `page` is None for formats without pages; `boxes` are on that page."""

    document: str
    page: int | None
    char_start: int
    char_end: int
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """An indexed unit. `text == document.text[locator.char_start:locator.char_end]`, always.

    `headings` is the path to it: title of the document, label of the page, headings, the header row for table rows.
    """

    id: str
    text: str
    locator: Locator
    headings: tuple[str, ...] = ()
    modality: Modality = Modality.TEXT
    picture: int | None = None  # index into the document's pictures of the one that it belongs to

    @property
    def context(self) -> str:
        """The headings in one line."""
        return " › ".join(self.headings)
