"""Batches: which examples come together, in which order, and the tensors of a batch."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prepared import tokens
from qa_files import row, write_jsonl

from models.common.errors import DataError
from models.reader.sequences import CLS, PAD, ROUND, SEP
from models.training import prepare_data
from models.training.batches import Batch, Examples, cut
from models.training.prepare_data import prepare
from models.training.training_sets import MIXTURE, is_held_out

FILLER = "The mill grinds barley, oats and rye. "
ROWS = [
    row(
        f"How warm is pool {i}?",
        FILLER * (i % 40) + f"Pool {i} has {i + 100} degrees.",
        f"{i + 100} degrees",
        title="Pools" * (i % 2),
    )
    for i in range(120)
]
NOTHING = [row(f"How deep is pool {i}?", f"Pool {i} is round.") for i in range(4)]
FREE = [
    {**row(f"Why pool {i}?", f"Pool {i} is old.", "old"), "answers": [{"text": "Age.", "start": -1}]} for i in range(4)
]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    folder = tmp_path_factory.mktemp("data")
    write_jsonl(folder / "qa" / "train" / "squad2_dev.jsonl.gz", [*ROWS, *NOTHING, *FREE])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare_data, "WITH_OPENING", 0.0)
        prepare(folder, folder / "out")
    return Examples(folder / "out")


def listed(batches: list[np.ndarray]) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


def test_an_epoch_has_each_example_once(examples: Examples) -> None:
    batches = listed(examples.order(600, 0, 0))
    assert sorted(at for batch in batches for at in batch) == list(range(len(examples)))
    assert len(batches) > 20
    for batch in batches:
        assert len(batch) == 1 or len(batch) * examples.lengths[batch].max() <= 600
    sizes = [len(batch) for batch in batches]
    assert max(sizes) > 4 * min(sizes)  # short ones together


def test_the_order_is_that_of_seed_and_epoch(examples: Examples) -> None:
    first = listed(examples.order(600, 0, 0))
    assert listed(examples.order(600, 0, 0)) == first
    assert listed(examples.order(600, 1, 0)) != first != listed(examples.order(600, 0, 1))
    lengths = [int(examples.lengths[batch].max()) for batch in first]
    assert lengths != sorted(lengths)


@given(st.lists(st.integers(1, 400)), st.integers(1, 1000))
def test_cut_keeps_the_budget_and_the_order(lengths: list[int], tokens: int) -> None:
    ordered = np.argsort(lengths, kind="stable")
    parts = list(cut(ordered, np.array(lengths), tokens))
    assert [at for part in parts for at in part] == ordered.tolist()
    assert all(len(part) == 1 or len(part) * max(lengths[at] for at in part) <= tokens for part in parts)
    joined = [(len(part) + 1) * lengths[following[0]] for part, following in pairwise(parts)]
    assert all(size > tokens for size in joined)  # none could have held one more


def batch_of(examples: Examples, rows: list[dict]) -> tuple[Batch, list[dict]]:
    """The examples of these questions in one batch, beside their questions (held out ones are not there)."""
    asked = {tokens(one["question"]): one for one in rows}
    found = []
    for at, line in enumerate(examples.rows):
        question = tuple(
            int(token) for token in examples.tokens[int(line["question"]) :][: int(line["question_length"])]
        )
        if question in asked and line["evidence"] != 0:
            found.append((at, asked[question]))
    return examples.batch(np.array([at for at, _ in found])), [one for _, one in found]


def test_start_and_end_are_the_answers_tokens(examples: Examples) -> None:
    batch, rows = batch_of(examples, ROWS[:30])
    assert len(rows) == sum(not is_held_out(one["context"]) for one in ROWS[:30])
    for i, one in enumerate(rows):
        start, end = int(batch.start[i]), int(batch.end[i])
        assert tuple(batch.input_ids[i, start : end + 1].tolist()) == tokens(one["answers"][0]["text"])
        assert batch.span_mask[i, start] and batch.span_mask[i, end]
    assert (batch.answerable == 1).all() and (batch.evidence == 1).all()


def test_a_row_is_question_title_context(examples: Examples) -> None:
    batch, rows = batch_of(examples, ROWS[:12])
    for i, one in enumerate(rows):
        question, title, context = (list(tokens(one[part])) for part in ("question", "title", "context"))
        line = [CLS, *question, SEP, *title, SEP, *context, SEP]
        padding = batch.input_ids.shape[1] - len(line)
        first = len(question) + 2  # of the title
        assert batch.input_ids[i].tolist() == line + [PAD] * padding
        assert batch.attention_mask[i].tolist() == [1] * len(line) + [0] * padding
        assert batch.token_type_ids[i].tolist() == [0] * first + [1] * (len(line) - first) + [0] * padding
        inside = range(first + len(title) + 1, len(line) - 1)
        assert batch.span_mask[i].nonzero().flatten().tolist() == [0, *inside]
    longest = int(batch.attention_mask.sum(1).max())
    assert batch.input_ids.shape[1] % ROUND == 0 and 0 <= batch.input_ids.shape[1] - longest < ROUND


def test_no_answer_is_cls_and_an_unknown_one_is_ignored(examples: Examples) -> None:
    batch, rows = batch_of(examples, NOTHING)
    assert rows and not batch.start.any() and not batch.end.any()
    assert (batch.answerable == 0).all() and (batch.evidence == -1).all()
    batch, rows = batch_of(examples, FREE)
    assert rows and (batch.start == -100).all() and (batch.end == -100).all()
    assert (batch.answerable == 1).all() and (batch.evidence == 1).all()


def test_what_was_not_prepared_here_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no prepared examples"):
        Examples(tmp_path)
    write_jsonl(tmp_path / "qa" / "train" / "wtq.jsonl.gz", ROWS[:3])
    assert "wtq" in MIXTURE
    prepare(tmp_path, tmp_path)
    assert len(Examples(tmp_path)) + len(Examples(tmp_path, "held")) >= 3
    meta = json.loads((tmp_path / "meta.json").read_text())
    (tmp_path / "meta.json").write_text(json.dumps({**meta, "base": "another@1"}))
    with pytest.raises(DataError, match=r"prepared for another@1.*prepare it again"):
        Examples(tmp_path)
    (tmp_path / "meta.json").write_text("[]")
    with pytest.raises(DataError, match=r"models\.training\.prepare_data"):
        Examples(tmp_path)
