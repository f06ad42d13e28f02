"""A model in torch reads what the shipped graphs read, in the same form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_torch import by_torch

from models.network.config import tiny
from models.network.grounded import GroundedForCausalLM
from models.network.torch_reader import TorchDecoder, TorchEncoder
from models.reader.ablation import Block
from models.reader.coordinates import COLUMNS
from models.reader.extractive_reader import Reader
from models.reader.sequences import CLS, SEP, Parts, collate
from models.reader.windows import Passage, cut, open_tokenizer

PAIRS = [
    ("Which grade has lot 5?", Passage("Lot 5 was sampled and found to be of grade B. It is kept in the hall.")),
    ("Who paid?", Passage("Nobody did.", "Tolls")),
    ("Who?", Passage("lot\tgrade\n1\tA\n2\tB", "Lots")),
]


@pytest.fixture(scope="module")
def model() -> GroundedForCausalLM:
    torch.manual_seed(0)
    made = GroundedForCausalLM(tiny(open_tokenizer().get_vocab_size(), CLS, SEP)).eval()
    with torch.no_grad():
        for weight in made.parameters():
            if weight.ndim > 1:
                weight.normal_(0, weight.shape[-1] ** -0.5)
    return made


def test_rows_are_read_as_each_alone(model: GroundedForCausalLM) -> None:
    parts = [one.parts for one in cut(PAIRS, open_tokenizer())]
    made = TorchEncoder(model)(collate(parts))
    for at, one in enumerate(parts):
        spans, judged, _ = by_torch(model, one)
        seen = [0, *range(one.block, len(one))]
        np.testing.assert_allclose(made.spans[at, seen], spans, atol=1e-5)
        np.testing.assert_allclose(made.judged[at], judged, atol=1e-5)
    assert len(made.costs) == 3
    assert len(parts) == 3 and made.spans.shape[:2] == made.states.shape[:2] == collate(parts).input_ids.shape


def test_an_answer_is_as_likely_as_the_model_says(model: GroundedForCausalLM) -> None:
    rng = np.random.default_rng(0)
    ids = [np.array([7001, 5001, 5002, SEP]), np.array([7002, 5003, 5004, 5005, 6001, SEP])]
    blocks = [
        Block(passage, tokens, rng.normal(0, 1, (len(tokens), 32)).astype(np.float16))
        for passage, tokens in enumerate(ids)
    ]
    question, answer = [2001, 2010], [5003, 5004]

    def alone(chosen: list[Block]) -> float:
        """With blocks that are given one after the other, without padding."""
        tokens = [torch.from_numpy(block.ids)[None] for block in chosen]
        kept = [
            model.remember(torch.from_numpy(block.states)[None].float(), one, torch.ones_like(one)).inputs()
            for block, one in zip(chosen, tokens, strict=True)
        ]
        joined = {name: torch.cat([one[name] for one in kept], 4 if name == "memory_kv" else 1) for name in kept[0]}
        said = model(torch.tensor([[CLS, *question, SEP, *answer]]), **joined).logits[0, len(question) + 1 :]
        return float(said.gather(-1, torch.tensor([*answer, SEP])[:, None]).sum())

    with torch.inference_mode():
        wanted = alone(blocks), alone(blocks[:1])
    assert TorchDecoder(model).log_probabilities(question, answer, blocks, cited=1) == pytest.approx(wanted, abs=1e-3)
    assert abs(wanted[0] - wanted[1]) > 0.1
    assert np.isfinite(TorchDecoder(model).log_probabilities(question, answer, blocks[:1], cited=0)).all()


def test_a_reader_of_it_finds_and_ablates(model: GroundedForCausalLM) -> None:
    reader = Reader(TorchEncoder(model), TorchDecoder(model))
    question, passage = PAIRS[0]
    [[found]], windows = reader.study(question, [passage], [[(0, len(passage.text))]])
    assert [found] == reader.read_pairs([PAIRS[0]])
    assert np.isfinite(reader.ablation(question, windows, 0, (found.start, found.end)))


def test_operations_are_counted_attention_among_them(model: GroundedForCausalLM) -> None:
    question, block, width, inner = 8, 64, 32, 48 + 8  # an expert's channels too
    [spent] = TorchEncoder(model)(collate([Parts(range(7000, 7006), [], range(5000, 5062))])).costs
    layers = [(length, 48) for length in (question, block) for _ in range(2)] + [(question + block, inner)] * 2
    wanted = sum(
        8 * length * width**2 + 4 * length**2 * width + 4 * length * width * channels for length, channels in layers
    )
    grid = 4 * block * COLUMNS * width + 2 * block * width**2  # headers found, put to their columns, and projected
    assert spent.flops == wanted + grid + 4 * width * (1 + block) + 4 * width  # and the heads
