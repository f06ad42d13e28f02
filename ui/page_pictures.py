"""The page that a source stands on, as a picture with its boxes marked."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from indexing.index import Index
from indexing.types import Box
from rag.types import Evidence

GONE_FILE = "The file is gone or has changed; this is the picture as it was indexed."
GONE_PAGE = (
    "The page cannot be shown: the file is gone or has changed since it was indexed. The passage is as it was indexed."
)
TALLEST = 0.62  # height of the part of a page that is shown at first, as a share of its width


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A page as WebP; its size in pixels. `note`: what a reader should know of it."""

    webp: bytes
    width: int
    height: int
    note: str = ""


def page_picture(index: Index, evidence: Evidence) -> PagePicture | str | None:
    """The picture that a chunk belongs to, or its page as one.

    A PDF page is drawn from its file, while that is the one that was indexed; the index has previews of other pictures.
    A line where there is none, that says why; None for formats whose pages have no looks.
    """
    document, page = evidence.document, evidence.page
    stored = index.documents.picture(evidence.chunk_id)
    if stored and stored.preview:
        gone = "" if index.documents.unchanged_source(document) else GONE_FILE
        return PagePicture(stored.preview, stored.width, stored.height, gone)
    found = index.documents.page(document, page) if page is not None else None
    if found is None or found[0].words is None:
        return None
    path = index.documents.unchanged_source(document)
    if path is None:
        return GONE_PAGE
    from indexing.picture_worker import pdf_page_webp
    from vision.errors import PictureError

    try:
        return PagePicture(*pdf_page_webp(path, path.stat().st_mtime, page))
    except (PictureError, OSError) as error:
        return f"The page cannot be shown: {error}."


def picture_html(picture: PagePicture, boxes: Sequence[Box], name: str) -> str:
    """The picture with its boxes. Of a tall page the part around the boxes, and the whole on a click."""
    data = base64.b64encode(picture.webp).decode()
    size = f'width="{picture.width}" height="{picture.height}"'
    image = f'<img src="data:image/webp;base64,{data}" {size} alt="{escape(name)}">'
    marks = "".join(map(_mark, boxes))
    top, share = window(boxes, picture.width / picture.height)
    note = f'<p class="note">{escape(picture.note)}</p>' if picture.note else ""
    if share == 1:
        return f'<div class="page"><div class="sheet">{image}{marks}</div></div>{note}'
    ratio = picture.width / (picture.height * share)
    return (
        f'<label class="page part" style="aspect-ratio:{ratio:.4f}">'
        '<input type="checkbox" aria-label="Show the whole page">'
        f'<div class="sheet" style="--top:{-100 * top:.3f}%">{image}{marks}</div></label>{note}'
    )


def _mark(box: Box) -> str:
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        return ""
    place = {"left": x0, "top": y0, "width": x1 - x0, "height": y1 - y0}
    style = ";".join(f"{name}:{100 * share:.3f}%" for name, share in place.items())
    return f'<i class="box" style="{style}"></i>'


def window(boxes: Sequence[Box], ratio: float) -> tuple[float, float]:
    """(top, height) of the part of a page to show, as shares of its height. ratio: the page's width by its height.

    The boxes stand in the middle; where they do not all fit, the first ones are shown.
    """
    share = min(1.0, TALLEST * ratio)
    if share > 0.85:
        return 0.0, 1.0
    first, last = min((box[1] for box in boxes), default=0.0), max((box[3] for box in boxes), default=0.0)
    top = (first + last - share) / 2 if last - first <= share else first - 0.05 * share
    return min(max(top, 0.0), 1.0 - share), share
