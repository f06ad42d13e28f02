"""Opening pictures: every mode comes out as upright RGB on white; what is unsafe is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vision import images
from vision.errors import PictureError

RED = (255, 0, 0)


@pytest.mark.parametrize(
    ("mode", "suffix", "color", "expected"),
    [
        ("RGB", ".png", RED, RED),
        ("RGBA", ".png", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", ".webp", (255, 0, 0, 255), RED),
        ("LA", ".png", (0, 128), (127, 127, 127)),
        ("L", ".bmp", 100, (100, 100, 100)),
        ("1", ".tif", 1, (255, 255, 255)),
        ("I;16", ".png", 32768, (127, 127, 127)),
        ("I;16", ".tif", 65535, (255, 255, 255)),
        ("F", ".tif", 1.0, (255, 255, 255)),
        ("CMYK", ".jpg", (0, 0, 0, 0), (255, 255, 255)),
        ("CMYK", ".tif", (0, 255, 255, 0), RED),
    ],
)
def test_modes(tmp_path: Path, mode: str, suffix: str, color: object, expected: tuple[int, int, int]) -> None:
    path = tmp_path / f"a{suffix}"
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.new(mode, (8, 8), color).save(path, **options)
    image = images.first_frame(path)
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image).astype(int) - expected).max() <= 2


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 255, 0, 0] + [0] * 762)
    image.save(tmp_path / "a.gif", transparency=1)
    assert images.first_frame(tmp_path / "a.gif").getpixel((0, 0)) == (255, 255, 255)


def test_exif_orientation(tmp_path: Path) -> None:
    image = Image.new("RGB", (20, 10), "white")
    image.paste("black", (0, 0, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    image.save(tmp_path / "a.png", exif=exif)
    upright = images.first_frame(tmp_path / "a.png")
    assert upright.size == (10, 20)
    assert upright.getpixel((5, 2)) == (0, 0, 0) and upright.getpixel((5, 17)) == (255, 255, 255)


def test_first_frame_of_an_animation_and_all_pages_of_a_tiff(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (9, 9), RED), Image.new("RGB", (9, 9), "blue")
    for suffix, count in ((".gif", 1), (".webp", 1), (".tif", 2)):
        path = tmp_path / f"a{suffix}"
        first.save(path, save_all=True, append_images=[second])
        assert len(list(images.frames(path))) == count, suffix


@pytest.mark.parametrize("size", [(30_001, 1), (20_000, 6_001)])
def test_pictures_too_large_are_refused_unpacked(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("1", size).save(tmp_path / "a.png")
    with pytest.raises(PictureError, match="over the limit"):
        images.first_frame(tmp_path / "a.png")


def test_not_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"words")
    with pytest.raises(PictureError, match="not a readable picture"):
        images.first_frame(tmp_path / "a.png")


def test_encode_bounds_the_longest_side() -> None:
    import io

    data = images.encode(Image.new("RGB", (4000, 10)), 256)
    assert Image.open(io.BytesIO(data)).format == "WEBP" and Image.open(io.BytesIO(data)).size == (256, 1)
