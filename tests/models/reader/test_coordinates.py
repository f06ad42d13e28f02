"""Where tokens stand in tables, against the text's own lines and cells."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prepared import TOKENIZER, tokens

from models.common.cell_separator import CELL
from models.reader.coordinates import COLUMNS, PLACES, ROWS, SIDES, BlockModality, coordinates, modality_of


def places(text: str) -> list[tuple[str, int, int]]:
    encoding = TOKENIZER.encode(text, add_special_tokens=False)
    return [
        (token, *map(int, place))
        for token, place in zip(encoding.tokens, coordinates(text, encoding.offsets)[:, :2], strict=True)
    ]


def test_two_tables_and_what_stands_between() -> None:
    assert places("Prices\na | bb cc |  | d\n1 | 2 |  | x y\nso\ne | f") == [
        ("prices", 0, 0), ("a", 1, 1), ("|", 1, 0), ("bb", 1, 2), ("cc", 1, 2), ("|", 1, 0), ("|", 1, 0), ("d", 1, 4),
        ("1", 2, 1), ("|", 2, 0), ("2", 2, 2), ("|", 2, 0), ("|", 2, 0), ("x", 2, 4), ("y", 2, 4), ("so", 0, 0),
        ("e", 1, 1), ("|", 1, 0), ("f", 1, 2),
    ]  # fmt: skip


@given(
    st.lists(st.lists(st.text("abz ", max_size=4).map(str.strip), min_size=2, max_size=40), min_size=1, max_size=80),
    st.booleans(),
)
def test_each_cells_tokens_have_its_row_and_column(rows: list[list[str]], before: bool) -> None:
    text = "Before it\n" * before + "\n".join(CELL.join(row) for row in rows)
    found = [place for place in places(text) if place[0] != "|"][2 * before :]
    expected = [
        (min(1 + i, ROWS - 1), min(1 + j, COLUMNS - 1))
        for i, row in enumerate(rows) for j, cell in enumerate(row) for _ in tokens(cell)
    ]  # fmt: skip
    assert [place[1:] for place in found] == expected


@given(st.text())
def test_any_text_has_places(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    assert all(row < ROWS and column < COLUMNS for _, row, column in places(text))


@given(
    st.lists(
        st.tuples(st.text("abz", min_size=1, max_size=9), st.booleans(), st.tuples(*[st.floats(-0.5, 1.5)] * 4)),
        min_size=1,
        max_size=30,
    )
)
def test_each_words_tokens_have_its_box(words: list[tuple[str, bool, tuple[float, float, float, float]]]) -> None:
    """Words of a page beside others that have no box."""
    text, boxes, expected = "", [], []
    for word, seen, sides in words:
        start = len(text) + bool(text)
        text += " " * bool(text) + word
        box = [1 + round((SIDES - 2) * min(max(side, 0), 1)) for side in sides] if seen else [0] * (PLACES - 2)
        expected += [box] * len(TOKENIZER.encode(word, add_special_tokens=False).ids)
        boxes += [(start, start + len(word), *sides)] * seen
    found = coordinates(text, TOKENIZER.encode(text, add_special_tokens=False).offsets, boxes)
    assert found[:, 2:].tolist() == expected
    assert modality_of(found) is (BlockModality.PAGE if boxes else BlockModality.TEXT)
