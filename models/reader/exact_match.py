"""Which words of a question stand in a block, and which rows of its tables hold the most of them. Imports no torch.

An encoder of vectors tells numbers, codes and names badly apart; whether a word is the same word is known exactly (the exact match
feature of DrQA, arXiv 1704.00051). What is seen is a CODE of each token, whose embedding the upper layers of models.network.memory_encoder add.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from models.common import base_encoder
from models.reader.coordinates import HEADER

CODES = 8
ABSENT, PRESENT = 6, 7  # a telling word of the question that does not stand in the block, or does
ASKED, SOME, MOST = 1, 2, 4  # of a block's token: it is a telling word of the question; its row holds such words, or no row holds more
FUNCTION_WORDS = frozenset("""
    a an the of in on at to for from by with and or as is are was were be been do does did has have had what which who whom whose when where why how
    many much that this these those it its their his her there here s t not no can could would will shall should might you your i we they he she
""".split())  # noqa: SIM905 - a list of these is no easier to read


@cache
def _telling() -> np.ndarray:
    """Of each token of the vocabulary whether it tells one thing from another: (V,) bool."""
    words = (base_encoder.folder() / "vocab.txt").read_text(encoding="utf-8").splitlines()
    return np.array([any(map(str.isalnum, word)) and word not in FUNCTION_WORDS and not word.startswith("[") for word in words])


def codes(question: np.ndarray, block: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The CODE of each token of a question (q,) and of a block (t,), whose grid is (t, PLACES), models.reader.coordinates: (q,) and (t,) uint8; 0 says nothing."""
    telling = _telling()
    asked = np.unique(question[telling[question]])
    in_block, here = np.isin(block, asked), np.isin(question, block)
    coded = np.where(in_block, ASKED, 0)
    rows = np.where(grid[:, 0] > HEADER, grid[:, 0], 0)
    if rows.any() and in_block.any():
        held = np.zeros(int(rows.max()) + 1, np.int64)  # distinct words of the question in each row
        pairs = np.unique(np.stack([rows[in_block], block[in_block]]), axis=1)
        np.add.at(held, pairs[0], 1)
        held[0] = 0
        coded += np.where(held[rows] > 0, np.where(held[rows] == held.max(), MOST, SOME), 0)
    return np.where(telling[question], np.where(here, PRESENT, ABSENT), 0).astype(np.uint8), coded.astype(np.uint8)
