"""Questions for pictures with candidate pictures: the files that rag.training.make_pictures writes.

In: a folder with patch features and questions. Out: questions, whose candidates name their picture by its number.
Imports no torch.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from models.common.errors import DataError
from models.reader.image_patches import PATCHES, WIDTH

PATCH_FILE = "patches.f16"  # (pictures, PATCHES, WIDTH) float16
QUESTION_FILE = "questions.jsonl.gz"  # one PictureQuestion a line


@dataclass(frozen=True, slots=True)
class CandidatePicture:
    """A picture that a question is put to. picture: its number in PATCH_FILE. text: the words beside it."""

    picture: int
    text: str
    title: str
    shows: bool


@dataclass(frozen=True, slots=True)
class PictureQuestion:
    """A question, and the pictures that show what it asks for or do not. split: train or dev."""

    source: ClassVar[str] = "pictures"
    question: str
    split: str
    shown: tuple[CandidatePicture, ...]


def read_picture_questions(folder: Path) -> list[PictureQuestion]:
    """The questions of a folder.

    Raises DataError where they are missing or damaged, or name pictures that are not there.
    """
    try:
        pictures = (folder / PATCH_FILE).stat().st_size // (2 * PATCHES * WIDTH)  # 2 bytes of a float16
        with gzip.open(folder / QUESTION_FILE, "rt", encoding="utf-8") as file:
            questions = [_question(json.loads(line)) for line in file]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} holds no questions for pictures ({error}): run python -m rag.training.make_pictures"
        ) from error
    if any(one.picture >= pictures for row in questions for one in row.shown):
        raise DataError(
            f"{folder / PATCH_FILE} has {pictures} pictures, fewer than {QUESTION_FILE} names: "
            "run python -m rag.training.make_pictures again"
        )
    return questions


def _question(record: dict) -> PictureQuestion:
    shown = tuple(CandidatePicture(**one) for one in record["shown"])
    return PictureQuestion(record["question"], record["split"], shown)
