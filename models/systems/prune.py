"""python -m models.systems.prune --heads SHARE --channels SHARE --out DIR [--model DIR]: structured pruning.

Removes the least important attention heads (arXiv 1905.10650) and feed-forward channels (arXiv 1906.10771) of each
layer of the memory encoder, its experts and the decoder. Layers of one kind lose the same number, so that the
configuration describes the new model. The width of the states is unchanged, and so are the decoder's key-value heads:
each loses the same number of query heads. --data PREPARED measures importance by gradients, else by weight norms.

torch-pruning 1.6 is not used: its dependency graph follows only the last axis of the experts' tensors, would cut the
query norm that all heads of cross-attention share, and did not terminate on the decoder's rotated queries.
Legend: P parts of a weight, of which each keeps the same number of units; U units of a part; W width.
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

BATCHES, TOKENS = 16, 1024  # number of batches that importance is measured on, and tokens of each; chosen

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Units:
    """The P * U heads or channels of one layer, and the axes of the layer's weights that they lie on.

    axes: name of a weight -> its axes. The last weight is the output projection of the units.
    """

    parts: int
    number: int  # U
    axes: dict[str, tuple[int, ...]]

    @property
    def out(self) -> str:
        return next(reversed(self.axes))

    def parted(self, weight: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        """A weight -> (P, U, size of a unit, ...)."""
        front = weight.movedim(axes, tuple(range(len(axes))))
        return front.flatten(0, len(axes) - 1).unflatten(0, (self.parts, self.number, -1))

    def joined(self, chosen: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
        """The inverse of `parted`, for fewer units."""
        front = chosen.flatten(0, 2) if len(axes) == 1 else chosen.flatten(1, 2)
        return front.movedim(tuple(range(len(axes))), axes).contiguous()


def heads(config: GroundedConfig) -> Iterator[Units]:
    """The attention heads of every layer; query heads alone in the decoder."""
    memory, groups = config.memory_config, config.num_key_value_heads
    inside = [f"attention.self.{part}.{kind}" for part in ("query", "key", "value") for kind in ("weight", "bias")]
    number, out = config.memory_heads or memory.num_attention_heads, "attention.output.dense.weight"
    for at in range(memory.num_hidden_layers):
        yield _units(f"memory.bert.encoder.layer.{at}.", 1, number, inside, out)
    number = config.num_attention_heads // groups
    for at in range(config.num_hidden_layers):
        for name in ("self_attn", "cross_attn") if at in config.cross_attention_layers else ("self_attn",):
            queries = ["q_proj.weight", *(["q_proj.bias"] if config.attention_bias and name == "self_attn" else [])]
            yield _units(f"model.layers.{at}.{name}.", groups, number, queries, "o_proj.weight")


def channels(config: GroundedConfig) -> Iterator[Units]:
    """The feed-forward channels of every layer and of every expert of the memory encoder."""
    memory = config.memory_config
    inside = ["intermediate.dense.weight", "intermediate.dense.bias"]
    for at in range(memory.num_hidden_layers):
        layer = f"memory.bert.encoder.layer.{at}."
        yield _units(layer, 1, memory.intermediate_size, inside, "output.dense.weight")
    for at in range(memory.num_hidden_layers - config.memory_cached_layers):
        name = f"memory.experts.{at}."
        axes = {f"{name}down": (0, 2), f"{name}bias": (0, 1), f"{name}up": (0, 1)}
        yield Units(len(BlockModality) - 1, config.memory_expert_size, axes)
    kinds = ("weight", "bias") if config.mlp_bias else ("weight",)
    inside = [f"{part}_proj.{kind}" for part in ("gate", "up") for kind in kinds]
    for at in range(config.num_hidden_layers):
        for name in ("mlp", "cross_attn.mlp") if at in config.cross_attention_layers else ("mlp",):
            yield _units(f"model.layers.{at}.{name}.", 1, config.intermediate_size, inside, "down_proj.weight")


def _units(layer: str, parts: int, number: int, inside: Sequence[str], out: str) -> Units:
    return Units(parts, number, {**{layer + name: (0,) for name in inside}, layer + out: (1,)})


def remaining(number: int, share: float) -> int:
    """How many of so many units remain when at most the share is removed."""
    return number - int(number * share)


def pruned_config(config: GroundedConfig, head_share: float, channel_share: float) -> GroundedConfig:
    """The configuration of the pruned model. Raises WeightsError for shares that no model can have."""
    for name, share in (("heads", head_share), ("channels", channel_share)):
        if not 0 <= share < 1:
            raise WeightsError(f"--{name} is a share from 0 to below 1, not {share}")
    memory, groups = config.memory_config, config.num_key_value_heads
    sizes = {
        "memory_heads": remaining(config.memory_heads or memory.num_attention_heads, head_share),
        "memory_config": memory.to_dict() | {"intermediate_size": remaining(memory.intermediate_size, channel_share)},
        "memory_expert_size": remaining(config.memory_expert_size, channel_share),
        "num_attention_heads": groups * remaining(config.num_attention_heads // groups, head_share),
        "intermediate_size": remaining(config.intermediate_size, channel_share),
    }
    queries = sizes["num_attention_heads"]
    if config.hidden_size % queries:
        raise WeightsError(
            f"--heads {head_share} leaves the decoder {queries} queries, into which its width {config.hidden_size} "
            "does not divide: give another share"
        )
    return GroundedConfig.from_dict(config.to_dict() | sizes)


def importance(model: GroundedForCausalLM, data: Path | None, seed: int = 0) -> dict[str, torch.Tensor]:
    """How important each unit is: name of an output projection -> (P, U).

    With data: how much the loss changes, to first order, when the unit's output is 0. Without: the squared norm of the
    unit's output projection. Raises DataError for examples that cannot be read.
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
            products = (parameters[name].grad * parameters[name]).detach()
            sums[name] = sums[name] + _summed(units, name, products).abs()
    model.zero_grad()
    return sums


def _summed(units: Units, name: str, values: torch.Tensor) -> torch.Tensor:
    """The sum over each unit, (P, U)."""
    return units.parted(values, units.axes[name]).flatten(2).sum(-1)


def prune(
    model: GroundedForCausalLM, head_share: float, channel_share: float, data: Path | None = None, seed: int = 0
) -> GroundedForCausalLM:
    """A copy without the least important heads and channels.

    data: a prepared folder, see `importance`; seed chooses its examples. Raises WeightsError, DataError.
    """
    config, state = pruned_config(model.config, head_share, channel_share), model.state_dict()
    scores = importance(model, data, seed)
    for make, share in ((heads, head_share), (channels, channel_share)):
        for units in make(model.config):
            best = scores[units.out].topk(remaining(units.number, share)).indices.sort().values  # (P, U')
            part = torch.arange(units.parts)[:, None]
            for name, axes in units.axes.items():
                chosen = units.parted(state[name], axes)[part, best]  # (P, U', size of a unit, ...)
                state[name] = units.joined(chosen, axes)
    made = GroundedForCausalLM(config)
    made.load_state_dict(state)
    return made.eval()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.systems.prune",
        description="A grounded model with fewer attention heads and feed-forward channels.",
    )
    add = parser.add_argument
    add("--heads", type=float, default=0.0, metavar="SHARE", help="of a layer's heads that go (0)")
    add("--channels", type=float, default=0.0, metavar="SHARE", help="of a feed-forward network's channels that go (0)")
    add("--model", type=Path, default=shipped_weights.FOLDER, help="a grounded model (the shipped one)")
    add("--out", type=Path, required=True, help="the folder to write, which must not be there")
    prepared = "what python -m models.training.prepare_data wrote: importance is measured on it, else by weight norms"
    add("--data", type=Path, help=prepared)
    add("--seed", type=int, default=0, help="chooses the examples")
    add("--json", action="store_true")
    options = parser.parse_args(arguments)
    with new_folder(options.out) as new:
        model = open_model(GroundedForCausalLM, options.model)
        made = prune(model, options.heads, options.channels, options.data, options.seed)
        made.save_pretrained(new)
    config, weights, left = made.config, model.num_parameters(), made.num_parameters()
    if options.json:
        print(json.dumps({
            "weights": weights, "left": left, "memory_heads": config.memory_heads,
            "queries": config.num_attention_heads, "memory_channels": config.memory_config.intermediate_size,
            "expert_channels": config.memory_expert_size, "channels": config.intermediate_size,
        }))  # fmt: skip
        return
    again = "python -m models.systems.distill has it learn again what it lost"
    print(f"{options.out}: {left:,} of {weights:,} weights; {again}")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
