"""The image channel: pictures of the index by words, or by a picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexing.embedder import Embedder
from indexing.filters import Filter
from indexing.index import IndexReader
from indexing.stores.vector_spaces import IMAGE, Hits
from models.common import minilm
from models.common.errors import FolioError
from vision import encoder

if TYPE_CHECKING:
    from PIL.Image import Image

    from vision.encoder import ImageEmbedder

MOST_WORDS = 60  # on a picture that are searched for


class PictureSearch:
    """Over one index. Its image model is opened when it is first needed; an index without pictures needs none.

    Thread-safe for reading.
    """

    def __init__(
        self, reader: IndexReader, embedder: Embedder, encode: Callable[[str], np.ndarray], download: bool
    ) -> None:
        """encode: a question to its vector (d,) by the text embedder. download: as for `open_image_embedder`."""
        self._reader, self._embedder, self._encode, self._download = reader, embedder, encode, download
        self._opened: tuple[str, ImageEmbedder | None, str] = ("", None, "")

    def by_words(self, question: str, depth: int, only: Filter | None) -> Hits:
        """The pictures that words describe, best first. [] where there are none or the image model cannot be opened."""
        model = self._model()[0]
        if model is None or not question.strip():
            return []
        return self._reader.nearest(model.encode_texts([question])[0], depth, only, IMAGE)

    def by_picture(self, image: Image, depth: int, only: Filter | None) -> Hits:
        """The pictures like this one."""
        model = self._model()[0]
        return self._reader.nearest(model.encode_images([image])[0], depth, only, IMAGE) if model else []

    @property
    def problem(self) -> str:
        """Why pictures are not searched, where they should be."""
        return self._model()[1]

    def _encode_all(self, questions: Sequence[str]) -> np.ndarray:
        return np.stack([self._encode(question) for question in questions])

    def _model(self) -> tuple[ImageEmbedder | None, str]:
        fingerprint = self._reader.image_fingerprint
        if not fingerprint:
            return None, ""
        if self._opened[0] != fingerprint:
            shared = self._encode_all if self._embedder.fingerprint == minilm.fingerprint() else None
            model, problem = None, ""
            try:
                model = encoder.open_image_embedder(self._reader.image_model, shared, download=self._download)
                if model.fingerprint != fingerprint:
                    problem = f"pictures were embedded with {fingerprint}, here is {model.fingerprint}"
                    model, problem = None, f"{problem}: index their sources again into a new directory"
            except FolioError as error:
                problem = str(error)
            self._opened = (fingerprint, model, problem)
        return self._opened[1:]


def open_picture(image: Image | bytes | str | os.PathLike[str]) -> Image:
    """A picture as upright RGB. A file or its bytes are decoded in a worker process with a budget.

    Raises PictureError, also for a file that is not there.
    """
    from indexing import picture_worker
    from vision.errors import PictureError
    from vision.images import to_rgb

    if isinstance(image, bytes):
        return picture_worker.open_picture(image)
    if not isinstance(image, (str, os.PathLike)):
        return to_rgb(image)
    try:
        return picture_worker.open_picture(Path(image))
    except PictureError as error:
        raise PictureError(f"{image}: {error}") from error


def words_on(image: Image) -> str:
    """The words that stand on a picture, as far as they can be read; in a worker process. Raises PictureError."""
    from indexing import picture_worker

    return " ".join(picture_worker.words_on(image)[:MOST_WORDS])
