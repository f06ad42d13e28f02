"""What is seen of a picture of the evidence, by the embedded tower, whatever the pictures of the index were embedded with: features of its patches, and how like a text it is."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np

from indexing import picture_worker
from models.reader.image_patches import Picture
from vision.encoder import EmbeddedTower
from vision.errors import PictureError

REMEMBERED = 64  # pictures


@cache
def _tower() -> EmbeddedTower:
    return EmbeddedTower()


@lru_cache(maxsize=REMEMBERED)
def seen(content: bytes) -> Picture | None:
    """content: an image file's; None where it cannot be opened: then its words are all there is."""
    try:
        image = picture_worker.open_picture(content)
    except PictureError:
        return None
    return Picture(_tower().patches([image])[0])


def likeness(text: str, content: bytes) -> float:
    """The cosine of a text and a picture; 0 where that cannot be opened."""
    picture = seen(content)
    return 0.0 if picture is None else float(_vector(text) @ picture.features.astype(np.float32).mean(0))


@lru_cache(maxsize=1)
def _vector(text: str) -> np.ndarray:
    return _tower().encode_texts([text])[0]
