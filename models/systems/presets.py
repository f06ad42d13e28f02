"""What can be trained: the presets of models.training.presets, and one of a variant of the network."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from models.common.checkpoint import open_model
from models.common.errors import TrainError
from models.network.grounded import GroundedForCausalLM
from models.network.grounded_reader import GroundedReader
from models.systems import variants  # noqa: F401 - so that open_model knows the variants
from models.systems.state_space import StateSpaceForCausalLM, mixers, with_state_space
from models.training import presets
from models.training.objective import writing
from models.training.presets import Task
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


PRESETS = presets.PRESETS | {"mamba": (TrainConfig(epochs=1), mamba)}
