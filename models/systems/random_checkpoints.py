"""Small checkpoints of other families with random weights, and how far Folio's results are from transformers' own.

Tests assert that the differences vanish; bench.systems.conversion reports them. Nothing is downloaded.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image

from models.common.torchvision_ops import ensure_operators
from models.network.grounded import GroundedForCausalLM
from models.network.memory_encoder import Memory
from models.systems.convert import convert

ensure_operators()
from transformers import (  # noqa: E402  (its image processors import torchvision)
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    MllamaForCausalLM,
    PreTrainedModel,
    ProcessorMixin,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipProcessor,
)
from transformers.models.mllama.configuration_mllama import MllamaTextConfig  # noqa: E402

SMALL = {
    "vocab_size": 101, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "pad_token_id": 0,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
FAMILIES: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL, rope_parameters=LLAMA3)),
    "smollm2": lambda: LlamaForCausalLM(LlamaConfig(**SMALL, tie_word_embeddings=True)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL, tie_word_embeddings=True)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SMALL, head_dim=16)),
}
CROSSED = MllamaTextConfig(
    **{**SMALL, "num_hidden_layers": 5}, cross_attention_layers=[1, 3], bos_token_id=1, eos_token_id=2
)
TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
VISION = TOWER | {"image_size": 32, "patch_size": 8}
TEXT = TOWER | {
    "vocab_size": 300, "max_position_embeddings": 24, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip
SIZE = {"height": 32, "width": 32}
IDS = torch.arange(3, 33).view(2, 15)
TEXTS = ["a red door", "x"]


class ImageEmbedder(Protocol):
    """As vision.encoder.ImageEmbedder, which models may not import."""

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray: ...

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray: ...


def randomised(make: Callable[[], PreTrainedModel]) -> PreTrainedModel:
    """The model with every weight drawn from one seed, biases and norms too, so that none is left at 0 or 1."""
    torch.manual_seed(0)
    model = make().eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.15)
    return model


def save_clip(folder: Path) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Write a CLIP checkpoint; the model and its processor."""
    config = CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=24)
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SIZE)
    return _saved(randomised(lambda: CLIPModel(config)), CLIPProcessor(processor, _letters(folder)), folder)


def save_siglip(folder: Path) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Write a SigLIP checkpoint; the model and its processor."""
    config = SiglipConfig(text_config=TEXT, vision_config=VISION)
    processor = SiglipProcessor(SiglipImageProcessor(size=SIZE), _letters(folder))
    return _saved(randomised(lambda: SiglipModel(config)), processor, folder)


def _letters(folder: Path) -> CLIPTokenizer:
    """A tokenizer of single letters."""
    letters = string.ascii_lowercase
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (folder / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


def _saved(model: PreTrainedModel, processor: ProcessorMixin, folder: Path) -> tuple[PreTrainedModel, ProcessorMixin]:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor


@torch.no_grad()
def decoder_difference(source: PreTrainedModel, folder: Path) -> float:
    """The largest difference of logits between a decoder and what `convert` makes of it; folder: where it is saved."""
    source.save_pretrained(folder, max_shard_size="20KB")
    return (convert(folder).eval()(IDS).logits - source(IDS).logits).abs().max().item()


@torch.no_grad()
def with_memory(source: PreTrainedModel, model: GroundedForCausalLM) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities (2, 15, vocabulary) of an Mllama and of its conversion, over seven states they attend to."""
    states = torch.randn(2, 7, 32)
    kv, keys = model.projector(states, torch.zeros_like(states))
    model.copy.sentinel.bias.fill_(1e4)  # nothing is copied
    memory = Memory(kv, keys, IDS[:, :7], torch.ones(2, 7, dtype=torch.bool))
    unmasked = torch.zeros(2, 1, IDS.shape[1], 7)  # without a mask transformers attends causally
    theirs = source(IDS, cross_attention_states=states, cross_attention_mask=unmasked).logits.log_softmax(-1)
    return theirs, model(IDS, **memory.inputs()).logits


def mllama_difference(folder: Path) -> float:
    """The largest difference of log-probabilities between an Mllama, its cross-attention used, and its conversion."""
    source = randomised(lambda: MllamaForCausalLM(CROSSED))
    source.save_pretrained(folder)
    theirs, mine = with_memory(source, convert(folder).eval())
    return (theirs - mine).abs().max().item()


@torch.no_grad()
def tower_difference(embedder: ImageEmbedder, model: PreTrainedModel, processor: ProcessorMixin) -> float:
    """The largest difference between unit vectors of an embedder and of the checkpoint that it opened."""
    pixels = (np.random.default_rng(seed).integers(0, 255, (40, 50, 3), dtype=np.uint8) for seed in range(2))
    images = [Image.fromarray(values) for values in pixels]
    texts = processor(text=TEXTS, padding="max_length", max_length=24, return_tensors="pt")
    pairs = (
        (embedder.encode_images(images), model.get_image_features(**processor(images=images, return_tensors="pt"))),
        (embedder.encode_texts(TEXTS), model.get_text_features(**texts)),
    )
    normalize = torch.nn.functional.normalize
    return max(
        float(np.abs(mine - normalize(theirs.pooler_output, dim=-1).numpy()).max()) for mine, theirs in pairs
    )
