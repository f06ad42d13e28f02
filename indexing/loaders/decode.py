"""Bytes -> text: size limits, encodings, newlines. Knows nothing of formats; raises LoadError only."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from indexing.types import LoadError

MB = 1 << 20
SNIFF = 64 << 10  # first bytes of a file, by which text is told from binary
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
BINARY_LIMIT = 0.02  # share of control characters above which a file is no text
CONTROL = bytes(set(range(32)) - {7, 8, 9, 10, 12, 13, 27}) + b"\x7f"


def check_size(path: Path, limit_mb: int, what: str = "text") -> int:
    """Bytes in the file. LoadError for an empty file or one over the limit, before anything is read."""
    size = path.stat().st_size
    if size == 0:
        raise LoadError("empty file")
    if size > limit_mb * MB:
        raise LoadError(f"{what} of {size // MB} MB, over the limit of {limit_mb} MB")
    return size


def head(path: Path, count: int = SNIFF) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(count)


def looks_like_text(start: bytes) -> bool:
    """Whether these first bytes of a file can be the beginning of a text in any encoding."""
    if any(start.startswith(mark) for mark, _ in BOMS) or _utf16_without_mark(start):
        return True
    if b"\0" in start:
        return False
    return _is_utf8(start) or _share_of_control(start) <= BINARY_LIMIT


def detect_encoding(start: bytes) -> str:
    """The encoding of a text from its first bytes; LoadError where they are no text."""
    for mark, name in BOMS:
        if start.startswith(mark):
            return name
    if name := _utf16_without_mark(start):
        return name
    if b"\0" in start:
        raise LoadError("binary content, not a text file")
    if _is_utf8(start):
        return "utf-8"
    if _share_of_control(start) > BINARY_LIMIT:
        raise LoadError("binary content, not a text file")
    return _guess(start)


def decode(data: bytes) -> str:
    """The text of a whole file with newlines as Python's text mode gives them. LoadError for binary content."""
    start = data[:SNIFF]
    name = detect_encoding(start)
    try:
        text = data.decode(name)
    except UnicodeDecodeError as error:
        text = _decode_mixed(data, error.start) if name == "utf-8" else data.decode(name, "replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return clean(text)


def read_text(path: Path, limit_mb: int = 200) -> str:
    """The text of a file, see `decode`. LoadError for an empty file, one over the limit, or binary content."""
    check_size(path, limit_mb)
    return decode(path.read_bytes())


def clean(text: str) -> str:
    """The same text, character for character, with what no database takes (NUL, lone surrogates) replaced."""
    return re.sub("[\0\ud800-\udfff]", "\ufffd", text)


def _decode_mixed(data: bytes, wrong: int) -> str:
    """A text that begins as UTF-8 and is not UTF-8 at byte `wrong`: damaged in one place, or a one-byte encoding."""
    lenient = data.decode("utf-8", "replace")
    if lenient.count("\ufffd") <= len(data) // 10_000 + 1:
        return lenient
    return data.decode(_guess(data[max(0, wrong - SNIFF) : wrong + SNIFF]), "replace")


def _guess(sample: bytes) -> str:
    """The likeliest one-byte or East Asian encoding, by charset-normalizer; Windows-1252 where it cannot tell."""
    from charset_normalizer import from_bytes

    whole_lines = sample[: sample.rfind(b"\n") + 1] or sample
    best = from_bytes(whole_lines).best()
    return best.encoding if best else "cp1252"


def _is_utf8(start: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(start, final=len(start) < SNIFF)  # a character may be cut at the end of a full sample
    except UnicodeDecodeError:
        return False
    return b"\0" not in start and _share_of_control(start) <= BINARY_LIMIT


def _utf16_without_mark(start: bytes) -> str | None:
    """The byte order of UTF-16 without a BOM: zero bytes of spaces and line ends are all even or all odd ones."""
    even, odd, pairs = start[0::2].count(0), start[1::2].count(0), len(start) // 2
    if pairs < 4 or max(even, odd) < 0.3 * pairs or min(even, odd) > 0.02 * pairs:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _share_of_control(start: bytes) -> float:
    return (len(start) - len(start.translate(None, CONTROL))) / max(len(start), 1)
