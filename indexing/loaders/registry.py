"""The table of loaders: a new format is a line here. Importing this loads no parsing library."""

from __future__ import annotations

import os
from pathlib import Path

from indexing.loaders.data import delimited, json_document, jsonl
from indexing.loaders.decode import head, looks_like_text
from indexing.loaders.html import epub, page
from indexing.loaders.images import drawing, picture_file
from indexing.loaders.loader import Loader
from indexing.loaders.mail import message
from indexing.loaders.office import docx, pptx, xlsx
from indexing.loaders.pdf import pdf_document
from indexing.loaders.text import markdown, notebook, plain, rst

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
BY_SUFFIX = {suffix: loader for loader in LOADERS for suffix in loader.suffixes}  # a suffix belongs to one loader
# Text that only programs read: source maps, lock files, keys, unfinished downloads, undo data.
SKIPPED = (".map", ".lock", ".min.js", ".min.css", ".pem", ".key", ".part", ".crdownload", ".swp")


def is_supported(path: Path) -> bool:
    """Whether a walk through folders should load this file. Cheap: the suffix, else a look at its first bytes."""
    name = path.name.lower()
    if name.endswith(SKIPPED):
        return False
    if path.suffix.lower() in BY_SUFFIX:
        return True
    try:
        start = head(path, 4096)
    except OSError:
        return False
    return bool(start) and looks_like_text(start)


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Whether the suffix is that of a picture or drawing."""
    return BY_SUFFIX.get(Path(path).suffix.lower()) in (BY_NAME["image"], BY_NAME["svg"])
