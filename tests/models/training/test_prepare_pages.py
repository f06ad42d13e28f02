"""Token spans of answers and windows of contexts, for any text."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from prepared import TOKENIZER

from models.reader.sequences import WINDOW
from models.training.example_arrays import token_span, windows


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=8), st.integers(0, 40), st.integers(1, 20))
def test_the_tokens_of_a_span_are_all_that_touch_it(steps: list[tuple[int, int]], start: int, length: int) -> None:
    offsets, at = [], 0
    for gap, width in steps:
        offsets.append((at + gap, at + gap + width))
        at += gap + width
    touched = [
        i for i, (left, right) in enumerate(offsets) if set(range(left, right)) & set(range(start, start + length))
    ]
    span = token_span(offsets, start, start + length)
    assert span == ((touched[0], touched[-1]) if touched else None)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.integers(0, 40), st.integers(1, 10))
def test_the_tokens_of_a_span_cover_its_letters(text: str, start: int, length: int) -> None:
    """Whatever the tokenizer strips, splits or lowers: what it kept of the span lies between the two tokens' ends."""
    offsets = TOKENIZER.encode(text, add_special_tokens=False).offsets
    end = min(len(text), start + length)
    assume(start < end)
    kept = {at for left, right in offsets for at in range(left, right)} & set(range(start, end))
    span = token_span(offsets, start, end)
    assert (span is None) == (not kept)
    if span:
        assert offsets[span[0]][0] <= min(kept) and max(kept) < offsets[span[1]][1]


@st.composite
def contexts(draw: st.DrawFn) -> tuple[int, tuple[int, int] | None]:
    """The tokens of a context, and its answer's first and last one."""
    length = draw(st.integers(1, 4 * WINDOW))
    if draw(st.booleans()):
        return length, None
    first = draw(st.integers(0, length - 1))
    # just fitting spans leave one place to a window
    more = draw(st.integers(0, 2 * WINDOW) | st.integers(WINDOW - 3, WINDOW + 1))
    return length, (first, min(length - 1, first + more))


@given(contexts(), st.integers(0, 99))
def test_windows(context: tuple[int, tuple[int, int] | None], seed: int) -> None:
    length, span = context
    found = list(windows(length, span, random.Random(seed)))
    assert all(first >= 0 and size == min(length, WINDOW) and first + size <= length for first, size in found)
    assert len(found) == 1 or (len(found) == 2 and span and length > WINDOW)
    if span:
        first, size = found[0]
        fits = span[1] - span[0] < WINDOW
        assert first <= span[0] and span[1] < first + size if fits else span[0] <= first and first + size <= span[1] + 1
        assert all(span[1] < first or first + size <= span[0] for first, size in found[1:])


@pytest.mark.parametrize("span", [(0, 3), (700, 703), (900, 903)])
def test_the_answer_is_not_always_at_the_same_place(span: tuple[int, int]) -> None:
    found = [list(windows(904, span, random.Random(seed))) for seed in range(200)]
    assert len({span[0] - parts[0][0] for parts in found}) > (100 if span == (700, 703) else 0)
    assert 60 < sum(len(parts) == 2 for parts in found) < 140  # a window without it from about half
