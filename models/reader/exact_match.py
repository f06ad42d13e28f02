"""Exact match codes: which words of a question are in a block, and which table rows have the most. Imports no torch.

An encoder of vectors tells numbers, codes and names badly apart; whether a word is the same word is known exactly (the
exact match feature of DrQA, arXiv 1704.00051). Each token gets a code from 0 to CODES - 1, whose embedding is added to
its state before the upper layers (models.network.memory_encoder).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from models.common import base_encoder
from models.reader.coordinates import HEADER

CODES = 8
ABSENT, PRESENT = 6, 7  # codes of a content word of the question that is not in the block, or is
# bits of a block's token: it is a content word of the question; its row has such words; no row has more
ASKED, SOME, MOST = 1, 2, 4
FUNCTION_WORDS = frozenset("""
    a an the of in on at to for from by with and or as is are was were be been do does did has have had what which who
    whom whose when where why how many much that this these those it its their his her there here s t not no can could
    would will shall should might you your i we they he she
""".split())  # noqa: SIM905 - a list of these is no easier to read


@cache
def _content() -> np.ndarray:
    """Whether each token of the vocabulary is a content word: (V,) bool."""
    words = (base_encoder.folder() / "vocab.txt").read_text(encoding="utf-8").splitlines()
    special = [word in FUNCTION_WORDS or word.startswith("[") for word in words]
    return np.array([any(map(str.isalnum, word)) for word in words]) & ~np.array(special)


def codes(question: np.ndarray, block: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The codes of a question's tokens and of a block's: ids (q,) and (t,), grid (t, PLACES) -> (q,), (t,) uint8.

    0 is added nothing. grid: models.reader.coordinates.
    """
    content = _content()
    asked = np.unique(question[content[question]])
    in_block, here = np.isin(block, asked), np.isin(question, block)
    coded = np.where(in_block, ASKED, 0)
    rows = np.where(grid[:, 0] > HEADER, grid[:, 0], 0)
    if rows.any() and in_block.any():
        counts = np.zeros(int(rows.max()) + 1, np.int64)  # distinct words of the question in each row
        pairs = np.unique(np.stack([rows[in_block], block[in_block]]), axis=1)
        np.add.at(counts, pairs[0], 1)
        counts[0] = 0
        coded += np.where(counts[rows] > 0, np.where(counts[rows] == counts.max(), MOST, SOME), 0)
    question_codes = np.where(content[question], np.where(here, PRESENT, ABSENT), 0)
    return question_codes.astype(np.uint8), coded.astype(np.uint8)
