"""Pictures of the context (WebP) as language models take them."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def to_image(picture: bytes) -> Image:
    """RGB; what is transparent stands on white, as on a page. Decoded in a worker. Raises PictureError."""
    from indexing.picture_worker import open_picture

    return open_picture(picture)


def to_data_url(picture: bytes) -> str:
    """A JPEG: many servers do not take WebP, and none refuses JPEG."""
    buffer = io.BytesIO()
    to_image(picture).save(buffer, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
