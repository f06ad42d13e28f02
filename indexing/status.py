"""What an index holds, in numbers and file by file, as `status` and the library page show it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from indexing.index import Index


@dataclass(frozen=True, slots=True)
class FileStatus:
    """A source file as the library shows it."""

    name: str
    path: str
    status: str  # indexed | reading | failed
    reason: str  # of a failure
    documents: int
    chunks: int
    format: str
    size: int  # bytes
    modified: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Status:
    """An index in numbers and file by file."""

    index: str
    embedder: str
    fingerprint: str
    documents: int
    chunks: int
    failed: int  # files
    files: tuple[FileStatus, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def file_list(index: Index) -> list[FileStatus]:
    """Every file that the index knows, by name."""
    rows = index.db.execute(
        """SELECT files.name, path, status, reason, count(DISTINCT documents.id), count(chunks.id),
        coalesce(min(documents.format), ''), size, modified FROM files LEFT JOIN documents ON documents.file = files.id
        LEFT JOIN chunks ON chunks.document = documents.id GROUP BY files.id ORDER BY files.name"""
    )
    return [FileStatus(*row) for row in rows]


def status_of(index: Index) -> Status:
    """The status of an index now."""
    files = tuple(file_list(index))
    documents, chunks = sum(file.documents for file in files), sum(file.chunks for file in files)
    failed = sum(file.status == "failed" for file in files)
    return Status(str(index.directory), index.embedder_name, index.fingerprint, documents, chunks, failed, files)
