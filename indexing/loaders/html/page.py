"""HTML: headings, paragraphs, list items, code and tables in document order; every visible text once.

`feed` serves the other formats that hold HTML (mail, EPUB chapters). What a reader does not see (scripts, hidden
parts) or that repeats the page (navigation, a table of contents) is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.loaders.builder import BREAK, DocumentBuilder
from indexing.loaders.html.nodes import LINE_BREAK, hidden, inline_text, is_block, leaf_text
from indexing.loaders.html.table import TableRow, table_parts
from indexing.loaders.images.inner_pictures import InnerPictures, Resolve, beside, from_data_url
from indexing.loaders.registry import Alive
from indexing.loaders.text.decode import SNIFF, check_size, clean, detect_encoding
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


def feed(builder: DocumentBuilder, root: Tag, alive: Alive = lambda: None, resolve: Resolve = from_data_url, pictures: InnerPictures | None = None) -> None:
    """Append the visible content under `root`. Not recursive: pages nest thousands of elements deep.

    resolve: finds the pictures that it names; pictures: those of the document that this is a part of.
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
        self.numbers: Counter[int] = Counter()  # items seen so far, by the identity of their list
        self.shown: list[tuple[Image, str]] = []  # pictures of the open block, which they follow, with what is said of them
        self.captions: dict[int, Tag] = {}  # of the one picture of a figure, by the picture's identity
        self.taken: set[int] = set()  # captions that went with their pictures

    def enter(self, node: PageElement) -> list[PageElement | TableRow] | None:
        """What to visit inside the node; None where it is a leaf, or was taken whole, or is not seen."""
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
            self.captions = {picture: caption for picture, caption in self.captions.items() if caption is not node}  # it stands above its picture
        if name == "li":
            self.marker = self._marker(node)
        return node.contents

    def picture(self, node: Tag) -> bool:
        """Take a picture out of its line; False where there is none to be had."""
        image = self.pictures.opened(self.resolve(str(node.get("src") or "").strip()))
        if image is None:
            return False
        caption = self.captions.get(id(node))
        if caption is not None:
            self.taken.add(id(caption))
        said = [leaf_text(caption).strip() if caption else "", inline_text(node).strip()]
        self.shown.append((image, BREAK.join(filter(None, said))))
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
        for image, said in self.shown:
            self.pictures.append(self.builder, image, said)
        self.shown.clear()

    def _marker(self, item: Tag) -> str:
        holder = item.parent
        if holder is None or holder.name != "ol":
            return "- "
        self.numbers[id(holder)] += 1
        start = str(holder.get("start") or "1")
        return f"{self.numbers[id(holder)] + (int(start) if start.isdecimal() else 1) - 1}. "
