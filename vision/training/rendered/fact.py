"""What a page states, how people ask for it, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass

from vision.training.rendered.sheet import Sheet


@dataclass(frozen=True, slots=True)
class Fact:
    """asked: its name; keys: (name, text) of what tells it from others of this name; value: the run that says it; own: the runs that go
    when it is taken from the page; questions: that it answers, none where `asked` and `keys` are enough to ask it.
    """

    asked: str
    value: int
    own: tuple[int, ...]
    keys: tuple[tuple[str, str], ...] = ()
    questions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rendered:
    """title: what a file of it might be called."""

    title: str
    sheet: Sheet
    facts: tuple[Fact, ...]
