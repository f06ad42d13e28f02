"""Word documents, by python-docx -> page headers and footers, paragraphs and tables of the body, notes; in this order.

Text is gathered from the XML itself, because the library's `Paragraph.text` leaves out tracked insertions, content
controls and text boxes. Deleted text is left out. Headers and footers come first: they often name the document, and
after the body they would belong to its last heading.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.loaders.archive import open_zip
from indexing.loaders.builder import BREAK, DocumentBuilder
from indexing.loaders.captions import FIGURE_CAPTION, FILE_NAME
from indexing.loaders.images.inner_pictures import InnerPictures
from indexing.loaders.loader import Alive
from indexing.types import Document, LoadError

if TYPE_CHECKING:
    from docx.document import Document as Docx
    from lxml.etree import _Element

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
WP = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}"
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
NOTES = ("/footnotes", "/endnotes")  # the ends of their relationship types
BREAKS = {W + "tab": "\t", W + "br": "\n", W + "cr": "\n", W + "noBreakHyphen": "-"}
CODE_STYLES = ("code", "source", "listing", "html preformatted", "plain text", "verbatim")


def load(path: Path, alive: Alive) -> Iterator[Document]:
    import docx

    with open_zip(path):
        pass
    document = docx.Document(str(path))
    alive()
    if document.element.body is None:
        raise LoadError("a Word document without a body")
    builder = DocumentBuilder()
    walk = _Walk(builder, document, alive)
    walk.margins()
    walk.blocks(document.element.body)
    walk.notes()
    yield builder.build(title=document.core_properties.title or walk.title, format="docx")


class _Walk:
    """Appends the parts of one document to its builder. `title`: its first heading."""

    def __init__(self, builder: DocumentBuilder, document: Docx, alive: Alive) -> None:
        self.builder, self.document, self.alive = builder, document, alive
        self.styles = {style.style_id: style for style in document.styles}
        self.title = ""
        self.pictures = InnerPictures(alive)

    def blocks(self, parent: _Element) -> None:
        """Append every paragraph and table directly under an element, looking through content controls."""
        caption: _Element | None = None  # that was appended with its picture
        for child in parent.iterchildren():
            if child is caption:
                continue
            if child.tag == W + "p":
                taken = self.figures(child)
                caption = caption if taken is None else taken
                self.paragraph(child)
            elif child.tag == W + "tbl":
                self.table(child)
                self.alive()
            elif child.tag in (W + "sdt", W + "sdtContent", W + "ins", W + "customXml", W + "smartTag"):
                self.blocks(child)

    def paragraph(self, element: _Element) -> None:
        text = paragraph_text(element)
        level, kind = self._style(element)
        if level:
            self.title = self.title or " ".join(text.split())
            self.builder.heading(text, level)
        elif kind == "code":
            self.builder.code(text)
        else:
            listed = element.find(f"{W}pPr/{W}numPr") is not None or kind == "list"
            self.builder.paragraph("- " + text.strip() if listed and text.strip() else text)
        for box in element.iter(W + "txbxContent"):
            if not any(parent.tag == FALLBACK for parent in box.iterancestors()):
                self.blocks(box)

    def figures(self, element: _Element) -> _Element | None:
        """Append the pictures of a paragraph. Returns the next paragraph where that is their caption, appended too."""
        related = self.document.part.related_parts
        parts = [related.get(blip.get(R + "embed")) for blip in element.iter(A + "blip")]
        contents = [part.blob for part in parts if part is not None]
        if not contents:
            return None
        described = next((node.get("descr", "") for node in element.iter(WP + "docPr")), "")
        after = element.getnext()
        caption = paragraph_text(after).strip() if after is not None and self._is_caption(after) else None
        text = BREAK.join(filter(None, [caption, "" if FILE_NAME.search(described) else described]))
        first = self.pictures.put(self.builder, contents[0], text)
        for content in contents[1:]:
            self.pictures.put(self.builder, content)
        return after if caption is not None and first else None

    def _is_caption(self, element: _Element) -> bool:
        """By its style, or by its text."""
        if element.tag != W + "p":
            return False
        named = element.find(f"{W}pPr/{W}pStyle")
        style = self.styles.get(named.get(W + "val")) if named is not None else None
        if style is not None and (style.name or "").lower() == "caption":
            return True
        return bool(FIGURE_CAPTION.match(paragraph_text(element).strip()))

    def table(self, table: _Element) -> None:
        """Append a table. The first row is the header, unless it is the only one.

        Cells merged downwards are repeated in each row. Pictures in cells follow the rows.
        """
        rows = table.findall(W + "tr")
        above: list[str] = []
        for number, row in enumerate(rows):
            cells: list[str] = []
            for cell in row.iter(W + "tc"):
                if next(cell.iterancestors(W + "tr")) is not row:
                    continue  # of a table inside a cell, whose text that cell has already
                merge = cell.find(f"{W}tcPr/{W}vMerge")
                text = " ".join(paragraph_text(p, boxes=True) for p in cell.iter(W + "p"))
                if merge is not None and merge.get(W + "val") != "restart" and len(cells) < len(above):
                    text = above[len(cells)]
                span = cell.find(f"{W}tcPr/{W}gridSpan")
                width = min(int(span.get(W + "val", "1")), 256) if span is not None else 1
                cells += [text, *[""] * (width - 1)]
            above = cells
            (self.builder.header if number == 0 and len(rows) > 1 else self.builder.row)(cells)
        for paragraph in table.iter(W + "p"):
            self.figures(paragraph)

    def margins(self) -> None:
        """Append the headers and footers in use, section by section; one that sections share only once."""
        even = self.document.settings.odd_and_even_pages_header_footer
        read = set()
        for section in self.document.sections:
            shown = [section.header, section.footer]
            if section.different_first_page_header_footer:
                shown += [section.first_page_header, section.first_page_footer]
            if even:
                shown += [section.even_page_header, section.even_page_footer]
            for part in (margin.part for margin in shown):  # a linked one has the part of the section before
                if part not in read:
                    self.plain(part.element)
                    read.add(part)

    def notes(self) -> None:
        """Append the footnotes and endnotes."""
        from docx.opc.oxml import parse_xml

        for relation in self.document.part.rels.values():
            if relation.reltype.endswith(NOTES) and not relation.is_external:
                self.plain(parse_xml(relation.target_part.blob))

    def plain(self, parent: _Element) -> None:
        """Append every paragraph anywhere below an element as it is."""
        for paragraph in parent.iter(W + "p"):
            if not any(above.tag == FALLBACK for above in paragraph.iterancestors()):
                self.builder.paragraph(paragraph_text(paragraph))

    def _style(self, element: _Element) -> tuple[int, str]:
        """(heading level or 0, "list", "code" or ""), from the paragraph or the chain of styles it is based on."""
        outline = element.find(f"{W}pPr/{W}outlineLvl")
        named = element.find(f"{W}pPr/{W}pStyle")
        style = self.styles.get(named.get(W + "val")) if named is not None else None
        kind = ""
        for _ in range(10):  # a damaged file may base styles on each other in a ring
            if outline is not None or style is None:
                break
            name = (style.name or "").lower()
            if name == "title":
                return 1, ""
            if name.startswith("heading ") and name[8:].isdecimal():
                return min(int(name[8:]), 9), ""
            kind = kind or ("list" if name.startswith("list") and name != "list paragraph" else "")
            kind = kind or ("code" if name.startswith(CODE_STYLES) else "")
            outline = style.element.find(f"{W}pPr/{W}outlineLvl")
            style = style.base_style
        level = int(outline.get(W + "val", "9")) + 1 if outline is not None else 0
        return (level, "") if 1 <= level <= 9 else (0, kind)


def paragraph_text(paragraph: _Element, boxes: bool = False) -> str:
    """Runs, links and tracked insertions; not deletions and fields (their tags differ), nor text moved away
    or, unless `boxes`, text boxes."""
    parts: list[str] = []
    stack = list(reversed(paragraph))
    while stack:
        node = stack.pop()
        if node.tag == W + "t":
            parts.append(node.text or "")
        elif node.tag in BREAKS:
            parts.append(BREAKS[node.tag])
        elif node.tag not in (W + "pPr", FALLBACK, W + "moveFrom") and (boxes or node.tag != W + "txbxContent"):
            stack += reversed(node)
    return "".join(parts)
