"""python -m models.systems.upcycle --experts N --active K --out DIR: a trained model with a mixture of experts.

Sparse upcycling (arXiv 2212.05055) of the decoder: each expert begins as the dense feed-forward network and a token's
weights sum to 1, so that the model computes the same until it is trained:
`python -m models.systems.train --preset embedded --start DIR ...`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.common import command_line
from models.common.errors import WeightsError
from models.reader import shipped_weights

if TYPE_CHECKING:
    from models.network.grounded import GroundedForCausalLM
    from models.systems.mixture_of_experts import MixtureOfExpertsForCausalLM

DENSE = ("gate_proj", "up_proj", "down_proj")


def upcycled(model: GroundedForCausalLM, experts: int, active: int, null: int = 0) -> MixtureOfExpertsForCausalLM:
    """A new model; its routers are drawn anew. Raises WeightsError."""
    import torch

    from models.network.config import settings
    from models.network.grounded import GroundedForCausalLM
    from models.systems.mixture_of_experts import MixtureOfExpertsConfig, MixtureOfExpertsForCausalLM

    if isinstance(model, MixtureOfExpertsForCausalLM):
        raise WeightsError("this model has experts already: give a dense one")
    if type(model) is not GroundedForCausalLM:
        raise WeightsError(f"a {type(model).__name__} is another variant already: give the model that it was made of")
    if not 1 <= active <= experts or null < 0:
        wrong = f"{active} of {experts} experts and {null} null ones cannot be"
        raise WeightsError(f"{wrong}: give --active from 1 to --experts, and --null from 0 on")
    if null and active == 1:
        remedy = "give --active 2 or more"
        raise WeightsError(f"null experts take the place of the second expert and of later ones: {remedy}")
    number = {"num_local_experts": experts, "num_experts_per_tok": active, "num_null_experts": null}
    made = MixtureOfExpertsForCausalLM(MixtureOfExpertsConfig.from_dict(settings(model.config) | number))
    state = model.state_dict()
    for at, layer in enumerate(made.model.layers):
        mlp = f"model.layers.{at}.mlp."
        gate, up, down = (state.pop(f"{mlp}{name}.weight") for name in DENSE)  # (I, C), (I, C), (C, I)
        state[f"{mlp}router.weight"] = layer.mlp.router.weight.detach()
        state[f"{mlp}experts.gate_up_proj"] = torch.cat((gate, up)).expand(experts, -1, -1)
        state[f"{mlp}experts.down_proj"] = down.expand(experts, -1, -1)
    made.load_state_dict(state)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    about = "A trained grounded model with a mixture of experts in its decoder."
    parser = argparse.ArgumentParser(prog="python -m models.systems.upcycle", description=about)
    parser.add_argument("--experts", type=int, required=True, metavar="N", help="of each decoder layer")
    parser.add_argument("--active", type=int, required=True, metavar="K", help="experts of a token")
    parser.add_argument("--null", type=int, default=0, metavar="M", help="null experts, which cost nothing (0)")
    parser.add_argument("--model", type=Path, default=shipped_weights.FOLDER, help="the dense model (the shipped one)")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write, which must not be there")
    parser.add_argument("--seed", type=int, default=0, help="of the routers")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    import torch

    from models.common.checkpoint import new_folder, open_model
    from models.network.grounded import GroundedForCausalLM
    from models.systems.mixture_of_experts import active_weights  # with it open_model knows a model that has experts

    with new_folder(options.out) as new:
        torch.manual_seed(options.seed)
        model = upcycled(open_model(GroundedForCausalLM, options.model), options.experts, options.active, options.null)
        model.save_pretrained(new)
    weights, active = model.num_parameters(), active_weights(model)
    if options.json:
        print(json.dumps({"weights": weights, "active": active}))
    else:
        print(f"{options.out}: {weights:,} weights, of which a token uses {active:,} at most")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
