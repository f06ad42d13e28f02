"""A file -> Documents. `load` picks the loader by content, then suffix. Importing this loads no parsing library.

A folder for each family of formats. The table of loaders is registry.py; docs/adding-a-loader.md says how to add one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from indexing.loaders.detect import detect
from indexing.loaders.loader import Alive, Loader
from indexing.loaders.registry import BY_NAME, BY_SUFFIX, LOADERS, is_picture, is_supported
from indexing.types import Document, LoadError

__all__ = ["LOADERS", "is_picture", "is_supported", "load"]


def load(path: Path, alive: Alive = lambda: None) -> Iterator[Document]:
    """The documents of a file, lazily. Raises LoadError, and nothing else, for what a file can have wrong.

    `alive()` is called during long work, at least once a page or a thousand rows.
    """
    try:
        if path.stat().st_size == 0:
            raise LoadError("empty file")
        suffixed = BY_SUFFIX.get(path.suffix.lower())
        loader = BY_NAME[detect(path, suffixed.name if suffixed else None)]
    except OSError as error:
        raise LoadError(_reason(error)) from error
    return _guarded(loader, path, alive)


def _guarded(loader: Loader, path: Path, alive: Alive) -> Iterator[Document]:
    try:
        yield from loader.load(path, alive)
    except LoadError:
        raise
    except OSError as error:
        raise LoadError(_reason(error)) from error
    except MemoryError as error:
        raise LoadError("too large for this machine's memory") from error
    except Exception as error:
        # The one broad catch of this room. The parsers of Office files, mail, notebooks and XML raise nearly anything
        # on damaged input (KeyError, AttributeError, AssertionError, struct.error, ...), and one file must not stop
        # the reading of a library. The cause stays attached.
        raise LoadError(f"not a readable {loader.name} file: {_short(error)}") from error


def _reason(error: OSError) -> str:
    return error.strerror or _short(error)


def _short(error: Exception) -> str:
    first = next(iter(str(error).splitlines()), "").strip()[:120]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
