"""python -m models.systems.rope_scaling MODEL OUT --scaling yarn --factor 4: a decoder for prompts longer than those that it was trained on.

What is scaled are the frequencies of its rotary positions, by transformers' `rope_parameters`: YaRN (arXiv 2309.00071) always, dynamic NTK only where
a prompt is longer than those of training, and the more the longer it is (until a prompt shorter than those of training comes, transformers keeps what the longest one needed, so that what it
writes for one between may depend on those before it). No weight changes.
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
    """For prompts `factor` times as long as the `trained` tokens of training. Raises WeightsError."""
    if config.rope_parameters["rope_type"] != "default":
        raise WeightsError(f"its positions are scaled already ({config.rope_parameters['rope_type']}): give the model that this one was made of")
    if scaling not in SCALINGS or factor <= 1 or trained < 1:
        raise WeightsError(f"{scaling} by {factor} from {trained} tokens: give one of {', '.join(SCALINGS)}, a factor above 1, and at least 1 token")
    own = {"original_max_position_embeddings": trained} if scaling == "yarn" else {}
    config.max_position_embeddings = round(trained * factor) if own else trained  # from it on dynamic scaling begins
    config.rope_parameters = {"rope_theta": config.rope_parameters["rope_theta"], "rope_type": scaling, "factor": factor, **own}


def stretch(model: GroundedForCausalLM, scaling: str, factor: float, trained: int) -> None:
    """See `scale`. Raises WeightsError."""
    scale(model.config, scaling, factor, trained)
    model.model.rotary_emb = LlamaRotaryEmbedding(model.config).to(model.device)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m models.systems.rope_scaling", description="A decoder for longer prompts than it was trained on.")
    parser.add_argument("model", type=Path, help="a folder of models.training.train, models.systems.convert, or of weights as they are shipped")
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
    told = {"scaling": options.scaling, "trained": trained, "reads": round(trained * options.factor)}
    print(json.dumps(told) if options.json else f"{options.out}: {options.scaling}, from {trained} to some {told['reads']} tokens of prompt and answer")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
