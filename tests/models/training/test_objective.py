"""The grounded model's training objective, on questions prepared from rows of the tests' own."""

from __future__ import annotations

import gzip
import json
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from models.network.config import embedded
from models.network.grounded import GroundedForCausalLM
from models.network.grounded_reader import GroundedReader
from models.reader.coordinates import BlockModality
from models.reader.image_patches import WIDTH
from models.reader.sequences import IGNORED, PATCH
from models.reader.windows import Passage
from models.training.objective import ALLOWED, loss, recall
from models.training.prepare_data import prepare
from models.training.question_batches import QuestionBatch, Questions
from models.training.training_sets import MIXTURE

CONTEXT = "The south gate was built in 1786. It is 1.85 m wide. Josiah Pask paid for it."
ROWS = [
    {
        "id": "1",
        "question": "How wide is the south gate?",
        "context": CONTEXT,
        "answers": [{"text": "1.85 m", "start": 40}],
    },
    {
        "id": "2",
        "question": "Who paid for the gate?",
        "context": CONTEXT,
        "answers": [{"text": "Josiah Pask", "start": 53}],
    },
    {"id": "3", "question": "Who painted the gate?", "context": CONTEXT, "answers": [], "unanswerable": True},
    {
        "id": "4",
        "question": "When was the south gate built?",
        "context": CONTEXT,
        "answers": [{"text": "1786", "start": 28}],
    },
]
OTHER = {"text": "The north wall was mended in 1901.", "title": "Walls"}


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Questions:
    folder = tmp_path_factory.mktemp("prepared")
    for kind, lines in (
        ("data/qa", [{**row, "source": "squad2_dev", "title": "Mill", "kind": "extractive"} for row in ROWS]),
        ("beside", [{"candidates": [] if row["id"] == "3" else [OTHER]} for row in ROWS]),
    ):
        (folder / kind / "train").mkdir(parents=True)
        for name in MIXTURE:
            with gzip.open(folder / kind / "train" / f"{name}.jsonl.gz", "wt") as file:
                file.write("".join(json.dumps(line) + "\n" for line in (lines if name == "squad2_dev" else [])))
    prepare(folder / "data", folder / "out", folder / "beside")
    return Questions(folder / "out")


@pytest.fixture(scope="module")
def batch(questions: Questions) -> QuestionBatch:
    (order,) = questions.order(100_000, 0, 0)
    return questions.batch(order)


@pytest.fixture
def model() -> GroundedForCausalLM:
    torch.manual_seed(0)
    config = embedded()
    (
        config.num_hidden_layers,
        config.cross_attention_layers,
        config.memory_config.num_hidden_layers,
        config.memory_cached_layers,
    ) = 2, [1], 2, 1
    return GroundedForCausalLM(config)


def test_labels_are_the_answers_and_slots_are_where_they_stand(batch: QuestionBatch) -> None:
    width = batch.block_ids.shape[1]
    slots = torch.zeros(len(batch.question_ids) * int(batch.blocks), width, dtype=torch.long).index_copy(
        0, batch.place, batch.block_ids
    )
    slots = slots.view(len(batch.question_ids), -1)
    answers = 0
    for row in range(len(ROWS)):
        pointed = batch.slots[row] != IGNORED
        assert torch.equal(slots[row][batch.slots[row][pointed]], batch.labels[row][pointed])
        written = batch.labels[row] != IGNORED
        assert torch.equal(batch.decoder_ids[row][written], batch.labels[row][written])
        assert batch.labels[row][written][-1] == 102  # [SEP]; alone where there is no answer
        answers += int(pointed.any())
    assert answers == 3
    # the candidates found beside, and the near miss
    assert int(batch.blocks) == 2 and (batch.answerable == 0).sum() >= 2


def test_the_loss_is_that_of_the_whole_mixture(model: GroundedForCausalLM, batch: QuestionBatch) -> None:
    with torch.no_grad():
        memory, _ = recall(model, batch)
        whole = model(batch.decoder_ids, attention_mask=batch.decoder_mask, labels=batch.labels, **memory.inputs()).loss
        torch.testing.assert_close(loss(model, batch)["answer"], whole, atol=1e-4, rtol=1e-4)


def test_every_part_learns_and_the_word_vectors_can_stay(model: GroundedForCausalLM, batch: QuestionBatch) -> None:
    model.memory.bert.embeddings.requires_grad_(False)
    table = torch.zeros_like(batch.grid)
    table[:, 2:9, 0] = torch.tensor([1, 1, 1, 2, 2, 2, 2])
    table[:, 2:9, 1] = torch.tensor([1, 0, 2, 1, 0, 2, 2])
    table[0, 2:9, 2:] = 5
    for experts in model.memory.experts:
        torch.nn.init.normal_(experts.up)  # from 0 the other weights of an expert do not learn at first
    kinds = torch.arange(len(table)) % len(BlockModality)
    ids = batch.block_ids.clone()
    ids[-1, 3:6] = PATCH
    loss(
        model,
        replace(
            batch,
            block_ids=ids,
            patches=torch.randn(3, WIDTH),
            grid=table,
            kinds=kinds,
            cached=torch.zeros_like(batch.cached),
        ),
    )["loss"].backward()
    without = {
        name
        for name, weight in model.named_parameters()
        if weight.requires_grad and (weight.grad is None or not weight.grad.any())
    }
    assert without == set()
    assert model.model.embed_tokens.weight.grad is None


def test_a_near_miss_is_beside_its_question(
    model: GroundedForCausalLM, questions: Questions, batch: QuestionBatch
) -> None:
    ((answered, missed),) = batch.pairs.tolist()
    assert (
        batch.answerable[answered] == 1
        and batch.answerable[missed] == 0
        and torch.equal(batch.block_ids[answered], batch.block_ids[missed])
    )
    for tokens in (1, 100_000):
        order = questions.order(tokens, 0, 0)
        assert (
            sorted(at for one in order for at in one) == [0, 1, 2, 3]
            and sum(len(questions.batch(one).pairs) for one in order) == 1
        )
    asked = replace(batch, cached=torch.zeros_like(batch.cached))
    contrast = loss(model, asked)["contrast"]
    turned = loss(model, replace(asked, pairs=batch.pairs.flip(1)))["contrast"]
    # softplus(m) and softplus(-m), m the same
    margin = torch.log(torch.expm1(turned)) - torch.log(torch.expm1(contrast))
    assert margin.abs() > 0 and torch.log(torch.expm1(turned)).item() == pytest.approx(
        -torch.log(torch.expm1(contrast)).item(), abs=1e-4
    )
    assert loss(model, replace(batch, cached=torch.ones_like(batch.cached)))["contrast"] == 0


def test_blocks_read_without_their_question_teach_no_reading(model: GroundedForCausalLM, batch: QuestionBatch) -> None:
    loss(model, replace(batch, cached=torch.ones_like(batch.cached)))["loss"].backward()
    assert not model.memory.judge.weight.grad.any() and not model.memory.span.weight.grad.any()
    assert model.projector.kv.weight.grad.any()


def test_spans_are_the_answers_tokens_in_their_blocks(batch: QuestionBatch) -> None:
    marked = 0
    for i in range(len(batch.block_ids)):
        if batch.start[i] > 0:
            said = batch.block_ids[i, batch.start[i] - 1 : batch.end[i]]
            labels = batch.labels[batch.owner[i]]
            assert torch.equal(said, labels[labels != IGNORED][:-1])
            assert batch.context_mask[i, batch.start[i] - 1] and batch.answerable[i] == 1
            marked += 1
    assert marked == 3


def test_computing_more_than_is_allowed_costs(model: GroundedForCausalLM, batch: QuestionBatch) -> None:
    assert "computed" not in loss(model, batch)
    model.route()
    parts = loss(model, batch)
    assert parts["through"] == 1 and parts["computed"].item() == pytest.approx(1 - ALLOWED)
    parts["computed"].backward()
    assert all(router.bias.grad > 0 for router in model.memory.routers)
    for router in model.memory.routers:
        torch.nn.init.constant_(router.bias, -9.0)
    assert loss(model, batch)["computed"] == 0


def test_a_teacher_is_followed_but_on_pages(model: GroundedForCausalLM, batch: QuestionBatch) -> None:
    teacher = deepcopy(model)
    asked = replace(
        batch, cached=torch.zeros_like(batch.cached), kinds=torch.full_like(batch.kinds, BlockModality.TEXT)
    )
    same = loss(model, asked, teacher)["taught"]
    torch.nn.init.normal_(teacher.memory.span.weight)
    other = loss(model, asked, teacher)
    assert other["taught"] > same + 0.1 and other["loss"].isfinite()
    pages = loss(model, replace(asked, kinds=torch.full_like(batch.kinds, BlockModality.PAGE)), teacher)
    assert pages["taught"] == 0
    other["taught"].backward()
    assert model.memory.span.weight.grad.any() and teacher.memory.span.weight.grad is None


@pytest.mark.slow
def test_it_learns_to_copy_answers_and_to_give_none(model: GroundedForCausalLM, batch: QuestionBatch) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batch = replace(batch, cached=torch.zeros_like(batch.cached))
    for _ in range(60):
        optimizer.zero_grad()
        parts = loss(model, batch)
        parts["loss"].backward()
        optimizer.step()
    assert parts["answer"] < 0.1
    asked = [(row["question"], Passage(CONTEXT, "Mill")) for row in ROWS]
    written = GroundedReader(model, greedy=True).read_pairs(asked)
    assert [CONTEXT[finding.start : finding.end] for finding in written] == ["1.85 m", "Josiah Pask", "", "1786"]
    assert min(written[at].span for at in (0, 1, 3)) > 0
    verified = GroundedReader(model).read_pairs(asked)
    assert [CONTEXT[verified[at].start : verified[at].end] for at in (0, 1, 3)] == ["1.85 m", "Josiah Pask", "1786"]
    assert max(verified[2].span, verified[2].answerable) < 0 < min(verified[at].span for at in (0, 1, 3))
