"""Picture files to upright RGB pictures: validated, bounded, on white. Knows nothing of documents.

Everything a file can do wrong comes out as PictureError before its pixels are unpacked where possible.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from vision.errors import PictureError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP")
MAX_SIDE = 30_000
MAX_PIXELS = 120_000_000
MAX_FRAMES = 500  # of a multi-page TIFF
PREVIEW, THUMBNAIL = 1280, 256
# What Pillow's decoders raise on damaged files.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
)


def frames(path: Path | BinaryIO) -> Iterator[Image]:
    """Every page of a TIFF, the first frame of anything else, as upright RGB. Lazy: one frame is held at a time."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sizes, which are checked here, and odd metadata
            file = Image.open(path, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise PictureError("not a readable picture: unknown or damaged format") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"picture over the limit of {MAX_PIXELS // 1_000_000} megapixels") from error
    except DAMAGE as error:
        raise PictureError(f"not a readable picture: {error}") from error
    with file:
        count = getattr(file, "n_frames", 1) if file.format == "TIFF" else 1
        if count > MAX_FRAMES:
            raise PictureError(f"picture of {count} pages, over the limit of {MAX_FRAMES}")
        for number in range(count):
            yield _frame(file, number)


def first_frame(path: Path | BinaryIO) -> Image:
    return next(frames(path))


def encode(image: Image, longest: int, quality: int = 80) -> bytes:
    """WebP with the longest side at most `longest`; a smaller picture keeps its size."""
    small = image.copy()
    small.thumbnail((longest, longest))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def to_rgb(image: Image) -> Image:
    """Any mode to RGB; what is transparent becomes white, more than 8 bits are scaled down to them."""
    from PIL import Image

    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bit(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(canvas, image).convert("RGB")
    return image.convert("RGB")


def _frame(file: Image, number: int) -> Image:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if number:
                file.seek(number)
            width, height = file.size
            if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
                raise PictureError(
                    f"picture of {width} x {height} pixels, over the limit of {MAX_SIDE} a side and {MAX_PIXELS // 1_000_000} megapixels"
                )
            file.load()
            return to_rgb(_upright(file))
    except Image.DecompressionBombError as error:
        raise PictureError(f"picture over the limit of {MAX_PIXELS // 1_000_000} megapixels") from error
    except DAMAGE as error:
        raise PictureError(f"damaged or truncated picture: {error}") from error


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except DAMAGE:  # damaged metadata is no reason to refuse sound pixels
        return image


def _to_8_bit(image: Image) -> Image:
    import numpy as np
    from PIL import Image

    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    top = 65535.0 if image.mode != "F" and values.max(initial=0) <= 65535 else values.max(initial=0)
    if values.max(initial=0) <= 255 and image.mode != "I;16":
        top = 1.0 if image.mode == "F" and values.max(initial=0) <= 1 else 255.0
    return Image.fromarray(np.clip(values * (255.0 / max(top, 1e-12)), 0, 255).astype(np.uint8))
