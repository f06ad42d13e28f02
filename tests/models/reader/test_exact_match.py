"""Which words of a question a block holds: worked out by hand, and against sets."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.common import base_encoder
from models.reader.coordinates import coordinates
from models.reader.exact_match import ABSENT, ASKED, CODES, MOST, PRESENT, SOME, codes
from models.reader.windows import open_tokenizer

TOKENIZER = open_tokenizer()


def coded(question: str, text: str) -> tuple[dict[str, int], list[tuple[str, int]]]:
    asked, block = (TOKENIZER.encode(one, add_special_tokens=False) for one in (question, text))
    first, second = codes(
        np.array(asked.ids), np.array(block.ids), coordinates(base_encoder.encodable(text), block.offsets)
    )
    return dict(zip(asked.tokens, first.tolist(), strict=True)), list(zip(block.tokens, second.tolist(), strict=True))


def test_of_prose_by_hand() -> None:
    question, block = coded("How wide is the north gate?", "The south gate is wide.")
    assert question == {"how": 0, "wide": PRESENT, "is": 0, "the": 0, "north": ABSENT, "gate": PRESENT, "?": 0}
    assert dict(block) == {"the": 0, "south": 0, "gate": ASKED, "is": 0, "wide": ASKED, ".": 0}


def test_the_row_that_holds_the_most() -> None:
    _, block = coded("price of rye in May", "month | grain | price\nMay | corn | 3\nMay | rye | 4\nJune | wheat | 5")
    header, corn, rye, wheat = (block[at : at + 5] for at in (0, 5, 10, 15))
    assert [code for _, code in header] == [0, 0, 0, 0, ASKED]  # a header is no row
    assert [code for _, code in corn] == [ASKED + SOME, SOME, SOME, SOME, SOME]
    assert [code for _, code in rye] == [ASKED + MOST, MOST, ASKED + MOST, MOST, MOST]
    assert [code for _, code in wheat] == [0] * 5


@given(
    st.lists(st.integers(0, 30521), max_size=20),
    st.lists(st.tuples(st.integers(0, 30521), st.integers(0, 5)), max_size=40),
)
def test_of_any_tokens(question: list[int], block: list[tuple[int, int]]) -> None:
    ids, rows = np.array([token for token, _ in block], np.int64), np.array([row for _, row in block], np.int64)
    first, second = codes(np.array(question, np.int64), ids, np.stack([rows, rows], 1).reshape(-1, 2))
    assert len(first) == len(question) and len(second) == len(block)
    assert max([*first.tolist(), *second.tolist(), 0]) < CODES
    telling = {token for token, code in zip(question, first, strict=True) if code}
    assert all((code == PRESENT) == (token in ids) for token, code in zip(question, first, strict=True) if code)
    assert [bool(code % 2) for code in second] == [token in telling for token in ids.tolist()]
    best = {row for (_, row), code in zip(block, second, strict=True) if code & MOST}
    assert 0 not in best and 1 not in best
