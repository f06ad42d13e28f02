"""English word lists and patterns, read from a TOML file: `rag/words.toml`, `rag/lookups/words.toml`.

In: the path of such a file. Out: its tables, and regular expressions made from lists of words. Knows no list by name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def read_lists(path: Path) -> dict[str, Any]:
    """The tables of a word file, which is part of the program: one that is missing or malformed is not caught."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def any_of(words: Iterable[str]) -> re.Pattern[str]:
    """Matches any of the words as a whole word, without regard to case. words: regular expressions."""
    return re.compile(rf"\b({'|'.join(words)})\b", re.IGNORECASE)
