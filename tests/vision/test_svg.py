from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vision import svg
from vision.errors import PictureError

OPEN = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 40 20">'
RED = '<rect width="20" height="20" fill="red"/>'


def pixels(body: str, head: str = "") -> np.ndarray:
    return np.asarray(svg.rendered(f"{head}{OPEN}{body}</svg>".encode(), 80))


def test_a_drawing_fills_its_longest_side_and_keeps_what_is_clear() -> None:
    drawn = pixels(RED)
    assert drawn.shape == (40, 80, 4)
    assert drawn[20, 10].tolist() == [255, 0, 0, 255] and drawn[20, 70, 3] == 0


def test_other_files_are_never_loaded(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (40, 20), "blue").save(tmp_path / "secret.png")
    for reference in (f"{tmp_path}/secret.png", f"file://{tmp_path}/secret.png", "http://127.0.0.1:9/x.png"):
        for attribute in ("href", "xlink:href"):
            assert not pixels(f'<image {attribute}="{reference}" width="40" height="20"/>').any()
    secret = tmp_path / "secret.txt"
    secret.write_text("the password is swordfish")
    head = f'<!DOCTYPE svg [<!ENTITY leak SYSTEM "file://{secret}">]>'
    assert svg.words(f"{head}{OPEN}<text>&leak; tide</text></svg>".encode()) == ["tide"]


def test_nothing_runs() -> None:
    assert pixels(f"<script>alert(1)</script>{RED}")[20, 10].tolist() == [255, 0, 0, 255]
    body = "<script>var a = 1;</script><title>A wheel</title><text>left <tspan>arm</tspan></text>"
    assert svg.words(f"{OPEN}{body}</svg>".encode()) == ["A wheel", "left arm"]


@pytest.mark.parametrize(
    "markup", [b"", b"<svg", b"<html/>", b"not xml", b'<!DOCTYPE a [<!ENTITY b "c">]><html>&b;</html>']
)
def test_what_is_no_drawing_is_a_line(markup: bytes) -> None:
    with pytest.raises(PictureError):
        svg.rendered(markup, 80)


def test_entities_that_grow_are_refused() -> None:
    grows = "".join(f'<!ENTITY e{at} "{f"&e{at - 1};" * 10 if at else "x" * 1000}">' for at in range(9))
    with pytest.raises(PictureError):
        svg.words(f"<!DOCTYPE svg [{grows}]>{OPEN}<text>&e8; tide</text></svg>".encode())


@pytest.mark.parametrize(
    "size", ['width="210mm" height="105mm"', 'width="8in" height="4in"', 'width="40" height="20"', ""]
)
def test_sizes_in_any_unit(size: str) -> None:
    markup = f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 210 105">{RED}</svg>'
    drawn = svg.rendered(markup.encode(), 84)
    assert drawn.size == (84, 42)
