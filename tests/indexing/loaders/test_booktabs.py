"""Tables with horizontal rules alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.loaders.pdf import pdf_document
from indexing.loaders.pdf.booktabs import booktabs
from indexing.types import BlockKind, Modality
from tests.indexing.checks import chunks_of
from tests.indexing.placed_words import Word, cells_of, placed

HEADER = ["Year", "Mill", "Grain ground"]
ROWS = [["1786", "Tide mill", "12 tons of barley"], ["1787", "Wind mill", "14 tons"], ["1788", "Horse mill", "9 tons"]]
XS = (80.0, 160.0, 300.0)
RULES = [(100.0, 80.0, 400.0), (120.0, 80.0, 400.0), (190.0, 80.0, 400.0)]


def words(rows: list[list[str]], top: float = 106.0) -> list[Word]:
    return placed(rows, XS, top)


def cells(rules: list[tuple[float, float, float]], words: list[Word]) -> list[list[str]]:
    [table] = booktabs(rules, words)
    return cells_of(table, words)


def test_columns_are_parted_by_the_gaps_that_run_through_all_rows() -> None:
    assert cells(RULES, words([HEADER, *ROWS])) == [HEADER, *ROWS]


@given(st.lists(st.lists(st.text("abcdefgh", min_size=2, max_size=9), min_size=3, max_size=3), min_size=2, max_size=12))
def test_any_grid_of_words_comes_back(rows: list[list[str]]) -> None:
    rules = [RULES[0], RULES[1], (126.0 + 20 * len(rows), 80.0, 400.0)]
    assert cells(rules, words([HEADER, *rows])) == [HEADER, *rows]


def test_a_line_that_goes_on_with_the_cells_above_is_no_row() -> None:
    wrapped = [["1786", "Tide", "12 tons"], ["", "mill", "of barley"], ["1787", "Wind", "14 tons"], ["", "mill", ""]]
    rules = [RULES[0], RULES[1], (210.0, 80.0, 400.0)]
    rows = [["1786", "Tide mill", "12 tons of barley"], ["1787", "Wind mill", "14 tons"]]
    assert cells(rules, words([HEADER, *wrapped])) == [HEADER, *rows]


MORE = [*ROWS, ["1789", "Tread mill", "3 tons"]]
BETWEEN = [(at, 80.0, 400.0) for at in (121.0, 141.0, 161.0, 181.0)]  # the rows of words() are 20 points apart


@pytest.mark.parametrize("rules", [BETWEEN, [(101.0, 80.0, 400.0), *BETWEEN], [*BETWEEN, (201.0, 80.0, 400.0)]])
def test_rules_between_rows_alone_leave_the_names_above_and_the_last_row_below(
    rules: list[tuple[float, float, float]]
) -> None:
    assert cells(rules, words([HEADER, *MORE])) == [HEADER, *MORE]


def test_a_sentence_above_such_rules_is_no_row_of_names() -> None:
    texts = ["what", "the", "mill", "ground", "in", "three", "of", "its", "many", "years"]
    sentence = [(text, (82.0 + 34 * at, 106.0, 112.0 + 34 * at, 116.0)) for at, text in enumerate(texts)]
    assert cells(BETWEEN, [*sentence, *words([HEADER, *ROWS])[3:]])[0] == ROWS[0]


def test_two_tables_of_one_width_are_parted_by_the_caption_between() -> None:
    second = [(at + 120, *rest) for at, *rest in RULES]
    texts = ("Table", 80.0, 105.0), ("2:", 108.0, 118.0), ("Grain", 121.0, 146.0)
    between = [(text, (x0, 200.0, x1, 210.0)) for text, x0, x1 in texts]
    found = booktabs([*RULES, *second], [*words([HEADER, *ROWS]), *between, *words([HEADER, *ROWS], 226.0)])
    assert [(table.box[1], table.box[3], len(table.rows)) for table in found] == [(100.0, 190.0, 4), (220.0, 310.0, 4)]


@pytest.mark.parametrize("rules", [RULES[:2], [RULES[0], (120.0, 80.0, 300.0), RULES[2]], []])
def test_fewer_rules_or_rules_of_other_ends_are_no_table(rules: list[tuple[float, float, float]]) -> None:
    assert booktabs(rules, words([HEADER, *ROWS])) == []


def test_columns_of_prose_between_rules_are_no_table() -> None:
    prose = [
        "the", "wheel", "was", "turned", "by", "a", "tide", "that", "came", "twice", "each", "day", "and", "went",
        "as", "it", "had", "come",
    ]
    placed = []
    for line in range(5):
        for x in (80.0, 330.0):
            for word in prose[line : line + 9]:
                placed.append((word, (x, 130.0 + 12 * line, x + 4.5 * len(word), 140.0 + 12 * line)))
                x += 4.5 * len(word) + 3
    head = [("Abstract", (80.0, 106.0, 120.0, 116.0))]
    assert booktabs([(100.0, 80.0, 560.0), (120.0, 80.0, 560.0), (200.0, 80.0, 560.0)], [*head, *placed]) == []


def test_rows_of_a_page_with_their_header(tmp_path: Path) -> None:
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    page = Figure(figsize=(8.3, 11.7))
    for y in (0.8, 0.77, 0.65):
        page.add_artist(Line2D([0.1, 0.8], [y, y], color="black", linewidth=0.8))
    for y, row in zip((0.78, 0.74, 0.70, 0.66), [HEADER, *ROWS], strict=True):
        for x, cell in zip((0.11, 0.3, 0.55), row, strict=True):
            page.text(x, y, cell, fontsize=10)
    page.text(0.1, 0.85, "The mills of the coast ground more every year until the war.", fontsize=11)
    page.text(0.1, 0.6, "After that they stood still for a long time, and the sea took two of them.", fontsize=11)
    FigureCanvasPdf(page).print_pdf(tmp_path / "mills.pdf")
    [document] = pdf_document.load(tmp_path / "mills.pdf", lambda: None)
    kinds = [(block.kind, document.text[block.start : block.end]) for block in document.blocks]
    assert [text for kind, text in kinds if kind is BlockKind.HEADER] == [" | ".join(HEADER)]
    assert [text for kind, text in kinds if kind is BlockKind.ROW] == [" | ".join(row) for row in ROWS]
    [table] = chunks_of(document, Modality.TABLE)
    assert table.headings[-1] == " | ".join(HEADER) and table.locator.boxes
