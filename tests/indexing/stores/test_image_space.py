"""Pictures in a space of their own: embedded once, found by a picture, replaced and forgotten with their documents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from indexing.build.run import build
from indexing.build.upkeep import remove
from indexing.build.verify import verify
from indexing.embedder import EmbedderError
from indexing.index import Index
from indexing.stores import ann
from indexing.stores.vector_spaces import IMAGE
from vision.encoder import open_image_embedder

SHAPES = {
    "disc": ("ellipse", "darkred"), "block": ("rectangle", "navy"), "frame": ("rectangle", None),
    "ring": ("ellipse", None),
}


def draw(path: Path, kind: str, colour: str | None) -> None:
    image = Image.new("RGB", (200, 150), "white")
    getattr(ImageDraw.Draw(image), kind)((30, 30, 170, 120), fill=colour, outline="black", width=6)
    image.save(path)


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    folder = tmp_path / "shapes"
    folder.mkdir()
    for name, (kind, colour) in SHAPES.items():
        draw(folder / f"{name}.png", kind, colour)
    return folder


def like(index: Path, path: Path, k: int = 2) -> list[str]:
    reader = Index(index)
    vector = open_image_embedder().encode_images([Image.open(path)])[0]
    hits = reader.nearest(vector, k, space=IMAGE)
    chunks = reader.chunks([row for row, _ in hits])
    return [Path(chunks[row].locator.document).stem for row, _ in hits]


def test_each_picture_is_nearest_to_itself(shapes: Path, tmp_path: Path) -> None:
    build([shapes], tmp_path / "index")
    for name in SHAPES:
        assert like(tmp_path / "index", shapes / f"{name}.png")[0] == name
    assert verify(tmp_path / "index") == []
    assert ann.newest(tmp_path / "index", "image") and ann.newest(tmp_path / "index", "text")


def test_a_picture_that_changes_is_found_by_what_it_shows_now(shapes: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build([shapes], index)
    draw(shapes / "disc.png", "rectangle", "gold")
    draw(tmp_path / "gold.png", "rectangle", "gold")
    assert build([shapes], index).changed == 1
    assert like(index, tmp_path / "gold.png")[0] == "disc"
    remove(index, f"{shapes}/disc.png")
    assert "disc" not in like(index, tmp_path / "gold.png", 10) and len(like(index, tmp_path / "gold.png", 10)) == 3
    assert verify(index) == []


def test_pictures_newer_than_the_faiss_file_are_searched_too(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    build([shapes], index)
    monkeypatch.setattr("indexing.build.run.update_ann", lambda store: None)  # as if killed before FAISS was written
    draw(shapes / "late.png", "rectangle", "orange")
    build([shapes], index)
    remove(index, f"{shapes}/disc.png")
    assert like(index, shapes / "late.png")[0] == "late" and "disc" not in like(index, shapes / "disc.png", 10)


def test_texts_alone_need_no_image_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("The wheel turns.")
    monkeypatch.setattr("vision.encoder.open_image_embedder", lambda *_, **__: pytest.fail("opened"))
    build([tmp_path / "a.txt"], tmp_path / "index")
    reader = Index(tmp_path / "index")
    assert reader.image_model == "" and reader.nearest(np.ones(384, np.float32), 5, space=IMAGE) == []


def test_an_image_model_that_cannot_be_had_is_a_note_and_the_embedded_one(shapes: Path, tmp_path: Path) -> None:
    summary = build([shapes], tmp_path / "index", image_model="ViT-B-32/no-such-weights")
    assert "ViT-B-32/no-such-weights" in summary.note and "folio-tower" in summary.note and summary.added == 4
    assert Index(tmp_path / "index").image_model == "folio-tower"
    with pytest.raises(EmbedderError, match="--image-model"):
        build([shapes], tmp_path / "index", image_model="ViT-L-14/openai")


def test_pictures_embedded_by_other_weights_are_refused(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build([shapes], tmp_path / "index")
    monkeypatch.setattr("vision.encoder._hash", lambda files: "another")
    draw(shapes / "late.png", "rectangle", "orange")
    with pytest.raises(EmbedderError, match="were embedded with"):
        build([shapes], tmp_path / "index")
