"""State-space layers: the hybrid decoder writes the same with and without a cache, alone and in a batch, and learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from grounded_batch import batch_of
from qa_files import lot_rows, write_jsonl

from models.common.checkpoint import open_model
from models.common.errors import TrainError, WeightsError
from models.network.config import tiny
from models.network.grounded import GroundedForCausalLM
from models.network.memory_encoder import Memory
from models.reader.sequences import CLS, SEP
from models.reader.windows import open_tokenizer
from models.systems import presets, train
from models.systems.state_space import (
    StateSpaceConfig,
    StateSpaceForCausalLM,
    StateSpaceMixer,
    mixers,
    with_state_space,
)
from models.training.objective import recall, writing
from models.training.prepare_data import prepare_rows
from models.training.question_sets import read_qa

from transformers import AutoModelForCausalLM, DynamicCache  # isort: skip - after models, which mend torchvision
from transformers.cache_utils import LinearAttentionLayer  # isort: skip

PROMPT = torch.tensor([[1, 40, 41, 42, 2]])


def scattered(model: GroundedForCausalLM) -> GroundedForCausalLM:
    """Weights far from their small start, so that differences show."""
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2)
    return model.eval()


@pytest.fixture(scope="module")
def transformer() -> GroundedForCausalLM:
    torch.manual_seed(0)
    return scattered(GroundedForCausalLM(tiny()))


@pytest.fixture(scope="module")
def model(transformer: GroundedForCausalLM) -> GroundedForCausalLM:
    torch.manual_seed(1)
    return scattered(with_state_space(transformer))


@pytest.fixture(scope="module")
def memory(model: GroundedForCausalLM) -> Memory:
    with torch.no_grad():
        return recall(model, batch_of(model))[0]


def first(memory: Memory, count: int) -> dict[str, torch.Tensor]:
    return {name: values[:count] for name, values in memory.inputs().items()}


def test_all_but_the_mixers_is_taken_over(transformer: GroundedForCausalLM) -> None:
    made = with_state_space(transformer)
    assert [isinstance(layer.self_attn, StateSpaceMixer) for layer in made.model.layers] == [True, False, True]
    before, after = transformer.state_dict(), made.state_dict()
    new = {name for name in after if name.startswith(mixers(made.config))}
    assert len(new) == 2 * 8 and all(
        torch.equal(before[name], weight) for name, weight in after.items() if name not in new
    )


def test_new_mixers_begin_as_mamba_does(transformer: GroundedForCausalLM) -> None:
    mixer = with_state_space(transformer).model.layers[0].self_attn
    assert mixer.num_heads == 8 and mixer.conv1d.weight.std() > 0.1
    torch.testing.assert_close(mixer.A_log.exp(), torch.arange(1.0, 9.0))
    assert (mixer.D == 1).all()
    steps = torch.nn.functional.softplus(mixer.dt_bias)
    assert steps.min() > 0.0009 and steps.max() < 0.11


@torch.no_grad()
def test_without_memory_it_is_a_causal_language_model(model: GroundedForCausalLM) -> None:
    ids = torch.randint(3, 97, (2, 70))  # of more than one chunk
    whole = model(ids).logits
    torch.testing.assert_close(model(ids[:, :66]).logits, whole[:, :66], atol=1e-4, rtol=1e-4)
    changed = ids.clone()
    changed[:, 3] = 3 + (ids[:, 3] - 2) % 94
    other = model(changed).logits
    assert torch.equal(other[:, :3], whole[:, :3]) and (other[:, 3:] - whole[:, 3:]).abs().amax((0, 2)).gt(1e-4).all()
    assert model(ids, labels=ids).loss.isfinite()


@torch.no_grad()
def test_cached_decoding_is_uncached_decoding(model: GroundedForCausalLM, memory: Memory) -> None:
    inputs, ids = first(memory, 2), torch.randint(3, 97, (2, 9))
    whole = model(ids, **inputs).logits
    start = model(ids[:, :4], use_cache=True, **inputs)
    cache = start.past_key_values
    assert isinstance(cache, DynamicCache) and [isinstance(layer, LinearAttentionLayer) for layer in cache.layers] == [
        True,
        False,
        True,
    ]
    parts = [start.logits, model(ids[:, 4:6], past_key_values=cache, **inputs).logits]
    parts += [model(ids[:, at : at + 1], past_key_values=cache, **inputs).logits for at in range(6, 9)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_every_way_of_generating_but_the_assisted_one(model: GroundedForCausalLM, memory: Memory) -> None:
    inputs, ids = first(memory, 1), PROMPT
    for _ in range(6):
        ids = torch.cat((ids, model(ids, **inputs).logits[:, -1:].argmax(-1)), 1)
    options = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0, **inputs}
    assert model.generate(PROMPT, **options).tolist() == ids.tolist()
    assert (
        model.generate(PROMPT, cache_implementation="static", disable_compile=True, **options).tolist() == ids.tolist()
    )
    assert model.generate(PROMPT, num_beams=3, num_return_sequences=2, **options).shape == (2, 11)
    for assisted in ({"prompt_lookup_num_tokens": 3}, {"assistant_model": model}):
        with pytest.raises(ValueError, match="assisted generation is not supported with stateful models"):
            model.generate(PROMPT, **assisted, **options)


@torch.no_grad()
def test_beams_carry_their_own_state(model: GroundedForCausalLM, memory: Memory) -> None:
    """What beams are worth is what the model says of them without a cache."""
    inputs = first(memory, 1)
    out = model.generate(
        PROMPT, num_beams=3, num_return_sequences=3, max_new_tokens=5, do_sample=False, eos_token_id=None,
        pad_token_id=0, length_penalty=0.0, return_dict_in_generate=True, output_scores=True, **inputs,
    )  # fmt: skip
    wide = {name: values.expand(3, *values.shape[1:]) for name, values in inputs.items()}
    said = model(out.sequences, **wide).logits[:, 4:-1].log_softmax(-1)
    total = said.gather(-1, out.sequences[:, 5:, None]).sum((1, 2))
    torch.testing.assert_close(total, out.sequences_scores, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_padded_batch_writes_what_its_members_write_alone(model: GroundedForCausalLM, memory: Memory) -> None:
    prompts = [[1, 40, 41, 42, 2], [1, 60, 2]]
    options = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    alone = [
        model.generate(
            torch.tensor([prompt]), **options, **{name: values[at : at + 1] for name, values in memory.inputs().items()}
        )[0, len(prompt) :].tolist()
        for at, prompt in enumerate(prompts)
    ]
    ids = torch.tensor([prompts[0], [0, 0, *prompts[1]]])
    mask = (ids != 0).long()
    assert model.generate(ids, attention_mask=mask, **options, **first(memory, 2))[:, 5:].tolist() == alone
    shifted = model(
        ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp_min(0), **first(memory, 2)
    ).logits[1:, 2:]
    single = model(ids[1:, 2:], **{name: values[1:2] for name, values in memory.inputs().items()}).logits
    torch.testing.assert_close(shifted, single, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_saved_and_loaded_it_is_the_same(model: GroundedForCausalLM, memory: Memory, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert isinstance(loaded, StateSpaceForCausalLM) and loaded.config.state_space_layers == [0, 2]
    after = loaded.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in model.state_dict().items())
    torch.testing.assert_close(
        loaded(PROMPT, **first(memory, 1)).logits, model(PROMPT, **first(memory, 1)).logits, atol=1e-5, rtol=1e-5
    )


def test_it_learns_to_copy() -> None:
    torch.manual_seed(0)
    model = with_state_space(GroundedForCausalLM(tiny())).train()
    batch = batch_of(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    before = writing(model, batch)["answer"].item()
    for _ in range(30):
        optimizer.zero_grad()
        writing(model, batch)["loss"].backward()
        optimizer.step()
    assert writing(model, batch)["answer"].item() < 0.1 < before
    model.eval()
    memory, _ = recall(model, batch)
    written = model.generate(
        batch.question_ids, max_new_tokens=2, do_sample=False, eos_token_id=None, pad_token_id=0, **memory.inputs()
    )
    assert torch.equal(written, batch.decoder_ids[:, :5])


def test_the_preset_trains_what_writes_alone(transformer: GroundedForCausalLM, tmp_path: Path) -> None:
    rows = lot_rows(8)
    prepare_rows(read_qa(write_jsonl(tmp_path / "rows.jsonl", rows)), tmp_path / "data")
    dense = GroundedForCausalLM(tiny(open_tokenizer().get_vocab_size(), CLS, SEP))
    dense.save_pretrained(tmp_path / "dense")
    asked = [
        "--preset", "mamba", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--precision", "fp32",
        "--batches", "1", "--learning-rate", "1e-2",
    ]
    train.main([*asked, "--start", str(tmp_path / "dense")])
    made = open_model(GroundedForCausalLM, tmp_path / "run" / "model")
    before = dense.state_dict()
    moved = {
        name for name, weight in made.named_parameters() if name in before and not torch.equal(weight, before[name])
    }
    assert made.config.state_space_layers == [0, 2] and {name.split(".")[0] for name in moved} >= {
        "model",
        "projector",
        "copy",
    }
    assert not any(name.startswith("memory.") for name in moved if "word_embeddings" not in name)
    again = presets.mamba(tmp_path / "data", tmp_path / "run" / "model").model.state_dict()
    assert all(torch.equal(again[name], weight) for name, weight in made.state_dict().items())


def test_what_cannot_be_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="give --start"):
        presets.mamba(tmp_path, None)
    with pytest.raises(TrainError, match="no teacher"):
        presets.mamba(tmp_path, tmp_path, tmp_path)
    with pytest.raises(WeightsError, match="of one layer"):
        with_state_space(GroundedForCausalLM(replace(tiny(), num_hidden_layers=1, cross_attention_layers=[0])))
    with pytest.raises(Exception, match="state_space_layers"):
        StateSpaceConfig(num_hidden_layers=3, state_space_layers=[0, 1, 2])
