"""Answers and evidence as HTML: no text is live, no text is lost, quotes and boxes are where they belong."""

from __future__ import annotations

import io
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples_rag import evidence

from indexing.build.run import build
from indexing.build.summary import Progress, Summary
from indexing.index import Index
from indexing.status import FileStatus, Status
from indexing.types import Locator, Modality
from rag.conversation import Reply, Turn
from rag.types import Answer, Citation, Evidence
from ui.answer_view import answer_html, sources
from ui.conversation_view import question_html, turn_html
from ui.evidence_view import evidence_html, place
from ui.library_view import library_html, progress_html, summary_html
from ui.markup import highlight, passage, shorten
from ui.page_pictures import PagePicture, page_picture, picture_html, window

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">![x](http://evil.test/a.png) & </p></table>'
TEXT = st.text(alphabet="abc <>&\"'|\n\t\r[]#é\u2028\0", max_size=60)
SPANS = st.lists(st.tuples(st.integers(-3, 70), st.integers(-3, 70)), max_size=4)


class Reader(HTMLParser):
    """The text that an HTML holds, the part of it in <mark>, and the tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.marked, self.tags, self._open = "", set(), [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append(tag)
        self._open.append("borrowed" if dict(attributes).get("class") == "borrowed" else tag)

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if "borrowed" in self._open:
            return
        if "mark" in self._open:
            self.marked |= set(range(len(self.text), len(self.text) + len(data)))
        self.text += data


def answer(text: str, cited: list[tuple[Evidence, str, str]], read: tuple[Evidence, ...] = ()) -> Answer:
    """cited: (evidence, quote, claim); read: all evidence, if more than what is cited."""
    citations = []
    for piece, quote, claim in cited:
        at, begin = piece.locator.char_start + piece.text.index(quote), text.index(claim)
        end = begin + len(claim)
        quoted = (piece.document, piece.page, quote, at, at + len(quote), ())
        citations.append(Citation(*quoted, piece.chunk_id, begin, end))
    pieces = {piece.chunk_id: piece for piece, _, _ in cited}
    return Answer(text, False, 0.9, tuple(citations), read or tuple(pieces.values()), {})


# markup


@given(TEXT, SPANS)
def test_a_highlight_loses_no_character_and_marks_exactly_the_spans(text: str, spans: list) -> None:
    read = Reader(highlight(text, spans))
    assert read.text == text
    assert read.marked == {i for start, end in spans for i in range(max(0, start), min(end, len(text)))}
    assert set(read.tags) <= {"mark"}


@given(TEXT, SPANS, st.sampled_from(["", "x | y", "| x | y |"]))
def test_a_passage_loses_no_character(text: str, spans: list, header: str) -> None:
    read = Reader(passage(text, spans, header))
    assert read.text == text
    assert set(read.tags) <= {"mark", "div", "p", "i", "table", "thead", "tbody", "tr", "th", "td"}


@given(st.lists(st.lists(st.text("ab<& ", max_size=4), min_size=2, max_size=2), min_size=1, max_size=4), SPANS)
def test_a_table_loses_no_character(rows: list[list[str]], spans: list) -> None:
    text = "\n".join(" | ".join(row) for row in rows)
    html = passage(text, spans, "x | y")
    cells = [cell for row in rows for cell in row]
    assert "<table>" in html or any(" | " in cell or cell[-1:] == " " or cell[:1] == " " for cell in cells)
    assert Reader(html).text == text


def test_a_span_inside_another_ends_nothing() -> None:
    assert highlight("<abcde>", [(1, 6), (2, 3)]) == "&lt;<mark>abcde</mark>&gt;"


def test_rows_stand_under_their_header_wherever_it_is() -> None:
    own = passage("Month | kg\nMay | 801", [(11, 20)], "Month | kg")
    assert own.count("<th>") == 2 and "borrowed" not in own
    assert "<tr class=cited><td><mark>May</mark>" in own
    borrowed = passage("May | 801", [], "Month | kg")
    assert "<thead class=borrowed><tr><th>Month" in borrowed
    assert Reader(borrowed).text == "May | 801"


def test_bars_around_a_markdown_row_are_not_seen() -> None:
    cells = re.findall(r"<t[dh]>(.*?)</t[dh]>", passage("| 1823 |  | Pask |", [], "| Year | What | Who |"))
    assert [re.sub(r"<i>.*?</i>", "", cell) for cell in cells] == ["Year", "What", "Who", "1823", "", "Pask"]


def test_rows_of_another_width_stay_text() -> None:
    assert "<table>" not in passage("a | b\nc", [], "x | y")


def test_lines_flow_only_where_they_were_full() -> None:
    lines = "The three gates are new. They are of iroko,", "each hung on two hinges of manganese"
    prose = "\n".join([*lines, "bronze, and close against the seats."])
    assert 'class="passage flowing"' in passage(prose)
    assert 'class="passage"' in passage("Oakum 3 kg\n27.45\nHemp line 8 mm 30 m, best\n21.60")


def test_shorten() -> None:
    assert shorten("a  b\n c", 10) == "a b c"
    assert shorten("one two three", 9) == "one two…"


# answers


def test_each_claim_is_followed_by_the_number_of_its_source() -> None:
    gates, roof = evidence("South gate: 1.85 m. Old."), evidence("Lead was taken.", "roof.txt")
    width, theft = "South gate: 1.85 m.", "Lead was taken."
    html = answer_html(answer(f"{width}\n{theft}", [(gates, width, width), (roof, theft, theft)]), 4)
    assert html == (
        'South gate: 1.85 m.<a class="cite" href="#t4s1">1</a><br>Lead was taken.<a class="cite" href="#t4s2">2</a>'
    )


def test_quotes_of_one_chunk_are_one_source() -> None:
    piece = replace(evidence("One. Two."), locator=Locator("manual.md", None, 100, 109))
    found = sources(answer("One.\nTwo.", [(piece, "One.", "One."), (piece, "Two.", "Two.")]))
    assert [(source.number, source.spans) for source in found] == [(1, ((0, 4), (5, 9)))]


def test_the_answer_said_again_after_its_sentence_is_bold_and_not_numbered_twice() -> None:
    piece, sentence = evidence("The gate is 1.85 m wide. It was built in 1786."), "The gate is 1.85 m wide."
    told = answer(f"{sentence}\n1.85 m", [(piece, sentence, sentence), (piece, "1.85 m", "1.85 m")])
    told = replace(told, citations=(told.citations[0], replace(told.citations[1], claim_start=25, claim_end=31)))
    html = answer_html(told, 0)
    assert html.count('class="cite"') == 1
    assert html.endswith('<br><b class="short">1.85 m</b>')


def test_the_generators_own_markers_go_and_those_in_a_quote_stay() -> None:
    piece, sentence = evidence("It is heated [3] to 28 degrees."), "It is heated [3] to 28 degrees."
    cited = [(piece, "heated [3] to 28 degrees", "The pool is warm [1]."), (piece, sentence, sentence)]
    told = answer(f"The pool is warm [1]. {sentence}", cited)
    assert Reader(answer_html(told, 0)).text == "The pool is warm.1 It is heated [3] to 28 degrees.1"


def test_bold_type_is_the_models_and_not_the_sources() -> None:
    piece = evidence("It weighs **610** kg.")
    said, quoted = "It weighs **610** kg, so heavy.", "It weighs **610** kg."
    assert "weighs <b>610</b> kg" in answer_html(answer(said, [(piece, "**610**", said)]), 0)
    assert "weighs **610** kg" in answer_html(answer(quoted, [(piece, quoted, quoted)]), 0)
    assert "<i" not in answer_html(answer("**<i>x</i>** y", [(piece, "kg", "y")]), 0)


def test_rows_of_a_table_are_told_as_a_table() -> None:
    piece = evidence("Month | kg\nMay | 801\nJune | 779", modality=Modality.TABLE, headings=("Month | kg",))
    header, row = "Month | kg", "June | 779"
    html = answer_html(answer(f"{header}\n{row}", [(piece, header, header), (piece, row, row)]), 0)
    assert html.count("<table>") == 1 and html.count("<tr") == 2 and html.endswith('<a class="cite" href="#t0s1">1</a>')


def test_nothing_of_a_question_an_answer_or_a_name_is_live() -> None:
    piece = evidence(HOSTILE, "<b>.txt")
    told = answer(HOSTILE, [(piece, HOSTILE, HOSTILE)])
    turn = Turn(HOSTILE, ("<img src=x>.txt",), reply=Reply(told, None, True, 0.1))
    others = turn_html(Turn(HOSTILE, text=HOSTILE), 0), turn_html(Turn("", problem=HOSTILE), 0)
    for html in (question_html(turn), turn_html(turn, 0), *others):
        assert set(Reader(html).tags) <= {"div", "a", "p", "br", "ul", "li"}
        assert "\n" not in html  # else Markdown would be looked for behind a blank line


def test_an_abstention_says_so_and_cites_nothing() -> None:
    told = Answer("Not in these sources.", True, 0.1, (), (evidence("The pool."),), {})
    html = turn_html(Turn("?", reply=Reply(told, None, False, 0.1)), 0)
    assert 'class="abstained"><b>Not in these sources.</b>' in html and "cite" not in html and "confidence" not in html


def test_a_question_of_a_hundred_thousand_characters_is_shown_short() -> None:
    html = question_html(Turn("x" * 100_000))
    assert len(html) < 2000 and "98,500 more characters" in html


# evidence from a real index


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shelf")
    names = "restoration-report.pdf", "mill-books.xlsx", "open-day-talk.pptx", "oral-history.jsonl", "sack-stamp.bmp"
    for name in names:
        shutil.copy(SAMPLE / name, folder)
    (folder / "C# notes.txt").write_text(HOSTILE)
    build([folder], folder / "index")
    return folder


def chunk(shelf: Path, name: str, words: str = "") -> Evidence:
    index = Index(shelf / "index")
    for found in index.chunks(range(1, index.count() + 1)).values():
        at = found.locator
        if at.document.rpartition("/")[2].startswith(name) and words in found.text:
            located = (at.document, at.page, found.text, 1.0, {}, at)
            return Evidence(found.id, *located, found.headings, found.modality)
    raise AssertionError(name)


@pytest.mark.parametrize(("name", "words", "where"), [
    ("restoration-report.pdf", "610 kg", ("restoration-report.pdf", "page 3")),
    ("mill-books.xlsx", "868", ("mill-books.xlsx", "Flour 2022")),
    ("open-day-talk.pptx", "The flood", ("open-day-talk.pptx", "slide 2")),
    ("oral-history.jsonl", "Twenty-six", ("oral-history.jsonl#oh-06", "")),
    ("sack-stamp.bmp", "", ("sack-stamp.bmp", "")),
    ("C# notes.txt", "", ("C# notes.txt", "")),
])
def test_a_place_is_named_as_people_name_it(shelf: Path, name: str, words: str, where: tuple[str, str]) -> None:
    assert place(Index(shelf / "index"), chunk(shelf, name, words)) == where


def test_the_evidence_of_an_answer(shelf: Path) -> None:
    index, sentence = Index(shelf / "index"), "The middle gate weighs 610 kg."
    piece, other = chunk(shelf, "restoration-report.pdf", "610 kg"), chunk(shelf, "C# notes.txt")
    told = answer(sentence, [(piece, sentence, sentence)], read=(piece, other))
    box = index.documents.boxes(piece.document, 3, told.citations[0].char_start, told.citations[0].char_end)
    told = replace(told, citations=(replace(told.citations[0], boxes=box),))
    html = evidence_html(Reply(told, index, False, 0.1), 2)
    assert 'id="t2s1"' in html and "<mark>The middle gate weighs 610 kg.</mark>" in html and "confidence 0.90" in html
    assert html.count('class="box"') == len(box) == 1 and "data:image/webp;base64," in html
    assert "1 more passage was read" in html and "<script" not in html and "<img src=x" not in html


def test_closest_passages_beside_an_abstention(shelf: Path) -> None:
    pieces = (chunk(shelf, "C# notes.txt"), chunk(shelf, "mill-books.xlsx", "868"))
    told = Answer("Not in these sources.", True, 0.1, (), pieces, {})
    html = evidence_html(Reply(told, Index(shelf / "index"), False, 0.1), 0)
    assert "No answer in them is sure enough." in html and "<mark>" not in html and "<script" not in html
    assert html.count("<tr>") == 5


def test_a_page_is_drawn_from_its_file_while_that_is_what_was_indexed(shelf: Path) -> None:
    from PIL import Image

    index, piece = Index(shelf / "index"), chunk(shelf, "restoration-report.pdf", "610 kg")
    picture = page_picture(index, piece)
    assert isinstance(picture, PagePicture) and not picture.note
    assert Image.open(io.BytesIO(picture.webp)).size == (picture.width, picture.height)
    path = index.documents.source(piece.document)
    kept = path.rename(path.with_suffix(".away"))
    try:
        assert "gone or has changed" in page_picture(index, piece)
        path.write_bytes(b"another file")
        assert "gone or has changed" in page_picture(index, piece)
    finally:
        kept.rename(path)
    assert isinstance(page_picture(index, piece), PagePicture)


def test_a_picture_is_shown_when_its_file_is_gone(shelf: Path) -> None:
    index, piece = Index(shelf / "index"), chunk(shelf, "sack-stamp.bmp")
    assert page_picture(index, piece).note == ""
    path = index.documents.source(piece.document)
    kept = path.rename(path.with_suffix(".away"))
    try:
        picture = page_picture(index, piece)
    finally:
        kept.rename(path)
    assert isinstance(picture, PagePicture) and "as it was indexed" in picture.note


def test_formats_without_looks_have_no_picture_and_no_excuse(shelf: Path) -> None:
    index = Index(shelf / "index")
    for name in ("mill-books.xlsx", "open-day-talk.pptx", "C# notes.txt"):
        piece = chunk(shelf, name)
        assert page_picture(index, piece) is None


def test_boxes_are_drawn_in_shares_of_the_page() -> None:
    html = picture_html(PagePicture(b"x", 400, 300), [(0.25, 0.5, 0.75, 0.6), (0.3, 0.3, 0.3, 0.3)], 'a"b')
    assert 'style="left:25.000%;top:50.000%;width:50.000%;height:10.000%"' in html and html.count('class="box"') == 1
    assert 'alt="a&quot;b"' in html


@given(st.floats(0, 0.9), st.floats(0.01, 0.5), st.floats(0.2, 3))
def test_the_part_of_a_page_that_is_shown_holds_the_box(top: float, height: float, ratio: float) -> None:
    box = (0.1, top, 0.9, min(1.0, top + height))
    at, share = window([box], ratio)
    assert 0 <= at <= at + share <= 1 + 1e-9
    assert at <= box[1] + 1e-9  # its beginning at least
    if box[3] - box[1] <= share:
        assert box[3] <= at + share + 1e-9


# the library


def test_the_library_lists_failures_first_and_escapes_names() -> None:
    good = FileStatus("data/a.txt", "/data/a.txt", "indexed", "", 1, 3, "text", 2048, 1.7e9)
    bad = FileStatus(f"data/{HOSTILE.replace('/', '')}.pdf", "/x", "failed", HOSTILE, 0, 0, "", 12, 0.0)
    html = library_html(Status("index", "mini", "f", 1, 3, 1, (good, bad)))
    assert "2 files, 1 document, 3 chunks" in html and "1 failed" in html and "2.0 KB" in html
    assert html.index("failed</span>") < html.index("a.txt")
    table = {"table", "thead", "tbody", "tr", "th", "td"}
    assert set(Reader(html).tags) <= {"div", "p", "b", "span", "small", "button"} | table
    assert "No file has this in its name" in library_html(Status("index", "mini", "f", 1, 3, 0, (good,)), "zebra")
    assert "The index is empty" in library_html(Status("index", "", "", 0, 0, 0, ()))


def test_progress_and_summary() -> None:
    assert "Read 2 of 4 files, 9 chunks, last b.txt" in progress_html(Progress(2, 4, 2, 9, "a/b.txt"))
    assert "width:50%" in progress_html(Progress(2, 4, 2, 9, ""))
    assert "Reading 4 files<" in progress_html(Progress(0, 4, 0, 0, ""))
    assert "Looking at the files" in progress_html(None)
    summary = summary_html(Summary(added=1, unchanged=2, seconds=1.5))
    assert "1 document added, 2 documents unchanged in 1.5 s" in summary
    assert "No documents were found" in summary_html(Summary())


def test_the_header_that_a_quoted_row_brings_is_shown_once() -> None:
    header, row = "Month | Bran & meal", "August | 66"
    at = Locator("books.xlsx", 1, 0, len(row))
    piece = Evidence("c1", "books.xlsx", 1, row, 1.0, {}, at, ("Books", header), Modality.TABLE)
    start = len(header) + 1
    citation = Citation("books.xlsx", 1, row, 0, len(row), (), "c1", start, start + len(row))
    html = answer_html(Answer(f"{header}\n{row}", False, 0.9, (citation,), (piece,), {}), 1)
    assert html.count("Bran &amp; meal") == 1
    assert html.count("August") == 1


def test_an_answer_that_needs_no_source_shows_none() -> None:
    told = Answer("You are welcome.", False, 1.0, (), (), {})
    assert "0 source" not in turn_html(Turn("thanks", reply=Reply(told, None, False, 0.1)), 0)
    assert "needs none" in evidence_html(Reply(told, None, False, 0.1), 0)
