"""Pictures and pages in a worker process: whatever a file does there, the caller gets a picture or one line."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexing import picture_worker
from indexing.picture_worker import Open, open_picture, pdf_page_webp, words_on
from tests.indexing.pdf_files import PdfPage, write_pdf
from vision.errors import PictureError
from vision.images import PREVIEW, encode
from vision.pages import render_pdf_page

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">'


def crashing() -> str:
    """A drawing that overflows the renderer's stack, though its elements are not deep: each draws the one before."""
    steps = "".join(f'<g id="a{i + 1}"><use href="#a{i}"/></g>' for i in range(300))
    return f'{HEAD}<defs><rect id="a0" width="9" height="9"/>{steps}</defs><use href="#a300"/></svg>'


def endless() -> str:
    """A drawing that is one blur over another, for minutes."""
    blurs = '<feGaussianBlur stdDeviation="3"/>' * 300
    drawn = '<g filter="url(#f)"><rect width="9" height="9" fill="red"/></g>' * 300
    return f'{HEAD}<filter id="f" x="0" y="0" width="1" height="1">{blurs}</filter>{drawn}</svg>'


def test_pictures_and_pages_are_those_of_the_same_process(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for source in (tmp_path / "a.png", (tmp_path / "a.png").read_bytes()):
        assert np.array_equal(np.asarray(open_picture(source)), pixels)
    assert words_on(open_picture(tmp_path / "a.png")) == []
    (tmp_path / "a.pdf").write_bytes(write_pdf([PdfPage(content=b"1 0 0 rg 0 0 306 396 re f")]))
    page = render_pdf_page(tmp_path / "a.pdf", 1, longest=PREVIEW)
    assert pdf_page_webp(tmp_path / "a.pdf", 0.0, 1) == (encode(page, PREVIEW), *page.size)
    with pytest.raises(PictureError, match="no page 2: the PDF has 1"):
        pdf_page_webp(tmp_path / "a.pdf", 0.0, 2)


def test_a_crash_costs_one_picture(tmp_path: Path) -> None:
    (tmp_path / "deep.svg").write_text(HEAD + "<g>" * 250 + '<rect width="9" height="9"/>' + "</g>" * 250 + "</svg>")
    with pytest.raises(PictureError, match="more than 100 elements in each other"):
        open_picture(tmp_path / "deep.svg")
    (tmp_path / "chain.svg").write_text(crashing())
    with pytest.raises(PictureError, match="crashed") as caught:
        open_picture(tmp_path / "chain.svg")
    assert "\n" not in str(caught.value)
    (tmp_path / "sound.svg").write_text(f'{HEAD}<rect width="10" height="10" fill="red"/></svg>')
    assert open_picture(tmp_path / "sound.svg").getpixel((5, 5)) == (255, 0, 0)


def test_a_picture_has_a_budget_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "endless.svg").write_text(endless())
    started = time.monotonic()
    with pytest.raises(PictureError, match=r"crashed|too long"):
        picture_worker._pool.run(Open(str(tmp_path / "endless.svg"), seconds=2))
    os.mkfifo(tmp_path / "pipe.png")  # which nobody writes to
    monkeypatch.setattr(picture_worker, "PATIENCE", 2)
    with pytest.raises(PictureError, match="too long"):
        picture_worker._pool.run(Open(str(tmp_path / "pipe.png"), seconds=1))
    assert time.monotonic() - started < 30
