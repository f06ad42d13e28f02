"""Speculative decoding (arXiv 2211.17192): candidate tokens are verified by the decoder in one pass.

The decoder writes the same tokens as without. Candidates come from one of four sources: the memory behind the token
that was copied last (prompt lookup, arXiv 2304.04487, over the evidence); the prompt behind the same words; a smaller
model (an assistant); or the decoder's own lower layers (early exit, arXiv 2404.16710).
Legend: S slots of memory, T tokens of a pass.
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

AHEAD = 8  # candidates of a pass that are looked up; chosen, not fitted
DECODER = ("model.", "copy.", "lm_head.")  # prefixes of the names of the decoder's weights


class MemoryCandidates(CandidateGenerator):
    """Candidates from memory: the tokens behind the one that was copied last.

    ids: (S,), of memory. first: candidates before anything is written.
    """

    requires_model_outputs = True

    def __init__(self, ids: torch.Tensor, first: Sequence[int] = (), ahead: int = AHEAD) -> None:
        self.model_kwargs_overrides: dict[str, Any] = {}  # transformers reads it: inputs to add to a pass, here none
        self._ids, self._first, self._ahead = ids, ids.new_tensor(first), ahead
        self._ends = torch.isin(ids, ids.new_tensor([SEP, PAD]))  # (S,)

    def get_candidates(
        self, input_ids: torch.LongTensor, model_outputs: GroundedOutput | None = None, n_last_matches: int = 0,
        **kwargs: Any,
    ) -> tuple[torch.LongTensor, None]:  # fmt: skip
        """input_ids (1, T) -> with candidates behind. model_outputs: of the last pass, with n_last_matches accepted."""
        if model_outputs is None:
            candidates = self._first
        else:
            candidates = self._behind(int(input_ids[0, -1]), model_outputs.copy[0, n_last_matches, 1:])
        return torch.cat((input_ids, candidates[None]), 1), None

    def _behind(self, token: int, shares: torch.Tensor) -> torch.Tensor:
        """The tokens behind the slot of `token` that was copied from most, to the end of its block at most.

        shares: (S,), of the copy attention. Empty where memory does not hold the token.
        """
        holds = self._ids == token
        if not holds.any():
            return self._ids[:0]
        at = int(shares.masked_fill(~holds, float("-inf")).argmax()) + 1
        ended = self._ends[at : at + self._ahead].nonzero()
        return self._ids[at : at + (int(ended[0]) if len(ended) else self._ahead)]


class _WithCandidates:
    """A model whose assisted decoding takes given candidates, in place of those that transformers would choose."""

    def __init__(self, model: GroundedForCausalLM, candidates: CandidateGenerator) -> None:
        self._model, self._candidates = model, candidates

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, **inputs: Any) -> GroundedOutput:
        return self._model(**inputs)

    def _get_candidate_generator(self, **options: Any) -> CandidateGenerator:
        return self._candidates


def verifying(candidates: CandidateGenerator) -> Callable[..., Any]:
    """A `custom_generate` for `generate()` that verifies these candidates."""

    def decode(model: GroundedForCausalLM, input_ids: torch.LongTensor, **options: Any) -> Any:
        return type(model)._assisted_decoding(_WithCandidates(model, candidates), input_ids, **options)

    return decode


def options(
    source: str, model: GroundedForCausalLM, ids: torch.Tensor, first: Sequence[int] = (),
    assistant: GroundedForCausalLM | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Keyword arguments of `generate()` for a source of candidates: memory, prompt, early-exit or assistant.

    ids (S,), first: see MemoryCandidates. Raises WritingError for an assistant that cannot read the model's memory.
    """
    if source == "memory":
        return {"custom_generate": verifying(MemoryCandidates(ids, first))}
    if source == "prompt":
        return {"prompt_lookup_num_tokens": AHEAD}
    if source == "early-exit":
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
    """The number of layers in the decoder's lower half. Raises WritingError."""
    if model.config.num_hidden_layers < 2:
        raise WritingError("a decoder of one layer has no lower half to guess with: choose another guess")
    return model.config.num_hidden_layers // 2


def lower_half(model: GroundedForCausalLM) -> GroundedForCausalLM:
    """The decoder's lower layers as an untrained assistant. It reads the model's memory and encodes none itself."""
    config = copy.deepcopy(model.config)
    config.num_hidden_layers = half(model)
    config.cross_attention_layers = [at for at in config.cross_attention_layers if at < config.num_hidden_layers]
    assistant = type(model)(config).eval()
    state = {name: weight for name, weight in model.state_dict().items() if name.startswith(DECODER)}
    assistant.load_state_dict(state, strict=False)
    return assistant.to(model.device)


@dataclass
class Passes:
    """A count of the decoder's full passes."""

    count: int = 0


@contextmanager
def counted(model: GroundedForCausalLM) -> Iterator[Passes]:
    """Count the full passes of a model. Those of early exit, with a lower number of layers meanwhile, do not count."""
    passes, layers = Passes(), model.config.num_hidden_layers

    def count(*_: Any) -> None:
        passes.count += model.config.num_hidden_layers == layers

    handle = model.register_forward_pre_hook(count)
    try:
        yield passes
    finally:
        handle.remove()
