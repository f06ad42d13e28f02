"""EPUB books (zip containers): the chapters in the order of the spine, each read as HTML."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from indexing.loaders.archive import open_zip
from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.html import page
from indexing.loaders.images.inner_pictures import LIMIT_MB, InnerPictures, Resolve, from_data_url
from indexing.loaders.loader import Alive
from indexing.types import Document, LoadError

if TYPE_CHECKING:
    from lxml.etree import _Element

CONTAINER = "META-INF/container.xml"
FONT_OBFUSCATION = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


def load(path: Path, alive: Alive) -> Iterator[Document]:
    with open_zip(path, allow_dtd=True) as book:
        _refuse_protected(book)
        package_name = _first(_xml(book, CONTAINER), "rootfile").get("full-path", "")
        package = _xml(book, package_name)
        items = {item.get("id"): item for item in package.iter("{*}item")}
        builder, pictures = DocumentBuilder(), InnerPictures(alive)
        for reference in package.iter("{*}itemref"):
            item = items.get(reference.get("idref"))
            if item is None or not _is_chapter(item):
                continue
            name = posixpath.normpath(posixpath.join(posixpath.dirname(package_name), unquote(item.get("href", ""))))
            page.feed(builder, page.parse(_read(book, name)), alive, _inside(book, name), pictures)
            alive()
        title = next((node.text or "" for node in package.iter("{*}title")), "")
    yield builder.build(title=title, format="epub")


def _is_chapter(item: _Element) -> bool:
    """HTML, and not the table of contents."""
    return "html" in (item.get("media-type") or "") and "nav" not in (item.get("properties") or "").split()


def _inside(book: zipfile.ZipFile, chapter: str) -> Resolve:
    """Finds the pictures of a chapter inside the book."""

    def resolve(source: str) -> bytes | None:
        if source.startswith("data:"):
            return from_data_url(source)
        name = posixpath.normpath(posixpath.join(posixpath.dirname(chapter), unquote(source.partition("#")[0])))
        try:
            return book.read(name) if book.getinfo(name).file_size <= LIMIT_MB << 20 else None
        # a damaged picture must not cost the book
        except (KeyError, ValueError, RuntimeError, OSError, zipfile.BadZipFile, zlib.error):
            return None

    return resolve


def _refuse_protected(book: zipfile.ZipFile) -> None:
    if "META-INF/encryption.xml" not in book.namelist():
        return
    methods = [node.get("Algorithm", "") for node in _xml(book, "META-INF/encryption.xml").iter("{*}EncryptionMethod")]
    if any(method not in FONT_OBFUSCATION for method in methods):
        raise LoadError("protected book (DRM): its text cannot be read")


def _read(book: zipfile.ZipFile, name: str) -> bytes:
    try:
        return book.read(name)
    except KeyError as error:
        raise LoadError(f"not a readable EPUB: {posixpath.basename(name) or 'a part'} is missing") from error


def _xml(book: zipfile.ZipFile, name: str) -> _Element:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=False)
    try:
        return etree.fromstring(_read(book, name), parser)
    except etree.XMLSyntaxError as error:
        raise LoadError(f"not a readable EPUB: {posixpath.basename(name)} is no XML") from error


def _first(root: _Element, tag: str) -> _Element:
    found = next(root.iter("{*}" + tag), None)
    if found is None:
        raise LoadError(f"not a readable EPUB: no {tag}")
    return found
