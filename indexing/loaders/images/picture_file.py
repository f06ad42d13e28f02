"""Picture files -> a page for each frame, with its picture and the words that OCR reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from indexing.loaders import layout
from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.decode import check_size
from indexing.loaders.images.ocr_lines import ocr_lines
from indexing.loaders.layout import Style
from indexing.loaders.loader import Alive
from indexing.types import Document, LoadError, Modality, Picture
from vision import images
from vision.errors import PictureError

LIMIT_MB = 500


def load(path: Path, alive: Alive) -> Iterator[Document]:
    check_size(path, LIMIT_MB, "picture")
    builder = DocumentBuilder()
    try:
        for number, frame in enumerate(images.frames(path), 1):
            builder.page(number, *frame.size)
            alive()
            lines = ocr_lines(frame, *frame.size)
            layout.feed(builder, lines, Style(layout.body_size(lines), steady=False))
            preview, thumbnail = images.encode(frame, images.PREVIEW), images.encode(frame, images.THUMBNAIL)
            builder.picture(Picture(number, *frame.size, preview, thumbnail))
            alive()
    except PictureError as error:
        raise LoadError(str(error)) from error
    title = path.stem.replace("-", " ").replace("_", " ")
    yield builder.build(title=title, format="image", modality=Modality.IMAGE)
