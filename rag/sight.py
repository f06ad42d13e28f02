"""What the reader sees of a picture of the evidence: features of its patches, by the embedded tower, whatever the pictures of the index were embedded with."""

from __future__ import annotations

import io
from functools import cache, lru_cache

from models.picture import Picture
from vision.encoder import EmbeddedTower
from vision.images import first_frame

REMEMBERED = 256  # pictures


@cache
def _tower() -> EmbeddedTower:
    return EmbeddedTower()


@lru_cache(maxsize=REMEMBERED)
def seen(content: bytes) -> Picture:
    """content: an image file's. Raises PictureError."""
    return Picture(_tower().patches([first_frame(io.BytesIO(content))])[0])
