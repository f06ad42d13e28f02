"""SVG drawings as pictures, and their words. In: markup. Out: pixels or texts.

Nothing runs and nothing is fetched: scripts, entities and references to other files are left out before drawing. The
renderer is native code that a hostile drawing can still crash or keep busy: call it in a worker process only.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from vision.errors import PictureError

if TYPE_CHECKING:
    from lxml.etree import _Element
    from PIL.Image import Image

LIMIT_MB = 20
MOST_NODES = 200_000
MOST_DEPTH = 100  # of elements in each other; the renderer's stack overflows at some 250
DROPPED = {"script", "foreignObject", "iframe", "audio", "video", "animate", "set"}


def rendered(markup: bytes, longest: int) -> Image:
    """RGBA, its longest side `longest` pixels. Raises PictureError."""
    import resvg_py
    from lxml import etree
    from PIL import Image

    drawing, width, height = _cleaned(markup)
    try:
        side = {"width": longest} if width >= height else {"height": longest}
        png = resvg_py.svg_to_bytes(svg_string=etree.tostring(drawing, encoding="unicode"), dpi=96.0, **side)
    except (ValueError, etree.LxmlError) as error:
        raise PictureError(f"not a readable SVG: {error}") from error
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def words(markup: bytes) -> list[str]:
    """The texts that an SVG writes, its title and description, in the order of the file. Raises PictureError."""
    drawing, _, _ = _cleaned(markup)
    texts = (" ".join("".join(node.itertext()).split()) for node in drawing.iter("{*}title", "{*}desc", "{*}text"))
    return [text for text in texts if text]


def _cleaned(markup: bytes) -> tuple[_Element, float, float]:
    """The root without what could act or load, and the drawing's width and height."""
    from lxml import etree

    if len(markup) > LIMIT_MB << 20:
        raise PictureError(f"SVG over the limit of {LIMIT_MB} MB")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(markup, parser)
    except etree.XMLSyntaxError as error:
        raise PictureError(f"not a readable SVG: {error}") from error
    if etree.QName(root).localname != "svg":
        raise PictureError(f"not an SVG: its root is <{etree.QName(root).localname}>")
    etree.strip_elements(root, etree.Entity, with_tail=False)
    depths = {root: 1}
    for count, node in enumerate(list(root.iter())):
        if count > MOST_NODES:
            raise PictureError(f"SVG of more than {MOST_NODES:,} elements")
        parent = node.getparent()
        depths[node] = depths.get(parent, 0) + 1
        if depths[node] > MOST_DEPTH:
            raise PictureError(f"SVG of more than {MOST_DEPTH} elements in each other")
        if parent is not None and (etree.QName(node).localname in DROPPED or _leads_outside(node)):
            parent.remove(node)
    return root, *_size(root)


def _leads_outside(node: _Element) -> bool:
    """Whether an element draws what stands in another file. A link to one draws nothing."""
    from lxml import etree

    links = [value for name, value in node.attrib.items() if name.split("}")[-1] in ("href", "src")]
    outside = any(not value.startswith(("#", "data:image/")) for value in links)
    return outside and etree.QName(node).localname != "a"


def _size(root: _Element) -> tuple[float, float]:
    box = (root.get("viewBox") or "").replace(",", " ").split()
    sizes = box[2:4] if len(box) == 4 else [root.get("width", "1"), root.get("height", "1")]
    try:
        width, height = (float(size.removesuffix("px")) for size in sizes)
    except ValueError:
        return 1.0, 1.0
    return (width, height) if width > 0 and height > 0 else (1.0, 1.0)
