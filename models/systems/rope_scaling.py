"""python -m models.systems.rope_scaling MODEL OUT --scaling yarn --factor 4: a longer context by RoPE scaling.

The frequencies of the rotary positions are scaled by transformers' `rope_parameters`; no weight changes. YaRN (arXiv
2309.00071) scales always. Dynamic NTK scales only where a prompt is longer than those of training, and the more the
longer it is. transformers keeps the scale of the longest prompt so far until a prompt of trained length comes, so that
the output for a prompt between may depend on earlier prompts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from models.common import command_line
from models.common.checkpoint import new_folder, open_model
from models.common.errors import WeightsError
from models.common.torchvision_ops import ensure_operators
from models.network.config import GroundedConfig
from models.network.grounded import GroundedForCausalLM
from models.systems import variants  # noqa: F401 - so that open_model knows the variants

ensure_operators()

from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding  # noqa: E402

SCALINGS = ("yarn", "dynamic")


def scale(config: GroundedConfig, scaling: str, factor: float, trained: int) -> None:
    """Set a configuration, in place, to prompts `factor` times as long as the `trained` tokens of training.

    Raises WeightsError for a configuration that is scaled already, and for values out of range.
    """
    if (kind := config.rope_parameters["rope_type"]) != "default":
        raise WeightsError(f"its positions are scaled already ({kind}): give the model that this one was made of")
    if scaling not in SCALINGS or factor <= 1 or trained < 1:
        raise WeightsError(
            f"{scaling} by {factor} from {trained} tokens: "
            f"give one of {', '.join(SCALINGS)}, a factor above 1, and at least 1 token"
        )
    own = {"original_max_position_embeddings": trained} if scaling == "yarn" else {}
    config.max_position_embeddings = round(trained * factor) if own else trained  # where dynamic scaling begins
    theta = config.rope_parameters["rope_theta"]
    config.rope_parameters = {"rope_theta": theta, "rope_type": scaling, "factor": factor, **own}


def stretch(model: GroundedForCausalLM, scaling: str, factor: float, trained: int) -> None:
    """Scale the positions of a model, in place; see `scale`. Raises WeightsError."""
    scale(model.config, scaling, factor, trained)
    model.model.rotary_emb = LlamaRotaryEmbedding(model.config).to(model.device)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m models.systems.rope_scaling",
        description="A decoder for longer prompts than it was trained on.",
    )
    source = "a folder of models.training.train, models.systems.convert, or of weights as they are shipped"
    parser.add_argument("model", type=Path, help=source)
    parser.add_argument("out", type=Path, help="the folder to write, which must not be there")
    parser.add_argument("--scaling", choices=SCALINGS, default=SCALINGS[0])
    parser.add_argument("--factor", type=float, default=4.0, help="how many times as long (4)")
    parser.add_argument("--trained", type=int, help="tokens that it was trained on (its max_position_embeddings)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with new_folder(options.out) as new:
        model = open_model(GroundedForCausalLM, options.model)
        trained = model.config.max_position_embeddings if options.trained is None else options.trained
        stretch(model, options.scaling, options.factor, trained)
        model.save_pretrained(new)
    reads = round(trained * options.factor)
    if options.json:
        print(json.dumps({"scaling": options.scaling, "trained": trained, "reads": reads}))
        return
    print(f"{options.out}: {options.scaling}, from {trained} to some {reads} tokens of prompt and answer")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
