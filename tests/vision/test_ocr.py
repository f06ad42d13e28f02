"""OCR: the words are right, their boxes lie on their ink, and the order is the reader's."""

from __future__ import annotations

import socket
import time

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from vision import ocr

FONT = ImageFont.load_default(30)


def drawn(size: tuple[int, int], *texts: tuple[int, int, str]) -> Image.Image:
    image = Image.new("RGB", size, "white")
    for x, y, text in texts:
        ImageDraw.Draw(image).text((x, y), text, fill="black", font=FONT)
    return image


def plain(lines: list) -> list[str]:
    return [" ".join(word for word, _, _ in line) for line in lines]


def test_word_boxes_lie_on_the_ink() -> None:
    words = [("alpha", 60), ("beta", 260), ("gamma", 430)]
    image = drawn((640, 200), *[(x, 80, text) for text, x in words])
    found = {word: box for line in ocr.read_lines(image) for word, box, _ in line}
    for text, x in words:
        x0, y0, x1, y1 = ImageDraw.Draw(image).textbbox((x, 80), text, font=FONT)
        assert np.abs(np.array(found[text]) * [640, 200, 640, 200] - [x0, y0, x1, y1]).max() < 16, text


def test_no_words_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("OCR must not use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    ocr._engine.cache_clear()
    assert ocr.read_lines(Image.new("RGB", (300, 200), "white")) == []
    assert plain(ocr.read_lines(drawn((400, 120), (40, 40, "offline")))) == ["offline"]


@pytest.mark.parametrize("size", [(1, 1), (7, 900), (3000, 9), (9, 3000), (30, 30)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    assert ocr.read_lines(Image.new("RGB", size, "gray")) == []


def test_columns_are_read_one_after_the_other() -> None:
    left = [(40, 60 + 45 * i, f"the words on the left of row {i}") for i in range(5)]
    right = [(620, 60 + 45 * i, f"the words on the right of row {i}") for i in range(5)]
    lines = plain(ocr.read_lines(drawn((1200, 330), *left, *right)))
    assert lines == [text for _, _, text in left + right]


def test_long_screenshots_are_read_in_pieces_at_full_size() -> None:
    texts = [(30, 40 + 400 * i, f"message {i}") for i in range(6)]
    image = drawn((400, 2400), *texts)
    lines = ocr.read_lines(image)
    assert plain(lines) == [text for _, _, text in texts]
    assert lines[5][0][1][1] == pytest.approx((45 + 400 * 5) / 2400, abs=0.005)


@pytest.mark.slow
def test_a_full_page_takes_seconds() -> None:
    page = drawn(
        (1240, 1754),
        *[(80, 60 + 42 * i, f"Line {i} of a letter about rivers and the stones in them") for i in range(38)],
    )
    ocr.read_lines(page)
    start = time.perf_counter()
    lines = ocr.read_lines(page)
    assert len(lines) == 38
    assert time.perf_counter() - start < 15  # about 2 s on two idle cores; the limit is for a busy machine


@pytest.mark.parametrize("angle", [90, -90])
def test_a_line_that_is_written_upwards_or_downwards_is_read(angle: int) -> None:
    label = drawn((420, 44), (10, 4, "Visitors, thousands")).rotate(angle, expand=True)
    image = drawn((600, 500), (200, 60, "First row"), (200, 240, "Second row"), (200, 420, "Third row"))
    image.paste(label, (20, 30))
    lines = ocr.read_lines(image)
    assert plain(lines) == ["First row", "Second row", "Third row", "Visitors, thousands"]
    first, second = (box for _, box, _ in lines[-1])
    assert all(box[2] < 0.15 for box in (first, second))  # in their column
    assert (first[1] > second[1]) == (angle == 90)  # from the bottom up, or down
