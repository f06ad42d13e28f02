"""Chunks against their document: exact offsets, nothing lost, nothing too long, nothing across a border."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing.boxes import boxes_of, pack_boxes, pack_words, unpack_boxes, unpack_words
from indexing.chunking import CONTEXT, TARGET, chunk
from indexing.loaders.builder import DocumentBuilder
from indexing.types import Box, Document, Modality, Words


def by_words(texts: list[str]) -> list[int]:
    """A tokenizer that can be worked out by hand: a token is a word, and each ten characters of a long one."""
    return [sum(1 + len(word) // 10 for word in text.split()) for text in texts]


word = st.sampled_from(["sea", "wheel", "Dr.", "3.5", "e.g.", "x" * 25, "Mühle", "水車"])
sentence = st.lists(word, min_size=1, max_size=40).map(lambda words: " ".join(words) + ".")
paragraph = st.lists(sentence, min_size=1, max_size=12).map(" ".join)
block = st.one_of(
    st.tuples(st.just("paragraph"), paragraph),
    st.tuples(st.just("heading"), st.tuples(st.text("abcdef ", min_size=1, max_size=20), st.integers(1, 4))),
    st.tuples(st.just("code"), st.lists(st.text("ab =()", max_size=60), max_size=80).map("\n".join)),
    st.tuples(st.just("header"), st.lists(st.text("AB", min_size=1, max_size=4), min_size=1, max_size=5)),
    st.tuples(st.just("row"), st.lists(st.text("01 ", max_size=6), min_size=1, max_size=5)),
    st.tuples(st.just("page"), st.none()),
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    builder, number = DocumentBuilder(), 1
    if draw(st.booleans()):
        builder.page(1)
    for kind, value in draw(st.lists(block, max_size=25)):
        if kind == "page":
            number += 1
            builder.page(number)
        elif kind == "heading":
            builder.heading(*value)
        else:
            getattr(builder, kind)(value)
    return builder.build(title=draw(st.sampled_from(["", "A title"])), format="test")


@given(documents(), st.integers(CONTEXT + 5, CONTEXT + TARGET))
@settings(max_examples=150, deadline=None)
def test_chunks_are_the_document(document: Document, window: int) -> None:
    chunks = chunk(document, "a.txt", by_words, window)
    limit = min(TARGET, window - CONTEXT)
    covered = np.zeros(len(document.text), bool)
    last = 0
    for piece in chunks:
        at = piece.locator
        assert document.text[at.char_start : at.char_end] == piece.text
        assert piece.text.strip()
        assert at.char_start >= last
        last = at.char_end
        covered[at.char_start : at.char_end] = True
        assert by_words([piece.text])[0] <= limit or len(piece.text) == 1
        if document.pages and at.char_start >= document.pages[0].start:
            inside = [page for page in document.pages if page.start <= at.char_start and at.char_end <= page.end]
            assert [page.number for page in inside] == [at.page]
        parts = {b.kind == "heading" for b in document.blocks if at.char_start < b.end and b.start < at.char_end}
        assert len(parts) == 1
    for b in document.blocks:
        if b.kind != "heading":
            assert all(covered[i] or document.text[i].isspace() for i in range(b.start, b.end))
    assert len({piece.id for piece in chunks}) == len(chunks)
    assert chunk(document, "a.txt", by_words, window) == chunks


def test_headings_make_the_path_and_a_lonely_heading_is_kept() -> None:
    builder = DocumentBuilder()
    builder.heading("Mill", 1)
    builder.heading("Gates", 2)
    builder.paragraph("Two gates.")
    builder.heading("Pumps", 2)
    builder.heading("Cat", 1)
    builder.paragraph("One cat.")
    chunks = chunk(builder.build(title="Mill"), "m.md", by_words, 250)
    assert [(c.headings, c.text) for c in chunks] == [
        (("Mill", "Gates"), "Two gates."), (("Mill",), "Pumps"), (("Mill", "Cat"), "One cat."),
    ]


def test_what_a_page_is_called_is_a_heading() -> None:
    builder = DocumentBuilder()
    for number, label in enumerate(("Flour 2022", "Flour 2023"), 1):
        builder.page(number, label=label)
        builder.header(["month", "kg"])
        builder.row(["June", "779"])
    chunks = chunk(builder.build(title="Flour 2022"), "f.xlsx", by_words, 250)
    assert [c.headings for c in chunks] == [("Flour 2022", "month | kg"), ("Flour 2022", "Flour 2023", "month | kg")]


def test_every_row_of_a_long_table_carries_its_header() -> None:
    builder = DocumentBuilder()
    builder.header(["day", "height"])
    for day in range(300):
        builder.row([str(day), "4.5"])
    chunks = chunk(builder.build(), "t.csv", by_words, 250)
    assert len(chunks) > 3
    assert chunks[0].text.startswith("day | height\n0 | 4.5")
    assert all(c.headings[-1] == "day | height" and c.modality is Modality.TABLE for c in chunks)
    assert "\n".join(c.text for c in chunks).count("\n") == 300


def test_a_picture_without_words_is_one_chunk_that_boxes_it_whole() -> None:
    builder = DocumentBuilder()
    builder.page(1, 640, 480)
    (only,) = chunk(builder.build(title="beach", modality=Modality.IMAGE), "beach.jpg", by_words, 250)
    assert (only.text, only.locator.page, only.locator.boxes) == ("", 1, ((0.0, 0.0, 1.0, 1.0),))


def test_boxes_of_a_span_are_its_words_joined_by_line() -> None:
    builder = DocumentBuilder()
    builder.page(1, 100, 100)
    builder.words([
        [("one", (0.1, 0.1, 0.2, 0.12), 1.0), ("two", (0.22, 0.1, 0.3, 0.12), 1.0)],
        [("three", (0.1, 0.14, 0.25, 0.16), 1.0)],
    ])
    document = builder.build()
    words = document.pages[0].words
    start = document.text.index("two")
    near = [tuple(round(v, 2) for v in box) for box in boxes_of(words, start, len(document.text))]
    assert near == [(0.22, 0.1, 0.3, 0.12), (0.1, 0.14, 0.25, 0.16)]
    assert len(boxes_of(words, 0, len(document.text))) == 2
    assert boxes_of(words, 3, 4) == ()


unit = st.floats(0, 1, width=32)


@given(st.lists(st.tuples(unit, unit, unit, unit), max_size=20), st.booleans())
def test_boxes_and_words_come_back_from_the_store(boxes: list[Box], recognised: bool) -> None:
    unpacked, expected = np.array(unpack_boxes(pack_boxes(tuple(boxes)))), np.array(boxes)
    assert np.allclose(unpacked.reshape(-1, 4), expected.reshape(-1, 4), atol=2e-5)
    n = len(boxes)
    starts = np.arange(n, dtype=np.int32) * 5
    confidence = np.full(n, 0.5, np.float32) if recognised and n else None
    words = Words(starts, starts + 4, np.array(boxes, np.float32).reshape(-1, 4), confidence)
    back = unpack_words(pack_words(words))
    assert (back.starts == words.starts).all() and (back.ends == words.ends).all()
    assert np.allclose(back.boxes, words.boxes, atol=2e-5)
    assert (back.confidence is None) == (words.confidence is None)
