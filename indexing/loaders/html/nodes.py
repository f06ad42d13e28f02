"""One HTML element: whether it is visible, block or inline, and its text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from indexing.loaders.captions import FILE_NAME

if TYPE_CHECKING:
    from bs4.element import PageElement, Tag

UNSEEN_TAGS = (
    "script style nav noscript template head title meta link iframe object embed video audio canvas svg button select "
    "datalist map annotation annotation-xml"
)
INLINE_TAGS = (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img input ins kbd label mark meter output "
    "progress q rb rp rt ruby s samp small span strike strong sub sup time tt u var wbr br math mfrac mi mn mo "
    "mover mrow mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover semantics"
)
UNSEEN, INLINE = frozenset(UNSEEN_TAGS.split()), frozenset(INLINE_TAGS.split())
HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
LINE_BREAK = "\u2028"  # stands for <br> until white space has been collapsed
INVISIBLE = dict.fromkeys(map(ord, "\xad\u200b\u2060\ufeff"))


def hidden(tag: Tag) -> bool:
    """Whether a browser shows nothing of it, or it repeats the page (navigation, table of contents)."""
    if tag.name in UNSEEN or tag.has_attr("hidden") or tag.get("role") in ("navigation", "doc-toc"):
        return True
    return tag.get("id") == "toc" or bool(HIDDEN_STYLE.search(str(tag.get("style") or "")))


def is_block(node: PageElement) -> bool:
    name = getattr(node, "name", None)
    return name is not None and name not in INLINE


def inline_text(node: PageElement) -> str:
    """The text of a leaf: a string, the alternative text of a picture, a line break."""
    from bs4.element import NavigableString, PreformattedString

    name = getattr(node, "name", None)
    if name == "br":
        return LINE_BREAK
    if name == "img":
        alt = " ".join(str(node.get("alt") or "").split())
        return f" {alt} " if alt and not FILE_NAME.search(alt) else ""
    # Comments, declarations and the like are strings to the parser, but are not shown.
    if isinstance(node, NavigableString) and not isinstance(node, PreformattedString):
        return str(node).replace(LINE_BREAK, " ").translate(INVISIBLE)
    return ""


def leaf_text(root: Tag, block_break: str = " ") -> str:
    """All visible text under an element; `block_break` is put where a block begins or ends."""
    parts: list[str] = []
    stack: list[tuple[PageElement, bool]] = [(child, True) for child in reversed(root.contents)]
    while stack:
        node, entering = stack.pop()
        name = getattr(node, "name", None)
        if name is None or name in ("br", "img"):
            parts.append(inline_text(node))
        elif not (entering and hidden(node)):
            if is_block(node) and parts and not parts[-1].endswith(("\n", block_break)):
                parts.append(block_break)
            if entering:
                stack.append((node, False))
                stack += [(child, True) for child in reversed(node.contents)]
    return "".join(parts)
