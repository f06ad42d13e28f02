"""python -m models.systems.quantise --method METHOD [--qat --data PREPARED] --out DIR: quantisation by torchao.

The projections of a grounded model become integers; word vectors and heads remain in float. METHOD: int8-dynamic has
int8 weights by row and int8 activations by token (arXiv 2206.01861); int8 and int4 have integer weights alone, int4 in
groups, and on a CPU in a byte each. --qat first trains with rounded numbers (quantisation-aware training, arXiv
1712.05877) on what `python -m models.training.prepare_data` wrote. DIR is opened as any model:
`models.training.evaluate qa --model DIR`, `rag ask --reader DIR`.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from models.common import command_line
from models.common.checkpoint import new_folder, open_model
from models.common.errors import TrainError, WeightsError
from models.network.grounded import GroundedForCausalLM
from models.reader import shipped_weights
from models.training import trainer_flags
from models.training.objective import loss
from models.training.presets import with_fixed_words
from models.training.question_batches import Questions
from models.training.train import epochs
from models.training.training_loop import TrainConfig, train

if TYPE_CHECKING:
    from torchao.core.config import AOBaseConfig

METHODS = ("int8-dynamic", "int8", "int4")
PROJECTIONS = ("memory.bert.encoder.", "model.layers.")  # prefixes of the names of the matrices to quantise
GROUP = 32  # weights of a row that share a scale in int4; chosen, not fitted
# Defaults of --qat; fp32, as bf16 would round the numbers a second time.
RECIPE = TrainConfig(epochs=1, batches=200, tokens=2048, learning_rate=1e-5, precision="fp32")


@dataclass(frozen=True, slots=True)
class Scheme:
    """torchao's configurations. stored: of the integer matrices. learned: of the same rounding in float, for QAT."""

    stored: AOBaseConfig
    learned: AOBaseConfig


def scheme(method: str, group: int = GROUP) -> Scheme:
    """The scheme of one of METHODS. group: of int4, see GROUP. Raises WeightsError where torchao is not installed."""
    try:
        from torchao.quantization import (
            Int8DynamicActivationInt8WeightConfig,
            Int8DynamicActivationIntxWeightConfig,
            Int8WeightOnlyConfig,
            IntxWeightOnlyConfig,
            MappingType,
            PerAxis,
            PerGroup,
        )
    except ImportError as error:
        remedy = "run `pip install -r requirements-systems.txt`"
        raise WeightsError(f"quantising needs torchao ({error}): {remedy}") from error
    if method == "int4":
        both = IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(group))
        return Scheme(both, both)
    if method == "int8":
        learned = IntxWeightOnlyConfig(weight_dtype=torch.int8, granularity=PerAxis(0))
        return Scheme(Int8WeightOnlyConfig(set_inductor_config=False), learned)
    return Scheme(
        Int8DynamicActivationInt8WeightConfig(act_mapping_type=MappingType.ASYMMETRIC, set_inductor_config=False),
        Int8DynamicActivationIntxWeightConfig(weight_dtype=torch.int8, weight_granularity=PerAxis(0)),
    )


def is_projection(module: nn.Module, name: str) -> bool:
    return isinstance(module, nn.Linear) and name.startswith(PROJECTIONS)


def prepare(model: GroundedForCausalLM, method: str, group: int = GROUP) -> None:
    """Make a model round in float, in place, as it will when quantised; gradients pass the rounding unchanged.

    Raises WeightsError as `quantised`.
    """
    from torchao.quantization import quantize_
    from torchao.quantization.qat import QATConfig

    check(model, method, group)
    quantize_(model, QATConfig(scheme(method, group).learned, step="prepare"), filter_fn=is_projection)


def quantised(model: GroundedForCausalLM, method: str, group: int = GROUP) -> GroundedForCausalLM:
    """A copy whose projections are integers. Of a `prepare`d model the result is that of QATConfig's step `convert`.

    Raises WeightsError for a model that is quantised already, and for groups that do not divide its rows.
    """
    from transformers import TorchAoConfig

    check(model, method, group)
    linear = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    in_float = [name for name, module in linear if not is_projection(module, name)]
    settings = TorchAoConfig(scheme(method, group).stored, modules_to_not_convert=in_float)
    config, state = copy.deepcopy(model.config), model.state_dict()
    made = GroundedForCausalLM.from_pretrained(None, config=config, state_dict=state, quantization_config=settings)
    return made.eval()


def check(model: GroundedForCausalLM, method: str, group: int) -> None:
    """Whether a model can be quantised. Raises WeightsError, see `quantised`."""
    if hasattr(model.config, "quantization_config"):
        raise WeightsError("the model is quantised already: give --model the one that it was made of")
    row = math.gcd(*(module.in_features for name, module in model.named_modules() if is_projection(module, name)))
    if method == "int4" and (group < 1 or row % group):
        raise WeightsError(
            f"groups of {group} weights do not divide the rows of this model: give --group a divisor of {row}"
        )


def trained(
    model: GroundedForCausalLM, method: str, data: Path, config: TrainConfig, run: Path, group: int = GROUP
) -> GroundedForCausalLM:
    """Quantisation-aware training on a prepared folder, from the checkpoint in `run` where there is one.

    Raises DataError, TrainError, WeightsError.
    """
    questions = Questions(data)
    prepare(model, method, group)
    return train(with_fixed_words(model), epochs(questions, config), loss, config, run).cpu()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.systems.quantise", description="A reader whose projections are integers, by torchao."
    )
    add = parser.add_argument
    add("--method", choices=METHODS, required=True)
    add("--model", type=Path, default=shipped_weights.FOLDER, help="a grounded model's folder (the shipped weights)")
    out = "the folder to write, which must not be there; --qat trains in OUT.run until that is done"
    add("--out", type=Path, required=True, help=out)
    add("--group", type=int, default=GROUP, metavar="N", help=f"weights that share a scale in int4 ({GROUP})")
    add("--qat", action="store_true", help="train with rounded numbers first")
    add("--data", type=Path, metavar="PREPARED", help="what python -m models.training.prepare_data wrote, for --qat")
    add("--json", action="store_true")
    trainer_flags.add(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    config = trainer_flags.given(options, RECIPE)
    if options.qat and options.data is None:
        raise TrainError("--qat trains: give --data what python -m models.training.prepare_data wrote")
    if not options.qat and (options.data or config != RECIPE):
        raise TrainError("nothing is trained without --qat: add it, or leave out --data and the flags of a trainer")
    with new_folder(options.out) as new:
        model = open_model(GroundedForCausalLM, options.model)
        before = sum(weight.numel() * weight.element_size() for weight in model.parameters())
        run = options.out.with_name(options.out.name + ".run")
        if options.qat:
            model = trained(model, options.method, options.data, config, run, options.group)
        quantised(model, options.method, options.group).save_pretrained(new)
        size = (new / shipped_weights.WEIGHTS).stat().st_size
    if options.qat:
        shutil.rmtree(run)
    if options.json:
        print(json.dumps({"method": options.method, "qat": options.qat, "bytes": size, "float_bytes": before}))
        return
    print(f"{options.out}: {options.method}, {size / 1e6:.1f} MB; in float {before / 1e6:.1f} MB")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
