"""Word documents by python-docx: page headers and footers, paragraphs and tables in the order of the body, then the notes.

Text is gathered from the XML itself, because the library's `Paragraph.text` leaves out tracked insertions, content
controls and text boxes. Deleted text is left out. Headers and footers come first: they say which
document this is, and behind the body they would stand under its last heading.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.loaders.builder import BREAK, DocumentBuilder
from indexing.loaders.html.nodes import FILE_NAME
from indexing.loaders.images.inner_pictures import InnerPictures
from indexing.loaders.office.archive import open_zip
from indexing.loaders.pdf.figures import CAPTION
from indexing.loaders.registry import Alive
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
    reader = _Reader(builder, document, alive)
    reader.margins()
    reader.blocks(document.element.body)
    reader.notes()
    yield builder.build(title=document.core_properties.title or reader.title, format="docx")


class _Reader:
    def __init__(self, builder: DocumentBuilder, document: Docx, alive: Alive) -> None:
        self.builder, self.document, self.alive = builder, document, alive
        self.styles = {style.style_id: style for style in document.styles}
        self.title = ""
        self.pictures = InnerPictures(alive)

    def blocks(self, parent: _Element) -> None:
        """Append every paragraph and table directly under an element, looking through content controls."""
        caption: _Element | None = None  # that a picture took with it
        for child in parent.iterchildren():
            if child is caption:
                continue
            if child.tag == W + "p":
                taken = self.drawn(child)
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

    def drawn(self, element: _Element) -> _Element | None:
        """Append the pictures of a paragraph; the paragraph after it, where that is their caption."""
        content = [part.blob for blip in element.iter(A + "blip") if (part := self.document.part.related_parts.get(blip.get(R + "embed"))) is not None]
        if not content:
            return None
        described = next((node.get("descr", "") for node in element.iter(WP + "docPr")), "")
        after = element.getnext()
        is_caption = after is not None and after.tag == W + "p" and (self._is_caption(after) or CAPTION.match(paragraph_text(after).strip()))
        said = [paragraph_text(after).strip() if is_caption else "", "" if FILE_NAME.search(described) else described]
        taken = [self.pictures.put(self.builder, one, BREAK.join(filter(None, said)) if number == 0 else "") for number, one in enumerate(content)]
        return after if is_caption and taken[0] else None

    def _is_caption(self, element: _Element) -> bool:
        named = element.find(f"{W}pPr/{W}pStyle")
        style = self.styles.get(named.get(W + "val")) if named is not None else None
        return style is not None and (style.name or "").lower() == "caption"

    def table(self, table: _Element) -> None:
        """The first row is the header, unless it is the only one. Cells merged downwards are repeated in each row. Pictures in cells follow the rows."""
        rows = table.findall(W + "tr")
        above: list[str] = []
        for number, row in enumerate(rows):
            cells: list[str] = []
            for cell in row.iter(W + "tc"):
                if next(cell.iterancestors(W + "tr")) is not row:
                    continue  # of a table inside a cell, whose text is in that cell already
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
            self.drawn(paragraph)

    def margins(self) -> None:
        """The headers and footers that are shown, section by section; one that sections share is read once."""
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
