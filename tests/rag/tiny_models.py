"""Checkpoints whose answers can be worked out by hand: each word has one successor, whatever came before it.

The layers add nothing, so the embedding of the last word alone picks the next: a chain of words, in a real Llama.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from models.common.torchvision_ops import ensure_operators

if TYPE_CHECKING:
    from transformers import LlamaConfig, PreTrainedTokenizerFast

REPLY = "It is heated to 28 degrees [1]."
SIZE = 64
LENGTH = 4096
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }} {% endfor %}"
    "{% if add_generation_prompt %}Answer:{% endif %}"
)


def save_tokenizer(path: Path, template: str | None = None, reply: str = REPLY) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "</s>", "<image>", "Answer:", *dict.fromkeys(reply.split())]
    core = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.add_special_tokens([AddedToken(word, special=True) for word in words[:3]])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="<unk>", eos_token="</s>", pad_token="</s>", chat_template=template,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip
    tokenizer.save_pretrained(path)
    return tokenizer


def llama_config(**more) -> LlamaConfig:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=SIZE, hidden_size=SIZE, intermediate_size=8, num_hidden_layers=1, num_attention_heads=4,
        max_position_embeddings=LENGTH, tie_word_embeddings=False, eos_token_id=1, bos_token_id=None, pad_token_id=1,
        **more,
    )  # fmt: skip


def chain(model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast, reply: str = REPLY, last: str = "</s>") -> None:
    """Write the chain "Answer:" -> reply -> last into the weights of a Llama."""
    ids = tokenizer.convert_tokens_to_ids(["Answer:", *reply.split(), last])
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")) and "vision" not in name:
                weight.zero_()
        model.get_input_embeddings().weight.copy_(torch.eye(SIZE))
        model.get_output_embeddings().weight.zero_()
        for word, successor in pairwise(ids):
            model.get_output_embeddings().weight[successor, word] = 1.0


def save_llama(path: Path, template: str | None = None, reply: str = REPLY, last: str = "</s>") -> Path:
    ensure_operators()
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM(llama_config())
    chain(model, save_tokenizer(path, template, reply), reply, last)
    model.save_pretrained(path)
    return path


def save_llava(path: Path) -> Path:
    """A Llava with the same chain behind a random picture tower: 16 x 16 pixels in four patches."""
    ensure_operators()
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=8
    )
    model = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=llama_config(), image_token_index=2, image_seq_length=4)
    )
    tokenizer = save_tokenizer(path)
    chain(model, tokenizer)
    model.save_pretrained(path)
    template = (
        "{% for m in messages %}{{ m['role'] }}: {% for part in m['content'] %}"
        "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}{% endfor %}{% endfor %}"
        "Answer:"
    )
    LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}), tokenizer, patch_size=8,
        vision_feature_select_strategy="default", chat_template=template, num_additional_image_tokens=1,
    ).save_pretrained(path)  # fmt: skip
    return path
