"""The grounded model as text in, text out: what harnesses of language models ask (models.systems.harness, bench/helm).

The decoder has learned to answer from memory alone. So the passage of a request is memory, and its question the prompt. A request that is written otherwise has no
passage: then the whole text is memory, and its last question is the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from tqdm import tqdm

from models.network.grounded import GroundedForCausalLM
from models.network.grounded_reader import GroundedReader, Recalled, likelihoods, prompts, write, written_length
from models.reader.extractive_reader import BATCH
from models.reader.sequences import SEP
from models.reader.windows import Passage

Thing = TypeVar("Thing")
_GROUNDED = re.compile(r"(?:Title: (?P<title>[^\n]*)\n\n)?(?P<passage>.*)\n\nQuestion: (?P<question>.*)\nAnswer:\s*", re.DOTALL)
_QUESTION = re.compile(r"[^\n.?!]*\?")


@dataclass(frozen=True, slots=True)
class Written:
    """An answer, and the log-probability of its tokens and of its end."""

    text: str
    chance: float


def request(question: str, passage: Passage) -> str:
    """A question and its passage as one text."""
    title = f"Title: {passage.title}\n\n" if passage.title else ""
    return f"{title}{passage.text}\n\nQuestion: {question}\nAnswer:"


def parted(text: str) -> tuple[str, Passage]:
    """A request -> its question, and what is memory."""
    if found := _GROUNDED.fullmatch(text):
        return found["question"], Passage(found["passage"], found["title"] or "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((question.strip() for question in reversed(_QUESTION.findall(text))), lines[-1] if lines else ""), Passage(text)


class Prompted:
    def __init__(self, model: GroundedForCausalLM) -> None:
        self._model, self._reader = model.eval(), GroundedReader(model)

    @torch.inference_mode()
    def likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        """Of each (request, continuation) the log-probability of the latter, and whether greedy search would write it. A request's continuations share its memory."""
        wanted: dict[str, list[int]] = {}
        for at, (text, _) in enumerate(pairs):
            wanted.setdefault(text, []).append(at)
        found: dict[int, tuple[float, bool]] = {}
        for chosen in _batches(sorted(wanted, key=len)):
            read = self._recalled([parted(text) for text in chosen])
            rows = [(number, at) for number, text in enumerate(chosen) for at in wanted[text]]
            answers = [(number, self._reader.tokens(pairs[at][1]).ids) for number, at in rows]
            found |= dict(zip([at for _, at in rows], likelihoods(self._model, read.asked, answers, read.memory), strict=True))
        return [found[at] for at in range(len(pairs))]

    def _recalled(self, pairs: Sequence[tuple[str, Passage]]) -> Recalled:
        return self._reader.remember(*zip(*pairs, strict=True), owners=range(len(pairs)))

    @torch.inference_mode()
    def write(self, requests: Sequence[str], longest: int) -> list[Written]:
        """What greedy search writes, `longest` tokens at most; in the words of the passage where it stands there."""
        found: dict[int, Written] = {}
        for chosen in _batches(sorted(range(len(requests)), key=lambda at: len(requests[at]))):
            pairs = [parted(requests[at]) for at in chosen]
            read = self._recalled(pairs)
            written = write(self._model, *prompts(read.asked, self._model.device), read.memory, longest)
            said = [ids[: written_length(ids)] for ids in written.tolist()]
            chances = likelihoods(self._model, read.asked, [(number, [*ids, SEP]) for number, ids in enumerate(said)], read.memory)
            for at, ids, context, (_, passage), (chance, _) in zip(chosen, said, read.contexts, pairs, chances, strict=True):
                found[at] = Written(self._reader.text(ids, context, passage.text), chance)
        return [found[at] for at in range(len(requests))]


def _batches(things: list[Thing]) -> Iterator[list[Thing]]:
    """With a bar, where there are several."""
    for first in tqdm(range(0, len(things), BATCH), desc="asked", disable=len(things) <= BATCH or None):
        yield things[first : first + BATCH]
