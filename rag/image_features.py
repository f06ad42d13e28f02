"""Patch features of pictures among the evidence, and their likeness to a question, from the built-in image tower.

The tower is used whatever model embedded the pictures of the index. Knows no index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache

import numpy as np

from indexing import picture_worker
from models.common.errors import FolioError
from models.reader.image_patches import Picture
from vision.encoder import EmbeddedTower

CACHED = 64  # pictures whose features are kept in memory

EncodeTexts = Callable[[Sequence[str]], np.ndarray]


class ImageFeatures:
    """Opens the tower when it is first needed. encode_texts: of a MiniLM that is open; None: the tower opens one."""

    def __init__(self, encode_texts: EncodeTexts | None = None) -> None:
        self._encode_texts = encode_texts
        self.patches = lru_cache(maxsize=CACHED)(self._patches)

    @cached_property
    def tower(self) -> EmbeddedTower:
        return EmbeddedTower(encode_texts=self._encode_texts)

    def text_vector(self, text: str) -> np.ndarray:
        """(d,) unit vector of a text, in the space of the patches."""
        return self.tower.encode_texts([text])[0]

    def _patches(self, content: bytes) -> Picture | None:
        """The features of an image file's patches; None where it or the tower cannot be opened."""
        try:
            image = picture_worker.open_picture(content)
            return Picture(self.tower.patches([image])[0])
        except FolioError:
            return None


def likeness(vector: np.ndarray, picture: Picture) -> float:
    """The cosine of a text's vector (d,) and the mean of a picture's patches."""
    return float(vector @ picture.features.astype(np.float32).mean(0))
