"""Checkpoints of other families, of random weights and written to disk: how far what Folio makes of them is from transformers' own class."""

from __future__ import annotations

import json
import string
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench.systems.common import Row
from models.network.grounded import GroundedForCausalLM
from models.network.memory_encoder import Memory
from models.systems import convert  # first: it mends torchvision's import
from vision.encoder import open_image_embedder

# isort: split
from transformers import (
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
from transformers.models.mllama.configuration_mllama import MllamaTextConfig

SMALL = {"vocab_size": 101, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 0}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
FAMILIES: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL, rope_parameters=LLAMA3)),
    "smollm2": lambda: LlamaForCausalLM(LlamaConfig(**SMALL, tie_word_embeddings=True)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL, tie_word_embeddings=True)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SMALL, head_dim=16)),
}
CROSSED = MllamaTextConfig(**{**SMALL, "num_hidden_layers": 5}, cross_attention_layers=[1, 3], bos_token_id=1, eos_token_id=2)
TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = TOWER | {"vocab_size": 300, "max_position_embeddings": 24, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
SIDE = {"height": 32, "width": 32}
IDS = torch.arange(3, 33).view(2, 15)
TEXTS = ["a red door", "x"]


def random(make: Callable[[], PreTrainedModel]) -> PreTrainedModel:
    """Every weight drawn, biases and norms among them."""
    torch.manual_seed(0)
    model = make().eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.15)
    return model


def clip(folder: Path) -> tuple[PreTrainedModel, ProcessorMixin]:
    model = random(lambda: CLIPModel(CLIPConfig(text_config=TEXT, vision_config=TOWER | {"image_size": 32, "patch_size": 8}, projection_dim=24)))
    return _saved(model, CLIPProcessor(CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SIDE), _letters(folder)), folder)


def siglip(folder: Path) -> tuple[PreTrainedModel, ProcessorMixin]:
    model = random(lambda: SiglipModel(SiglipConfig(text_config=TEXT, vision_config=TOWER | {"image_size": 32, "patch_size": 8})))
    return _saved(model, SiglipProcessor(SiglipImageProcessor(size=SIDE), _letters(folder)), folder)


def _letters(folder: Path) -> CLIPTokenizer:
    """A tokenizer of single letters."""
    words = ["<|startoftext|>", "<|endoftext|>", *string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    (folder / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


def _saved(model: PreTrainedModel, processor: ProcessorMixin, folder: Path) -> tuple[PreTrainedModel, ProcessorMixin]:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor


@torch.no_grad()
def of_decoder(source: PreTrainedModel, folder: Path) -> float:
    """The largest difference between logits."""
    source.save_pretrained(folder, max_shard_size="20KB")
    return (convert.convert(folder).eval()(IDS).logits - source(IDS).logits).abs().max().item()


@torch.no_grad()
def with_memory(source: PreTrainedModel, model: GroundedForCausalLM) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of an Mllama and of what was made of it, both over seven states that their cross layers read."""
    seen = torch.randn(2, 7, 32)
    kv, keys = model.projector(seen, torch.zeros_like(seen))
    model.copy.sentinel.bias.fill_(1e4)  # nothing is copied
    mine = model(IDS, **Memory(kv, keys, IDS[:, :7], torch.ones(2, 7, dtype=torch.bool)).inputs()).logits
    open_to_all = torch.zeros(2, 1, IDS.shape[1], 7)  # without a mask transformers reads causally
    return source(IDS, cross_attention_states=seen, cross_attention_mask=open_to_all).logits.log_softmax(-1), mine


def of_mllama(folder: Path) -> float:
    """The largest difference between log-probabilities, cross layers among what says them."""
    source = random(lambda: MllamaForCausalLM(CROSSED))
    source.save_pretrained(folder)
    theirs, mine = with_memory(source, convert.convert(folder).eval())
    return (theirs - mine).abs().max().item()


@torch.no_grad()
def of_tower(make: Callable[[Path], tuple[PreTrainedModel, ProcessorMixin]], folder: Path) -> float:
    """The largest difference between unit vectors of pictures and of texts."""
    model, processor = make(folder)
    pictures = [Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 50, 3), dtype=np.uint8)) for seed in range(2)]
    opened = open_image_embedder(str(folder))
    seen = model.get_image_features(**processor(images=pictures, return_tensors="pt")).pooler_output
    said = model.get_text_features(**processor(text=TEXTS, padding="max_length", max_length=24, return_tensors="pt")).pooler_output
    pairs = ((opened.encode_images(pictures), seen), (opened.encode_texts(TEXTS), said))
    return max(float(np.abs(mine - torch.nn.functional.normalize(theirs, dim=-1).numpy()).max()) for mine, theirs in pairs)


def measure(_: Path) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        for family, make in FAMILIES.items():
            yield Row("real checkpoints", family, {"largest difference of logits": of_decoder(random(make), Path(name) / family)})
        yield Row("real checkpoints", "mllama, its cross layers too", {"largest difference of logits": of_mllama(Path(name) / "mllama")})
        for make in (clip, siglip):
            (folder := Path(name) / make.__name__).mkdir()
            yield Row("real checkpoints", make.__name__, {"largest difference of vectors": of_tower(make, folder)})
