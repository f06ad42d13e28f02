"""Picture questions: the examples prepared from them, and their batches."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from prepared import tokens
from qa_files import row, write_jsonl
from safetensors.numpy import load_file

from models.common import base_encoder
from models.common.errors import DataError
from models.common.minilm import MiniLM
from models.network.grounded_reader import GroundedReader
from models.network.torch_reader import TorchEncoder
from models.reader.coordinates import BlockModality
from models.reader.image_patches import PATCH_PLACES, PATCHES, WIDTH, Picture
from models.reader.sequences import PATCH, collate
from models.reader.windows import Passage, cut, open_tokenizer
from models.training.batches import Examples
from models.training.example_arrays import EXAMPLE
from models.training.image_questions import (
    PATCH_FILE,
    QUESTION_FILE,
    CandidatePicture,
    PictureQuestion,
    read_picture_questions,
)
from models.training.patch_projection import initialise_from_words
from models.training.prepare_data import prepare
from models.training.question_batches import Questions, _near_misses
from models.training.training_sets import is_held_out

CONTEXT = next(text for at in range(100) if not is_held_out(text := f"The gate is {at} m wide."))
SOUGHT = [
    PictureQuestion(
        "Which picture shows a red gate?",
        "train",
        (CandidatePicture(2, "Figure 1: a gate", "Mill", True), CandidatePicture(0, "", "", False)),
    ),
    PictureQuestion("a photo of the pond", "train", (CandidatePicture(1, "", "", True),)),
    PictureQuestion("a photo of the sea", "dev", (CandidatePicture(0, "", "", True),)),
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
    write_jsonl(
        made / "qa" / "train" / "squad2_dev.jsonl.gz", [row("How wide is the gate?", CONTEXT, CONTEXT.split()[3])]
    )
    assert prepare(made, made / "out", pictures=pictures) == {"squad2_dev": 1, "pictures": 3}
    return made / "out"


def test_what_was_written_is_read(pictures: Path) -> None:
    assert read_picture_questions(pictures) == SOUGHT


def test_each_patch_stands_behind_its_own_words(folder: Path) -> None:
    questions = Questions(folder)
    (order,) = questions.order(10_000, 0, 0)
    batch = questions.batch(order)
    seen = 0
    assert len(batch.patches) == 3 * PATCHES and len(batch.block_ids) == 4
    for ids, mask, grid, kind, context, answerable, evidence, start in zip(
        batch.block_ids, batch.block_mask, batch.grid, batch.kinds, batch.context_mask, batch.answerable,
        batch.evidence, batch.start, strict=True,
    ):
        (places,) = (ids == PATCH).nonzero(as_tuple=True)
        if not len(places):
            assert kind == BlockModality.TEXT and start > 0
            continue
        assert (
            len(places) == PATCHES == places[-1] - places[0] + 1
            and mask.sum() == places[-1] + 1
            and not context[places].any()
        )
        assert kind == BlockModality.PAGE and np.array_equal(grid[places], PATCH_PLACES)
        values = batch.patches[seen * PATCHES : (seen + 1) * PATCHES]
        one = next(one for asked in SOUGHT[:2] for one in asked.shown if values.eq(one.picture).all())
        assert (
            tokens(one.text) == tuple(ids[context].tolist())
            and answerable == evidence == one.shows
            and start == (-100 if one.shows else 0)
        )
        seen += 1
    assert seen == 3


def test_the_baseline_reads_no_pictures(folder: Path) -> None:
    examples = Examples(folder)
    order = [at for batch in examples.order(10_000, 0, 0) for at in batch]
    assert examples.rows["picture"][order].tolist() == [-1] and len(examples) == 4


@pytest.mark.parametrize("harm", ["nothing", "torn", "fewer"])
def test_damage_is_one_line(pictures: Path, tmp_path: Path, harm: str) -> None:
    if harm != "nothing":
        (tmp_path / PATCH_FILE).write_bytes((pictures / PATCH_FILE).read_bytes()[: 2 * PATCHES * WIDTH])
        (tmp_path / QUESTION_FILE).write_bytes(
            (pictures / QUESTION_FILE).read_bytes()[: -30 if harm == "torn" else None]
        )
    with pytest.raises(DataError, match=r"run python -m rag\.training\.make_pictures"):
        read_picture_questions(tmp_path)


def test_a_patch_begins_as_the_word_that_it_is_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitted on a part of the vocabulary, which has the words that are asked for: encoding all of it takes a minute."""
    own = torch.from_numpy(load_file(base_encoder.folder() / "model.safetensors")["embeddings.word_embeddings.weight"])
    vocabulary = (base_encoder.folder() / "vocab.txt").read_text().splitlines()
    asked = {"apple": "apple", "a bar chart": "chart", "the bridge": "bridge"}
    part = [word if at % 8 == 0 or word in asked.values() else "-" for at, word in enumerate(vocabulary)]
    (tmp_path / "vocab.txt").write_text("\n".join(part))
    patches, encode = torch.nn.Linear(WIDTH, WIDTH), MiniLM().encode_documents
    monkeypatch.setattr(base_encoder, "folder", lambda: tmp_path)
    initialise_from_words(patches, own, encode)
    for text, word in asked.items():
        near = torch.nn.functional.normalize(own, dim=1) @ patches(torch.from_numpy(encode([text])))[0]
        assert vocabulary[int(near.argmax())] == word


def test_pairs_are_of_one_passage_and_each_question_is_in_one() -> None:
    rows = np.zeros(7, EXAMPLE)
    rows["context"], rows["context_length"], rows["picture"] = [1, 1, 1, 2, 2, 1, 1], 9, [-1, -1, -1, -1, -1, 4, -1]
    rows["answerable"] = [0, 1, 1, 1, 0, 0, 0]
    assert _near_misses(rows).tolist() == [-1, 0, 6, 4, -1, -1, -1]


def test_the_grounded_reader_and_the_graphs_in_torch_see_the_same_picture() -> None:
    model, made = small.reader(), np.random.default_rng(0)
    one, other = (
        Passage("The gate is red.", picture=Picture(made.normal(0, 0.3, (PATCHES, WIDTH)).astype(np.float16)))
        for _ in range(2)
    )
    plain = Passage("The gate is red.")
    judged = [
        GroundedReader(model).remember(["Why?"], [passage], [0]).live.judged[0].tolist()
        for passage in (one, other, plain)
    ]
    parts = [cut([("Why?", passage)], open_tokenizer())[0].parts for passage in (one, other, plain)]
    torch.testing.assert_close(
        torch.from_numpy(TorchEncoder(model)(collate(parts)).judged), torch.tensor(judged), atol=1e-4, rtol=1e-4
    )
    assert abs(judged[0][0] - judged[1][0]) > 1e-3 and abs(judged[0][0] - judged[2][0]) > 1e-3
