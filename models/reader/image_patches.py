"""A picture as the reader's input: features of its patches. Imports no torch and knows no pixels.

vision.encoder.EmbeddedTower.patches makes features of this shape; tests/test_layers.py holds both to the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from models.reader.coordinates import PLACES, place

SIDE = 4  # patches to each side of the square that a picture is fitted into
PATCHES = SIDE * SIDE
WIDTH = 384  # of the features of a patch


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """features: (PATCHES, WIDTH) float16, row by row from the top left."""

    features: np.ndarray


def _places() -> np.ndarray:
    made = np.zeros((PATCHES, PLACES), np.uint8)
    for at, (row, column) in enumerate(product(range(SIDE), repeat=2)):
        made[at, 2:] = place((column / SIDE, row / SIDE, (column + 1) / SIDE, (row + 1) / SIDE))
    return made


PATCH_PLACES = _places()  # the grid of the patches in their square, see models.reader.coordinates: (PATCHES, PLACES)
