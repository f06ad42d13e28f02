"""Embeds the pictures of documents into the image space of an index, with its image model."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from indexing.embedder import other_image_model
from indexing.stores.sqlite import Store
from indexing.stores.vector_spaces import IMAGE
from indexing.types import Chunk, Document
from vision import encoder
from vision.errors import ImageModelError

if TYPE_CHECKING:
    from vision.encoder import ImageEmbedder


class ImageEmbedding:
    """The image model is opened, and recorded in the index, when the first picture needs it.

    Raises EmbedderError for another image model than the index has.
    """

    def __init__(self, store: Store, asked: str | None, download: bool) -> None:
        self._store, self._download = store, download
        recorded = store.meta(IMAGE.embedder)
        if recorded and asked and asked != recorded:
            raise other_image_model(store.directory, recorded, asked)
        self._name = asked or recorded or encoder.NAME
        self._embedder: ImageEmbedder | None = None
        self.note = ""  # a line, where the model that was asked for could not be had and the embedded one was taken

    def embed(self, documents: Sequence[tuple[Document, Sequence[Chunk]]]) -> dict[str, np.ndarray]:
        """chunk id -> vector (dimension,) float32: one for each picture, under its first chunk."""
        from PIL import Image

        thumbnails: dict[str, bytes] = {}
        for document, chunks in documents:
            embedded: set[int] = set()
            for chunk in chunks:
                if chunk.picture is not None and chunk.picture not in embedded:
                    embedded.add(chunk.picture)
                    thumbnails[chunk.id] = document.pictures[chunk.picture].thumbnail
        if not thumbnails:
            return {}
        images = [Image.open(io.BytesIO(thumbnail)).convert("RGB") for thumbnail in thumbnails.values()]
        return dict(zip(thumbnails, self._open().encode_images(images), strict=True))

    def _open(self) -> ImageEmbedder:
        if self._embedder is None:
            recorded = self._store.meta(IMAGE.embedder)
            try:
                self._embedder = encoder.open_image_embedder(self._name, download=self._download)
            except ImageModelError as error:
                if recorded:
                    raise
                self._embedder = encoder.open_image_embedder()
                self.note = f"{error}; pictures are embedded by {self._embedder.name}"
            fingerprint = self._store.meta(IMAGE.fingerprint) or ""
            if recorded and fingerprint != self._embedder.fingerprint:
                raise other_image_model(self._store.directory, fingerprint, self._embedder.fingerprint)
            if not recorded:
                with self._store.transaction():
                    self._store.set_meta(IMAGE.embedder, self._embedder.name)
                    self._store.set_meta(IMAGE.fingerprint, self._embedder.fingerprint)
                    self._store.set_meta(IMAGE.dimension, str(self._embedder.dimension))
        return self._embedder
