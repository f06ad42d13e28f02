"""Ruled tables of PDF pages: rows of cells, whose words are where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.loaders.pdf import pdf_document
from indexing.loaders.pdf.ruled_tables import SNAP, tables
from indexing.types import BlockKind, Document, Modality
from tests.indexing.checks import chunks_of, parts

ROWS = [
    ["Pump", "Flow", "Fuse"], ["North pump", "38 m3 an hour", "10 A"], ["South", "71 m3", ""], ["Spare", "", "20 A"],
]
LEFT, TOP, WIDE, HIGH = 0.1, 0.8, 0.25, 0.05  # of the page, y upwards


def grid(sides: list[float], *, ends: bool = True) -> tuple[list, list]:
    """Lines of a grid whose columns and rows begin at `sides`; without `ends` the outer vertical ones are missing."""
    low, high = sides[0], sides[-1]
    down = sides if ends else sides[1:-1]
    return [(at, low, high) for at in sides], [(at, low, high) for at in down]


@given(st.lists(st.integers(13, 60), min_size=2, max_size=9), st.booleans())
def test_every_slot_of_a_grid_is_a_cell(steps: list[int], ends: bool) -> None:
    sides = [float(sum(steps[:at])) + 20 for at in range(len(steps) + 1)]
    if not ends and len(sides) < 5:  # so few lines that hold two columns may be anything
        return
    [table] = tables(*grid(sides, ends=ends))
    assert len(table.rows) == len(table.rows[0]) == len(steps)
    for row, line in enumerate(table.rows):
        for column, cell in enumerate(line):
            expected = (sides[column], sides[row], sides[column + 1], sides[row + 1])
            assert cell == pytest.approx(expected, abs=SNAP)


def test_a_cell_over_two_columns_and_a_second_table() -> None:
    across, down = grid([0.0, 50, 100, 150])
    down[1] = (50, 50, 150)  # the first row has two cells
    more = [(x + 300, a, b) for x, a, b in down]
    found = tables([*across, *((y, 300, 450) for y, _, _ in across)], [*down, *more])
    present = [[cell is not None for cell in row] for row in found[0].rows]
    assert present == [[True, False, True], [True] * 3, [True] * 3]
    assert found[0].rows[0][0] == (0, 0, 100, 50)
    assert [table.box for table in found] == [(0, 0, 150, 150), (300, 0, 450, 150)]


FRAME = [(0, 0, 99), (50, 0, 99)], [(0, 0, 50), (99, 0, 50)]


@pytest.mark.parametrize("lines", [([], []), FRAME, ([(at, 0, 400) for at in range(0, 90, 15)], [])])
def test_a_frame_and_rules_are_no_table(lines: tuple[list, list]) -> None:
    assert tables(*lines) == []


@pytest.fixture(scope="module", params=[True, False])
def read(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Document:
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    page = Figure(figsize=(8.3, 11.7))
    page.text(LEFT, 0.85, "The pumps were renewed in 2019 by the trust.", fontsize=11)
    right, bottom = LEFT + WIDE * 3, TOP - HIGH * len(ROWS)
    for at in range(len(ROWS) + 1):
        page.add_artist(Line2D([LEFT, right], [TOP - HIGH * at] * 2))
    for at in range(4) if request.param else (1, 2):
        page.add_artist(Line2D([LEFT + WIDE * at] * 2, [bottom, TOP]))
    for row, line in enumerate(ROWS):
        for column, text in enumerate(line):
            page.text(LEFT + WIDE * column + 0.01, TOP - HIGH * row - 0.03, text, fontsize=10)
    page.text(LEFT, 0.5, "Both pumps stand in the cellar.", fontsize=11)
    path = tmp_path_factory.mktemp("ruled") / "pumps.pdf"
    FigureCanvasPdf(page).print_pdf(path)
    [document] = pdf_document.load(path, lambda: None)
    return document


def test_a_table_is_a_header_and_rows_between_its_neighbours(read: Document) -> None:
    assert [(block.kind, read.text[block.start : block.end]) for block in read.blocks] == [
        (BlockKind.PARAGRAPH, "The pumps were renewed in 2019 by the trust."), (BlockKind.HEADER, "Pump | Flow | Fuse"),
        (BlockKind.ROW, "North pump | 38 m3 an hour | 10 A"), (BlockKind.ROW, "South | 71 m3"),
        (BlockKind.ROW, "Spare |  | 20 A"), (BlockKind.PARAGRAPH, "Both pumps stand in the cellar."),
    ]  # fmt: skip


def test_a_cell_is_cited_by_its_box(read: Document) -> None:
    [table] = chunks_of(read, Modality.TABLE)
    rows = ["Pump | Flow | Fuse", "North pump | 38 m3 an hour | 10 A", "South | 71 m3", "Spare |  | 20 A"]
    assert table.text == "\n".join(rows)
    words = read.pages[0].words
    at = read.text.index("71 m3")
    [boxes] = [words.boxes[(words.starts >= at) & (words.ends <= at + 5)]]
    assert len(boxes) == 2
    for x0, y0, x1, y1 in boxes.tolist():
        assert LEFT + WIDE <= x0 < x1 <= LEFT + 2 * WIDE and 1 - TOP + 2 * HIGH <= y0 < y1 <= 1 - TOP + 3 * HIGH


def test_every_word_stands_where_its_offsets_say(read: Document) -> None:
    words = read.pages[0].words
    said = [read.text[start:end] for start, end in zip(words.starts, words.ends, strict=True)]
    assert said == [word for word in read.text.split() if word != "|"] and (words.starts[1:] > words.ends[:-1]).all()


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_page_has_the_same_cells(rotation: int, tmp_path: Path) -> None:
    """Its words are turned with it, so that what stood in a cell still does."""
    import pypdfium2 as pdfium
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(6, 6))
    for at in (0.2, 0.4, 0.6, 0.8):
        figure.add_artist(Line2D([0.2, 0.8], [at, at]))
        figure.add_artist(Line2D([at, at], [0.2, 0.8]))
    for number in range(9):
        x, y = 0.25 + 0.2 * (number % 3), 0.28 + 0.2 * (number // 3)
        figure.text(x, y, f"c{number}", rotation=rotation, rotation_mode="anchor")
    FigureCanvasPdf(figure).print_pdf(tmp_path / "upright.pdf")
    opened = pdfium.PdfDocument(tmp_path / "upright.pdf")
    opened[0].set_rotation(rotation)
    opened.save(tmp_path / "turned.pdf")
    [document] = pdf_document.load(tmp_path / "turned.pdf", lambda: None)
    assert [block.kind for block in document.blocks] == [BlockKind.HEADER, BlockKind.ROW, BlockKind.ROW]
    assert sorted(document.text.replace("\n", " | ").split(" | ")) == [f"c{number}" for number in range(9)]


def test_a_row_over_the_whole_width_above_the_columns_is_the_tables_title(tmp_path: Path) -> None:
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(6, 6))
    for at in (0.2, 0.4, 0.6, 0.8):
        figure.add_artist(Line2D([0.2, 0.8], [at, at]))
    for at in (0.2, 0.5, 0.8):
        figure.add_artist(Line2D([at, at], [0.2, 0.6 if at == 0.5 else 0.8]))
    figure.text(0.25, 0.7, "Tides at the gate")
    for x, y, text in ((0.25, 0.5, "Year"), (0.55, 0.5, "Metres"), (0.25, 0.3, "1786"), (0.55, 0.3, "4.1")):
        figure.text(x, y, text)
    FigureCanvasPdf(figure).print_pdf(tmp_path / "tides.pdf")
    [document] = pdf_document.load(tmp_path / "tides.pdf", lambda: None)
    [row] = chunks_of(document, Modality.TABLE)
    assert row.text == "Year | Metres\n1786 | 4.1" and row.headings[-2:] == ("Tides at the gate", "Year | Metres")


@pytest.mark.parametrize(("size", "kinds"), [
    (15, ["HEADER", "ROW", "HEADING", "HEADER", "ROW"]), (10, ["HEADER", "ROW", "ROW", "ROW", "ROW"]),
])  # fmt: skip
def test_a_larger_heading_between_tables_that_touch_parts_them(size: int, kinds: list[str], tmp_path: Path) -> None:
    """A line of the table's own size groups its rows, and leaves it whole."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure, tops = Figure(figsize=(6, 6)), [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    for top in tops:
        figure.add_artist(Line2D([0.2, 0.8], [top, top]))
    for at in (0.2, 0.5, 0.8):
        for low, high in ((0.4, 0.6), (0.7, 0.9)) if at == 0.5 else ((0.4, 0.9),):
            figure.add_artist(Line2D([at, at], [low, high]))
    said = [("Miller", "Ann Hart"), ("Age", "51"), ("Apprentice", ""), ("Name", "Tom Pike"), ("Age", "19")]
    for row, (top, texts) in enumerate(zip(tops, said, strict=False)):
        for column, text in enumerate(texts):
            figure.text(0.22 + 0.3 * column, top - 0.06, text, fontsize=size if row == 2 else 10)
    FigureCanvasPdf(figure).print_pdf(tmp_path / "crew.pdf")
    [document] = pdf_document.load(tmp_path / "crew.pdf", lambda: None)
    assert [block.kind.name for block in document.blocks] == kinds
    assert parts(document) == [" | ".join(filter(None, texts)) for texts in said]
