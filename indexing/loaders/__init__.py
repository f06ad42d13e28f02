"""Files to Documents: `load` picks the loader by content, then suffix. Importing this loads no parsing library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from indexing.loaders.data import delimited, json_document, jsonl
from indexing.loaders.detect import detect
from indexing.loaders.html import epub, page
from indexing.loaders.images import drawing, picture_file
from indexing.loaders.mail import message
from indexing.loaders.office import docx, pptx, xlsx
from indexing.loaders.pdf import pdf_document
from indexing.loaders.registry import Alive, Loader
from indexing.loaders.text import markdown, notebook, plain, rst
from indexing.loaders.text.decode import head, looks_like_text
from indexing.types import Document, LoadError

CODE = (
    ".py .pyi .js .mjs .cjs .jsx .ts .tsx .c .h .cc .cpp .cxx .hpp .hh .cs .java .kt .scala .go .rs .rb .php .pl "
    ".lua .r .jl .swift .m .sh .bash .zsh .fish .ps1 .bat .sql .toml .yaml .yml .ini .cfg .conf .env .properties "
    ".css .scss .less .xml .proto .graphql .cmake .mk .gradle .dockerfile .tf .vue .svelte .hs .ml .ex .exs .erl "
    ".clj .lisp .el .vim .zig"
)
LOADERS = (
    Loader("text", (".txt", ".text", ".log", ".tex", ".bib", ".org", ".srt", ".vtt", ".adoc"), plain.load_text),
    Loader("code", tuple(CODE.split()), plain.load_code),
    Loader("markdown", (".md", ".markdown", ".mdx", ".mkd", ".qmd", ".rmd"), markdown.load),
    Loader("rst", (".rst", ".rest"), rst.load),
    Loader("html", (".html", ".htm", ".xhtml"), page.load),
    Loader("pdf", (".pdf",), pdf_document.load),
    Loader("docx", (".docx", ".docm"), docx.load),
    Loader("pptx", (".pptx", ".pptm", ".ppsx"), pptx.load),
    Loader("xlsx", (".xlsx", ".xlsm"), xlsx.load),
    Loader("csv", (".csv", ".tsv", ".tab"), delimited.load),
    Loader("json", (".json", ".geojson"), json_document.load),
    Loader("jsonl", (".jsonl", ".ndjson"), jsonl.load),
    Loader("ipynb", (".ipynb",), notebook.load),
    Loader("eml", (".eml",), message.load),
    Loader("epub", (".epub",), epub.load),
    Loader("image", (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif", ".bmp"), picture_file.load),
    Loader("svg", (".svg",), drawing.load),
)
BY_NAME = {loader.name: loader for loader in LOADERS}
BY_SUFFIX = {suffix: loader for loader in LOADERS for suffix in loader.suffixes}
# Text to the eye of a program only: source maps, lock files, undo data.
PASSED_OVER = (".map", ".lock", ".min.js", ".min.css", ".pem", ".key", ".part", ".crdownload", ".swp")
__all__ = ["LOADERS", "Alive", "Loader", "is_picture", "is_supported", "load"]


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


def is_supported(path: Path) -> bool:
    """Whether a walk through folders should load this file. Cheap: the suffix, else a look at its first bytes."""
    name = path.name.lower()
    if name.endswith(PASSED_OVER):
        return False
    if path.suffix.lower() in BY_SUFFIX:
        return True
    try:
        start = head(path, 4096)
    except OSError:
        return False
    return bool(start) and looks_like_text(start)


def is_picture(path: str | os.PathLike[str]) -> bool:
    return BY_SUFFIX.get(Path(path).suffix.lower()) in (BY_NAME["image"], BY_NAME["svg"])


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
