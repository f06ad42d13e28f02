"""Converted checkpoints of other families against transformers' own classes: the largest difference of outputs.

The checkpoints have random weights and are written to disk first.
"""

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

SMALL = {
    "vocab_size": 101, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "pad_token_id": 0,
}  # fmt: skip
LLAMA3 = {  # Llama 3's scaling of positions
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
    "vocab_size": 300, "max_position_embeddings": 24, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1
}
SIDE = {"height": 32, "width": 32}
IDS = torch.arange(3, 33).view(2, 15)
TEXTS = ["a red door", "x"]
SYSTEM = "real checkpoints"


def random(make: Callable[[], PreTrainedModel]) -> PreTrainedModel:
    """A model with every weight random, biases and norms too."""
    torch.manual_seed(0)
    model = make().eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.15)
    return model


def clip(folder: Path) -> tuple[PreTrainedModel, ProcessorMixin]:
    model = random(lambda: CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=24)))
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SIDE)
    return _saved(model, CLIPProcessor(images, _letters(folder)), folder)


def siglip(folder: Path) -> tuple[PreTrainedModel, ProcessorMixin]:
    model = random(lambda: SiglipModel(SiglipConfig(text_config=TEXT, vision_config=VISION)))
    return _saved(model, SiglipProcessor(SiglipImageProcessor(size=SIDE), _letters(folder)), folder)


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
def of_decoder(source: PreTrainedModel, folder: Path) -> float:
    """The largest difference between logits."""
    source.save_pretrained(folder, max_shard_size="20KB")
    return (convert.convert(folder).eval()(IDS).logits - source(IDS).logits).abs().max().item()


@torch.no_grad()
def with_memory(source: PreTrainedModel, model: GroundedForCausalLM) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of an Mllama and of the converted model, with the same seven states to cross-attend to."""
    states = torch.randn(2, 7, 32)
    kv, keys = model.projector(states, torch.zeros_like(states))
    model.copy.sentinel.bias.fill_(1e4)  # nothing is copied
    memory = Memory(kv, keys, IDS[:, :7], torch.ones(2, 7, dtype=torch.bool))
    mine = model(IDS, **memory.inputs()).logits
    unmasked = torch.zeros(2, 1, IDS.shape[1], 7)  # without a mask transformers attends causally
    theirs = source(IDS, cross_attention_states=states, cross_attention_mask=unmasked).logits.log_softmax(-1)
    return theirs, mine


def of_mllama(folder: Path) -> float:
    """The largest difference between log-probabilities, with cross-attention."""
    source = random(lambda: MllamaForCausalLM(CROSSED))
    source.save_pretrained(folder)
    theirs, mine = with_memory(source, convert.convert(folder).eval())
    return (theirs - mine).abs().max().item()


@torch.no_grad()
def of_tower(make: Callable[[Path], tuple[PreTrainedModel, ProcessorMixin]], folder: Path) -> float:
    """The largest difference between unit vectors of images and of texts."""
    model, processor = make(folder)
    pixels = [np.random.default_rng(seed).integers(0, 255, (40, 50, 3), dtype=np.uint8) for seed in range(2)]
    images = [Image.fromarray(one) for one in pixels]
    opened = open_image_embedder(str(folder))
    of_images = processor(images=images, return_tensors="pt")
    of_texts = processor(text=TEXTS, padding="max_length", max_length=24, return_tensors="pt")
    pairs = (
        (opened.encode_images(images), model.get_image_features(**of_images).pooler_output),
        (opened.encode_texts(TEXTS), model.get_text_features(**of_texts).pooler_output),
    )
    units = [(mine, torch.nn.functional.normalize(theirs, dim=-1).numpy()) for mine, theirs in pairs]
    return max(float(np.abs(mine - theirs).max()) for mine, theirs in units)


def measure(_: Path) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for family, make in FAMILIES.items():
            difference = of_decoder(random(make), folder / family)
            yield Row(SYSTEM, family, {"largest difference of logits": difference})
        difference = of_mllama(folder / "mllama")
        yield Row(SYSTEM, "mllama, its cross layers too", {"largest difference of logits": difference})
        for make in (clip, siglip):
            (own := folder / make.__name__).mkdir()
            yield Row(SYSTEM, make.__name__, {"largest difference of vectors": of_tower(make, own)})
