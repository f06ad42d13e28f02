"""SVG drawings -> a page with its picture and the words of its text elements."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.decode import check_size
from indexing.loaders.loader import Alive
from indexing.types import Document, LoadError, Modality, Picture
from vision import images, svg
from vision.errors import PictureError


def load(path: Path, alive: Alive) -> Iterator[Document]:
    check_size(path, svg.LIMIT_MB, "SVG")
    markup = path.read_bytes()
    builder = DocumentBuilder()
    try:
        image = images.to_rgb(svg.rendered(markup, images.PREVIEW))
        alive()
        builder.page(1, *image.size)
        builder.paragraph("\n".join(svg.words(markup)))
        preview, thumbnail = images.encode(image, images.PREVIEW), images.encode(image, images.THUMBNAIL)
        builder.picture(Picture(1, *image.size, preview, thumbnail))
    except PictureError as error:
        raise LoadError(str(error)) from error
    yield builder.build(title=path.stem.replace("-", " ").replace("_", " "), format="svg", modality=Modality.IMAGE)
