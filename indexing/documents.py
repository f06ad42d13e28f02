"""The documents of an index: whole texts, pages with their words and boxes, pictures, source files. Read-only.

In: a document's name, a locator or a chunk's id. Knows nothing of search.
"""

from __future__ import annotations

from pathlib import Path

from indexing.boxes import WordBox, boxes_of, unpack_boxes, unpack_words, words_within
from indexing.stores.connection import ThreadConnections
from indexing.types import Box, Locator, Page, Picture


class Documents:
    """A document that the index does not have gives "", () or None, no error."""

    def __init__(self, connections: ThreadConnections) -> None:
        self._connections = connections

    def counts(self) -> tuple[int, int]:
        """Number of documents, and of the files that they are from."""
        return self._row("SELECT count(*), count(DISTINCT file) FROM documents")

    def files(self, most: int) -> list[str]:
        """Names of the first files that documents are from, in order of their names."""
        sql = "SELECT DISTINCT files.name FROM files JOIN documents ON file = files.id ORDER BY files.name LIMIT ?"
        return [row[0] for row in self._connections.current.execute(sql, (most,))]

    def text(self, document: str) -> str:
        """The whole text; every locator's offsets count in it."""
        sql = "SELECT pages.text FROM pages JOIN documents ON documents.id = document WHERE name = ? ORDER BY number"
        return "".join(row[0] for row in self._connections.current.execute(sql, (document,)))

    def opening(self, document: str) -> str:
        """The first characters of the text (indexing.stores.sqlite.OPENING of them)."""
        row = self._row("SELECT opening FROM documents WHERE name = ?", document)
        return row[0] if row else ""

    def page(self, document: str, number: int | None) -> tuple[Page, str] | None:
        """A page with its text, or the whole text where a document has no pages (number None)."""
        row = self._row(
            """SELECT number, start, width, height, label, pages.text, words
            FROM pages JOIN documents ON documents.id = document WHERE name = ? AND number = ?""",
            document, number or 0,
        )
        if row is None:
            return None
        number, start, width, height, label, text, words = row
        return Page(number, start, start + len(text), width, height, label, unpack_words(words)), text

    def boxes(self, document: str, number: int | None, start: int, end: int) -> tuple[Box, ...]:
        """The boxes of the span [start, end) on its page; () where the format has no boxes."""
        found = self.page(document, number) if number is not None else None
        return boxes_of(found[0].words, start, end) if found and found[0].words else ()

    def word_boxes(self, at: Locator, *, recognised: bool = False) -> tuple[WordBox, ...]:
        """The words of a span with their boxes, see `words_within`; () where the format has no boxes.

        recognised: only words that OCR read.
        """
        found = self.page(at.document, at.page) if at.page is not None else None
        words = found[0].words if found else None
        if words is None or (recognised and words.confidence is None):
            return ()
        return words_within(words, at.char_start, at.char_end)

    def picture(self, chunk_id: str) -> Picture | None:
        """The picture that a chunk belongs to."""
        row = self._row(
            """SELECT pictures.page, width, height, preview, thumbnail, block, boxes FROM chunks JOIN pictures
            ON pictures.document = chunks.document AND pictures.number = chunks.picture WHERE chunk_id = ?""",
            chunk_id,
        )
        if row is None:
            return None
        *fields, block, packed = row
        boxes = unpack_boxes(packed)
        return Picture(*fields, block, boxes[0] if block >= 0 and boxes else None)

    def source(self, document: str) -> Path | None:
        """The path of a document's file when it was indexed."""
        row = self._source(document)
        return Path(row[0]) if row else None

    def unchanged_source(self, document: str) -> Path | None:
        """The path of a document's file, while size and date are still those that were indexed; else None."""
        row = self._source(document)
        try:
            status = Path(row[0]).stat() if row else None
        except OSError:
            return None
        return Path(row[0]) if status and (status.st_size, status.st_mtime) == row[1:] else None

    def _source(self, document: str) -> tuple[str, int, float] | None:
        sql = "SELECT path, size, modified FROM files JOIN documents ON file = files.id WHERE documents.name = ?"
        return self._row(sql, document)

    def _row(self, sql: str, *values: object) -> tuple | None:
        return self._connections.current.execute(sql, values).fetchone()
