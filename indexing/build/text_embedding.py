"""Embeds the texts of chunks into the text space of an index, with its embedder. A text is embedded once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexing.embedder import Embedder, check_fingerprint, open_embedder, other_embedder
from indexing.stores.sqlite import Store, text_digest
from indexing.stores.vector_spaces import TEXT
from models.common import minilm


class TextEmbedding:
    """The embedder is opened when the first text needs it, and recorded in an index that has none yet.

    Raises EmbedderError for another embedder than the index has.
    """

    def __init__(self, store: Store, asked: str | None, download: bool) -> None:
        self._store, self._download = store, download
        recorded = store.meta(TEXT.embedder)
        self._name = asked or recorded or minilm.NAME
        self._embedder: Embedder | None = None
        if recorded and self._name != recorded:
            raise other_embedder(store.directory, recorded, self._name)
        if not recorded:
            self.open()

    def open(self) -> Embedder:
        if self._embedder is None:
            self._embedder = open_embedder(self._name, download=self._download)
            recorded = self._store.meta(TEXT.fingerprint)
            check_fingerprint(self._store.directory, recorded, self._embedder)
            if not recorded:
                with self._store.transaction():
                    self._store.set_meta(TEXT.embedder, self._embedder.name)
                    self._store.set_meta(TEXT.fingerprint, self._embedder.fingerprint)
                    self._store.set_meta(TEXT.dimension, str(self._embedder.dimension))
        return self._embedder

    def embed(self, texts: Sequence[str]) -> tuple[list[bytes], np.ndarray]:
        """(digest of each text, vectors (len(texts), dimension) float32); texts that the store has are looked up."""
        digests = [text_digest(text) for text in texts]
        if not texts:
            return digests, np.empty((0, 0), np.float32)
        vectors = self._store.vectors_of(digests)
        new = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in vectors}
        if new:
            vectors.update(zip(new, self.open().encode_documents(list(new.values())), strict=True))
        return digests, np.stack([vectors[digest] for digest in digests])
