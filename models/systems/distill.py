"""python -m models.systems.distill --teacher DIR --student DIR --data PREPARED --out RUN: knowledge distillation.

The student is a model that was made smaller (models.systems.prune, models.systems.grouped_query), or with --layers N
--memory-layers M the teacher with fewer layers (after DistilBERT, arXiv 1910.01108). It learns from the examples, as
in models.training.train, and from the teacher's logits (arXiv 1503.02531, models.training.objective). RUN is that of
models.training.train; the same command continues an interrupted run.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from models.common import command_line
from models.common.checkpoint import open_model
from models.common.errors import TrainError, WeightsError
from models.network.config import GroundedConfig
from models.network.grounded import GroundedForCausalLM
from models.reader import shipped_weights
from models.training import trainer_flags
from models.training.presets import distilled
from models.training.train import fit
from models.training.training_loop import TrainConfig


def evenly_spaced(layers: int, number: int) -> list[int]:
    """The numbers of `number` evenly spaced layers, with the last one, whose output the next modules expect."""
    return [(at + 1) * layers // number - 1 for at in range(number)]


def fewer_layers(teacher: GroundedForCausalLM, layers: int, memory_layers: int) -> GroundedForCausalLM:
    """A copy of the teacher with `layers` of the decoder's and `memory_layers` of the memory encoder's layers.

    Raises WeightsError for numbers that the teacher cannot give, or that leave no cross-attention.
    """
    config, memory = teacher.config, teacher.config.memory_config
    for name, number, most in (
        ("layers", layers, config.num_hidden_layers), ("memory-layers", memory_layers, memory.num_hidden_layers)
    ):  # fmt: skip
        if not 0 < number <= most:
            raise WeightsError(f"--{name} is from 1 to {most}, the teacher's, not {number}")
    decoder = evenly_spaced(config.num_hidden_layers, layers)
    encoder = evenly_spaced(memory.num_hidden_layers, memory_layers)
    crossed = [at for at in config.cross_attention_layers if at in decoder]
    if not crossed:
        raise WeightsError(f"--layers {layers} leaves none of the layers that read memory: give more")
    cached = config.memory_cached_layers
    upper = [at - cached for at in encoder if at >= cached]
    state = _renumbered(teacher.state_dict(), {
        "memory.bert.encoder.layer.": encoder, "memory.experts.": upper, "memory.routers.": upper,
        "model.layers.": decoder,
    })  # fmt: skip
    by_layer = state["projector.kv.weight"].unflatten(0, (len(config.cross_attention_layers), -1))  # (L, 2 * G * D, W)
    state["projector.kv.weight"] = by_layer[[config.cross_attention_layers.index(at) for at in crossed]].flatten(0, 1)
    student = GroundedForCausalLM(GroundedConfig.from_dict(config.to_dict() | {
        "num_hidden_layers": layers, "cross_attention_layers": [decoder.index(at) for at in crossed],
        "memory_cached_layers": len(encoder) - len(upper),
        "memory_config": memory.to_dict() | {"num_hidden_layers": memory_layers},
    }))  # fmt: skip
    student.load_state_dict(state)
    return student.eval()


def _renumbered(state: Mapping[str, torch.Tensor], remaining: Mapping[str, list[int]]) -> dict[str, torch.Tensor]:
    """The weights of the layers that remain, numbered from 0. remaining: prefix of a numbered name -> numbers."""
    renumbered = {}
    for name, weight in state.items():
        found = re.match(r"(.*?\.)(\d+)(\..*)", name)
        if found is None:
            renumbered[name] = weight
        elif int(found[2]) in remaining[found[1]]:
            renumbered[f"{found[1]}{remaining[found[1]].index(int(found[2]))}{found[3]}"] = weight
    return renumbered


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.systems.distill", description="A smaller grounded model learns from a larger one."
    )
    add = parser.add_argument
    add("--teacher", type=Path, default=shipped_weights.FOLDER, help="a grounded model (the shipped one)")
    add("--student", type=Path, help="a model that was made of the teacher; without it the teacher with fewer layers:")
    add("--layers", type=int, metavar="N", help="of the student's decoder (all)")
    add("--memory-layers", type=int, metavar="M", help="of the student's memory encoder (all)")
    add("--data", type=Path, required=True, help="what python -m models.training.prepare_data wrote")
    add("--out", type=Path, required=True, help="the run's folder; a run found there is gone on with")
    add("--dev", type=Path, nargs="*", default=[], help="files of questions to measure on while training")
    add("--json", action="store_true")
    trainer_flags.add(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    fewer = options.layers is not None or options.memory_layers is not None
    if fewer == (options.student is not None):
        raise TrainError(
            "a student is either --student, or the teacher with fewer --layers and --memory-layers: give one of both"
        )
    config = trainer_flags.given(options, TrainConfig(epochs=1))
    teacher = open_model(GroundedForCausalLM, options.teacher)
    if fewer:
        layers, memory_layers = teacher.config.num_hidden_layers, teacher.config.memory_config.num_hidden_layers
        student = fewer_layers(
            teacher, layers if options.layers is None else options.layers,
            memory_layers if options.memory_layers is None else options.memory_layers,
        )  # fmt: skip
    else:
        student = open_model(GroundedForCausalLM, options.student)
    torch.manual_seed(config.seed)
    fit(distilled(student, teacher, options.data), config, options.out, options.dev)
    sizes = {"teacher": teacher.num_parameters(), "student": student.num_parameters()}
    if options.json:
        print(json.dumps(sizes))
        return
    print(f"{options.out / 'model'}: {sizes['student']:,} weights, which learned from {sizes['teacher']:,}")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
