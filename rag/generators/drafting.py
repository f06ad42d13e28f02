"""From the text of a language model to a Draft: what it thought aloud is dropped, what it cites is checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rag.citations import grounded_share, markers, resolve, without_markers
from rag.generators.protocol import ABSTENTION
from rag.types import Context, Draft

_OPEN, _CLOSE = "<think>", "</think>"


def draft(question: str, text: str, context: Context, **details: Any) -> Draft:
    """The Draft of a generated text.

    A text without one valid citation is an abstention: no span of the evidence can be shown for it, and an answer that
    looks like the others but stands on nothing is what Folio exists to prevent. The same holds for the abstention
    sentence itself, whatever follows it. `details["reply"]` keeps what the model said.

    The confidence is the share of the answer's content words that stand in the cited quotes (`grounded_share`).
    """
    text = text.strip()
    found = markers(text, len(context.evidence))
    details["refused_markers"] = sum(not marker.indices for marker in found)
    supports = () if is_abstention(text) else resolve(text, context, question)
    if not supports:
        details["reply"] = text
        return Draft(ABSTENTION, (), 0.0, abstained=True, details=details)
    return Draft(text, supports, grounded_share(text, context, supports, question), abstained=False, details=details)


def is_abstention(text: str) -> bool:
    """Whether a text is, or begins with, the abstention sentence; case, quotation marks and markers do not count."""
    return _plain(without_markers(text)).startswith(_plain(ABSTENTION)) or not text.strip()


def without_thinking(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces of a text without a leading <think>...</think>, which some models write before their answer."""
    held = ""
    thinking: bool | None = None  # None until the first characters tell
    for piece in pieces:
        if thinking is False:
            yield piece
            continue
        held += piece
        if thinking is None:
            start = held.lstrip()
            if len(start) < len(_OPEN) and _OPEN.startswith(start):
                continue
            thinking = start.startswith(_OPEN)
        if thinking and _CLOSE in held:
            held = held.split(_CLOSE, 1)[1].lstrip()
            thinking = False if held else None
        if thinking is False and held:
            yield held
            held = ""
    if thinking is None and held:
        yield held


def _plain(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
