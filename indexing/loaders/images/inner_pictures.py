"""Pictures inside a document: which are worth keeping, and the words on them.

In: the content of a picture's file. Out: figures appended to a DocumentBuilder, or a Picture.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes

from indexing.loaders.builder import BREAK, DocumentBuilder
from indexing.loaders.images.ocr_lines import inscription
from indexing.loaders.loader import Alive
from indexing.types import Box, Picture
from vision import images, svg
from vision.errors import PictureError

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_SIDE, LEAST_AREA = 48, 10_000  # pixels: smaller ones are icons, bullets, rules
LIMIT_MB = 50  # of one picture
MOST = 500  # pictures of one document
SVG_SIDE = 1024  # pixels: longest side that a drawing is rendered with

Resolve = Callable[[str], bytes | None]  # a picture's name in the document -> the content of its file, None without


class InnerPictures:
    """The pictures of one document. One that is repeated, as a logo is, is kept once."""

    def __init__(self, alive: Alive = lambda: None) -> None:
        self._alive = alive
        self._seen: set[bytes] = set()

    def put(self, builder: DocumentBuilder, content: bytes | None, text: str = "", box: Box | None = None) -> bool:
        """Append a picture, see `append`. Returns whether it was worth keeping."""
        image = self.opened(content)
        if image is not None:
            self.append(builder, image, text, box)
        return image is not None

    def append(self, builder: DocumentBuilder, image: Image, text: str = "", box: Box | None = None) -> None:
        """Append a figure: the picture with `text` (caption, alternative text) and the words that OCR reads on it."""
        self._alive()
        words = "\n".join(" ".join(word for word, _, _ in line) for line in inscription(image))
        builder.figure(BREAK.join(part for part in (text.strip(), words) if part), _picture(image, box))
        self._alive()

    def picture(self, content: bytes | None) -> Picture | None:
        """The picture without OCR; None as for `opened`."""
        image = self.opened(content)
        return image and _picture(image)

    def opened(self, content: bytes | None) -> Image | None:
        """The decoded picture; None for one that is too small, damaged, or a repetition."""
        self._alive()
        if not content:
            return None
        digest = hashlib.blake2b(content, digest_size=12).digest()
        if digest in self._seen or len(self._seen) >= MOST or len(content) > LIMIT_MB << 20:
            return None
        self._seen.add(digest)
        try:
            drawn = b"<svg" in content[:2000]
            image = images.to_rgb(svg.rendered(content, SVG_SIDE)) if drawn else images.first_frame(io.BytesIO(content))
        except PictureError:  # one damaged picture must not cost the document
            return None
        return image if min(image.size) >= LEAST_SIDE and image.width * image.height >= LEAST_AREA else None


def _picture(image: Image, box: Box | None = None) -> Picture:
    preview, thumbnail = images.encode(image, images.PREVIEW), images.encode(image, images.THUMBNAIL)
    return Picture(0, *image.size, preview, thumbnail, box=box)


def beside(path: Path) -> Resolve:
    """Finds the pictures of a document at `path`: data: URLs, and files below its folder or the one above; each once.

    Nothing is fetched from a network.
    """
    folder, asked = path.absolute().parent, set()
    root = folder if folder.parent in (Path(folder.anchor), Path.home()) else folder.parent

    def resolve(source: str) -> bytes | None:
        if source.startswith("data:"):
            return from_data_url(source)
        name = unquote(source.partition("#")[0].partition("?")[0])
        if name in asked or ":" in name.partition("/")[0] or name.startswith(("/", "\\")):
            return None  # repeated, a URL, or an absolute path
        asked.add(name)
        try:
            file = (folder / name).resolve()
            inside = file.is_relative_to(root.resolve()) and file.is_file() and file.stat().st_size <= LIMIT_MB << 20
            return file.read_bytes() if inside else None
        except (OSError, ValueError):
            return None

    return resolve


def from_data_url(source: str) -> bytes | None:
    """The content of a picture's data: URL (RFC 2397); None for anything else."""
    head, _, body = source.partition(",")
    if not head.startswith("data:image/"):
        return None
    try:
        return base64.b64decode(body, validate=False) if head.endswith(";base64") else unquote_to_bytes(body)
    except (binascii.Error, ValueError):
        return None
