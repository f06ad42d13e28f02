"""What can be trained: each preset brings its model, its view of the prepared examples, its loss and its reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import nn

from models.common.checkpoint import model_type, open_model
from models.common.errors import TrainError
from models.network.baseline_reader import FloorReader
from models.reader.extractive_reader import Reader, ReadsPairs
from models.reader.sequences import CLS, SEP
from models.reader.windows import open_tokenizer
from models.training.batches import Examples
from models.training.question_batches import Questions
from models.training.training_loop import TrainConfig

if TYPE_CHECKING:
    from models.network.grounded import GroundedForCausalLM

ROUTERS, PATCHES = "memory.routers.", "memory.patches."
BESIDE_A_FLOOR = ("model.", "projector.", "copy.", "memory.grid.", "memory.matches.", "memory.experts.", PATCHES, ROUTERS)


class Batched(Protocol):
    """Examples that come in batches: `order` is a function of its arguments alone."""

    def order(self, tokens: int, seed: int, epoch: int) -> list[np.ndarray]: ...

    def batch(self, indices: np.ndarray) -> Any: ...


@dataclass(frozen=True, slots=True)
class Task:
    model: nn.Module
    examples: Batched
    loss: Callable[[nn.Module, Any], dict[str, torch.Tensor]]
    reader: Callable[[nn.Module], ReadsPairs]
    fresh: tuple[str, ...] = ()  # see models.training.training_loop.train
    teacher: nn.Module | None = None  # what `loss` asks beside the model


def floor(data: Path, start: Path | None, teacher: Path | None = None) -> Task:
    if teacher:
        raise TrainError("a floor has no teacher")
    from models.network.baseline_reader import compute, loss

    model = open_model(FloorReader, start) if start else FloorReader.from_base()
    return Task(model, Examples(data), loss, lambda trained: Reader(compute(trained)))


def embedded(data: Path, start: Path | None, teacher: Path | None = None) -> Task:
    """start: a trained floor, whose encoder and heads the memory begins with, or a model of this preset, which is trained on, and from
    then on routes tokens. teacher: a model of this preset.
    """
    from models.common.minilm import MiniLM
    from models.network.config import embedded as configuration
    from models.network.grounded import GroundedForCausalLM
    from models.training.patch_projection import initialise_from_words

    further = start is not None and model_type(start) == "grounded"
    model = open_model(GroundedForCausalLM, start) if further else GroundedForCausalLM(configuration())
    if not further:
        model.begin_with(open_model(FloorReader, start) if start else FloorReader.from_base())
        initialise_from_words(model.memory.patches, model.memory.bert.embeddings.word_embeddings.weight, MiniLM().encode_documents)
    elif not model.config.memory_routed:
        model.route()
    # patches are a tenth of what is learned from, and lag behind
    return _taught(with_fixed_words(model), data, _opened(teacher), (ROUTERS, PATCHES) if further else BESIDE_A_FLOOR)


def distilled(student: GroundedForCausalLM, teacher: GroundedForCausalLM, data: Path) -> Task:
    """A grounded model learns from a larger one."""
    return _taught(with_fixed_words(student), data, teacher)


def tiny(data: Path, start: Path | None, teacher: Path | None = None) -> Task:
    """The grounded model in the small, all of it from nothing: to try the whole way in a minute."""
    from models.network.config import tiny as configuration
    from models.network.grounded import GroundedForCausalLM

    model = open_model(GroundedForCausalLM, start) if start else GroundedForCausalLM(configuration(open_tokenizer().get_vocab_size(), CLS, SEP))
    return _taught(model, data, _opened(teacher))


def mamba(data: Path, start: Path | None, teacher: Path | None = None) -> Task:
    """start: a model of the preset embedded, of which all is taken over but the self-attention of most decoder layers, or a model of this preset. Its
    memory encoder stays as it is: only what writes is trained.
    """
    if start is None or teacher:
        raise TrainError("the preset mamba has no teacher" if teacher else "the preset mamba begins with a trained memory: give --start, such as data/weights/reader")
    from models.network.grounded import GroundedForCausalLM
    from models.network.grounded_reader import GroundedReader
    from models.systems.state_space import mixers, with_state_space
    from models.training.objective import writing

    model = open_model(GroundedForCausalLM, start)
    further = bool(model.config.state_space_layers)
    if not further:
        model = with_state_space(model)
    model.memory.requires_grad_(False)
    return Task(model, Questions(data), writing, partial(GroundedReader, greedy=True), () if further else mixers(model.config))


def with_fixed_words(model: GroundedForCausalLM) -> GroundedForCausalLM:
    """Ready to be trained; its word vectors stay those of the base."""
    if not torch.cuda.is_available():
        model.memory.config._attn_implementation = "eager"  # some 2.5 times as fast as SDPA's backward pass on a CPU
    model.memory.bert.embeddings.requires_grad_(False)
    return model


def _opened(teacher: Path | None) -> GroundedForCausalLM | None:
    from models.network.grounded import GroundedForCausalLM

    return open_model(GroundedForCausalLM, teacher) if teacher else None


def _taught(model: GroundedForCausalLM, data: Path, teacher: GroundedForCausalLM | None, fresh: tuple[str, ...] = ()) -> Task:
    """A grounded model's task, beside a teacher where there is one."""
    from models.network.grounded_reader import GroundedReader
    from models.training.objective import loss

    if teacher is not None:
        teacher.eval().requires_grad_(False)
    return Task(model, Questions(data), partial(loss, teacher=teacher), GroundedReader, fresh, teacher)


PRESETS: dict[str, tuple[TrainConfig, Callable[[Path, Path | None, Path | None], Task]]] = {
    "floor": (TrainConfig(), floor),
    "embedded": (TrainConfig(epochs=1), embedded),
    "tiny": (TrainConfig(epochs=1, learning_rate=1e-3), tiny),
    "mamba": (TrainConfig(epochs=1), mamba),
}
