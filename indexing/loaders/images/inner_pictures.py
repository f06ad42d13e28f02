"""Pictures that stand inside a document: which are worth keeping, and the words on them."""

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
from indexing.loaders.registry import Alive
from indexing.types import Picture
from vision import images, svg
from vision.errors import PictureError

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_SIDE, LEAST_AREA = 48, 10_000  # pixels: smaller ones are icons, bullets, rules
LIMIT_MB = 50
MOST = 500  # pictures of one document
SVG_SIDE = 1024

Resolve = Callable[[str], bytes | None]  # what a document calls a picture -> its file's content


class InnerPictures:
    """The pictures of one document; one that comes back, as a logo does, is kept once."""

    def __init__(self, alive: Alive = lambda: None) -> None:
        self._alive = alive
        self._seen: set[bytes] = set()

    def put(self, builder: DocumentBuilder, content: bytes | None, said: str = "", box: tuple[float, float, float, float] | None = None) -> bool:
        """Append a picture, see `append`; whether it was worth keeping."""
        image = self.opened(content)
        if image is not None:
            self.append(builder, image, said, box)
        return image is not None

    def append(self, builder: DocumentBuilder, image: Image, said: str = "", box: tuple[float, float, float, float] | None = None) -> None:
        """With what is said of it (caption, alternative text) and the words on it."""
        self._alive()
        picture = Picture(0, *image.size, images.encode(image, images.PREVIEW), images.encode(image, images.THUMBNAIL), box=box)
        words = "\n".join(" ".join(text for text, _, _ in line) for line in inscription(image))
        builder.figure(BREAK.join(part for part in (said.strip(), words) if part), picture)
        self._alive()

    def kept(self, content: bytes | None) -> Picture | None:
        """A picture whose words are not read."""
        image = self.opened(content)
        return image and Picture(0, *image.size, images.encode(image, images.PREVIEW), images.encode(image, images.THUMBNAIL))

    def opened(self, content: bytes | None) -> Image | None:
        """The picture; None for what is too small, damaged, or was there before."""
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


def beside(path: Path) -> Resolve:
    """How a document at `path` finds its pictures: below its folder or the one above, or written into it (data:); each once. Nothing is fetched."""
    folder, asked = path.absolute().parent, set()
    root = folder if folder.parent in (Path(folder.anchor), Path.home()) else folder.parent

    def resolve(source: str) -> bytes | None:
        if source.startswith("data:"):
            return from_data_url(source)
        name = unquote(source.partition("#")[0].partition("?")[0])
        if name in asked or ":" in name.partition("/")[0] or name.startswith(("/", "\\")):
            return None  # what comes back is kept once
        asked.add(name)
        try:
            file = (folder / name).resolve()
            inside = file.is_relative_to(root.resolve()) and file.is_file() and file.stat().st_size <= LIMIT_MB << 20
            return file.read_bytes() if inside else None
        except (OSError, ValueError):
            return None

    return resolve


def from_data_url(source: str) -> bytes | None:
    head, _, body = source.partition(",")
    if not head.startswith("data:image/"):
        return None
    try:
        return base64.b64decode(body, validate=False) if head.endswith(";base64") else unquote_to_bytes(body)
    except (binascii.Error, ValueError):
        return None
