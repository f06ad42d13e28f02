"""python -m models.systems.grouped_query --key-value-heads N --out DIR [--model DIR]: grouped-query attention.

A grounded model with another number of key-value heads (GQA; one head is MQA). Fewer: each new head is the mean of a
group of old ones (arXiv 2305.13245), in self-attention, in the projection of memory and in the attention sinks.
More: each old head is repeated, and the outputs remain the same.
Legend: G key-value heads before, N after, D width of a head, L cross-attention layers, W width of memory.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from models.common import command_line
from models.common.checkpoint import new_folder, open_model
from models.common.errors import WeightsError
from models.network.config import GroundedConfig
from models.network.grounded import GroundedForCausalLM
from models.reader import shipped_weights

SELF_ATTENTION = tuple(f".self_attn.{part}_proj.{kind}" for part in "kv" for kind in ("weight", "bias"))


def regrouped(heads: torch.Tensor, number: int) -> torch.Tensor:
    """(G, ...) -> (N, ...): means of neighbouring heads, or each head repeated."""
    if number <= len(heads):
        return heads.unflatten(0, (number, -1)).mean(1)
    return heads.repeat_interleave(number // len(heads), 0)


def group(model: GroundedForCausalLM, number: int) -> GroundedForCausalLM:
    """A copy with `number` key-value heads.

    Raises WeightsError unless the number divides the query heads, and divides or is a multiple of the present number.
    """
    config = model.config
    now, queries, size = config.num_key_value_heads, config.num_attention_heads, config.head_dim
    allowed = [one for one in range(1, queries + 1) if queries % one == 0 and (now % one == 0 or one % now == 0)]
    if number not in allowed:
        raise WeightsError(
            f"{queries} queries that share {now} keys and values cannot come to share {number}: "
            f"give one of {', '.join(map(str, allowed))}"
        )
    state = model.state_dict()
    for name, weight in state.items():
        if name.endswith(SELF_ATTENTION):
            heads = weight.unflatten(0, (now, size))  # (G, D, ...)
            state[name] = regrouped(heads, number).flatten(0, 1)  # (N * D, ...)
        elif name.endswith(".cross_attn.sink"):
            state[name] = regrouped(weight, number)  # (G, 1, D) -> (N, 1, D)
        elif name == "projector.kv.weight":
            both = weight.unflatten(0, (-1, now, size)).transpose(0, 1)  # (G, L * 2, D, W)
            state[name] = regrouped(both, number).transpose(0, 1).flatten(0, 2)  # (L * 2 * N * D, W)
    made = GroundedForCausalLM(GroundedConfig.from_dict(config.to_dict() | {"num_key_value_heads": number}))
    made.load_state_dict(state)
    return made.eval()


def bytes_a_token(config: GroundedConfig) -> dict[str, int]:
    """Bytes of keys and values in float32: of a token in the decoder's cache, and of a token in memory."""
    one = 2 * config.num_key_value_heads * config.head_dim * torch.float32.itemsize
    return {"cache": config.num_hidden_layers * one, "memory": len(config.cross_attention_layers) * one}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.systems.grouped_query",
        description="A grounded model whose queries share fewer keys and values, or more.",
    )
    parser.add_argument("--key-value-heads", type=int, required=True, metavar="N")
    parser.add_argument("--model", type=Path, default=shipped_weights.FOLDER, help="a grounded model (the shipped one)")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write, which must not be there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with new_folder(options.out) as new:
        model = open_model(GroundedForCausalLM, options.model)
        made = group(model, options.key_value_heads)
        made.save_pretrained(new)
    before, after = bytes_a_token(model.config), bytes_a_token(made.config)
    if options.json:
        print(json.dumps({"before": before, "after": after}))
        return
    cache = f"{after['cache']:,} bytes a token in the cache ({before['cache']:,} before)"
    print(f"{options.out}: {cache}, {after['memory']:,} in memory ({before['memory']:,} before)")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
