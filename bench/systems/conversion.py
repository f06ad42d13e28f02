"""How far what Folio makes of other families' checkpoints is from transformers' own classes, with random weights."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.systems.common import Row
from models.systems.random_checkpoints import (
    FAMILIES,
    decoder_difference,
    mllama_difference,
    randomised,
    save_clip,
    save_siglip,
    tower_difference,
)
from vision.encoder import open_image_embedder

TOWERS = {"clip": save_clip, "siglip": save_siglip}


def measure(_: Path) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        for family, make in FAMILIES.items():
            difference = decoder_difference(randomised(make), Path(name) / family)
            yield Row("real checkpoints", family, {"largest difference of logits": difference})
        difference = mllama_difference(Path(name) / "mllama")
        yield Row("real checkpoints", "mllama, its cross layers too", {"largest difference of logits": difference})
        for family, save in TOWERS.items():
            (folder := Path(name) / family).mkdir()
            checkpoint = save(folder)
            difference = tower_difference(open_image_embedder(str(folder)), *checkpoint)
            yield Row("real checkpoints", family, {"largest difference of vectors": difference})
