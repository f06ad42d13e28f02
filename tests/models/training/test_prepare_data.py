"""Question sets as token arrays: the labels of each example, and what is held out of training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prepared import shown, tokens
from qa_files import row, write_jsonl

from models.common.errors import DataError
from models.reader.sequences import QUESTION, TITLE, WINDOW
from models.training import prepare_data
from models.training.batches import Examples
from models.training.prepare_data import prepare
from models.training.training_sets import MIXTURE, SETS, is_held_out

FILLER = "The mill grinds barley, oats and rye for the farms along the creek. "
# contexts of 2 to 50 sentences: some fit into a window, some take several
CONTEXTS = [FILLER * (i % 25) + f"Pool {i} is heated to {i + 100} degrees. " + FILLER * (1 + i % 26) for i in range(80)]
HELD = [context for context in CONTEXTS if is_held_out(context)]
ROWS = [
    row(f"How warm is pool {i}?", context, f"{i + 100} degrees", title=f"Pool {i}")
    for i, context in enumerate(CONTEXTS)
]
ANSWERS = {tokens(one["question"]): tokens(one["answers"][0]["text"]) for one in ROWS}
ELSEWHERE = "The roof was mended in 2005."


def written(folder: Path, rows: list[dict] = ROWS, name: str = "squad2_dev") -> Path:
    """A data folder with one set more."""
    write_jsonl(folder / "qa" / "train" / f"{name}.jsonl.gz", rows)
    return folder


def negatives(folder: Path, texts: list[str], rows: list[dict] = ROWS, name: str = "squad2_dev") -> Path:
    """A folder as rag/training/hard_negatives.py writes it: the same texts for each row."""
    candidates = [{"text": text, "title": "Roof", "ranks": {}} for text in texts]
    write_jsonl(
        folder / "train" / f"{name}.jsonl.gz", [{"question": one["question"], "candidates": candidates} for one in rows]
    )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    assert prepare(written(made), made / "out") == {"squad2_dev": len(shown(made / "out"))}
    return made / "out"


def test_the_marked_tokens_spell_the_answer(folder: Path) -> None:
    examples = shown(folder) + shown(folder, "held")
    with_answer = [one for one in examples if one.answer is not None]
    assert {one.question for one in with_answer} == set(ANSWERS)  # each question has its answer once
    assert all(one.answer == ANSWERS[one.question] and one.answerable and one.evidence == 1 for one in with_answer)
    without = [one for one in examples if one.answer is None]
    assert without and not any(one.answerable or one.evidence for one in without)
    assert not any(
        ANSWERS[one.question][:1] == one.context[i : i + 1] for one in without for i in range(len(one.context))
    )
    assert max(len(one.context) for one in examples) == WINDOW


def test_what_is_held_out_is_never_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither as its question's passage nor as another's that does not answer it, whole or a part."""
    monkeypatch.setattr(prepare_data, "RANDOM_PASSAGES", 1.0)
    monkeypatch.setattr(prepare_data, "NEGATIVES", 1.0)
    assert len(HELD) >= 2
    mark = {tokens(f"How warm is pool {CONTEXTS.index(context)}?") for context in HELD}
    secret = [f"Pool {CONTEXTS.index(context)} is heated to" for context in HELD]
    for found in (None, negatives(tmp_path / "negatives", secret)):
        prepare(written(tmp_path), tmp_path / "out", found)
        text = {
            split: [" ".join(map(str, one.context)) for one in shown(tmp_path / "out", split)]
            for split in ("examples", "held")
        }
        leaks = [" ".join(map(str, tokens(part + " "))) for part in secret]
        assert not any(leak in context for leak in leaks for context in text["examples"])
        assert any(leak in context for leak in leaks for context in text["held"])
        assert not mark & {one.question for one in shown(tmp_path / "out")}
        assert {one.question for one in shown(tmp_path / "out", "held")} == mark


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path, folder: Path) -> None:
    found = negatives(tmp_path / "negatives", [ELSEWHERE, FILLER])
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        prepare(written(tmp_path), tmp_path / name, found, seed=seed)
    a, b, c = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "abc")
    assert a == b and set(a) == {"tokens.u16", "grid.u8", "examples.npy", "held.npy", "meta.json"}
    assert a["examples.npy"] != c["examples.npy"]


def test_a_passage_that_was_found_beside_is_no_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare_data, "NEGATIVES", 1.0)
    prepare(written(tmp_path), tmp_path / "out", negatives(tmp_path / "negatives", [ELSEWHERE]))
    examples = shown(tmp_path / "out") + shown(tmp_path / "out", "held")
    beside = [one for one in examples if one.context == tokens(ELSEWHERE)]
    assert {one.question for one in beside} == set(ANSWERS)
    assert all(
        (one.answer, one.answerable, one.evidence, one.title) == (None, False, 0, tokens("Roof")) for one in beside
    )


def test_without_candidates_a_stranger_of_the_set_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare_data, "RANDOM_PASSAGES", 1.0)
    rows = [row(f"How old is mill {i}?", f"Mill {i} is {i + 100} years old.", str(i + 100)) for i in range(60)]
    prepare(written(tmp_path, rows), tmp_path / "out")
    strange = [one for one in shown(tmp_path / "out") if not one.answerable]
    assert len(strange) > 40 and all(one.evidence == 0 for one in strange)
    own = {tokens(one["question"]): tokens(one["context"]) for one in rows}
    assert not any(own[one.question] == one.context for one in strange)


def test_an_unanswerable_question_judges_no_evidence(tmp_path: Path) -> None:
    rows = [row("How deep is it?", f"Pool {i} is heated.") for i in range(20)]
    prepare(written(tmp_path, rows), tmp_path / "out")
    own = [one for one in shown(tmp_path / "out") if one.evidence == -1]
    assert len(own) == sum(not is_held_out(one["context"]) for one in rows)
    assert all((one.answer, one.answerable) == (None, False) for one in own)


def test_an_answer_that_no_window_can_hold_is_still_one(tmp_path: Path) -> None:
    long = "one " * (WINDOW + 20)
    prepare(
        written(tmp_path, [row("What is counted?", FILLER * 20 + long + FILLER * 20, long.strip())]), tmp_path / "out"
    )
    [one, *empty] = shown(tmp_path / "out")
    assert (one.answer, one.answerable, one.evidence, set(one.context)) == (None, True, 1, set(tokens("one")))
    assert all(tokens("one")[0] not in part.context for part in empty)


def test_sets_that_are_read_but_not_word_for_word(tmp_path: Path) -> None:
    assert not MIXTURE["fetaqa"][1]
    answered = row("Who won?", "Year | Winner\n2004 | Lang", "Lang", kind="table")
    free = {**answered, "question": "Why?", "answers": [{"text": "He ran.", "start": -1}]}
    written(tmp_path, [answered, free], "fetaqa")
    counts = prepare(written(tmp_path, [{**free, "source": "of another name"}], "wtq"), tmp_path / "out")
    assert counts == {"wtq": 1, "fetaqa": 2}  # too small a table to make look-ups of
    examples = shown(tmp_path / "out")
    assert [one.set for one in examples] == ["wtq", "fetaqa", "fetaqa"]
    assert all((one.answer, one.answerable, one.evidence) == (None, True, 1) for one in examples)


def test_long_questions_and_titles_are_cut_and_empty_ones_left_out(tmp_path: Path) -> None:
    context = "The pool is heated."
    rows = [
        row("why " * 90, context, "heated", title="pool " * 190),
        row("", context, "heated"),
        row("Why?", ""),
        row("Who?", "\ud800 " + context, "heated"),
    ]
    assert not is_held_out(context)
    prepare(written(tmp_path, rows), tmp_path / "out")
    examples = {one.question[:1]: one for one in shown(tmp_path / "out") if one.answerable}
    assert set(examples) == {tokens("why"), tokens("who")}
    long = examples[tokens("why")]
    assert (len(long.question), len(long.title), long.answer) == (QUESTION, TITLE, tokens("heated"))
    assert examples[tokens("who")].answer == tokens("heated")


@pytest.mark.parametrize("limit", [1, 3])
def test_a_limit_takes_so_many_questions(tmp_path: Path, limit: int) -> None:
    prepare(written(tmp_path), tmp_path / "out", limit=limit)
    assert len({one.question for split in ("examples", "held") for one in shown(tmp_path / "out", split)}) == limit


def test_what_cannot_be_prepared_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has none of the sets"):
        prepare(tmp_path, tmp_path / "out")
    found = negatives(tmp_path / "negatives", [ELSEWHERE], ROWS[:-1])
    with pytest.raises(DataError, match=r"has 79 lines, its set 80"):
        prepare(written(tmp_path), tmp_path / "out", found)
    path = found / "train" / "squad2_dev.jsonl.gz"
    for damaged in (path.read_bytes()[:-30], b"no gzip"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"squad2_dev\.jsonl\.gz is damaged"):
            prepare(tmp_path, tmp_path / "out", found)
    assert not (tmp_path / "out").exists()


def test_a_passage_is_read_under_the_opening_of_its_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never under one that is held out, and the opening itself under its title alone."""
    monkeypatch.setattr(prepare_data, "WITH_OPENING", 1.0)
    texts = [f"Part {i} says that {i + 100} sacks came." for i in range(60)]
    rows = [row(f"How many sacks in part {i}?", text, str(i + 100), title="Sacks") for i, text in enumerate(texts)]
    prepare(written(tmp_path, rows), tmp_path / "out")
    opening = next(text for text in texts if not is_held_out(text))
    for one in shown(tmp_path / "out"):
        if one.answerable:
            assert one.title == (tokens("Sacks") if one.context == tokens(opening) else tokens(f"Sacks - {opening}"))


def test_a_long_table_is_cut_around_its_answer(tmp_path: Path) -> None:
    lines = [f"creek {i} | {i} miles | {i} boats" for i in range(100)]
    context = "name | length | boats\n" + "\n".join(lines)
    rows = [row(f"How long is creek {i}?", context, f"{i} miles", kind="table") for i in range(100)]
    prepare(written(tmp_path, rows, "wtq"), tmp_path / "out")
    examples = [
        one
        for split in ("examples", "held")
        for one in shown(tmp_path / "out", split)
        if one.answer and one.set == "wtq"
    ]
    header = tokens("name | length | boats")
    assert len(examples) >= 90 and all(one.context[: len(header)] == header for one in examples)
    assert {one.question: one.answer for one in examples} == {
        tokens(one["question"]): tokens(one["answers"][0]["text"]) for one in rows
    }
    grids = Examples(tmp_path / "out")
    for line, one in zip(grids.rows, shown(tmp_path / "out"), strict=True):
        if one.answer and one.set == "wtq":
            place = grids.places(line, "context")[int(line["start"])]
            assert place[0] > 1 and place[1] == 2


def test_what_is_made_of_held_out_tables_and_prose(tmp_path: Path) -> None:
    """Look-ups come from tables that are trained on, recurring spans from the prose."""
    names = tuple(enumerate(("Lodge", "Creek", "Salt", "Bere")))
    tables = [
        "\n".join(["mill | year | stones", *(f"{name} {i} Mill | {1700 + i + at} | {at + 2}" for at, name in names)])
        for i in range(60)
    ]
    written(tmp_path, [{**row("Why?", table, kind="table"), "answers": []} for table in tables], "tabfact")
    prose = [
        f"The Walters gate of {i} was hung in spring. "
        "Later the miller oiled the Walters gate before every tide of the year."
        f" In {1800 + i} the old Walters gate was painted green before the tide."
        for i in range(40)
    ]
    write_jsonl(
        tmp_path / "text" / "wikipedia.jsonl.gz",
        [{"title": f"Mill {i}", "paragraphs": [text * 2]} for i, text in enumerate(prose)],
    )
    counts = prepare(tmp_path, tmp_path / "out")
    assert counts["lookups"] > 50 and counts["tabfact"] > 50
    held = [set(tokens(table.split("\n")[1].split(" | ")[0])) for table in tables if is_held_out(table)]
    assert held
    names = [
        " ".join(map(str, tokens(line.split(" | ")[0])))
        for table in tables
        if is_held_out(table)
        for line in table.split("\n")[1:]
    ]
    made = [" ".join(map(str, one.context)) for one in shown(tmp_path / "out") if one.set == "lookups"]
    assert not any(name in context for name in names for context in made)


def test_the_sheet_beside_the_arrays(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    assert (meta["examples"]["squad2_dev"], meta["held"]) == (len(shown(folder)), len(shown(folder, "held")))
    assert meta["sets"] == list(SETS) and "minilm" in meta["base"]


def test_pages_keep_their_boxes_and_other_questions_are_put_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a page that is drawn, tokens have places; a question about something else has nothing to look for there."""
    monkeypatch.setattr("models.training.prepare_data.ON_PAGES", 1.0)
    write_jsonl(
        tmp_path / "data" / "qa" / "train" / "squad2_dev.jsonl.gz",
        [
            {**row(f"Who built gate {i}?", f"Gate {i} was built by Ann.", "Ann"), "source": "squad2_dev"}
            for i in range(30)
        ],
    )
    page = {
        **row("What is the total?", "TOTAL\n126.05", "126.05"),
        "source": "rendered",
        "boxes": [[0, 5, 0.1, 0.5, 0.3, 0.6], [6, 12, 0.7, 0.5, 0.9, 0.6]],
    }
    pages = write_jsonl(tmp_path / "pages.jsonl.gz", [page])
    counts = prepare(tmp_path / "data", tmp_path / "out", pages=pages)
    assert counts["rendered"] == 1
    examples = Examples(tmp_path / "out")
    places = {examples.places(one, "context")[0].tolist()[2] > 0: one for one in examples.rows}
    assert places[True]["context_length"] > 1
    assert examples.places(places[True], "context")[0].tolist()[2:] == [7, 32, 20, 38]
    beside = [
        one for one in examples.rows if examples.places(one, "context")[0][2] and SETS[one["set"]] == "squad2_dev"
    ]
    assert len(beside) > 20 and all((one["answerable"], one["evidence"], one["start"]) == (0, 0, -1) for one in beside)
