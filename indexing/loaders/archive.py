"""Zip containers (docx, pptx, xlsx, epub), opened only after their declared sizes were checked.

`zipfile` never hands out more bytes than a member declares (it then reports a bad checksum), and deflate is
decompressed in bounded steps, so a check of the declared sizes bounds the real read too. Members packed in any
other way are refused: their decompressors are not bounded, and no writer of these formats uses them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from indexing.loaders.decode import MB
from indexing.types import LoadError

if TYPE_CHECKING:
    import zipfile

MAX_TOTAL = 500 * MB  # declared size of all members
MAX_XML = 200 * MB  # of one XML member: its tree takes several times as much memory
MAX_MEMBERS = 20_000
RATIO, RATIO_FROM = 250, 20 * MB  # more than 250:1 is a zip bomb; smaller ones than 20 MB do no harm
PACKINGS = (0, 8)  # stored, deflated
DTD = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)


@contextmanager
def open_zip(path: Path, *, allow_dtd: bool = False) -> Iterator[zipfile.ZipFile]:
    """The archive, checked. LoadError for what is no zip, too large unpacked, or packed unusually.

    Office formats forbid document type declarations, which are how XML bombs are made; EPUB's XHTML allows them.
    """
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive.infolist())
            if not allow_dtd:
                _refuse_dtd(archive)
            yield archive
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError) as error:
        raise LoadError(f"damaged zip container: {error}") from error


def names(path: Path) -> frozenset[str]:
    """Names of the members; empty where the file is no readable zip."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(archive.namelist())
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, ValueError):
        return frozenset()


def _check(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_MEMBERS:
        raise LoadError(f"zip container of {len(members)} members, over the limit of {MAX_MEMBERS}")
    total, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    if total > MAX_TOTAL:
        raise LoadError(f"unpacks to {total // MB} MB, over the limit of {MAX_TOTAL // MB} MB")
    if total > RATIO_FROM and total > RATIO * max(packed, 1):
        raise LoadError(f"packed {total // max(packed, 1)} to 1: a zip bomb, not a document")
    for member in members:
        if member.flag_bits & 1:
            raise LoadError("encrypted: needs a password")
        if member.compress_type not in PACKINGS:
            raise LoadError("zip container with an unusual compression")
        if member.filename.endswith((".xml", ".rels")) and member.file_size > MAX_XML:
            raise LoadError(f"unpacks to {member.file_size // MB} MB of XML, over the limit of {MAX_XML // MB} MB")


def _refuse_dtd(archive: zipfile.ZipFile) -> None:
    for member in archive.infolist():
        if member.filename.endswith((".xml", ".rels")):
            with archive.open(member) as file:
                if DTD.search(file.read(2048)):
                    raise LoadError("XML with a document type declaration, which this format forbids")
