"""Write images and embedded texts as arrays, which training and evaluation read memory-mapped.

    python -m vision.training.prepare DATA PREPARED
"""

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

SIDE = 128  # pixels; more than the tower's input, so that augmentation can zoom in
TEXTS = 512  # embedded at once


@dataclass(frozen=True, slots=True)
class Prepared:
    """The arrays: pictures (n, SIDE, SIDE, 4) uint8 RGBA; texts (m, d) float16, unit length.

    The texts of picture i are texts[first[i]:first[i + 1]].
    """

    pictures: np.ndarray
    texts: np.ndarray
    first: np.ndarray
    about: list[dict]  # per picture: name, kind, split, texts, as of vision.training.image_text_pairs.Pair

    @classmethod
    def open(cls, folder: Path) -> Prepared:
        """The arrays of a folder that `prepare` wrote. Raises DataError."""
        try:
            about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
            arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("pictures", "texts", "first")]
        except (OSError, ValueError) as error:
            remedy = "run python -m vision.training.prepare"
            raise DataError(f"{folder} holds no prepared pictures ({error}): {remedy}") from error
        return cls(*arrays, about)

    def chosen(self, split: str, *kinds: str) -> np.ndarray:
        """Indices of the pictures of a split, of these kinds or of any."""
        of_split = [at for at, one in enumerate(self.about) if one["split"] == split]
        return np.array([at for at in of_split if not kinds or self.about[at]["kind"] in kinds])


def prepare(data: Path, out: Path) -> None:
    """data: the folder of question sets and pictures; out: where the arrays are written. Raises DataError."""
    from models.common.minilm import MiniLM
    from vision.tower_input import square
    from vision.training.image_text_pairs import pairs

    out.mkdir(parents=True, exist_ok=True)
    about, images, first = [], [], [0]
    for pair in tqdm(pairs(data), desc="pictures", disable=None):
        if pair.texts:
            images.append(np.asarray(square(pair.image, SIDE)))
            about.append({"name": pair.name, "kind": pair.kind, "split": pair.split, "texts": pair.texts})
            first.append(first[-1] + len(pair.texts))
    if not about:
        raise DataError(f"no pictures below {data / 'images'}")
    texts = [text for one in about for text in one["texts"]]
    distinct = list(dict.fromkeys(texts))
    embedder, vectors = MiniLM(), {}
    for at in tqdm(range(0, len(distinct), TEXTS), desc="texts", disable=None):
        batch = distinct[at : at + TEXTS]
        vectors |= zip(batch, embedder.encode_documents(batch).astype(np.float16), strict=True)
    np.save(out / "pictures.npy", np.stack(images))
    np.save(out / "texts.npy", np.stack([vectors[text] for text in texts]))
    np.save(out / "first.npy", np.array(first))
    (out / "about.json").write_text(json.dumps(about), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    program = "python -m vision.training.prepare"
    parser = argparse.ArgumentParser(prog=program, description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("out", type=Path, metavar="PREPARED")
    options = parser.parse_args(arguments)
    prepare(options.data, options.out)


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
