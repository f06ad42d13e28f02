"""The image channel: pictures of the index by words, or by a picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexing.embedder import Embedder
from indexing.filters import Filter
from indexing.index import Index
from indexing.stores.vector_spaces import IMAGE, Hits
from models.common import minilm
from models.common.errors import FolioError
from rag.image_features import ImageFeatures
from vision import encoder

if TYPE_CHECKING:
    from PIL.Image import Image

    from vision.encoder import ImageEmbedder

MOST_WORDS = 60  # on a picture that are searched for


class ImageSearch:
    """Over one index. Thread-safe for reading.

    The image model is opened when it is first needed; an index without pictures needs none.
    """

    def __init__(
        self, index: Index, embedder: Embedder, encode: Callable[[str], np.ndarray], images: ImageFeatures,
        download: bool,
    ) -> None:  # fmt: skip
        """encode: a query to its vector (d,) by the text embedder. images: whose tower is taken where it fits.

        download: see vision.encoder.open_image_embedder.
        """
        self._index, self._embedder, self._encode = index, embedder, encode
        self._images, self._download = images, download
        self._opened: tuple[str, ImageEmbedder | None, str] = ("", None, "")

    def by_text(self, text: str, depth: int, only: Filter | None) -> Hits:
        """The pictures that a text describes, best first. [] without pictures or without their image model."""
        model = self._model()[0]
        return self._index.nearest(model.encode_texts([text])[0], depth, only, IMAGE) if model else []

    def by_image(self, image: Image, depth: int, only: Filter | None) -> Hits:
        """The pictures like this one, best first."""
        model = self._model()[0]
        return self._index.nearest(model.encode_images([image])[0], depth, only, IMAGE) if model else []

    @property
    def problem(self) -> str:
        """Why pictures are not searched, where they should be."""
        return self._model()[1]

    def _encode_all(self, questions: Sequence[str]) -> np.ndarray:
        return np.stack([self._encode(question) for question in questions])

    def _model(self) -> tuple[ImageEmbedder | None, str]:
        fingerprint = self._index.image_fingerprint
        if not fingerprint:
            return None, ""
        if self._opened[0] != fingerprint:
            model, problem = None, ""
            try:
                model = self._open(self._index.image_model)
                if model.fingerprint != fingerprint:
                    problem = (
                        f"pictures were embedded with {fingerprint}, here is {model.fingerprint}: "
                        "index their sources again into a new directory"
                    )
                    model = None
            except FolioError as error:
                problem = str(error)
            self._opened = (fingerprint, model, problem)
        return self._opened[1:]

    def _open(self, name: str) -> ImageEmbedder:
        if name == encoder.NAME:
            return self._images.tower
        shared = self._encode_all if self._embedder.fingerprint == minilm.fingerprint() else None
        return encoder.open_image_embedder(name, shared, download=self._download)


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
