"""python -m vision.training.prepare DATA PREPARED: pictures and embedded texts as memory-mapped arrays, for vision.training.train and vision.training.evaluate."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from models.common import command_line
from models.common.errors import DataError

SIDE = 128  # pixels: more than the tower sees, so that a part can be looked at


@dataclass(frozen=True, slots=True)
class Prepared:
    """pictures (n, SIDE, SIDE, 4) uint8 RGBA; texts (m, d) float16, unit length; texts of picture i: first[i]:first[i+1]."""

    pictures: np.ndarray
    texts: np.ndarray
    first: np.ndarray
    about: list[dict]  # of each picture: name, kind, split, texts

    @classmethod
    def open(cls, folder: Path) -> Prepared:
        """Raises DataError."""
        try:
            about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
            arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("pictures", "texts", "first")]
        except (OSError, ValueError) as error:
            raise DataError(f"{folder} holds no prepared pictures ({error}): run python -m vision.training.prepare") from error
        return cls(*arrays, about)

    def chosen(self, split: str, *kinds: str) -> np.ndarray:
        """Numbers of the pictures of a split, of these kinds or of any."""
        return np.array([at for at, one in enumerate(self.about) if one["split"] == split and (not kinds or one["kind"] in kinds)])


def prepare(data: Path, out: Path) -> None:
    from models.common.minilm import MiniLM
    from vision.tower_input import square
    from vision.training.image_text_pairs import pairs

    out.mkdir(parents=True, exist_ok=True)
    about, squares, first = [], [], [0]
    for pair in tqdm(pairs(data), desc="pictures", disable=None):
        if pair.texts:
            squares.append(np.asarray(square(pair.image, SIDE)))
            about.append({"name": pair.name, "kind": pair.kind, "split": pair.split, "texts": pair.texts})
            first.append(first[-1] + len(pair.texts))
    if not about:
        raise DataError(f"no pictures below {data / 'images'}")
    texts = [text for one in about for text in one["texts"]]
    different = list(dict.fromkeys(texts))
    embedder, vectors = MiniLM(), {}
    for at in tqdm(range(0, len(different), 512), desc="texts", disable=None):
        vectors.update(zip(different[at : at + 512], embedder.encode_documents(different[at : at + 512]).astype(np.float16), strict=True))
    np.save(out / "pictures.npy", np.stack(squares))
    np.save(out / "texts.npy", np.stack([vectors[text] for text in texts]))
    np.save(out / "first.npy", np.array(first))
    (out / "about.json").write_text(json.dumps(about), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m vision.training.prepare", description=__doc__.splitlines()[0].partition(": ")[2])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    prepare(options.data, options.out)


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
