"""How the memory encoder is cut."""

from __future__ import annotations

from typing import NamedTuple


class Layers(NamedTuple):
    """The first `cached` layers see a text alone; after `looked` layers it is decided whether to read on. Both are counted from the first; where
    they are the same, all is read.
    """

    cached: int
    looked: int
