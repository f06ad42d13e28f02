"""Rendering pages, cropping, and the order of boxes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.indexing.pdf_files import PdfPage, write_pdf
from vision.errors import PictureError
from vision.pages import crop, render_pdf_page
from vision.reading_order import reading_order

SIDE = st.floats(0, 1000)


@given(st.lists(st.tuples(SIDE, SIDE, st.floats(0, 300), st.floats(1, 20)), max_size=60))
def test_every_box_is_read_once(items: list[tuple[float, float, float, float]]) -> None:
    boxes = [(x, y, x + w, y + h) for x, y, w, h in items]
    assert sorted(reading_order(boxes)) == list(range(len(boxes)))


def test_columns_under_a_title_and_over_a_footer() -> None:
    title, footer = (0.0, 0.0, 500.0, 20.0), (0.0, 400.0, 500.0, 410.0)
    left = [(0.0, 40 + 30 * i, 230.0, 55 + 30 * i) for i in range(8)]
    right = [(270.0, 45 + 30 * i, 500.0, 60 + 30 * i) for i in range(8)]
    boxes = [footer, *right, *left, title]
    assert [boxes[i] for i in reading_order(boxes)] == [title, *left, *right, footer]


def test_three_columns() -> None:
    columns = [[(170.0 * c, 20.0 * i, 170 * c + 150, 20.0 * i + 12) for i in range(10)] for c in range(3)]
    boxes = [box for row in zip(*columns, strict=True) for box in row]
    assert [boxes[i] for i in reading_order(boxes)] == [box for column in columns for box in column]


def test_table_cells_are_read_by_rows() -> None:
    boxes = [(200.0 * c, 20.0 * r, 200 * c + 30, 20.0 * r + 12) for r in range(10) for c in range(3)]
    assert reading_order(boxes) == list(range(30))


def test_render_and_crop(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(write_pdf([PdfPage(content=b"1 0 0 rg 0 0 306 396 re f", rotate=90)]))
    image = render_pdf_page(path, 1, longest=400)
    assert image.size == (400, 310) or image.size == (400, 309)
    assert image.getpixel((10, 10)) == (255, 0, 0) and image.getpixel((390, 300)) == (255, 255, 255)
    with pytest.raises(PictureError, match="no page 2"):
        render_pdf_page(path, 2)


def test_crop_is_clipped_and_never_empty() -> None:
    image = Image.new("RGB", (100, 50))
    assert crop(image, (0.1, 0.2, 0.5, 0.6)).size == (40, 20)
    assert crop(image, (0.9, 0.9, 1.0, 1.0), margin=0.5).size == (60, 30)
    assert crop(image, (1.0, 1.0, 1.0, 1.0)).size == (1, 1)
