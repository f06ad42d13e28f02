"""The extractive reader over logits that can be worked out by hand: one word for the start, one for the end."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from prepared import tokens

from models.reader import flops
from models.reader.coordinates import BlockModality
from models.reader.extractive_reader import LONGEST, Reader, best, best_spans
from models.reader.flops import Cost
from models.reader.sequences import TITLE, WINDOW, Sequences
from models.reader.types import NOTHING, Computed, Finding, Window
from models.reader.windows import Passage, starts

FILLER = "The mill grinds barley, oats and rye for the farms. "


class Votes:
    """Compute: `start` gets 6 as the start, `end` 5 as the end, in every row; all else 0, and [CLS] 1 of each.

    Judges by length.
    """

    def __init__(self, start: str, end: str) -> None:
        [self.start], [self.end] = tokens(start), tokens(end)
        self.rows: list[list[int]] = []
        self.grids: list[list[list[int]]] = []

    def __call__(self, rows: Sequences) -> Computed:
        ids, mask = rows.input_ids, rows.attention_mask
        assert ids.shape == rows.token_type_ids.shape == mask.shape and (ids[mask == 0] == 0).all()
        self.rows += [row[kept == 1].tolist() for row, kept in zip(ids, mask, strict=True)]
        self.grids += [grid[kept == 1].tolist() for grid, kept in zip(rows.grid, mask, strict=True)]
        spans = np.stack((6.0 * (ids == self.start), 5.0 * (ids == self.end)), -1).astype(np.float32)
        spans[:, 0] = 1.0
        return Computed(spans, np.stack((mask.sum(1), -mask.sum(1)), -1).astype(np.float32))


def find(votes: Votes, question: str, passages: list[Passage]) -> list[Finding]:
    return Reader(votes).read_pairs([(question, passage) for passage in passages])


def text_of(passage: str, finding: Finding) -> str:
    return passage[finding.start : finding.end]


@given(arrays(np.float32, st.tuples(st.integers(2, 90), st.just(2)), elements=st.floats(-9, 9, width=32)), st.data())
def test_the_best_spans_are_those_of_brute_force(logits: np.ndarray, data: st.DataObject) -> None:
    left = data.draw(st.integers(0, len(logits) - 1))
    right = data.draw(st.integers(left + 1, len(logits)))
    allowed = [(first, last) for first in range(left, right) for last in range(first, min(right, first + LONGEST))]
    scores = sorted((logits[first, 0] + logits[last, 1] for first, last in allowed), reverse=True)
    for count in (1, 5):
        found = best_spans(logits, left, right, count)
        assert len({(first, last) for _, first, last in found} & set(allowed)) == len(found) == min(count, len(allowed))
        assert (
            [score for score, *_ in found]
            == [logits[first, 0] + logits[last, 1] for _, first, last in found]
            == scores[: len(found)]
        )


@given(st.integers(0, 6 * WINDOW))
def test_windows_cover_every_token_and_overlap(length: int) -> None:
    firsts = starts(length)
    assert {at for first in firsts for at in range(first, min(first + WINDOW, length))} == set(range(length))
    assert all(0 < later - first <= WINDOW // 2 for first, later in pairwise(firsts))
    assert not firsts or (firsts[0] == 0 and firsts[-1] + WINDOW >= length)
    assert length <= WINDOW or firsts[-1] + WINDOW == length


def test_an_answer_in_the_third_window() -> None:
    votes = Votes("zebra", "lion")
    text = FILLER * 35 + "Behind the mill a Zebra fought the old lion, they say. " + FILLER * 30
    [found] = find(votes, "What fought?", [Passage(text, "Zebra lion")])  # neither title nor question is searched
    assert text_of(text, found) == "Zebra fought the old lion"
    assert found.span == 6 + 5 - 2
    windows = [
        first for first in starts(len(tokens(text))) if tokens("zebra")[0] in tokens(text)[first : first + WINDOW]
    ]
    assert windows[0] == WINDOW and len(votes.rows) == len(starts(len(tokens(text))))


def test_the_judgement_is_that_of_the_answers_window() -> None:
    votes = Votes("zebra", "zebra")
    text = FILLER * 40 + "zebra"  # the last window alone holds it
    [found] = find(votes, "x", [Passage(text)])
    [row] = [row for row in votes.rows if votes.start in row]
    assert (found.answerable, found.evidence) == (len(row), -len(row)) and text_of(text, found) == "zebra"


def test_an_answer_is_not_longer_than_it_may_be() -> None:
    text = "zebra " + "and " * (LONGEST - 2) + "lion"
    assert text_of(text, find(Votes("zebra", "lion"), "x", [Passage(text)])[0]) == text
    longer = "zebra " + "and " * (LONGEST - 1) + "lion"
    found = find(Votes("zebra", "lion"), "x", [Passage(longer)])[0]
    assert (
        found.span == 6 + 0 - 2 and text_of(longer, found).startswith("zebra") and "lion" not in text_of(longer, found)
    )
    backwards = find(Votes("lion", "zebra"), "x", [Passage("zebra and lion")])[0]
    assert text_of("zebra and lion", backwards) == "lion"


def test_nothing_to_read() -> None:
    votes = Votes("zebra", "lion")
    assert find(votes, "Why?", []) == [] == Reader(votes).study("Why?", [], [])[0]
    assert (
        find(votes, "Why?", [Passage(""), Passage(" \n"), Passage("\u200b\x00\ufeff"), Passage("", "zebra")])
        == [NOTHING] * 4
    )
    found = find(votes, "", [Passage(""), Passage("a zebra")])
    assert found[0] == NOTHING and text_of("a zebra", found[1]) == "zebra"


def test_each_unit_has_its_own_answer() -> None:
    """Sentences or cells: no answer reaches over the end of one, whatever stands in the next."""
    text = "A zebra ran.  The lion slept. \u200b A zebra met a lion!"
    units = [(0, 12), (14, 29), (30, 31), (32, 50), (50, 50)]
    assert [text[a:b] for a, b in units] == ["A zebra ran.", "The lion slept.", "\u200b", "A zebra met a lion", ""]
    votes = Votes("zebra", "lion")
    found, none, two = Reader(votes).study(
        "x", [Passage(text), Passage(""), Passage("lion zebra")], [units, [(0, 0)], [(0, 4), (5, 10)]]
    )[0]
    assert [text_of(text, one) for one in found[:2]] == ["zebra", "The lion"] and found[2] == found[4] == NOTHING
    assert text_of(text, found[3]) == "zebra met a lion"
    assert [one.span for one in found if one != NOTHING] == [4, 3, 9]
    assert none == [NOTHING] and [one.span for one in two] == [3, 4]
    assert len(votes.rows) == 2  # each passage is read once, whole


def test_units_of_a_long_passage() -> None:
    """Each is found in a window that holds it; a unit over a window's end is read in both."""
    sentences = [f"{FILLER}Now zebra {i} ran off." for i in range(60)]
    text, units = " ".join(sentences), []
    for sentence in sentences:
        units.append((text.index(sentence, units[-1][1] if units else 0), 0))
        units[-1] = (units[-1][0], units[-1][0] + len(sentence))
    [found] = Reader(Votes("zebra", "zebra")).study("x", [Passage(text)], [units])[0]
    assert {text_of(text, one) for one in found} == {"zebra"} and {one.span for one in found} == {9.0}
    assert all(start <= one.start < one.end <= end for one, (start, end) in zip(found, units, strict=True))
    whole = find(Votes("zebra", "zebra"), "x", [Passage(text)])[0]
    assert replace(whole, margin=found[0].margin) in found  # another zebra is near only in the whole


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("水", "風車は水の上にある。"),
        ("größe", "Die ganze GRÖßE zählt."),
        ("cafe", "Das Cafe\u0301 ist zu."),
        ("мельница", "Старая Мельница стоит."),
        ("zebra", "a\ud800 zebra \udfff"),
        ("zebra", "👩‍👩‍👧 zebra 🦓"),
        ("zebra", "\u200b\x07zebra\u2028 lion"),
    ],
)
def test_characters_stay_true_in_other_scripts(word: str, text: str) -> None:
    votes = Votes("zebra", "zebra")
    votes.start, votes.end = tokens(word)[0], tokens(word)[-1]
    [found] = find(votes, "\ud800?", [Passage(text, "\udc00")])
    assert tokens(text_of(text, found)) == tokens(word)
    assert not math.isnan(found.span)


def test_each_of_many_passages_gets_its_own_finding() -> None:
    """Passages of any length, read in batches of like length, come back in their order."""
    passages = [Passage(FILLER * (i * 7 % 11) + f"zebra {i}. " + FILLER * (i % 3), "Zoo" * (i % 2)) for i in range(200)]
    found = find(Votes("zebra", "zebra"), "Which zebra?", passages)
    assert [text_of(passage.text, one) for passage, one in zip(passages, found, strict=True)] == ["zebra"] * 200
    assert [one.start for one in found] == [passage.text.index("zebra") for passage in passages]
    assert {one.span for one in found} == {9.0}


def test_a_long_question_and_title_are_cut() -> None:
    votes = Votes("zebra", "zebra")
    [found] = find(votes, "lion " * 400, [Passage("the zebra", "mill " * 400)])
    assert text_of("the zebra", found) == "zebra" and len(votes.rows[0]) == 4 + 48 + 96 + 2


def test_a_long_table_is_read_under_its_header() -> None:
    """Its later windows begin with the header's cells, each in its own column."""
    text = (
        "Prices\nanimal | cost\n"
        + "\n".join(f"horse {i} | {i} pounds" for i in range(100))
        + "\nzebra | 7 pounds\nThe end."
    )
    votes = Votes("zebra", "zebra")
    [found] = find(votes, "x", [Passage(text, "Fair")])
    assert text_of(text, found) == "zebra" and len(votes.rows) >= 3
    header = list(tokens("animal | cost"))
    for row, grid in zip(votes.rows, votes.grids, strict=True):
        first = row.index(102) + 1  # of the title
        if tokens("prices")[0] not in row:
            assert row[first : first + 3] == header and [place[:2] for place in grid[first : first + 3]] == [
                [1, 1],
                [1, 0],
                [1, 2],
            ]
        assert row[row.index(102, first) - 1] == tokens("fair")[0] and len(row) <= 4 + 1 + TITLE + WINDOW
    [row] = [at for at, row in enumerate(votes.rows) if votes.start in row and tokens("end")[0] in row]
    grid = votes.grids[row]
    assert grid[votes.rows[row].index(votes.start)][1] == 1 and not any(grid[-2])


@given(st.floats(0, 12))
def test_a_budget_is_spent_on_the_first_passages_and_changes_nothing_of_them(share: float) -> None:
    passages = [Passage(text) for text in ("zebra", "the zebra lion", "zebra " + FILLER, "lion zebra")]
    units = [[(0, len(passage.text))] for passage in passages]
    votes = Votes("zebra", "zebra")
    whole, windows = Reader(votes).study("Why?", passages, units)
    around = len(votes.rows[0]) - 1  # the shortest passage is one word
    costs = [flops.layers(flops.LAYERS, around + len(one.ids)) for one in windows]
    found, read = Reader(votes).study("Why?", passages, units, share * costs[0])
    live = [one.was_read for one in read]
    assert live[0] and live == sorted(live, reverse=True)
    assert found == [mine if on else [NOTHING] for mine, on in zip(whole, live, strict=True)]
    spent = sum(cost for cost, on in zip(costs, live, strict=True) if on)
    assert spent <= max(costs[0], share * costs[0]) and (all(live) or spent + costs[sum(live)] > share * costs[0])


@given(arrays(np.float32, st.tuples(st.integers(1, 12), st.just(2)), elements=st.floats(-8, 8, width=16)), st.data())
def test_the_margin_is_that_to_the_best_answer_beside_it(logits: np.ndarray, data: st.DataObject) -> None:
    count = len(logits)
    left = data.draw(st.integers(0, count - 1))
    right = data.draw(st.integers(left + 1, count))
    window = Window(
        0,
        [(2 * at, 2 * at + 1) for at in range(count)],
        range(count),
        logits,
        np.zeros(2),
        None,
        None,
        True,
        BlockModality.TEXT,
        Cost(),
    )
    found = best([window], (2 * left, 2 * right))
    spans = {
        (a, b): float(logits[a, 0] + logits[b, 1])
        for a in range(left, right)
        for b in range(a, min(right, a + LONGEST))
    }
    first, last = found.start // 2, found.end // 2
    assert found.span == pytest.approx(max(spans.values()), abs=1e-4)
    beside = [score for (a, b), score in spans.items() if b < first or a > last]
    assert found.margin == (pytest.approx(found.span - max(beside), abs=1e-4) if beside else math.inf)
