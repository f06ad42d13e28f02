"""Tables without any rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.loaders.pdf import pdf_document
from indexing.loaders.pdf.aligned_tables import aligned, is_row_of_figures
from indexing.types import BlockKind, Modality
from tests.indexing.checks import chunks_of
from tests.indexing.pdf_files import PdfPage, write_pdf
from tests.indexing.placed_words import Word, cells_of, placed

HEADER = ["", "2023", "2022"]
ROWS = [
    ["Flour sold", "48,120", "44,910"], ["Tours and open days", "31,075", "12,300"], ["Gifts", "(1,250)", "-"],
    ["Total income", "77,945", "57,210"],
]
PROSE = [
    ["The wheel was turned by a tide that", "came twice each day, and it went as"],
    ["it had come. The miller slept when he", "could, and rose when the pond was"],
]
CONTENTS = [["The mill", "3"], ["The gate", "9"], ["The pond", "9"], ["The people of the mill", "21"], ["Index", "40"]]
STEPS = [["1.", "Open the gate at the turn"], ["2.", "Count to nine"], ["3.", "Drop the stone"], ["4.", "Wait"]]
LABEL = st.text("abcdefgh", min_size=3, max_size=20)
XS = (80.0, 300.0, 400.0)


def words(rows: list[list[str]], top: float = 106.0, xs: tuple[float, ...] = XS) -> list[Word]:
    return placed(rows, xs, top, pitch=14.0)


def cells(words: list[Word]) -> list[list[list[str]]]:
    return [cells_of(table, words) for table in aligned(words)]


def test_labels_and_figures_are_rows_under_their_years() -> None:
    assert cells(words([HEADER, *ROWS])) == [[HEADER, *ROWS]]


def test_two_columns_of_a_label_and_a_figure() -> None:
    assert cells(words([row[:2] for row in ROWS])) == [[row[:2] for row in ROWS]]


@given(st.lists(st.tuples(LABEL, st.integers(1, 10**6), st.integers(1, 10**6)), min_size=3, max_size=12))
def test_any_grid_of_figures_comes_back(rows: list[tuple[str, int, int]]) -> None:
    grid = [[label, *map(str, figures)] for label, *figures in rows]
    assert cells(words(grid)) == [grid]


def test_a_subtitle_between_rows_is_a_row_and_prose_around_is_not_touched() -> None:
    parted = [*ROWS[:2], ["Other"], *ROWS[2:]]
    prose = [["The mill had a good year, and more people came than in any year since the war ended"]]
    around = [*words(prose, 60.0), *words([HEADER, *parted]), *words(prose, 230.0)]
    assert cells(around) == [[[*row, "", ""][:3] for row in [HEADER, *parted]]]


@pytest.mark.parametrize(("rows", "xs"), [
    (PROSE * 4, (80.0, 330.0)),
    (CONTENTS, (80.0, 400.0)),
    (STEPS, (80.0, 110.0)),
    ([["Anna Pask", "Miller"], ["Jon Reed", "Carter"], ["Ida Holm", "Clerk"], ["Per Lund", "Cook"]], (80.0, 300.0)),
    ([["Tide", "9:40", "3"], ["Ebb", "15:50", "4"]], XS),  # too few rows
])  # fmt: skip
def test_what_only_stands_in_columns_is_no_table(rows: list[list[str]], xs: tuple[float, ...]) -> None:
    assert aligned(words(rows, xs=xs)) == []


@pytest.mark.parametrize(("row", "figures"), [
    (ROWS[0], True), (HEADER, False), (["Year", "2021", "2022"], False), (["Item", "Price"], False),
    (["", "12", "9"], False), (["Gifts", "12", ""], True),
])  # fmt: skip
def test_a_first_row_of_figures_names_no_columns(row: list[str], figures: bool) -> None:
    assert is_row_of_figures(row) is figures


def test_the_rows_of_a_page_are_found_with_their_boxes(tmp_path: Path) -> None:
    def line(y: float, row: list[str]) -> list[tuple]:
        return [(x, y, 10, cell) for x, cell in zip(XS, row, strict=True) if cell]

    items = [(80, 720, 10, "The mill had a good year, and more people came than in any year since the war.")]
    for at, row in enumerate([HEADER, *ROWS]):
        items += line(690 - 14 * at, row)
    items.append((80, 600, 10, "After that the wheel stood still for a long time, and the sea took two of the gates."))
    (tmp_path / "books.pdf").write_bytes(write_pdf([PdfPage(items)]))
    [document] = pdf_document.load(tmp_path / "books.pdf", lambda: None)
    kinds = [(block.kind, document.text[block.start : block.end]) for block in document.blocks]
    assert [text for kind, text in kinds if kind is BlockKind.ROW] == [" | ".join(row) for row in ROWS]
    assert [text for kind, text in kinds if kind is BlockKind.HEADER] == ["| 2023 | 2022"]
    assert [text.split()[0] for kind, text in kinds if kind is BlockKind.PARAGRAPH] == ["The", "After"]
    [table] = chunks_of(document, Modality.TABLE)
    assert table.locator.boxes
