"""python -m models.systems.distill --teacher DIR (--student DIR | --layers N --memory-layers M) --data PREPARED --out RUN: a small model learns from a large one.

The student is a model that was made smaller (models.systems.prune, models.systems.grouped_query), or the teacher with fewer layers (after DistilBERT, arXiv 1910.01108). It learns
from the examples as models.training.train has it, and from what the teacher finds and judges. RUN is as of models.training.train; the
same command goes on with a run that was cut off.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
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


def spread(layers: int, number: int) -> list[int]:
    """So many of the layers, evenly, the last among them: it is the one that what follows was trained on."""
    return [(at + 1) * layers // number - 1 for at in range(number)]


def fewer_layers(teacher: GroundedForCausalLM, layers: int, memory_layers: int) -> GroundedForCausalLM:
    """The teacher with so many layers of its decoder and of its memory encoder. Raises WeightsError."""
    config, memory = teacher.config, teacher.config.memory_config
    for name, number, most in (("layers", layers, config.num_hidden_layers), ("memory-layers", memory_layers, memory.num_hidden_layers)):
        if not 0 < number <= most:
            raise WeightsError(f"--{name} is from 1 to {most}, the teacher's, not {number}")
    decoder, encoder = spread(config.num_hidden_layers, layers), spread(memory.num_hidden_layers, memory_layers)
    crossed = [at for at in config.cross_attention_layers if at in decoder]
    if not crossed:
        raise WeightsError(f"--layers {layers} leaves none of the layers that read memory: give more")
    cached = config.memory_cached_layers
    upper = [at - cached for at in encoder if at >= cached]
    numbers = {  # what a name is to have in front of a number -> the numbers that stay
        "memory.bert.encoder.layer.": encoder, "memory.experts.": upper, "memory.routers.": upper, "model.layers.": decoder,
    }
    state = {}
    for name, weight in teacher.state_dict().items():
        found = re.match(r"(.*?\.)(\d+)(\..*)", name)
        if found is None:
            state[name] = weight
        elif int(found[2]) in numbers[found[1]]:
            state[f"{found[1]}{numbers[found[1]].index(int(found[2]))}{found[3]}"] = weight
    of_layers = state["projector.kv.weight"].unflatten(0, (len(config.cross_attention_layers), -1))  # (L, 2 * G * D, W)
    state["projector.kv.weight"] = of_layers[[config.cross_attention_layers.index(at) for at in crossed]].flatten(0, 1)
    student = GroundedForCausalLM(GroundedConfig.from_dict(config.to_dict() | {
        "num_hidden_layers": layers, "cross_attention_layers": [decoder.index(at) for at in crossed], "memory_cached_layers": len(encoder) - len(upper),
        "memory_config": memory.to_dict() | {"num_hidden_layers": memory_layers},
    }))  # fmt: skip
    student.load_state_dict(state)
    return student.eval()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m models.systems.distill", description="A smaller grounded model learns from a larger one.")
    parser.add_argument("--teacher", type=Path, default=shipped_weights.FOLDER, help="a grounded model (the shipped one)")
    parser.add_argument("--student", type=Path, help="a model that was made of the teacher; without it the teacher with fewer layers:")
    parser.add_argument("--layers", type=int, metavar="N", help="of the student's decoder (all)")
    parser.add_argument("--memory-layers", type=int, metavar="M", help="of the student's memory encoder (all)")
    parser.add_argument("--data", type=Path, required=True, help="what python -m models.training.prepare_data wrote")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; a run found there is gone on with")
    parser.add_argument("--dev", type=Path, nargs="*", default=[], help="files of questions to measure on while training")
    parser.add_argument("--json", action="store_true")
    trainer_flags.add(parser)
    options = parser.parse_args(arguments)
    fewer = options.layers is not None or options.memory_layers is not None
    if fewer == (options.student is not None):
        raise TrainError("a student is either --student, or the teacher with fewer --layers and --memory-layers: give one of both")
    config = trainer_flags.given(options, TrainConfig(epochs=1))
    teacher = open_model(GroundedForCausalLM, options.teacher)
    if fewer:
        layers = teacher.config.num_hidden_layers if options.layers is None else options.layers
        memory_layers = teacher.config.memory_config.num_hidden_layers if options.memory_layers is None else options.memory_layers
        student = fewer_layers(teacher, layers, memory_layers)
    else:
        student = open_model(GroundedForCausalLM, options.student)
    torch.manual_seed(config.seed)
    fit(distilled(student, teacher, options.data), config, options.out, options.dev)
    told = {"teacher": teacher.num_parameters(), "student": student.num_parameters()}
    print(json.dumps(told) if options.json else f"{options.out / 'model'}: {told['student']:,} weights, which learned from {told['teacher']:,}")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
