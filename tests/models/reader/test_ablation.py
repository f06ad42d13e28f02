"""The int8 decoder: log-probabilities of an answer with all of its memory, and without the cited block."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.common.onnx_graph import quantised
from models.network.config import embedded
from models.network.grounded import GroundedForCausalLM
from models.reader.ablation import Block, Decoder
from models.reader.decoder_graph import decoder
from models.reader.sequences import CLS, SEP

QUESTION = [2001, 2010, 3000]
ANSWERS = [[5001, 5002], [5002], [5003, 5004, 5005], []]


@pytest.fixture(scope="module")
def model() -> GroundedForCausalLM:
    torch.manual_seed(0)
    config = embedded()
    config.num_hidden_layers, config.cross_attention_layers = 2, [0, 1]
    config.memory_config.num_hidden_layers = config.memory_cached_layers = 1
    model = GroundedForCausalLM(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.startswith(("model.layers", "projector", "copy")) and weight.ndim == 2:
                weight.normal_(0, 0.05)
            elif name.endswith("sink"):
                weight.normal_(0, 1)
    return model


@pytest.fixture(scope="module")
def int8(model: GroundedForCausalLM) -> Decoder:
    import onnxruntime

    state = {name: values.numpy() for name, values in model.state_dict().items()}
    graph = decoder(
        {name: values for name, values in state.items() if name.startswith(("model.", "projector.", "copy."))},
        state["model.embed_tokens.weight"],
    )
    return Decoder(onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"]))


def blocks() -> list[Block]:
    rng = np.random.default_rng(0)
    ids = [
        np.array([7001, 5001, 5002, 6000, SEP]),
        np.array([7002, 5003, 5004, 5005, 5001, 6001, SEP]),
        np.array([7003, 6002, SEP]),
    ]
    return [
        Block(passage, tokens, rng.normal(0, 0.6, (len(tokens), 384)).astype(np.float16))
        for passage, tokens in zip((0, 1, 1), ids, strict=True)
    ]


@torch.inference_mode()
def by_torch(model: GroundedForCausalLM, answer: list[int], memory: list[Block]) -> float:
    parts = []
    for block in memory:
        ids = torch.from_numpy(block.ids)[None]
        parts.append(model.remember(torch.from_numpy(block.states)[None].float(), ids, torch.ones_like(ids)))
    joined = {
        "memory_kv": torch.cat([part.memory_kv for part in parts], 4),
        "memory_keys": torch.cat([part.memory_keys for part in parts], 1),
        "memory_ids": torch.cat([part.memory_ids for part in parts], 1),
        "memory_mask": torch.cat([part.memory_mask for part in parts], 1),
    }
    prompt = [CLS, *QUESTION, SEP]
    logits = model(torch.tensor([[*prompt, *answer]]), **joined).logits[0, len(prompt) - 1 :]
    return float(logits.gather(-1, torch.tensor([*answer, SEP])[:, None]).sum())


def test_an_answer_is_as_likely_as_torch_says(model: GroundedForCausalLM, int8: Decoder) -> None:
    whole, without = np.array([int8.log_probabilities(QUESTION, answer, blocks(), cited=1) for answer in ANSWERS]).T
    theirs = np.array([by_torch(model, answer, blocks()) for answer in ANSWERS])
    assert np.ptp(theirs) > 5
    assert np.abs(whole - theirs).max() < 0.1 * np.ptp(theirs)
    fewer = np.array([by_torch(model, answer, blocks()[:1]) for answer in ANSWERS])
    assert np.abs(without - fewer).max() < 0.1 * np.ptp(theirs)
    assert whole[2] - without[2] > 1 > abs(whole[1] - without[1])  # only the cited passage has the third one's words


def test_without_the_only_block_nothing_is_copied(int8: Decoder) -> None:
    whole, without = int8.log_probabilities(QUESTION, ANSWERS[0], blocks()[:1], cited=0)
    assert np.isfinite(without) and whole > without + 1


def test_levels_made_again_are_the_same() -> None:
    levels, worth = quantised(np.random.default_rng(0).normal(size=(70, 90)).astype(np.float32))
    again, same = quantised(levels * worth)
    assert np.array_equal(levels, again) and np.allclose(worth, same, rtol=1e-6)
