"""What the reader sees of a picture of the evidence: features of its patches, by the embedded tower, whatever the pictures of the index were embedded with."""

from __future__ import annotations

import io
from functools import cache, lru_cache

from models.picture import Picture
from vision.encoder import EmbeddedTower
from vision.errors import PictureError
from vision.images import first_frame

REMEMBERED = 256  # pictures


@cache
def _tower() -> EmbeddedTower:
    return EmbeddedTower()


@lru_cache(maxsize=REMEMBERED)
def seen(content: bytes) -> Picture | None:
    """content: an image file's; None where it cannot be opened: then its words are all there is."""
    try:
        image = first_frame(io.BytesIO(content))
    except PictureError:
        return None
    return Picture(_tower().patches([image])[0])
