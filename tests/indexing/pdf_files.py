"""Small PDFs written by hand, so that every word's place is known."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

FONTS = {"F": "Helvetica", "B": "Helvetica-Bold", "T": "Times-Roman"}


@dataclass
class PdfPage:
    """Text items are (x, y, size, text[, font]) in user space: points from the bottom left."""

    items: Sequence[tuple] = ()
    width: float = 612
    height: float = 792
    rotate: int = 0
    crop: tuple[float, float, float, float] | None = None
    image: bytes = b""  # a JPEG that fills the page
    image_size: tuple[int, int] = (0, 0)
    content: bytes = field(default=b"")


def escape(text: str) -> bytes:
    return text.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def write_pdf(pages: Sequence[PdfPage], title: str = "") -> bytes:
    objects: list[bytes] = [b"", b"", b"<< /Title (" + escape(title) + b") >>"]
    for name in FONTS.values():
        objects.append(f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>".encode())
    fonts = " ".join(f"/{key} {4 + i} 0 R" for i, key in enumerate(FONTS))
    kids = []
    for page in pages:
        xobject = ""
        content = page.content
        if page.image:
            w, h = page.image_size
            head = (
                f"<< /Type /XObject /Subtype /Image /Width {w} /Height {h} /ColorSpace /DeviceRGB "
                f"/BitsPerComponent 8 /Filter /DCTDecode /Length {len(page.image)} >>"
            )
            objects.append(head.encode() + b"\nstream\n" + page.image + b"\nendstream")
            xobject = f"/XObject << /I {len(objects)} 0 R >>"
            content += f"q {page.width} 0 0 {page.height} 0 0 cm /I Do Q\n".encode()
        for x, y, size, text, *font in page.items:
            content += (
                f"BT /{font[0] if font else 'F'} {size} Tf 1 0 0 1 {x} {y} Tm (".encode() + escape(text) + b") Tj ET\n"
            )
        packed = zlib.compress(content)
        objects.append(f"<< /Filter /FlateDecode /Length {len(packed)} >>\nstream\n".encode() + packed + b"\nendstream")
        crop = f"/CropBox [{' '.join(map(str, page.crop))}]" if page.crop else ""
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {page.width} {page.height}] {crop} /Rotate {page.rotate} "
            f"/Contents {len(objects)} 0 R /Resources << /Font << {fonts} >> {xobject} >> >>".encode()
        )
        kids.append(len(objects))
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{k} 0 R' for k in kids)}] >>".encode()
    out, offsets = io.BytesIO(), []
    out.write(b"%PDF-1.7\n")
    for number, body in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(f"{number} 0 obj\n".encode() + body + b"\nendobj\n")
    start = out.tell()
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    out.write(b"".join(f"{offset:010d} 00000 n \n".encode() for offset in offsets))
    out.write(f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 3 0 R >>\nstartxref\n{start}\n%%EOF\n".encode())
    return out.getvalue()


def lines(x: float, top: float, size: float, texts: Sequence[str], pitch: float = 1.2) -> list[tuple]:
    return [(x, top - i * size * pitch, size, text) for i, text in enumerate(texts)]
