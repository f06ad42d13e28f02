"""The grounded model on a tiny random configuration: it is Llama without memory, and memory changes it as it should."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

# isort: skip - after models.network.config, which mends torchvision
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from models.network.config import GroundedConfig, tiny
from models.network.grounded import GroundedForCausalLM, mixture
from models.network.memory_encoder import Memory
from models.reader.coordinates import PLACES, BlockModality
from models.reader.exact_match import CODES


@pytest.fixture(scope="module")
def model() -> GroundedForCausalLM:
    torch.manual_seed(0)
    made = GroundedForCausalLM(tiny()).eval()
    for weight in made.parameters():  # far from the small start, so that differences show
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2)
    return made


def blocks(model: GroundedForCausalLM, count: int = 3, length: int = 9, seed: int = 1) -> Memory:
    """Memories of single blocks, the later ones padded."""
    torch.manual_seed(seed)
    ids, mask = torch.randint(3, 97, (count, length)), torch.ones(count, length, dtype=torch.long)
    for at in range(1, count):
        mask[at, length - at :] = 0
    question = torch.randint(3, 97, (count, 5))
    with torch.no_grad():
        seen = model.memory.lower(question, torch.ones_like(question))
        lower = model.memory.lower(ids, mask, torch.zeros(*ids.shape, PLACES, dtype=torch.long))
        codes = torch.randint(0, CODES, (count, 5 + length))
        return model.remember(
            model.memory.live(
                seen, torch.ones_like(question), lower, mask, codes, torch.arange(count) % len(BlockModality)
            ).states,
            ids,
            mask,
        )


def one(memory: Memory, order: list[int]) -> Memory:
    """The blocks of `order` as the memory of one question."""
    picked = Memory(
        *(getattr(memory, name)[order] for name in ("memory_kv", "memory_keys", "memory_ids", "memory_mask"))
    )
    return picked.gather(torch.arange(len(order)), 1, len(order))


PROMPT = torch.tensor([[1, 40, 41, 42, 2]])


@torch.no_grad()
def test_without_memory_it_is_llama(model: GroundedForCausalLM) -> None:
    names = set(LlamaConfig.__dataclass_fields__)
    llama = LlamaForCausalLM(
        LlamaConfig(**{name: value for name, value in model.config.to_dict().items() if name in names})
    )
    state = {name: value for name, value in model.state_dict().items() if name in llama.state_dict()}
    llama.load_state_dict(state)
    torch.testing.assert_close(model(PROMPT).logits, llama.eval()(PROMPT).logits, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_closed_gates_leave_the_decoder_as_it_was(model: GroundedForCausalLM) -> None:
    closed = GroundedForCausalLM(tiny()).eval()
    state = model.state_dict()
    closed.load_state_dict(
        {name: torch.zeros_like(value) if name.endswith("_gate") else value for name, value in state.items()}
    )
    memory = one(blocks(model), [0, 1])
    scores = torch.zeros(memory.memory_mask.shape)
    alone = closed.model(PROMPT).last_hidden_state
    torch.testing.assert_close(
        closed.model(PROMPT, memory_kv=memory.memory_kv, memory_scores=scores).last_hidden_state, alone
    )
    opened = model.model(PROMPT, memory_kv=memory.memory_kv, memory_scores=scores).last_hidden_state
    assert (opened - alone).abs().max() > 0.01


@torch.no_grad()
def test_what_it_says_with_memory_are_probabilities(model: GroundedForCausalLM) -> None:
    out = model(PROMPT, **one(blocks(model), [0, 1, 2]).inputs())
    torch.testing.assert_close(out.logits.exp().sum(-1), torch.ones(1, 5))
    torch.testing.assert_close(out.copy.exp().sum(-1), torch.ones(1, 5))


def test_the_mixture_worked_out_by_hand() -> None:
    logits = torch.tensor([[[0.0, 0.0, 0.0, 0.0]]])  # each of four words 0.25
    copy = torch.tensor([[[0.4, 0.3, 0.2, 0.1]]]).log()  # nowhere, and three slots
    said = mixture(logits, copy, torch.tensor([[2, 3, 2]])).exp()
    torch.testing.assert_close(said, torch.tensor([[[0.1, 0.1, 0.5, 0.3]]]))


@torch.no_grad()
def test_the_order_of_the_blocks_does_not_matter(model: GroundedForCausalLM) -> None:
    memory = blocks(model)
    first, second = (model(PROMPT, **one(memory, order).inputs()).logits for order in ([0, 1, 2], [2, 0, 1]))
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_padding_and_absent_blocks_change_nothing(model: GroundedForCausalLM) -> None:
    memory = blocks(model, 2)
    alone = [model(PROMPT, **one(memory, [at]).inputs()).logits for at in (0, 1)]
    wide = memory.gather(torch.tensor([0, 4]), 2, 3)  # room for three blocks each
    together = model(PROMPT.expand(2, -1), **wide.inputs()).logits
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_masked_block_is_as_good_as_none_and_a_bias_weighs_it(model: GroundedForCausalLM) -> None:
    both = one(blocks(model, 2, 6), [0, 1])
    left = torch.arange(12) < 6
    without = replace(both, memory_mask=both.memory_mask & left)
    shut = replace(both, memory_bias=torch.where(left, 0.0, -1e9)[None])
    only = one(blocks(model, 2, 6), [0])
    expected = model(PROMPT, **only.inputs()).logits
    torch.testing.assert_close(model(PROMPT, **without.inputs()).logits, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model(PROMPT, **shut.inputs()).logits, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_empty_memory_is_no_fault(model: GroundedForCausalLM) -> None:
    memory = blocks(model, 1)
    out = model(PROMPT, **replace(memory, memory_mask=torch.zeros_like(memory.memory_mask)).inputs())
    assert out.logits.isfinite().all()
    assert (out.copy[..., 0] == 0).all()  # all of it goes to the vocabulary


@torch.no_grad()
def test_cached_decoding_is_uncached_decoding(model: GroundedForCausalLM) -> None:
    inputs = one(blocks(model), [0, 1, 2]).inputs()
    ids = torch.tensor([[1, 40, 41, 42, 2, 50, 51]])
    whole = model(ids, **inputs).logits
    start = model(ids[:, :4], use_cache=True, **inputs)
    rest = [
        model(ids[:, at : at + 1], past_key_values=start.past_key_values, use_cache=True, **inputs).logits
        for at in range(4, 7)
    ]
    torch.testing.assert_close(torch.cat([start.logits, *rest], 1), whole, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_every_way_of_generating(model: GroundedForCausalLM) -> None:
    inputs = one(blocks(model), [0, 1, 2]).inputs()
    ids = PROMPT
    for _ in range(8):
        ids = torch.cat((ids, model(ids, **inputs).logits[:, -1:].argmax(-1)), 1)
    options = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None, "pad_token_id": 0, **inputs}
    assert model.generate(PROMPT, **options).tolist() == ids.tolist()
    assert model.generate(PROMPT, prompt_lookup_num_tokens=3, **options).tolist() == ids.tolist()
    assert model.generate(PROMPT, assistant_model=model, **options).tolist() == ids.tolist()
    assert model.generate(PROMPT, cache_implementation="static", **options).tolist() == ids.tolist()
    assert model.generate(PROMPT, num_beams=3, num_return_sequences=2, **options).shape == (2, 13)
    torch.manual_seed(0)
    assert model.generate(PROMPT, **{**options, "do_sample": True}, num_return_sequences=4).shape == (4, 13)


@torch.no_grad()
def test_a_padded_batch_writes_what_its_members_write_alone(model: GroundedForCausalLM) -> None:
    memory = blocks(model, 2)
    prompts = [[1, 40, 41, 42, 2], [1, 60, 2]]
    options = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    alone = [
        model.generate(torch.tensor([prompt]), **options, **one(memory, [at]).inputs())[0, len(prompt) :].tolist()
        for at, prompt in enumerate(prompts)
    ]
    ids = torch.tensor([prompts[0], [0, 0, *prompts[1]]])
    wide = memory.gather(torch.tensor([0, 1]), 2, 1)
    together = model.generate(ids, attention_mask=(ids != 0).long(), **options, **wide.inputs())[:, 5:].tolist()
    assert together == alone


@torch.no_grad()
def test_saved_and_loaded_it_is_the_same(model: GroundedForCausalLM, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert isinstance(loaded, GroundedForCausalLM)
    assert (loaded.config.memory_config.hidden_size, loaded.config.cross_attention_layers) == (32, [0, 2])
    inputs = one(blocks(model), [0, 1]).inputs()
    ours, theirs = model.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    # where weights lie in memory changes the last digits
    torch.testing.assert_close(loaded(PROMPT, **inputs).logits, model(PROMPT, **inputs).logits)
    embeddings = loaded.memory.bert.embeddings.word_embeddings.weight
    assert embeddings is loaded.model.embed_tokens.weight is loaded.lm_head.weight


@torch.no_grad()
def test_lower_layers_see_no_question_and_upper_ones_do(model: GroundedForCausalLM) -> None:
    ids = torch.randint(3, 97, (1, 9))
    mask, seen = torch.ones_like(ids), torch.ones(1, 4, dtype=torch.long)
    lower = model.memory.lower(ids, mask, torch.zeros(1, 9, PLACES, dtype=torch.long))
    asked = [model.memory.lower(torch.tensor([question]), seen) for question in ([1, 7, 8, 2], [1, 9, 9, 2])]
    codes, kinds = torch.zeros(1, 13, dtype=torch.long), torch.tensor([BlockModality.TABLE])
    model.memory.matches.weight[0] = 0  # as a new model has it
    live = [model.memory.live(question, seen, lower, mask, codes, kinds) for question in asked]
    assert (live[0].states - live[1].states).abs().max() > 0.01
    # a question that is masked
    blind = model.memory.live(asked[0], torch.zeros_like(seen), lower, mask, codes, kinds).states
    torch.testing.assert_close(blind, model.memory.cached(lower, mask, kinds), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_cell_has_its_header_and_its_place(model: GroundedForCausalLM) -> None:
    """Of two rows of two columns under a header of three words: by hand, and nothing outside of the table."""
    grid = torch.tensor([[[0, 0], [1, 1], [1, 1], [1, 0], [1, 2], [2, 1], [2, 0], [2, 2], [3, 2], [0, 0]]])
    words = torch.randn(1, 10, 32)
    for table in (model.memory.grid.rows, model.memory.grid.columns, model.memory.grid.sides):
        table.weight[0] = 0  # as a new model has it
    made = model.memory.grid(words, F.pad(grid, (0, PLACES - 2)))[0]
    rows, columns, header = model.memory.grid.rows.weight, model.memory.grid.columns.weight, model.memory.grid.header
    first, second = header(words[0, 1:3].mean(0)), header(words[0, 4])
    expected = {5: (2, 1, first), 7: (2, 2, second), 8: (3, 2, second), 6: (2, 0, 0), 1: (1, 1, 0), 4: (1, 2, 0)}
    for at, (row, column, above) in expected.items():
        torch.testing.assert_close(made[at], rows[row] + columns[column] + above)
    assert not made[0].any() and not made[9].any()


@pytest.mark.parametrize(
    "name", ["network.grounded", "network.memory_encoder", "network.cross_attention", "systems.variants"]
)
def test_each_module_can_be_the_first_that_is_imported(name: str) -> None:
    """A CPU build of torch beside the package index's torchvision breaks transformers, unless it is mended before."""
    command, root = [sys.executable, "-c", f"import models.{name}"], Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(Exception, match="cross_attention_layers"):
        GroundedConfig(num_hidden_layers=2, cross_attention_layers=[2])
    with pytest.raises(Exception, match="memory_cached_layers"):
        GroundedConfig(num_hidden_layers=2, memory_cached_layers=99)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 12), st.integers(0, 10_000))
def test_random_memories_give_finite_numbers(model: GroundedForCausalLM, count: int, length: int, seed: int) -> None:
    with torch.no_grad():
        memory = blocks(model, count, max(length, count), seed)
        out = model(PROMPT, **one(memory, list(range(count))).inputs())
    assert out.logits.isfinite().all()
