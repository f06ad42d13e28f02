"""HTML -> headings, paragraphs, list items, code, tables and pictures in document order; every visible text once.

`feed` serves the other formats that hold HTML (mail, EPUB chapters). Invisible parts (scripts, hidden elements) and
repetitions of the page (navigation, a table of contents) are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.loaders.builder import BREAK, DocumentBuilder
from indexing.loaders.decode import SNIFF, check_size, clean, detect_encoding
from indexing.loaders.html.nodes import LINE_BREAK, hidden, inline_text, is_block, leaf_text
from indexing.loaders.html.table import TableRow, table_parts
from indexing.loaders.images.inner_pictures import InnerPictures, Resolve, beside, from_data_url
from indexing.loaders.loader import Alive
from indexing.types import Document

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from bs4.element import PageElement, Tag
    from PIL.Image import Image

LIMIT_MB = 50  # the tree takes some twenty times the size of the file
HEADINGS = {f"h{level}": level for level in range(1, 7)}


def load(path: Path, alive: Alive) -> Iterator[Document]:
    check_size(path, LIMIT_MB, "HTML")
    soup = parse(path.read_bytes())
    alive()
    builder = DocumentBuilder()
    feed(builder, soup, alive, beside(path))
    yield builder.build(title=title_of(soup), format="html")


def parse(markup: bytes | str) -> BeautifulSoup:
    """Bytes are decoded as UTF-8 where they are that, else by what the page declares. Comments are not kept."""
    from bs4 import BeautifulSoup

    if isinstance(markup, bytes):
        name = detect_encoding(markup[:SNIFF])  # refuses binary content
        if name.startswith("utf"):
            markup = clean(markup.decode(name, "replace"))
    # Without huge_tree libxml2 stops, and so loses the rest, at 256 elements deep.
    return BeautifulSoup(markup, "lxml", huge_tree=True)


def title_of(soup: BeautifulSoup) -> str:
    tag = soup.find("title") or soup.find("h1")
    return " ".join(tag.get_text(" ").split()) if tag else ""


def feed(
    builder: DocumentBuilder, root: Tag, alive: Alive = lambda: None, resolve: Resolve = from_data_url,
    pictures: InnerPictures | None = None,
) -> None:
    """Append the visible content under `root`. Not recursive: pages nest thousands of elements deep.

    resolve: finds the pictures that it names; pictures: of the whole document, where this is a part of one.
    """
    walk = _Walk(builder, resolve, pictures or InnerPictures(alive))
    stack: list[tuple[PageElement | TableRow, bool]] = [(root, True)]
    steps = 0
    while stack:
        node, entering = stack.pop()
        steps += 1
        if steps % 10_000 == 0:
            alive()
        if isinstance(node, TableRow):
            walk.row(node)
        elif not entering:
            walk.leave(node)
        else:
            inner = walk.enter(node)
            if inner is not None:
                stack.append((node, False))
                stack += [(child, True) for child in reversed(inner)]
    walk.flush()


class _Walk:
    """Gathers inline text until a block begins or ends, then hands it to the builder."""

    def __init__(self, builder: DocumentBuilder, resolve: Resolve, pictures: InnerPictures) -> None:
        self.builder, self.resolve, self.pictures = builder, resolve, pictures
        self.line: list[str] = []
        self.marker = ""  # of the list item whose text comes next
        self.numbers: Counter[int] = Counter()  # id of an ordered list -> its items so far
        self.shown: list[tuple[Image, str]] = []  # pictures of the open block, which follow it, with their texts
        self.captions: dict[int, Tag] = {}  # id of the one picture of a <figure> -> its caption
        self.taken: set[int] = set()  # ids of captions that were appended with their pictures

    def enter(self, node: PageElement) -> list[PageElement | TableRow] | None:
        """The children to visit; None for a leaf, a hidden node, or one that was appended whole."""
        name = getattr(node, "name", None)
        if name is None or name in ("br", "img"):
            if name != "img" or not self.picture(node):
                self.line.append(inline_text(node))
            return None
        if hidden(node):
            return None
        if is_block(node):
            self.flush()
        if name in HEADINGS:
            self.builder.heading(leaf_text(node), HEADINGS[name])
            return None
        if name == "pre":
            self.builder.code(leaf_text(node, LINE_BREAK).replace(LINE_BREAK, "\n"))
            return None
        if name == "table":
            return table_parts(node)
        if name == "figure":
            self.figure(node)
        if name == "figcaption":
            if id(node) in self.taken:
                return None
            # it stands above its picture, and is a paragraph of its own
            self.captions = {picture: caption for picture, caption in self.captions.items() if caption is not node}
        if name == "li":
            self.marker = self._marker(node)
        return node.contents

    def picture(self, node: Tag) -> bool:
        """Take a picture out of its line; False where it cannot be found or is not worth keeping."""
        image = self.pictures.opened(self.resolve(str(node.get("src") or "").strip()))
        if image is None:
            return False
        caption = self.captions.get(id(node))
        if caption is not None:
            self.taken.add(id(caption))
        texts = [leaf_text(caption).strip() if caption else "", inline_text(node).strip()]
        self.shown.append((image, BREAK.join(filter(None, texts))))
        return True

    def figure(self, node: Tag) -> None:
        """Remember which caption belongs to which picture, where a figure has one of each."""
        pictures, captions = node.find_all("img"), node.find_all("figcaption")
        if len(pictures) == len(captions) == 1:
            self.captions[id(pictures[0])] = captions[0]

    def leave(self, node: PageElement) -> None:
        if is_block(node):
            self.flush()
            if node.name == "li":
                self.marker = ""

    def row(self, row: TableRow) -> None:
        self.flush()
        (self.builder.header if row.header else self.builder.row)(list(row.cells))

    def flush(self) -> None:
        lines = (" ".join(line.split()) for line in "".join(self.line).split(LINE_BREAK))
        text = "\n".join(line for line in lines if line)
        self.line.clear()
        if text:
            self.builder.paragraph(self.marker + text)
            self.marker = ""
        for image, text in self.shown:
            self.pictures.append(self.builder, image, text)
        self.shown.clear()

    def _marker(self, item: Tag) -> str:
        holder = item.parent
        if holder is None or holder.name != "ol":
            return "- "
        self.numbers[id(holder)] += 1
        start = str(holder.get("start") or "1")
        return f"{self.numbers[id(holder)] + (int(start) if start.isdecimal() else 1) - 1}. "
