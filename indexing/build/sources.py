"""Sources (files and folders that the user named) -> the files to read. Knows nothing of the index.

Links are followed, never in circles.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexing.loaders import is_supported
from models.common.errors import FolioError

# folders of installed or compiled code
SKIPPED_FOLDERS = {"__pycache__", "node_modules", "site-packages"}


class SourceError(FolioError):
    """A source that is not there."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read. `name` is its path as the user gave it; `problem` is set where not even its state can be read."""

    name: str
    path: str  # absolute
    size: int = 0
    modified: float = 0.0
    stamp: str = ""
    problem: str = ""


def find(sources: Sequence[str | os.PathLike[str]]) -> Iterator[Source]:
    """Every file of the sources once, folders in the order of their names.

    In a folder, hidden files and kinds of file that no loader reads are passed over; a file that was named itself is
    always tried. Raises SourceError for a source that is not there.
    """
    for source in map(os.fspath, sources):
        if not os.path.lexists(source):
            raise SourceError(f"no such file or folder: {source}")
    seen: set[str] = set()
    for source in map(os.fspath, sources):
        names = _walk(source) if Path(source).is_dir() else iter([source])
        for name in names:
            path = os.path.abspath(name)  # noqa: PTH100  (takes `..` out and follows no link; Path does one of these)
            if path not in seen:
                seen.add(path)
                yield look(name, path)


def _walk(folder: str) -> Iterator[str]:
    """The files below a folder. A folder that is reached a second time, by a link, is not entered again."""
    entered = set()
    for top, folders, files in os.walk(folder, followlinks=True):
        status = Path(top).stat()
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SKIPPED_FOLDERS)
        for name in sorted(files):
            path = os.path.join(top, name)  # noqa: PTH118  (a Path would tidy the name that the user gave)
            if not name.startswith(".") and (not Path(path).is_file() or is_supported(Path(path))):
                yield path


def look(name: str, path: str) -> Source:
    """The state of a file now."""
    try:
        path.encode()
    except UnicodeEncodeError:
        shown, place = (text.encode("utf-8", "backslashreplace").decode() for text in (name, path))
        return Source(shown, place, problem="its name is not valid UTF-8: rename it")
    try:
        status = Path(path).stat()
    except OSError as error:
        return Source(name, path, problem=(error.strerror or str(error)).lower())
    if not stat.S_ISREG(status.st_mode):
        return Source(name, path, problem="not a regular file")
    stamp = f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"
    return Source(name, path, status.st_size, status.st_mtime, stamp)
