"""The router: the same in torch and numpy, a block's score its own, and what a block costs that is not worth reading."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.int8 import Router
from models.router import BlockRouter

WIDTH = 16


@pytest.fixture(scope="module")
def router() -> BlockRouter:
    torch.manual_seed(0)
    return BlockRouter(WIDTH)


def in_numpy(router: BlockRouter, least: float = 0.0) -> Router:
    values = {name: weight.detach().numpy() for name, weight in router.named_parameters()}
    return Router(
        values["question.weight"].T, values["block.weight"].T, values["weight.weight"][0], float(values["weight.bias"][0]), values["scale"], least
    )


def states(rng: np.random.Generator, tokens: int) -> np.ndarray:
    return rng.normal(size=(tokens, WIDTH)).astype(np.float16)


@settings(deadline=None)
@given(st.integers(1, 9), st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(0, 999))
def test_a_blocks_score_depends_on_it_and_the_question_alone(router: BlockRouter, asked: int, lengths: list[int], seed: int) -> None:
    """In a padded batch of other blocks, in any order, and in numpy."""
    rng = np.random.default_rng(seed)
    question, blocks = states(rng, asked), [states(rng, length) for length in lengths]
    alone = [in_numpy(router).logit(question, block) for block in blocks]
    padded, mask = np.zeros((len(blocks), max(lengths) + 3, WIDTH), np.float32), np.zeros((len(blocks), max(lengths) + 3), np.int64)
    questions, seen = np.zeros((len(blocks), asked + 2, WIDTH), np.float32), np.zeros((len(blocks), asked + 2), np.int64)
    for i, block in enumerate(blocks):
        padded[i, : len(block)], mask[i, : len(block)], questions[i, :asked], seen[i, :asked] = block, 1, question, 1
    with torch.no_grad():
        together = router(*map(torch.from_numpy, (questions, seen, padded, mask)))
    assert together.tolist() == pytest.approx(alone, abs=1e-4)


def test_it_learns_which_blocks_share_what_matters(router: BlockRouter) -> None:
    """Blocks that hold the vector of one word of the question, among words that all blocks hold."""
    rng = np.random.default_rng(1)
    common, rare = rng.normal(size=(4, WIDTH)), rng.normal(size=(20, WIDTH))
    which, there = rng.integers(0, 20, 200), rng.random(200) < 0.5
    questions = torch.tensor(np.stack([np.vstack([common[:2], rare[word : word + 1]]) for word in which]), dtype=torch.float32)
    others = (which + rng.integers(1, 20, 200)) % 20
    blocks = torch.tensor(np.stack([np.vstack([common, rare[word if held else other]]) for word, other, held in zip(which, others, there, strict=True)]), dtype=torch.float32)
    masks = torch.ones(200, 3, dtype=torch.long), torch.ones(200, 5, dtype=torch.long)
    labels = torch.tensor(there, dtype=torch.float32)
    optimizer = torch.optim.Adam(router.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(router(questions, masks[0], blocks, masks[1]), labels)
        loss.backward()
        optimizer.step()
    assert loss < 0.2
