"""The door: choosing a loader, refusing files in one clear line, and never failing in any other way."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexing.loaders import LOADERS, is_supported, load
from indexing.types import LoadError
from tests.indexing.checks import check, parts
from tests.indexing.pdf_files import PdfPage, write_pdf


def docx_bytes() -> bytes:
    import docx

    file, buffer = docx.Document(), io.BytesIO()
    file.add_heading("Head", 1)
    file.add_table(2, 2).cell(0, 0).text = "cell"
    file.save(buffer)
    return buffer.getvalue()


def pptx_bytes() -> bytes:
    from pptx import Presentation

    deck, buffer = Presentation(), io.BytesIO()
    deck.slides.add_slide(deck.slide_layouts[0]).shapes.title.text = "Head"
    deck.save(buffer)
    return buffer.getvalue()


def xlsx_bytes() -> bytes:
    from openpyxl import Workbook

    book, buffer = Workbook(), io.BytesIO()
    book.active.append(["a", "b"])
    book.save(buffer)
    return buffer.getvalue()


def picture_bytes(kind: str) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


SAMPLES: dict[str, Callable[[], bytes]] = {
    ".docx": docx_bytes,
    ".pptx": pptx_bytes,
    ".xlsx": xlsx_bytes,
    ".pdf": lambda: write_pdf([PdfPage([(72, 700, 12, "some words on a page")])]),
    ".png": lambda: picture_bytes("PNG"),
    ".jpg": lambda: picture_bytes("JPEG"),
    ".webp": lambda: picture_bytes("WEBP"),
    ".tif": lambda: picture_bytes("TIFF"),
    ".gif": lambda: picture_bytes("GIF"),
    ".bmp": lambda: picture_bytes("BMP"),
    ".html": lambda: b"<html><body><table><tr><th>a<th>b<tr><td>1<td>2</table></body></html>",
    ".eml": lambda: b"From: a@b.c\r\nSubject: s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n",
    ".ipynb": lambda: (
        b'{"cells":[{"cell_type":"code","source":"1","outputs":[],"metadata":{}}],"metadata":{},'
        b'"nbformat":4,"nbformat_minor":2}'
    ),
    ".json": lambda: b'{"a": [1, {"b": "c"}]}',
    ".jsonl": lambda: b'{"_id": "1", "text": "t"}\n{"k": 2}\n',
    ".csv": lambda: b"a,b\n1,2\n",
    ".md": lambda: b"# a\n\nb\n\n|a|b|\n|-|-|\n|1|2|\n",
    ".rst": lambda: b"A\n=\n\nb\n\n* c\n",
    ".txt": lambda: b"a\n\nb\n",
    ".py": lambda: b"a = 1\n",
}
PICTURES = (".png", ".jpg", ".webp", ".tif", ".gif", ".bmp")
TOLD_BY_CONTENT = (".docx", ".pptx", ".xlsx", ".pdf", *PICTURES, ".html", ".eml")


@pytest.fixture(scope="module")
def samples() -> dict[str, bytes]:
    return {suffix: make() for suffix, make in SAMPLES.items()}


@pytest.mark.parametrize("suffix", SAMPLES)
def test_every_sample_loads_whole(tmp_path: Path, samples: dict[str, bytes], suffix: str) -> None:
    path = tmp_path / f"my-file_1{suffix}"
    path.write_bytes(samples[suffix])
    for document in load(path):
        check(document)
        assert document.format in {loader.name for loader in LOADERS}


@pytest.mark.parametrize("suffix", TOLD_BY_CONTENT)
def test_content_beats_the_suffix(tmp_path: Path, samples: dict[str, bytes], suffix: str) -> None:
    right, wrong = tmp_path / f"a{suffix}", tmp_path / ("a.docx" if suffix != ".docx" else "a.pdf")
    right.write_bytes(samples[suffix])
    expected = [(d.format, d.text) for d in load(right)]
    wrong.write_bytes(samples[suffix] if suffix != ".eml" else b"To: x@y.z\r\n" + samples[suffix])
    assert [d.format for d in load(wrong)] == [f for f, _ in expected]


def test_unknown_suffixes_are_read_as_text_where_they_are_text(tmp_path: Path) -> None:
    path = tmp_path / "NOTES"
    path.write_text("one\n\ntwo")
    (document,) = load(path)
    assert (document.format, parts(document)) == ("text", ["one", "two"])


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt", b"", "^empty file$"),
        ("a.pdf", b"", "^empty file$"),
        ("a.docx", b"just words, no archive", "not a readable docx"),
        ("a.png", b"just words, no picture", "not a readable picture"),
        ("a.xyz", bytes(range(256)), "unknown format"),
        ("a.rtf", rb"{\rtf1\ansi hello}", "save it as docx or PDF"),
        ("a.docx", b"PK\x03\x04 and nothing more", "damaged zip container"),
        ("a.eml", b"no headers at all\n", "not a mail message"),
        ("a.ipynb", b"{}", "not a readable notebook|not a readable ipynb"),
    ],
)
def test_refusals_are_one_clear_line_without_the_path(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(LoadError, match=reason) as caught:
        list(load(path))
    assert str(tmp_path) not in str(caught.value) and "\n" not in str(caught.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(LoadError):
            list(load(path))
    assert not is_supported(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a.txt", "text of 2147 MB, over the limit of 200 MB"), ("a.csv", "binary"), ("a.pdf", "not a readable PDF")],
)
def test_huge_sparse_files_are_refused_at_once(tmp_path: Path, name: str, reason: str) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(2147 << 20)
    with pytest.raises(LoadError, match=reason):
        list(load(path))


def test_is_supported(tmp_path: Path) -> None:
    for name, data in {
        "a.exe": b"MZ\x00\x01",
        "b": b"\x7fELF\0\0",
        "d.zip": b"PK\x03\x04\0",
        "e.swp": b"text",
    }.items():
        (tmp_path / name).write_bytes(data)
        assert not is_supported(tmp_path / name), name
    for name, data in {"README": b"words", "f.PDF": b"", "c.svg": b"<svg/>", "g.weird": "größe".encode()}.items():
        (tmp_path / name).write_bytes(data)
        assert is_supported(tmp_path / name), name


def test_importing_the_loaders_loads_no_parser() -> None:
    heavy = [
        "numpy",
        "PIL",
        "lxml",
        "pypdfium2",
        "bs4",
        "docx",
        "pptx",
        "openpyxl",
        "markdown_it",
        "docutils",
        "nbformat",
        "rapidocr",
        "torch",
    ]
    code = f"import sys, indexing.loaders; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


FUZZ = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def only_load_error(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        for document in load(path):
            check(document)
    except LoadError as error:
        assert str(error) and "\n" not in str(error)


@pytest.mark.parametrize("suffix", SAMPLES)
@FUZZ
@given(cut=st.floats(0, 1), places=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8))
def test_damaged_files_raise_nothing_else(
    tmp_path: Path, samples: dict[str, bytes], suffix: str, cut: float, places: list
) -> None:
    data = bytearray(samples[suffix])
    for place, value in places:
        data[int(place * len(data))] = value
    only_load_error(tmp_path / f"a{suffix}", bytes(data[: max(1, int(cut * len(data)) if not places else len(data))]))


@pytest.mark.parametrize("suffix", SAMPLES)
@FUZZ
@given(
    data=st.binary(min_size=1, max_size=200)
    | st.text(min_size=1, max_size=80).map(lambda s: s.encode("utf-8", "surrogatepass"))
)
def test_random_bytes_raise_nothing_else(tmp_path: Path, suffix: str, data: bytes) -> None:
    only_load_error(tmp_path / f"a{suffix}", data)
