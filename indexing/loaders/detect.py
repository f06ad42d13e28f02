"""A file -> the name of its loader: by its first bytes, then its suffix, then by whether it looks like text."""

from __future__ import annotations

import re
from pathlib import Path

from indexing.loaders import archive
from indexing.loaders.decode import SNIFF, decode, head, looks_like_text
from indexing.types import LoadError

HTML = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
MAIL_HEADERS = "From|To|Subject|Date|Received|Return-Path|Message-ID|MIME-Version|Delivered-To"
MAIL = re.compile(rf"(?:(?:{MAIL_HEADERS}):[^\n]*\n(?:[ \t][^\n]*\n)*){{3}}", re.IGNORECASE)
PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MEMBERS = (
    ("word/document.xml", "docx"),
    ("ppt/presentation.xml", "pptx"),
    ("xl/workbook.xml", "xlsx"),
    ("META-INF/container.xml", "epub"),
)
OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Formats that a text file cannot have: loader -> how a message calls it
BINARY = {name: name for name in ("docx", "pptx", "xlsx")} | {"pdf": "PDF", "epub": "EPUB", "image": "picture"}


def detect(path: Path, by_suffix: str | None) -> str:
    """The name of the loader. by_suffix: the loader of the file's suffix, None without. LoadError for no format."""
    start = head(path)
    found = _by_magic(path, start)
    if found is not None:
        return found
    if not looks_like_text(start) and by_suffix is None:
        raise LoadError("unknown format: neither text nor a document or picture that can be read")
    if by_suffix in (None, *BINARY) and looks_like_text(start):
        sniffed = _by_text(start)
        # A web page or mail saved under a document's name is common; other text under such a name is an error.
        if sniffed is None and by_suffix is not None:
            raise LoadError(f"not a readable {BINARY[by_suffix]}: it holds plain text")
        return sniffed or "text"
    assert by_suffix is not None
    return by_suffix


def _by_magic(path: Path, start: bytes) -> str | None:
    if b"%PDF-" in start[:1024]:
        return "pdf"
    if start.startswith(PICTURES) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP"):
        return "image"
    if start[:2] == b"BM" and b"\0" in start[:32]:
        return "image"
    if start.startswith(b"PK\x03\x04"):
        return _by_members(path)
    if start.startswith(OLE2):
        raise LoadError(
            "an encrypted or old (before 2007) Office file: save it without a password as docx, xlsx or pptx"
        )
    if start.startswith(b"{\\rtf"):
        raise LoadError("rich text (RTF) is not read: save it as docx or PDF")
    return None


def _by_members(path: Path) -> str:
    names = archive.names(path)
    if not names:
        raise LoadError("damaged zip container")
    found = next((name for member, name in MEMBERS if member in names), None)
    if found is None:
        raise LoadError("a zip archive, not a document: unpack it first")
    return found


def _by_text(start: bytes) -> str | None:
    text = decode(start[: SNIFF // 8])
    if HTML.match(text):
        return "html"
    return "eml" if MAIL.match(text) else None
