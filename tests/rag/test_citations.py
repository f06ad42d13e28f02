import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples_rag import evidence

from rag.citations import grounded_share, markers, resolve, without_markers
from rag.types import Context
from rag.words import content_words


def named(text: str, count: int = 3) -> list[tuple[int, ...]]:
    return [tuple(index + 1 for index in marker.indices) for marker in markers(text, count)]


def quotes(text: str, context: Context, question: str = "") -> list[tuple[int, str, str]]:
    """(source number, quote, claim) of each support."""
    return [
        (s.index + 1, context.evidence[s.index].text[s.start : s.end], text[s.claim_start : s.claim_end])
        for s in resolve(text, context, question)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x [1].", [(1,)]),
        ("x [1][3].", [(1,), (3,)]),
        ("x [1, 3].", [(1, 3)]),
        ("x [1;2].", [(1, 2)]),
        ("x [1-3].", [(1, 2, 3)]),
        ("x [1–2, 2, 3].", [(1, 2, 3)]),
        ("Paris[1].", [(1,)]),
        ("built (2005)[1].", [(1,)]),
        ("x [0]", [()]),
        ("x [4]", [()]),
        ("x [99]", [()]),
        ("x [-1]", [()]),
        ("x [1e3]", [()]),
        ("x [01]", [()]),
        ("x [1.5]", [()]),
        ("x [1-99999999999999999999]", [()]),
        ("x [1-9999]", [()]),
        ("x [3-1]", [()]),
        ("x [1-2-3]", [()]),
        ("x [1, 99, 0]", [(1,)]),
        ("x [١]", []),
        ("x [] [a] [note 1] (1)", []),
        ("a[1]", []),
        ("the grid[i][1]", []),
        ("my_list[1]", []),
        ("row[1] = 3", []),
        ("row[1].name", []),
        ("`x [1]` and `y`", []),
        ("```\nx [1]\n", []),
        ("```\nx [1]\n``` [2]", [(2,)]),
    ],
)
def test_markers(text: str, expected: list[tuple[int, ...]]) -> None:
    assert named(text) == expected


def test_text_without_markers() -> None:
    assert without_markers("The pool [1] is warm [2, 9] [-1]. So a[1].") == "The pool is warm. So a[1]."


def test_each_claim_is_resolved_to_its_sentence(pool: Context) -> None:
    text = "It is heated to 28 degrees [1]. The roof was mended in 2005 [2] and cost 12500 euros [2][9]."
    assert quotes(text, pool) == [
        (1, "It is heated to 28 degrees.", "It is heated to 28 degrees"),
        (2, "The roof was mended in 2005.", "The roof was mended in 2005"),
        (2, "Dr. Lang paid 12,500 euros for it.", "and cost 12500 euros"),
    ]


def test_marker_before_after_and_within_its_sentence(pool: Context) -> None:
    heated = (1, "It is heated to 28 degrees.")
    for text in (
        "According to [1], it is heated to 28 degrees.",
        "[1] It is heated to 28 degrees.",
        "Welcome.\n[1] It is heated to 28 degrees.",
        "Welcome. It is heated to 28 degrees. [1]",
        "Welcome. It is heated to 28 degrees. [1] The end is near.",
        "- It is heated to 28 degrees.[1]\n- More.",
    ):
        assert [quote[:2] for quote in quotes(text, pool)] == [heated], text


def test_a_row_is_a_quote(pool: Context) -> None:
    assert quotes("In 2005 there were 9,200 visitors [3].", pool) == [
        (3, "2005 | 9,200", "In 2005 there were 9,200 visitors")
    ]


def test_a_quote_grows_only_for_two_new_words(pool: Context) -> None:
    assert quotes("In 2005 the roof was mended and Dr. Lang paid the euros [2].", pool)[0][1] == pool.evidence[1].text
    assert quotes("In 2005 the roof was mended for euros [2].", pool)[0][1] == "The roof was mended in 2005."


def test_ties_go_to_the_earlier() -> None:
    context = Context((evidence("A red cat sat. A red cat sat. A cat sat."),))
    assert [(s.start, s.end) for s in resolve("The cat sat [1].", context)] == [(0, 14)]


def test_no_common_word_is_no_support(pool: Context) -> None:
    assert resolve("Elephants cannot jump [1][2][3][4].", pool) == ()
    assert resolve("The roof was mended [1].", pool) == ()


def test_inflections_are_the_same_word(pool: Context) -> None:
    assert quotes("Each child pays nothing [1].", pool)[0][1] == "Children under 12 pay nothing."
    assert quotes("The opening of pools [1].", pool)[0][1] == "The pool opens at 9 a.m. on weekdays."


def test_the_same_support_is_named_once(pool: Context) -> None:
    assert len(resolve("[1] and [1] it is heated to 28 degrees.", pool)) == 1


def test_a_picture_that_was_seen_supports_as_a_whole(pool: Context) -> None:
    seen = dataclasses.replace(pool, pictures={3: b"webp"})
    assert quotes("A man stands on it [4].", seen) == [(4, "", "A man stands on it")]


def test_a_bare_yes_is_measured_by_the_question(pool: Context) -> None:
    assert quotes("Yes [1].", pool) == []
    assert [quote[:2] for quote in quotes("Yes [1].", pool, "Is it heated?")] == [(1, "It is heated to 28 degrees.")]


def test_grounded_share(pool: Context) -> None:
    def share(text: str) -> float:
        return grounded_share(text, pool, resolve(text, pool))

    assert share("It is heated to 28 degrees [1].") == 1.0
    assert share("It is not heated to 28 degrees [1].") == pytest.approx(3 / 4)
    assert share("It is heated to 99 degrees [1].") == pytest.approx(2 / 3)
    assert share("It is heated to 28 degrees.") == 0.0
    assert share("") == 0.0


def test_content_words() -> None:
    assert content_words("The pools aren't 1,000.5 °C; it's John’s, 10,5 and café [2]") == {
        "pools", "not", "1000.5", "c", "john", "10,5", "café", "2",
    }  # fmt: skip
    assert content_words("東京 is the") == {"東", "京"}
    assert content_words("Is it the? Yes.") == frozenset()


PIECES = st.sampled_from(
    [
        "The pool", " opens", " at 9", ".", " ", "\n", "\n\n", "[1]", "[2]", "[1, 2]", "[1-3]", "[0]", "[7]",
        "[-1]", "[4-2]", "Yes", "`", "x", ", ", "[", "]", "a | b", "Fig.",
    ]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join)), st.lists(st.text(max_size=40), max_size=4))
def test_supports_stand_in_the_evidence_and_in_the_answer(text: str, sources: list[str]) -> None:
    context = Context(tuple(evidence(source) for source in [*sources, "The pool opens at 9."][-4:]))
    supports = resolve(text, context)
    assert supports == resolve(text, context)
    for support in supports:
        source = context.evidence[support.index].text
        assert 0 <= support.start < support.end <= len(source)
        assert 0 <= support.claim_start < support.claim_end <= len(text)
        assert content_words(source[support.start : support.end])
        assert f"{support.index + 1}" in text or "-" in text
    assert 0.0 <= grounded_share(text, context, supports) <= 1.0


@given(st.integers(), st.integers(), st.integers(0, 5))
def test_indices_are_in_bounds(first: int, second: int, count: int) -> None:
    for text in (f"x [{first}]", f"x [{first}, {second}]", f"x [{first}-{second}]", f"x [{first}][{second}]"):
        for marker in markers(text, count):
            assert all(0 <= index < count for index in marker.indices)
    assert named(f"x [{first}]", count) in ([(first,)], [()])
