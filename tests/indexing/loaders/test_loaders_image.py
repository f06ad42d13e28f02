"""Pictures as documents: words with boxes, previews, pages of a TIFF, and refusals."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from indexing.loaders import load
from indexing.types import LoadError, Modality
from tests.indexing.checks import check


def written(text: str, size: tuple[int, int] = (640, 120)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((40, 40), text, fill="black", font=ImageFont.load_default(40))
    return image


def test_a_picture_with_words(tmp_path: Path) -> None:
    path = tmp_path / "road-sign_3.png"
    written("Harbour 12 miles").save(path)
    (document,) = load(path)
    check(document)
    assert (document.text, document.title, document.modality) == ("Harbour 12 miles", "road sign 3", Modality.IMAGE)
    page = document.pages[0]
    assert (page.width, page.height) == (640, 120)
    assert page.words.boxes[0][0] == pytest.approx(40 / 640, abs=0.02)
    assert page.words.confidence.min() > 0.8


def test_a_picture_without_words_keeps_its_preview(tmp_path: Path) -> None:
    path = tmp_path / "sea.jpg"
    Image.linear_gradient("L").resize((2000, 1000)).save(path)
    (document,) = load(path)
    check(document)
    assert (document.text, document.blocks) == ("", ())
    (picture,) = document.pictures
    assert (picture.page, picture.width, picture.height) == (1, 2000, 1000)
    assert Image.open(io.BytesIO(picture.preview)).size == (1280, 640)
    assert Image.open(io.BytesIO(picture.thumbnail)).size == (256, 128)


def test_every_page_of_a_tiff(tmp_path: Path) -> None:
    path = tmp_path / "fax.tif"
    written("first page").save(path, save_all=True, append_images=[written("second page")])
    (document,) = load(path)
    check(document)
    assert document.text == "first page\n\nsecond page"
    assert [page.number for page in document.pages] == [picture.page for picture in document.pictures] == [1, 2]


def test_a_truncated_picture(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    written("cut").save(buffer, "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(LoadError, match="damaged or truncated"):
        list(load(path))


def test_a_picture_of_one_pixel(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    (document,) = load(tmp_path / "dot.png")
    assert document.text == "" and document.pictures[0].width == 1


def test_what_ocr_only_guesses_is_no_text_but_a_picture(tmp_path: Path) -> None:
    """A page too blurred to read, as a picture and in a PDF: its wrong words would be found and quoted."""
    import numpy as np
    from PIL import ImageFilter

    from vision.training.rendered.sheet import Sheet

    sheet = Sheet(900, 420, "serif")
    for number in range(5):
        sheet.write("The sluice keeper wrote in the ledger that the north gate", 40, 40 + 48 * number, 20)
    clear = sheet.picture()
    noise = np.random.default_rng(1).normal(0, 25, (420, 900, 1))
    soft = np.asarray(clear.filter(ImageFilter.GaussianBlur(2.4)))
    blurred = Image.fromarray(np.clip(soft + noise, 0, 255).astype(np.uint8))
    for image, legible in ((clear, True), (blurred, False)):
        for name in ("page.png", "page.pdf"):
            image.save(tmp_path / name)
            [document] = load(tmp_path / name)
            assert ("sluice keeper" in document.text) == legible and bool(document.text.strip()) == legible
            if not legible:
                [picture] = document.pictures
                assert picture.thumbnail
