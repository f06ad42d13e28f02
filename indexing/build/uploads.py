"""Uploaded files: copied into a folder of the index, so that they are there when they are cited."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from indexing.build.sources import SourceError
from indexing.build.upkeep import remove
from indexing.index import Index
from indexing.status import file_list

FOLDER = "uploads"  # below the index directory


def keep(files: Sequence[str | os.PathLike[str]], folder: Path) -> list[Path]:
    """Copy files into a folder. Returns the path of each copy.

    The same name and content is copied once; another content under the same name gets a number.
    Raises SourceError when the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_keep(Path(file), folder) for file in files]
    except OSError as error:
        raise SourceError(f"cannot keep the files in {folder}: {error.strerror or error}") from error


def _keep(file: Path, folder: Path) -> Path:
    name, number = Path(file.name), 1
    target = folder / name
    while target.exists():
        if filecmp.cmp(file, target, shallow=False):
            return target
        number += 1
        target = folder / f"{name.stem} ({number}){name.suffix}"
    part = target.with_name(f".{target.name}.part")  # a hidden name: a build that runs now skips it
    shutil.copyfile(file, part)
    return part.rename(target)


def forget(index_dir: Path, name: str) -> int:
    """`remove` a document or file from an index, with the copy of it that `keep` made. Returns how many documents.

    Raises StoreError.
    """
    files = [Path(file.path) for file in file_list(Index(index_dir)) if name in (file.name, file.path)]
    count = remove(index_dir, name)
    for path in files:
        if path.parent == (index_dir / FOLDER).absolute():
            path.unlink(missing_ok=True)
    return count
