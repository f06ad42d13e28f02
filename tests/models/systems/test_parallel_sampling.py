"""Parallel sampling: how well an answer is grounded, worked out again by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from copier import by_chance

from models.network.config import tiny
from models.network.grounded_reader import GroundedReader, Recalled, trace
from models.reader.sequences import CLS, SEP
from models.reader.windows import Passage, open_tokenizer
from models.systems import parallel_sampling
from models.systems.parallel_sampling import Sample

TEXT = "The mill was built in 1742 by Chandler. Its wheel is of oak."


@pytest.fixture(scope="module")
def reader() -> GroundedReader:
    tokenizer = open_tokenizer()
    return GroundedReader(by_chance(config=tiny(tokenizer.get_vocab_size(), CLS, SEP)))


@pytest.fixture(scope="module")
def recalled(reader: GroundedReader) -> Recalled:
    return reader.remember(["Of what is it?"], [Passage("Nothing here.", "Mills"), Passage(TEXT)], [0, 0])


@torch.inference_mode()
def test_a_score_is_what_decoder_and_judge_say(reader: GroundedReader, recalled: Recalled) -> None:
    context = recalled.contexts[1].ids
    answers = [[*context[3:6], SEP, 0], [context[-2], context[3], context[4], context[5], SEP]]
    prompt = recalled.asked[0]
    ids = torch.tensor([[*prompt, *answer] for answer in answers])
    asked = ids[:, : len(prompt)]
    traced = trace(reader.model, asked, torch.ones_like(asked), ids[:, len(prompt) :], recalled.memory)
    slots = torch.tensor(
        [
            [recalled.width + 1 + at for at in (3, 4, 5, 0, 0)],
            [recalled.width + 1 + at for at in (len(context) - 2, 3, 4, 5, 0)],
        ]
    )
    short, scattered = parallel_sampling.samples(recalled, answers, replace(traced, slots=slots))
    assert (short.tokens, short.place, short.copied) == (tuple(context[3:6]), (1, 3, 5), 1.0)
    assert (scattered.place, scattered.copied) == ((1, 3, len(context) - 2), 0.75)
    said = reader.model(ids[:1, :-1], **recalled.memory.inputs()).logits[0]
    chance = sum(said[len(prompt) - 1 + at, token].item() for at, token in enumerate(answers[0][:4]))
    spans = recalled.live.spans[1] - recalled.live.spans[1, 0]
    assert short.log_probability == pytest.approx(chance, abs=1e-3)
    assert short.score == pytest.approx(chance + spans[1 + 1 + 3, 0].item() + spans[1 + 1 + 5, 1].item(), abs=1e-3)
    assert recalled.characters(*short.place) == (TEXT.index("built"), TEXT.index(" by"))


@torch.inference_mode()
def test_a_token_that_stands_nowhere_has_no_slot(reader: GroundedReader, recalled: Recalled) -> None:
    context, strange = recalled.contexts[1].ids, 29000
    asked, ids = torch.tensor([recalled.asked[0]] * 2), torch.tensor([[strange, context[2]], [strange, strange]])
    traced = trace(reader.model, asked, torch.ones_like(asked), ids, recalled.memory)
    assert traced.slots.tolist() == [[-1, recalled.width + 1 + 2], [-1, -1]]
    placed, nowhere = parallel_sampling.samples(recalled, ids.tolist(), traced)
    assert placed.place == (1, 2, 2) and placed.copied == 0.5
    assert (nowhere.place, nowhere.copied, nowhere.score) == (None, 0.0, float("-inf"))


def test_the_best_is_grounded_best_and_else_the_likeliest() -> None:
    drawn = [
        Sample((1,), -3.0, (0, 0, 0), 1.0, 2.0),
        Sample((2,), -1.0, (0, 1, 1), 1.0, 1.5),
        Sample((3,), -0.1, None, 0.0, float("-inf")),
    ]
    assert parallel_sampling.best(drawn) is drawn[0]
    assert parallel_sampling.best([drawn[2], Sample((4,), -0.2, None, 0.0, float("-inf"))]) is drawn[2]


@pytest.mark.parametrize(
    ("slots", "longest"),
    [([], 0), ([-1, -1], 0), ([7], 1), ([3, 4, 5, 9, 10], 3), ([9, 3, 4, -1, 0, 1, 2], 3), ([5, 5, 4], 1)],
)
def test_runs_by_hand(slots: list[int], longest: int) -> None:
    assert parallel_sampling.longest_run(slots) == longest
