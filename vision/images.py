"""Image files in, upright RGB images on white out: validated and bounded in size. Knows nothing of documents.

Whatever is wrong with a file is raised as PictureError, before its pixels are decoded where that is possible.
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
MAX_SIDE = 30_000  # pixels
MAX_PIXELS = 120_000_000  # 360 MB when decoded to RGB
MAX_FRAMES = 500  # of a multi-page TIFF
PREVIEW, THUMBNAIL = 1280, 256  # pixels of the longest side
DAMAGE = (  # what Pillow's decoders raise on damaged files
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError,
    OverflowError,
)  # fmt: skip


def frames(path: Path | BinaryIO) -> Iterator[Image]:
    """Every page of a TIFF, or the first frame of any other format, as upright RGB. Raises PictureError.

    Lazy: one frame is in memory at a time.
    """
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
    """WebP of the image, its longest side at most `longest` pixels; a smaller image keeps its size."""
    small = image.copy()
    small.thumbnail((longest, longest))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def to_rgb(image: Image) -> Image:
    """Any mode to RGB. Transparent pixels become white; channels of more than 8 bits are scaled to 8."""
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
                limit = f"{MAX_SIDE} a side and {MAX_PIXELS // 1_000_000} megapixels"
                raise PictureError(f"picture of {width} x {height} pixels, over the limit of {limit}")
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
