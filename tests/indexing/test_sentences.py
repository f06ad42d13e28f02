import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.sentences import sentences


def pieces(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t ", []),
        ("no full stop", ["no full stop"]),
        ("One. Two? Three! Four", ["One.", "Two?", "Three!", "Four"]),
        ("Dr. Smith met Mrs. Jones. They left.", ["Dr. Smith met Mrs. Jones.", "They left."]),
        ("Pets, e.g. dogs, i.e. no cats, may come.", ["Pets, e.g. dogs, i.e. no cats, may come."]),
        ("See Fig. 3 and Eq. 5. See Tab. 2, ch. 4.", ["See Fig. 3 and Eq. 5.", "See Tab. 2, ch. 4."]),
        ("It is approx. 5 metres. Done.", ["It is approx. 5 metres.", "Done."]),
        ("It rose by 3.5 to 4. Then it fell.", ["It rose by 3.5 to 4.", "Then it fell."]),
        ("The U.S. Senate voted. All agreed.", ["The U.S. Senate voted.", "All agreed."]),
        ("Figure 1. The mill in 1790. It is whole.", ["Figure 1. The mill in 1790.", "It is whole."]),
        ("Fig. 2b. A wheel. Table A.3. Costs.", ["Fig. 2b. A wheel.", "Table A.3. Costs."]),
        ("See Figure 3. Then go.", ["See Figure 3.", "Then go."]),
        ("It wraps\nover a line. Then\nmore.", ["It wraps\nover a line.", "Then\nmore."]),
        ("A heading\n\nA text\n \nMore", ["A heading", "A text", "More"]),
        ("Name | Age\nDr. A. B. | 3. 4\nA text. Two.", ["Name | Age", "Dr. A. B. | 3. 4", "A text.", "Two."]),
        ("1. One thing.\n2. Two things.", ["1. One thing.", "2. Two things."]),
        ("1. One thing. 2. Two things.", ["1. One thing.", "2. Two things."]),
        ("- one\n- two", ["- one", "- two"]),
        ("第一句话。第二句话！", ["第一句话。", "第二句话！"]),
        ("Ends here.\r\n\r\nNext.", ["Ends here.", "Next."]),
        ("A bee.\u2028\u2028Sees.\u00a0Dogs", ["A bee.", "Sees.", "Dogs"]),
        ("A lone \ud800 half. Next.", ["A lone \ud800 half.", "Next."]),
    ],
)
def test_examples(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected


AWKWARD = st.text(alphabet="aAb12 \n\n\t\r.!?|()[]\"'“”«»。-*é😀\u2028\u00a0\ud800\x00\x85", max_size=60)
PIECES = ["Fig.", "3", "Eq.", "e.g.", "U.S.", "Then", "ends.", " ", "\n", "\n\n", "a | b", "2.", "(b)"]
WORDS = st.lists(st.sampled_from(PIECES))


@given(st.one_of(st.text(), AWKWARD, WORDS.map(" ".join)))
def test_spans_hold_everything_in_order_and_cross_no_blank_line(text: str) -> None:
    spans = sentences(text)
    covered = set()
    last = 0
    for start, end in spans:
        assert last <= start < end
        assert text[start:end] == text[start:end].strip()
        assert all(line.strip() for line in text[start:end].splitlines())
        covered.update(range(start, end))
        last = end
    assert all(character.isspace() for i, character in enumerate(text) if i not in covered)


@given(st.lists(st.sampled_from(["One thing.", "Two (things) here!", "a | b | c.d", "Is it 3.5?"]), min_size=1))
def test_paragraphs_are_split_on_their_own(paragraphs: list[str]) -> None:
    assert pieces("\n\n".join(paragraphs)) == paragraphs


def test_fast() -> None:
    text = "Dr. Smith measured 3.5 km in Fig. 3. The result was good, e.g. in the U.S. and elsewhere.\n\n" * 12_000
    begin = time.process_time()
    assert len(sentences(text)) == 24_000
    assert len(text) / (time.process_time() - begin) > 1e6
