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
from models.network.baseline_reader import BaselineReader, compute
from models.reader.extractive_reader import Reader
from models.reader.sequences import CLS, SEP
from models.reader.types import ReadsPairs
from models.reader.windows import open_tokenizer
from models.training.batches import Examples
from models.training.objective import baseline_loss
from models.training.question_batches import Questions
from models.training.training_loop import TrainConfig

if TYPE_CHECKING:
    from models.network.grounded import GroundedForCausalLM

ROUTERS, PATCHES = "memory.routers.", "memory.patches."
BESIDE_THE_BASELINE = (  # names of weights that a baseline does not have
    "model.", "projector.", "copy.", "memory.grid.", "memory.matches.", "memory.experts.", PATCHES, ROUTERS,
)  # fmt: skip


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


def baseline(data: Path, start: Path | None, teacher: Path | None = None) -> Task:
    """start: a trained baseline. Raises TrainError for a teacher."""
    if teacher:
        raise TrainError("the preset baseline has no teacher")
    model = open_model(BaselineReader, start) if start else BaselineReader.from_base()
    return Task(model, Examples(data), baseline_loss, lambda trained: Reader(compute(trained)))


def embedded(data: Path, start: Path | None, teacher: Path | None = None) -> Task:
    """start: a trained baseline, whose encoder and heads the memory encoder begins with, or a model of this preset.

    The latter is trained on, and from then on routes tokens. teacher: a model of this preset.
    """
    from models.common.minilm import MiniLM
    from models.network.config import embedded as configuration
    from models.network.grounded import GroundedForCausalLM
    from models.training.patch_projection import initialise_from_words

    further = start is not None and model_type(start) != BaselineReader.config_class.model_type
    model = open_model(GroundedForCausalLM, start) if further else GroundedForCausalLM(configuration())
    if not further:
        model.begin_with(open_model(BaselineReader, start) if start else BaselineReader.from_base())
        words = model.memory.bert.embeddings.word_embeddings.weight
        initialise_from_words(model.memory.patches, words, MiniLM().encode_documents)
    elif not model.config.memory_routed:
        model.route()
    # patches are a tenth of what is learned from, and lag behind
    fresh = (ROUTERS, PATCHES) if further else BESIDE_THE_BASELINE
    return _taught(with_fixed_words(model), data, _opened(teacher), fresh)


def distilled(student: GroundedForCausalLM, teacher: GroundedForCausalLM, data: Path) -> Task:
    """A grounded model learns from a larger one."""
    return _taught(with_fixed_words(student), data, teacher)


def tiny(data: Path, start: Path | None, teacher: Path | None = None) -> Task:
    """A small grounded model with random initial weights: to try training and evaluation in a minute."""
    from models.network.config import tiny as configuration
    from models.network.grounded import GroundedForCausalLM

    if start:
        return _taught(open_model(GroundedForCausalLM, start), data, _opened(teacher))
    model = GroundedForCausalLM(configuration(open_tokenizer().get_vocab_size(), CLS, SEP))
    return _taught(model, data, _opened(teacher))


def with_fixed_words(model: GroundedForCausalLM) -> GroundedForCausalLM:
    """Ready to be trained; its word vectors stay those of the base."""
    if not torch.cuda.is_available():
        model.memory.config._attn_implementation = "eager"  # some 2.5 times as fast as SDPA's backward pass on a CPU
    model.memory.bert.embeddings.requires_grad_(False)
    return model


def _opened(teacher: Path | None) -> GroundedForCausalLM | None:
    from models.network.grounded import GroundedForCausalLM

    return open_model(GroundedForCausalLM, teacher) if teacher else None


def _taught(
    model: GroundedForCausalLM, data: Path, teacher: GroundedForCausalLM | None, fresh: tuple[str, ...] = ()
) -> Task:
    """A grounded model's task, beside a teacher where there is one."""
    from models.network.grounded_reader import GroundedReader
    from models.training.objective import loss

    if teacher is not None:
        teacher.eval().requires_grad_(False)
    return Task(model, Questions(data), partial(loss, teacher=teacher), GroundedReader, fresh, teacher)


# default settings, and the function of prepared data, start and teacher that makes the task
Preset = tuple[TrainConfig, Callable[[Path, Path | None, Path | None], Task]]
PRESETS: dict[str, Preset] = {
    "baseline": (TrainConfig(), baseline),
    "embedded": (TrainConfig(epochs=1), embedded),
    "tiny": (TrainConfig(epochs=1, learning_rate=1e-3), tiny),
}
