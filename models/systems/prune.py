"""python -m models.systems.prune --heads SHARE --channels SHARE --out DIR [--model DIR] [--data PREPARED]: attention heads and feed-forward channels taken out.

Of each layer, in the memory encoder, its experts and the decoder, those go that matter least (arXiv 1905.10650, 1906.10771); of each kind of layer the same
number goes everywhere, so that the configuration says how large the new model is. The width of the states stays, and so do keys and values of the
decoder: of each of their heads as many queries go. Cut here rather than by torch-pruning 1.6: of the experts' tensors its dependency graph knows the last
axis alone, with cross-attention's queries it would cut the norm that all heads share, and behind the decoder's rotated queries it did not come to an end.
Legend: P parts of a weight that each keep as many units, U units of one, W width.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from models.common import command_line
from models.common.checkpoint import new_folder, open_model
from models.common.errors import WeightsError
from models.network.config import GroundedConfig
from models.network.grounded import GroundedForCausalLM
from models.reader import shipped_weights
from models.reader.coordinates import BlockModality
from models.training.objective import loss
from models.training.question_batches import Questions

BATCHES, TOKENS = 16, 1024  # that importance is measured on

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Units:
    """Heads or channels of one layer: the axes of its weights along which their P * U units lie. The last weight is the one that they write through."""

    parts: int
    number: int  # U
    axes: dict[str, tuple[int, ...]]

    @property
    def out(self) -> str:
        return next(reversed(self.axes))

    def parted(self, weight: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        """(P, U, size of a unit, ...)"""
        front = weight.movedim(axes, tuple(range(len(axes))))
        return front.flatten(0, len(axes) - 1).unflatten(0, (self.parts, self.number, -1))

    def joined(self, chosen: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        """What `parted` made, with fewer units, as a weight again."""
        front = chosen.flatten(0, 2) if len(axes) == 1 else chosen.flatten(1, 2)
        return front.movedim(tuple(range(len(axes))), axes).contiguous()


def heads(config: GroundedConfig) -> Iterator[Units]:
    memory, groups = config.memory_config, config.num_key_value_heads
    inside = [f"attention.self.{part}.{kind}" for part in ("query", "key", "value") for kind in ("weight", "bias")]
    for at in range(memory.num_hidden_layers):
        yield _units(f"memory.bert.encoder.layer.{at}.", 1, config.memory_heads or memory.num_attention_heads, inside, "attention.output.dense.weight")
    for at in range(config.num_hidden_layers):
        for name in ("self_attn", "cross_attn") if at in config.cross_attention_layers else ("self_attn",):
            queries = ["q_proj.weight", *(["q_proj.bias"] if config.attention_bias and name == "self_attn" else [])]
            yield _units(f"model.layers.{at}.{name}.", groups, config.num_attention_heads // groups, queries, "o_proj.weight")


def channels(config: GroundedConfig) -> Iterator[Units]:
    memory = config.memory_config
    for at in range(memory.num_hidden_layers):
        yield _units(f"memory.bert.encoder.layer.{at}.", 1, memory.intermediate_size, ["intermediate.dense.weight", "intermediate.dense.bias"], "output.dense.weight")
    for at in range(memory.num_hidden_layers - config.memory_cached_layers):
        name = f"memory.experts.{at}."
        yield Units(len(BlockModality) - 1, config.memory_expert_size, {f"{name}down": (0, 2), f"{name}bias": (0, 1), f"{name}up": (0, 1)})
    for at in range(config.num_hidden_layers):
        for name in ("mlp", "cross_attn.mlp") if at in config.cross_attention_layers else ("mlp",):
            made = [f"{part}_proj.{kind}" for part in ("gate", "up") for kind in (("weight", "bias") if config.mlp_bias else ("weight",))]
            yield _units(f"model.layers.{at}.{name}.", 1, config.intermediate_size, made, "down_proj.weight")


def _units(layer: str, parts: int, number: int, inside: Sequence[str], out: str) -> Units:
    return Units(parts, number, {**{layer + name: (0,) for name in inside}, layer + out: (1,)})


def kept(number: int, share: float) -> int:
    """Of so many units; at most the share goes."""
    return number - int(number * share)


def pruned(config: GroundedConfig, head_share: float, channel_share: float) -> GroundedConfig:
    """The configuration of what is left. Raises WeightsError."""
    for name, share in (("heads", head_share), ("channels", channel_share)):
        if not 0 <= share < 1:
            raise WeightsError(f"--{name} is a share from 0 to below 1, not {share}")
    memory, groups = config.memory_config, config.num_key_value_heads
    sizes = {
        "memory_heads": kept(config.memory_heads or memory.num_attention_heads, head_share),
        "memory_config": memory.to_dict() | {"intermediate_size": kept(memory.intermediate_size, channel_share)},
        "memory_expert_size": kept(config.memory_expert_size, channel_share),
        "num_attention_heads": groups * kept(config.num_attention_heads // groups, head_share),
        "intermediate_size": kept(config.intermediate_size, channel_share),
    }
    if config.hidden_size % sizes["num_attention_heads"]:
        raise WeightsError(f"--heads {head_share} leaves the decoder {sizes['num_attention_heads']} queries, into which its width {config.hidden_size} does not divide: give another share")
    return GroundedConfig.from_dict(config.to_dict() | sizes)


def importance(model: GroundedForCausalLM, data: Path | None, seed: int = 0) -> dict[str, torch.Tensor]:
    """By the weight that a unit writes through, (P, U) each: how much the loss changes, to first order, when the unit writes nothing.

    Without data: the square of that weight's norm. Raises DataError for examples that cannot be read.
    """
    outs = {units.out: units for make in (heads, channels) for units in make(model.config)}
    parameters = dict(model.named_parameters())
    if data is None:
        return {name: _summed(units, name, parameters[name].detach() ** 2) for name, units in outs.items()}
    questions = Questions(data)
    sums: dict[str, torch.Tensor | float] = dict.fromkeys(outs, 0.0)
    for chosen in tqdm(questions.order(TOKENS, seed, 0)[:BATCHES], desc="importance", disable=None):
        model.zero_grad()
        loss(model, questions.batch(chosen))["loss"].backward()
        for name, units in outs.items():
            sums[name] = sums[name] + _summed(units, name, (parameters[name].grad * parameters[name]).detach()).abs()
    model.zero_grad()
    return sums


def _summed(units: Units, name: str, values: torch.Tensor) -> torch.Tensor:
    """(P, U)"""
    return units.parted(values, units.axes[name]).flatten(2).sum(-1)


def prune(model: GroundedForCausalLM, head_share: float, channel_share: float, data: Path | None = None, seed: int = 0) -> GroundedForCausalLM:
    """A smaller model of what matters most. Raises WeightsError for shares that leave no model, DataError."""
    config, state = pruned(model.config, head_share, channel_share), model.state_dict()
    matters = importance(model, data, seed)
    for make, share in ((heads, head_share), (channels, channel_share)):
        for units in make(model.config):
            scores = matters[units.out]  # (P, U)
            best = scores.topk(kept(units.number, share)).indices.sort().values  # (P, kept)
            for name, axes in units.axes.items():
                chosen = units.parted(state[name], axes)[torch.arange(units.parts)[:, None], best]  # (P, kept, size, ...)
                state[name] = units.joined(chosen, axes)
    made = GroundedForCausalLM(config)
    made.load_state_dict(state)
    return made.eval()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m models.systems.prune", description="A grounded model with fewer attention heads and feed-forward channels.")
    parser.add_argument("--heads", type=float, default=0.0, metavar="SHARE", help="of a layer's heads that go (0)")
    parser.add_argument("--channels", type=float, default=0.0, metavar="SHARE", help="of a feed-forward network's channels that go (0)")
    parser.add_argument("--model", type=Path, default=shipped_weights.FOLDER, help="a grounded model (the shipped one)")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write, which must not be there")
    parser.add_argument("--data", type=Path, help="what python -m models.training.prepare_data wrote: what matters is measured on it, else told by the size of weights")
    parser.add_argument("--seed", type=int, default=0, help="chooses the examples")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with new_folder(options.out) as new:
        model = open_model(GroundedForCausalLM, options.model)
        made = prune(model, options.heads, options.channels, options.data, options.seed)
        made.save_pretrained(new)
    told = {"weights": model.num_parameters(), "left": made.num_parameters(), "memory_heads": made.config.memory_heads, "queries": made.config.num_attention_heads,
            "memory_channels": made.config.memory_config.intermediate_size, "expert_channels": made.config.memory_expert_size, "channels": made.config.intermediate_size}  # fmt: skip
    print(json.dumps(told) if options.json else f"{options.out}: {told['left']:,} of {told['weights']:,} weights; python -m models.systems.distill has it learn again what it lost")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
