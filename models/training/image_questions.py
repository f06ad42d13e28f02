"""Questions for pictures, as rag/training/make_pictures.py writes them: what is asked, and pictures that show it or do not. Imports no torch."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from models.common.errors import DataError
from models.reader.image_patches import PATCHES, WIDTH

PATCH_FILE, QUESTION_FILE = "patches.f16", "questions.jsonl.gz"


@dataclass(frozen=True, slots=True)
class Shown:
    """text: the words with a picture; picture: its number among the patches."""

    picture: int
    text: str
    title: str
    shows: bool


@dataclass(frozen=True, slots=True)
class Sought:
    """What a picture is asked for by, and the pictures that it is put to. split: train or dev."""

    source: ClassVar[str] = "pictures"
    question: str
    split: str
    shown: tuple[Shown, ...]


def read_shown(folder: Path) -> list[Sought]:
    """Raises DataError."""
    try:
        pictures = (folder / PATCH_FILE).stat().st_size // (2 * PATCHES * WIDTH)
        with gzip.open(folder / QUESTION_FILE, "rt", encoding="utf-8") as file:
            made = [Sought(row["question"], row["split"], tuple(Shown(**one) for one in row["shown"])) for row in map(json.loads, file)]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} holds no questions for pictures ({error}): run rag/training/make_pictures.py") from error
    if any(one.picture >= pictures for row in made for one in row.shown):
        raise DataError(f"{folder / PATCH_FILE} has {pictures} pictures, fewer than {QUESTION_FILE} names: run rag/training/make_pictures.py again")
    return made
