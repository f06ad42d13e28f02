"""Turns over the library and over dropped files: which answer is told, what follows up, what is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexing.build.run import Progress, Summary, build
from indexing.filters import Filter
from models.common.errors import FolioError
from rag.calibration import calibration
from rag.conversation import EMPTY, Conversation, Reply, Turn, ask_about
from rag.generators.protocol import abstention
from rag.pipeline import RagPipeline
from rag.types import Context, Draft, Query, Support


class Said:
    """A generator that answers with the first evidence when that holds the word, as sure as it is told to be."""

    name = "said"

    def __init__(self, **confidences: float) -> None:
        self.confidences = confidences
        self.asked: list[str] = []

    def generate(self, query: Query, context: Context) -> Iterator[str | Draft]:
        self.asked.append(query.text)
        text = context.evidence[0].text
        found = [confidence for word, confidence in self.confidences.items() if word in text]
        if not found:
            yield abstention()
            return
        yield text[:3]
        yield text[3:]
        yield Draft(text, (Support(0, 0, len(text), 0, len(text)),), found[0], abstained=False)


def open_with(index: Path, generator: Said) -> RagPipeline:
    rag = RagPipeline.from_index(index, generator="quote", rerank=False)
    return RagPipeline(rag.index, rag.embedder, generator, rag.config, calibration())


@pytest.fixture
def index(tmp_path: Path) -> Path:
    (tmp_path / "library.txt").write_text("The library has a lantern.")
    build([tmp_path / "library.txt"], tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def dropped(tmp_path: Path) -> Path:
    path = tmp_path / "boat.txt"
    path.write_text("The boat is called Kittiwake.")
    return path


def last(turns: Iterator[Turn]) -> Turn:
    *_, turn = turns
    return turn


def test_pieces_are_told_as_they_come(index: Path) -> None:
    talk = Conversation(open_with(index, Said(lantern=0.9)))
    texts = [(turn.text, turn.reply is not None) for turn in talk.take("Where is the lantern?")]
    whole = "The library has a lantern."
    assert texts == [("", False), ("The", False), (whole, False), (whole, True), (whole, True)]
    assert not talk.turns[0].reply.dropped


@pytest.mark.parametrize(
    ("confidences", "told"),
    [
        ({"Kittiwake": 0.9, "lantern": 0.5}, True),
        ({"Kittiwake": 0.5, "lantern": 0.9}, False),
        ({"Kittiwake": 0.5, "lantern": 0.5}, True),
        ({"Kittiwake": 0.1}, True),
        ({"lantern": 0.1}, False),
        ({}, True),
    ],
)
def test_the_better_supported_answer_is_told(
    index: Path, dropped: Path, confidences: dict[str, float], told: bool
) -> None:
    talk = Conversation(open_with(index, Said(**confidences)))
    turn = last(talk.take("What is it called?", [dropped]))
    assert turn.summary.added == 1 and turn.reply.dropped is told
    assert turn.reply.answer.abstained is (not confidences)
    document = turn.reply.answer.evidence[0].document
    assert turn.reply.index.documents.source(document).name == ("boat.txt" if told else "library.txt")


def test_dropped_files_are_read_with_progress_and_go_with_the_conversation(index: Path, dropped: Path) -> None:
    talk = Conversation(open_with(index, Said()))
    events = list(talk.add([dropped]))
    assert isinstance(events[0], Progress) and isinstance(events[-1], Summary)
    folder = Path(talk._folder.name)
    assert (folder / "files" / "boat.txt").exists()
    talk.close()
    assert not folder.exists() and not talk.turns and dropped.exists()


def test_one_question_about_a_file_and_the_library(index: Path, dropped: Path, tmp_path: Path) -> None:
    rag = open_with(index, Said(Kittiwake=0.6, lantern=0.5))
    assert ask_about(rag, "What is the boat called?", [dropped]).text == "The boat is called Kittiwake."
    assert (
        ask_about(open_with(index, Said(Kittiwake=0.4, lantern=0.5)), "lantern", [dropped]).text
        == "The library has a lantern."
    )
    assert ask_about(
        open_with(index, Said(lantern=0.5)), "lantern", [dropped], only=Filter.parse(["type=pdf"])
    ).abstained
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    with pytest.raises(FolioError, match=r"broken\.pdf"):
        ask_about(rag, "What is the boat called?", [tmp_path / "broken.pdf"])
    assert rag.index.count() == 1


def test_the_library_does_not_learn_of_dropped_files(index: Path, dropped: Path) -> None:
    rag = RagPipeline.from_index(index)
    last(Conversation(rag).take("", [dropped]))
    assert rag.index.count() == 1


def test_a_question_that_points_back_carries_the_one_before(index: Path) -> None:
    said = Said(lantern=0.9)
    talk = Conversation(open_with(index, said))
    last(talk.take("Where is the lantern?"))
    last(talk.take("Who made it?"))
    assert said.asked == ["Where is the lantern?", "Where is the lantern? Who made it?"]
    last(talk.again(0))
    assert [turn.question for turn in talk.turns] == ["Where is the lantern?"]


def test_dropped_files_begin_another_subject(index: Path, dropped: Path) -> None:
    said = Said(Kittiwake=0.6)
    talk = Conversation(open_with(index, said))
    for question, files in (
        ("Who owns the lantern?", []),
        ("What does this say?", [dropped]),
        ("And who built it?", []),
    ):
        last(talk.take(question, files))
    assert "What does this say?" in said.asked and said.asked[-1] == "What does this say? And who built it?"


def test_what_a_user_can_cause_is_a_line_of_the_turn(tmp_path: Path, index: Path) -> None:
    talk = Conversation(open_with(index, Said()))
    assert "cannot keep the files" in last(talk.take("?", [tmp_path / "nowhere.txt"])).problem
    build((), tmp_path / "empty")
    assert last(Conversation(RagPipeline.from_index(tmp_path / "empty")).take("Anything?")).problem == EMPTY


def test_an_empty_library_is_no_hindrance_to_dropped_files(tmp_path: Path, dropped: Path) -> None:
    build((), tmp_path / "empty")
    talk = Conversation(RagPipeline.from_index(tmp_path / "empty"))
    turn = last(talk.take("What is the boat called?", [dropped]))
    assert not turn.problem and turn.reply.answer.text == "The boat is called Kittiwake.\nKittiwake"


def test_a_stopped_turn_says_so_unless_it_was_answered(index: Path) -> None:
    talk = Conversation(open_with(index, Said(lantern=0.9)))
    taking = talk.take("Where is the lantern?")
    next(taking)
    taking.close()
    talk.stop()
    assert talk.turns[0].problem == "Stopped."
    last(talk.again(0))
    talk.stop()
    assert isinstance(talk.turns[0].reply, Reply) and not talk.turns[0].problem


def test_another_index_is_asked_with_the_same_models(index: Path, tmp_path: Path, dropped: Path) -> None:
    build([dropped], tmp_path / "other")
    said = Said(lantern=0.9)
    rag = open_with(index, said)
    assert rag.over(tmp_path / "other")._generator is said
    quoting = RagPipeline.from_index(index)
    other = quoting.over(tmp_path / "other")
    assert other.ask("What is the boat called?").text == "The boat is called Kittiwake.\nKittiwake"
