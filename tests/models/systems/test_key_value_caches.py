"""Caches of the decoder: what each keeps, and what is written from it."""

from __future__ import annotations

import pytest
import torch
from copier import by_chance, memory

from models.network.grounded import GroundedForCausalLM
from models.systems import key_value_caches

from transformers import DynamicCache  # isort: skip - after models, which mends torchvision

PROMPT = torch.tensor([[101, 40, 41, 42, 43, 102]])
NEW = 9


@pytest.fixture(scope="module")
def model() -> GroundedForCausalLM:
    return by_chance()


def written(model: GroundedForCausalLM, name: str = "dynamic", **given: int) -> tuple[list[int], torch.Tensor, object]:
    """Tokens, logits of each (NEW, V), and the cache."""
    options = key_value_caches.options(name, model.config, **{"bits": 8, "window": 32, **given})
    made = model.generate(
        PROMPT, max_new_tokens=NEW, do_sample=False, eos_token_id=None, return_dict_in_generate=True,
        output_logits=True, **options, **memory(model, list(range(50, 70))).inputs(),
    )  # fmt: skip
    return made.sequences[0].tolist(), torch.cat(made.logits), made.past_key_values


def test_a_static_cache_and_a_wide_window_write_the_same(model: GroundedForCausalLM) -> None:
    tokens, logits, _ = written(model)
    for name in ("static", "sliding"):
        others, theirs, _ = written(model, name)
        assert others == tokens
        torch.testing.assert_close(theirs, logits, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_window_is_attention_to_the_last_tokens(model: GroundedForCausalLM) -> None:
    tokens, logits, cache = written(model, "sliding", window=4)
    assert all(layer.keys.shape[2] == 3 for layer in cache.layers)
    whole, inputs = DynamicCache(config=model.config), memory(model, list(range(50, 70))).inputs()
    said = [model(PROMPT, past_key_values=whole, **inputs).logits[:, -1]]
    for at in range(PROMPT.shape[1], len(tokens) - 1):
        seen = torch.arange(at + 1)[None, None, None] > at - 4  # (1, 1, 1, at + 1)
        said.append(model(
            torch.tensor([[tokens[at]]]), attention_mask=seen, position_ids=torch.tensor([[at]]), past_key_values=whole,
            **inputs,
        ).logits[:, -1])
    torch.testing.assert_close(logits, torch.cat(said), atol=1e-4, rtol=1e-4)
    assert (logits - written(model)[1]).abs().max() > 0.01


def test_few_bits_write_nearly_the_same_and_eight_more_nearly_than_four(model: GroundedForCausalLM) -> None:
    _, logits, _ = written(model)
    eight, four = ((written(model, "quantised", bits=bits)[1][0] - logits[0]).abs().max() for bits in (8, 4))
    assert 0 < eight < 0.2 and eight < four


def test_bytes_are_those_of_the_numbers_kept(model: GroundedForCausalLM) -> None:
    config, kept = model.config, PROMPT.shape[1] + NEW - 1
    heads = config.num_hidden_layers * 2 * config.num_key_value_heads * kept  # keys and values
    assert key_value_caches.cache_bytes(written(model)[2]) == heads * config.head_dim * 4
    for bits in (8, 4):
        cache = written(model, "quantised", bits=bits)[2]
        assert key_value_caches.cache_bytes(cache) == heads * (config.head_dim * bits // 8 + 2 * 2)


@pytest.mark.parametrize("bits", [8, 4])
def test_what_is_kept_depends_on_the_tokens_alone(bits: int) -> None:
    torch.manual_seed(0)
    keys, values = torch.randn(2, 2, 3, 7, 8).unbind(0)  # (B, G, S, D)
    keys[0, 0, 0] = 5.0  # all alike
    whole, parts = key_value_caches.IntegerLayer(bits), key_value_caches.IntegerLayer(bits)
    seen = whole.update(keys, values)
    for at, to in ((0, 3), (3, 4), (4, 7)):
        again = parts.update(keys[:, :, at:to], values[:, :, at:to])
    for mine, theirs, source in zip(seen, again, (keys, values), strict=True):
        assert torch.equal(mine, theirs)
        step = (source.amax(-1, keepdim=True) - source.amin(-1, keepdim=True)) / (2**bits - 1)
        assert ((mine - source).abs() <= 0.5 * step + 0.01).all()
    whole.crop(-3)
    assert whole.get_seq_length() == 4 and torch.equal(whole.update(keys[:, :, 4:], values[:, :, 4:])[0], again[0])
    whole.reorder_cache(torch.tensor([1, 1]))
    assert torch.equal(whole.update(keys[:, :, :0], values[:, :, :0])[1], again[1][[1, 1]])
