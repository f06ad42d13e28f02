"""Sliding window attention: equal to a full mask, dense where the window covers the text, linear in its length."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from models.common.checkpoint import open_model
from models.common.errors import AttentionError
from models.network.config import tiny
from models.network.grounded import GroundedForCausalLM
from models.network.memory_encoder import Memory
from models.network.soft_prompts import Prefix
from models.reader.coordinates import PLACES
from models.systems import sparse_attention
from models.systems.sparse_attention import SparseAttentionForCausalLM

COVERING = 1000


def made(window: int = 0, first: int = 0) -> GroundedForCausalLM:
    torch.manual_seed(0)
    model = GroundedForCausalLM(tiny()).eval()
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2)
    return sparse_attention.with_sparse_attention(model, window, first) if window else model


def ids(*shape: int) -> torch.Tensor:
    torch.manual_seed(2)
    return torch.randint(3, 97, shape)


def read(model: GroundedForCausalLM, question: torch.Tensor, text: torch.Tensor, mask: torch.Tensor) -> Memory:
    lower = model.memory.lower(text, mask, torch.zeros(*text.shape, PLACES, dtype=torch.long))
    asked, codes = (
        torch.ones_like(question),
        torch.zeros(len(text), question.shape[1] + text.shape[1], dtype=torch.long),
    )
    live = model.memory.live(
        model.memory.lower(question, asked), asked, lower, mask, codes, torch.zeros(len(text), dtype=torch.long)
    )
    return model.remember(live.states, text, mask)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 25),
    st.integers(0, 12),
    st.integers(1, 30),
    st.integers(0, 6),
    st.booleans(),
    st.integers(0, 9),
    st.booleans(),
    st.integers(0, 999),
)
def test_it_is_attention_under_a_mask_of_all_pairs(
    t: int, before: int, window: int, first: int, causal: bool, padding: int, left: bool, seed: int
) -> None:
    """Values and gradients, with padding on either side, cached or prefix keys, and fewer key than query heads."""
    torch.manual_seed(seed)
    k = before + t
    seen = torch.ones(2, k, dtype=torch.bool)
    if not before:
        cut = min(padding, k - 1)
        seen[1, : cut if left else 0] = False
        seen[1, k - (0 if left else cut) :] = False
    query, key, value = torch.randn(2, 4, t, 8), torch.randn(2, 2, k, 8), torch.randn(2, 2, k, 8)
    start = seen.int().argmax(1)[:, None]
    place = torch.arange(k)
    whole = (place >= start) & (place < start + first + (0 if causal else before))  # (2, K)
    own, other = place[before:, None], place[None]
    allowed = ((own - other).abs() <= window) | whole[:, None] | (whole[:, before:, None] & (not causal))
    allowed &= seen[:, None] & (own >= other if causal else torch.ones(1, dtype=torch.bool))
    module = SimpleNamespace(config=SimpleNamespace(attention_window=window, attention_globals=first), is_causal=causal)
    tensors, valid = [one.requires_grad_() for one in (query, key, value)], seen[:, before:]
    expected = F.scaled_dot_product_attention(
        *tensors, torch.where(allowed, 0.0, -1e30)[:, None], enable_gqa=True
    ).transpose(1, 2)[valid]
    found = sparse_attention.attend(
        module, *tensors, None if seen.all() else seen[:, None, None].expand(-1, -1, t, -1)
    )[0][valid]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    weights = torch.randn_like(found)
    for mine, theirs in zip(
        torch.autograd.grad((found * weights).sum(), tensors),
        torch.autograd.grad((expected * weights).sum(), tensors),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_where_the_window_covers_all_it_is_dense_and_else_not() -> None:
    dense, question, text, mask = made(), ids(2, 6), ids(2, 40), torch.ones(2, 40, dtype=torch.long)
    mask[1, 30:] = 0
    expected = dense(question, **read(dense, question, text, mask).inputs()).logits
    for window, first in ((COVERING, 0), (COVERING, 5)):
        model = made(window, first)
        torch.testing.assert_close(
            model(question, **read(model, question, text, mask).inputs()).logits, expected, atol=1e-5, rtol=1e-5
        )
    narrow = made(3, 2)
    assert (narrow(question, **read(narrow, question, text, mask).inputs()).logits - expected).abs().max() > 0.1
    assert (narrow(text).logits - dense(text).logits)[:, 8:].abs().max() > 0.1  # the decoder's own attention


@torch.no_grad()
def test_cached_padded_and_generated_it_is_the_same() -> None:
    model = made(4, 2)
    text = ids(1, 24)
    whole = model(text).logits
    start = model(text[:, :15], use_cache=True)
    rest = [
        model(text[:, at : at + 3], past_key_values=start.past_key_values, use_cache=True).logits
        for at in range(15, 24, 3)
    ]
    torch.testing.assert_close(torch.cat([start.logits, *rest], 1), whole, atol=1e-5, rtol=1e-5)
    options = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    alone = [model.generate(text[:, :length], **options)[0, length:].tolist() for length in (24, 17)]
    padded = torch.cat((text, F.pad(text[:, :17], (7, 0))))
    assert model.generate(padded, attention_mask=(padded != 0).long(), **options)[:, 24:].tolist() == alone
    with pytest.raises(AttentionError, match="cache that grows"):
        model.generate(text, cache_implementation="static", **options)
    with pytest.raises(AttentionError, match="one text a row"):
        model(text, position_ids=(torch.arange(24) % 12)[None], use_cache=False)


@torch.no_grad()
def test_a_prefix_is_read_by_all() -> None:
    found = []
    for window in (0, COVERING, 3):
        model = made(window)
        model.memory.prefix = Prefix(ids(7, 32) / 50, 2, 2)
        found.append(read(model, ids(1, 6), ids(1, 30), torch.ones(1, 30, dtype=torch.long)).memory_kv)
    torch.testing.assert_close(found[1], found[0], atol=1e-5, rtol=1e-5)
    narrow = made(3)
    assert (read(narrow, ids(1, 6), ids(1, 30), torch.ones(1, 30, dtype=torch.long)).memory_kv - found[2]).abs().amax(
        (1, 2, 3, 5)
    )[0, -5:].min() > 1e-3


class Largest(TorchDispatchMode):
    """The most numbers that any tensor made under it has room for."""

    numbers = 0

    def __torch_dispatch__(
        self, function: object, types: object, arguments: tuple = (), options: dict | None = None
    ) -> object:
        made = function(*arguments, **options or {})
        for one in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(one, torch.Tensor):
                self.numbers = max(self.numbers, one.untyped_storage().nbytes() // one.element_size())
        return made


@torch.no_grad()
def test_a_document_of_more_than_16000_tokens_is_read_whole() -> None:
    model, question, largest = made(200, 8), ids(1, 6), []
    for length in (4100, 16400):
        text = ids(1, length)
        with Largest() as mode:
            memory = read(model, question, text, torch.ones_like(text))
            out = model(question, **memory.inputs())
            alone = model(text, logits_to_keep=1, use_cache=False).logits
        assert out.copy.shape == (1, 6, 1 + length) and out.logits.isfinite().all() and alone.isfinite().all()
        largest.append(mode.numbers)
    assert largest[1] < 4.1 * largest[0] < 16400**2 / 8
    changed = text.clone()
    changed[0, 12_000] = (text[0, 12_000] + 5) % 90 + 3
    moved = (
        (read(model, question, changed, torch.ones_like(text)).memory_kv - memory.memory_kv).abs().amax((1, 2, 3, 5))[0]
    )  # (T,)
    assert (
        moved[12_000] > 0.01 and moved[:8].max() > 1e-6
    )  # by what is near, and by the question and the first tokens, which read all


@torch.no_grad()
def test_positions_of_a_long_block_begin_again() -> None:
    config = tiny()
    config.memory_cached_layers = 0  # what `lower` gives are embeddings
    memory, text = GroundedForCausalLM(config).eval().memory, torch.full((1, 1000), 7)
    states = memory.lower(text, torch.ones_like(text), torch.zeros(1, 1000, PLACES, dtype=torch.long))[0]
    assert torch.equal(states[462:924], states[:462]) and len(states[:462].unique(dim=0)) == 462


def test_it_is_saved_with_the_model_and_can_be_left_out(tmp_path: Path) -> None:
    made(5, 2).save_pretrained(tmp_path)
    opened = open_model(GroundedForCausalLM, tmp_path)
    assert isinstance(opened, SparseAttentionForCausalLM)
    for config in (opened.config, opened.config.memory_config):
        assert (config._attn_implementation, config.attention_window, config.attention_globals) == ("sparse", 5, 2)
    dense = SparseAttentionForCausalLM.from_pretrained(tmp_path, attn_implementation="sdpa")
    with torch.no_grad():
        torch.testing.assert_close(dense(ids(1, 30)).logits, made()(ids(1, 30)).logits)


@pytest.mark.parametrize(("window", "first"), [(0, 2), (-1, 0), (4, -1)])
def test_a_window_that_cannot_be(window: int, first: int) -> None:
    with pytest.raises(AttentionError, match="give at least 1 and 0"):
        sparse_attention.choose(tiny(), window, first)
