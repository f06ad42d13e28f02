"""python -m models.systems.train: models.training.train for every variant of the network.

It takes what models.training.train takes, and besides: `--preset mamba` (a decoder of state-space layers, begun from a
trained model), `--attention sparse`, and as `--start` what models.systems.upcycle wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from models.common import command_line
from models.common.checkpoint import open_model
from models.common.errors import TrainError
from models.network.grounded import GroundedForCausalLM
from models.network.grounded_reader import GroundedReader
from models.systems import attention_flags, variants  # noqa: F401 - so that open_model knows the variants
from models.systems.state_space import StateSpaceForCausalLM, mixers, with_state_space
from models.training import train
from models.training.objective import writing
from models.training.presets import PRESETS, Task
from models.training.question_batches import Questions
from models.training.training_loop import TrainConfig


def mamba(data: Path, start: Path | None, teacher: Path | None = None) -> Task:
    """start: a grounded model, of which all but the self-attention of most layers is taken over, or a state-space one.

    Its memory encoder stays as it is: only what writes is trained. Raises TrainError, WeightsError.
    """
    if teacher:
        raise TrainError("the preset mamba has no teacher")
    if start is None:
        raise TrainError("the preset mamba begins with a trained memory: give --start, such as data/weights/reader")
    model, fresh = open_model(GroundedForCausalLM, start), ()
    if not isinstance(model, StateSpaceForCausalLM):
        model = with_state_space(model)
        fresh = mixers(model.config)
    model.memory.requires_grad_(False)
    return Task(model, Questions(data), writing, partial(GroundedReader, greedy=True), fresh)


def main(arguments: Sequence[str] | None = None) -> None:
    presets = PRESETS | {"mamba": (TrainConfig(epochs=1), mamba)}
    options = train.parser("models.systems.train", tuple(presets), attention_flags).parse_args(arguments)
    train.run(options, presets, attention_flags.given(options))


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
