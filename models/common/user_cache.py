"""The folder where Folio caches what it can compute again. It belongs to one user and is never inside an index.

Another user may have put files there: whoever reads one asks `is_private` first.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def user_cache() -> Path | None:
    """The folder, made where it is missing and closed to other writers; None where that cannot be done."""
    import platformdirs

    folder = platformdirs.user_cache_path("folio")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = folder.stat().st_mode
        if mode & OTHERS_WRITE:  # made under a umask that lets a group write
            folder.chmod(stat.S_IMODE(mode) & ~OTHERS_WRITE)
        return folder if _is_own(folder.stat(), OTHERS_WRITE) else None
    except OSError:
        return None


def is_private(file: Path) -> bool:
    """Whether a regular file belongs to this user and nobody else can read or write it. Raises OSError."""
    found = file.lstat()
    return stat.S_ISREG(found.st_mode) and _is_own(found, stat.S_IRWXG | stat.S_IRWXO)


def make_private(file: Path, content: bytes = b"") -> None:
    """Write a file that only this user can read. Raises FileExistsError where there is one by this name, OSError."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)


def _is_own(found: os.stat_result, forbidden: int) -> bool:
    if not hasattr(os, "getuid"):  # Windows, where a user's folder is private by its access list
        return True
    return found.st_uid == os.getuid() and not found.st_mode & forbidden
