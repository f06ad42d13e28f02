"""Speculative decoding (arXiv 2211.17192): tokens are guessed ahead, and the decoder verifies them in one pass. What it writes is what it would have written.

Four guesses: what stands in memory behind the token that was copied last (prompt lookup over the evidence, after arXiv 2304.04487), what follows the same words in
the prompt, a smaller model (an assistant), or the decoder's own lower layers (arXiv 2404.16710). Legend: S slots of memory, T tokens of a pass.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from models.common.errors import WritingError
from models.network.grounded import GroundedForCausalLM, GroundedOutput
from models.reader.sequences import PAD, SEP

# isort: split
from transformers.generation import CandidateGenerator

AHEAD = 8  # tokens that are looked up at once
DECODER = ("model.", "copy.", "lm_head.")  # how the names of its weights begin


class MemoryCandidates(CandidateGenerator):
    """What stands in memory behind the token that was copied last. ids: (S,), of memory; first: guessed before anything is written."""

    requires_model_outputs = True

    def __init__(self, ids: torch.Tensor, first: Sequence[int] = (), ahead: int = AHEAD) -> None:
        self.model_kwargs_overrides: dict[str, Any] = {}  # transformers asks for it: nothing more is wanted of a pass
        self._ids, self._first, self._ahead = ids, ids.new_tensor(first), ahead
        self._ends = torch.isin(ids, ids.new_tensor([SEP, PAD]))  # (S,)

    def get_candidates(
        self, input_ids: torch.LongTensor, model_outputs: GroundedOutput | None = None, n_last_matches: int = 0, **kwargs: Any
    ) -> tuple[torch.LongTensor, None]:
        """input_ids (1, T); model_outputs: of the last pass, whose first n_last_matches guesses were right."""
        guess = self._first if model_outputs is None else self._behind(int(input_ids[0, -1]), model_outputs.copy[0, n_last_matches, 1:])
        return torch.cat((input_ids, guess[None]), 1), None

    def _behind(self, token: int, shares: torch.Tensor) -> torch.Tensor:
        """What follows the slot of `token` that was copied from most, up to the end of its block; nothing where it stands in none. shares: (S,)."""
        there = self._ids == token
        if not there.any():
            return self._ids[:0]
        at = int(shares.masked_fill(~there, float("-inf")).argmax()) + 1
        ended = self._ends[at : at + self._ahead].nonzero()
        return self._ids[at : at + (int(ended[0]) if len(ended) else self._ahead)]


class _Guided:
    """The model as transformers' assisted decoding sees it, whose candidates are ours."""

    def __init__(self, model: GroundedForCausalLM, candidates: CandidateGenerator) -> None:
        self._model, self._candidates = model, candidates

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, **inputs: Any) -> GroundedOutput:
        return self._model(**inputs)

    def _get_candidate_generator(self, **options: Any) -> CandidateGenerator:
        return self._candidates


def guided(candidates: CandidateGenerator) -> Callable[..., Any]:
    """A `custom_generate` that verifies these candidates."""

    def decode(model: GroundedForCausalLM, input_ids: torch.LongTensor, **options: Any) -> Any:
        return type(model)._assisted_decoding(_Guided(model, candidates), input_ids, **options)

    return decode


def options(
    kind: str, model: GroundedForCausalLM, ids: torch.Tensor, first: Sequence[int] = (), assistant: GroundedForCausalLM | None = None
) -> dict[str, Any]:
    """What `generate()` is given for a guess: of memory, prompt, early-exit, or an assistant. ids (S,), first: see MemoryCandidates.

    Raises WritingError for an assistant that cannot read the model's memory.
    """
    if kind == "memory":
        return {"custom_generate": guided(MemoryCandidates(ids, first))}
    if kind == "prompt":
        return {"prompt_lookup_num_tokens": AHEAD}
    if kind == "early-exit":
        return {"assistant_early_exit": half(model)}
    if assistant is None:
        raise WritingError("an assistant is wanted: name the folder of a smaller grounded model")
    for name in ("vocab_size", "num_key_value_heads", "head_dim", "pointer_size"):
        if (theirs := getattr(assistant.config, name)) != (own := getattr(model.config, name)):
            raise WritingError(f"this assistant cannot read the model's memory: its {name} is {theirs}, not {own}")
    if len(assistant.config.cross_attention_layers) > len(model.config.cross_attention_layers):
        raise WritingError("this assistant cannot read the model's memory: it has more cross layers")
    return {"assistant_model": assistant}


def half(model: GroundedForCausalLM) -> int:
    """Layers of the lower half of the decoder. Raises WritingError."""
    if model.config.num_hidden_layers < 2:
        raise WritingError("a decoder of one layer has no lower half to guess with: choose another guess")
    return model.config.num_hidden_layers // 2


def lower_half(model: GroundedForCausalLM) -> GroundedForCausalLM:
    """The decoder's lower layers as an assistant, for want of one that was trained. It reads memory, and makes none."""
    config = copy.deepcopy(model.config)
    config.num_hidden_layers = half(model)
    config.cross_attention_layers = [at for at in config.cross_attention_layers if at < config.num_hidden_layers]
    assistant = type(model)(config).eval()
    assistant.load_state_dict({name: weight for name, weight in model.state_dict().items() if name.startswith(DECODER)}, strict=False)
    return assistant.to(model.device)


@dataclass
class Passes:
    """How often the whole decoder was run."""

    count: int = 0


@contextmanager
def counted(model: GroundedForCausalLM) -> Iterator[Passes]:
    """An early exit lowers the model's own number of layers for a while: such passes do not count."""
    passes, layers = Passes(), model.config.num_hidden_layers

    def count(*_: Any) -> None:
        passes.count += model.config.num_hidden_layers == layers

    handle = model.register_forward_pre_hook(count)
    try:
        yield passes
    finally:
        handle.remove()
