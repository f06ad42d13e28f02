"""Pictures to train on: what an example of one holds, and how a batch brings it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from prepared import tokens
from qa_files import row, write_jsonl
from safetensors.numpy import load_file

from models import base
from models.batches import Examples
from models.data import is_held, prepare
from models.errors import DataError
from models.grid import Kind
from models.layout import PATCH
from models.minilm import MiniLM
from models.picture import PATCH_PLACES, PATCHES, WIDTH
from models.questions import Questions
from models.soft_words import begin_as_words
from models.sought import PATCH_FILE, QUESTION_FILE, Shown, Sought, read_shown

CONTEXT = next(text for at in range(100) if not is_held(text := f"The gate is {at} m wide."))
SOUGHT = [
    Sought("Which picture shows a red gate?", "train", (Shown(2, "Figure 1: a gate", "Mill", True), Shown(0, "", "", False))),
    Sought("a photo of the pond", "train", (Shown(1, "", "", True),)),
    Sought("a photo of the sea", "dev", (Shown(0, "", "", True),)),
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    np.arange(3, dtype=np.float16).repeat(PATCHES * WIDTH).tofile(folder / PATCH_FILE)
    write_jsonl(folder / QUESTION_FILE, map(asdict, SOUGHT))
    return folder


@pytest.fixture(scope="module")
def folder(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    write_jsonl(made / "qa" / "train" / "squad2_dev.jsonl.gz", [row("How wide is the gate?", CONTEXT, CONTEXT.split()[3])])
    assert prepare(made, made / "out", pictures=pictures) == {"squad2_dev": 1, "pictures": 3}
    return made / "out"


def test_what_was_written_is_read(pictures: Path) -> None:
    assert read_shown(pictures) == SOUGHT


def test_each_patch_stands_behind_its_own_words(folder: Path) -> None:
    questions = Questions(folder)
    (order,) = questions.order(10_000, 0, 0)
    batch = questions.batch(order)
    seen = 0
    assert len(batch.patches) == 3 * PATCHES and len(batch.block_ids) == 4
    for ids, mask, grid, kind, context, answerable, evidence, start in zip(
        batch.block_ids, batch.block_mask, batch.grid, batch.kinds, batch.context_mask, batch.answerable, batch.evidence, batch.start, strict=True
    ):
        (places,) = (ids == PATCH).nonzero(as_tuple=True)
        if not len(places):
            assert kind == Kind.TEXT and start > 0
            continue
        assert len(places) == PATCHES == places[-1] - places[0] + 1 and mask.sum() == places[-1] + 1 and not context[places].any()
        assert kind == Kind.PAGE and np.array_equal(grid[places], PATCH_PLACES)
        values = batch.patches[seen * PATCHES : (seen + 1) * PATCHES]
        one = next(one for asked in SOUGHT[:2] for one in asked.shown if values.eq(one.picture).all())
        assert tokens(one.text) == tuple(ids[context].tolist()) and answerable == evidence == one.shows and start == (-100 if one.shows else 0)
        seen += 1
    assert seen == 3


def test_a_floor_sees_no_pictures(folder: Path) -> None:
    examples = Examples(folder)
    order = [at for batch in examples.order(10_000, 0, 0) for at in batch]
    assert examples.rows["picture"][order].tolist() == [-1] and len(examples) == 4


@pytest.mark.parametrize("harm", ["nothing", "torn", "fewer"])
def test_damage_is_one_line(pictures: Path, tmp_path: Path, harm: str) -> None:
    if harm != "nothing":
        (tmp_path / PATCH_FILE).write_bytes((pictures / PATCH_FILE).read_bytes()[: 2 * PATCHES * WIDTH])
        (tmp_path / QUESTION_FILE).write_bytes((pictures / QUESTION_FILE).read_bytes()[: -30 if harm == "torn" else None])
    with pytest.raises(DataError, match="run bench/make_pictures"):
        read_shown(tmp_path)


def test_a_patch_begins_as_the_word_that_it_is_like() -> None:
    own = torch.from_numpy(load_file(base.folder() / "model.safetensors")["embeddings.word_embeddings.weight"])
    vocabulary, patches = (base.folder() / "vocab.txt").read_text().splitlines(), torch.nn.Linear(WIDTH, WIDTH)
    begin_as_words(patches, own, MiniLM().encode_documents)
    for text, word in (("apple", "apple"), ("a bar chart", "chart"), ("the bridge", "bridge")):
        near = torch.nn.functional.normalize(own, dim=1) @ patches(torch.from_numpy(MiniLM().encode_documents([text])))[0]
        assert vocabulary[int(near.argmax())] == word
