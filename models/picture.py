"""A picture as the reader sees it: the features of its patches, which whoever handles pixels makes. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.grid import PLACES, place

SIDE = 4  # patches to each side of the square that a picture is fitted into
PATCHES = SIDE * SIDE
WIDTH = 384  # of the features of a patch


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """features: (PATCHES, WIDTH) float16, row by row from the top left; box: where it stands on the page that its words are counted in."""

    features: np.ndarray
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    def places(self) -> np.ndarray:
        """Where the patches stand, see models.grid: (PATCHES, PLACES) uint8."""
        left, top, right, bottom = self.box
        made = np.zeros((PATCHES, PLACES), np.uint8)
        for at in range(PATCHES):
            row, column = divmod(at, SIDE)
            wide, high = (right - left) / SIDE, (bottom - top) / SIDE
            made[at, 2:] = place((left + column * wide, top + row * high, left + (column + 1) * wide, top + (row + 1) * high))
        return made
