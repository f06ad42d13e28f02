"""The grounded model as text in, text out, as harnesses of language models ask (models.systems.harness, bench/helm).

The decoder is trained to answer from memory. So a request that is written as `request` writes it is split: its
passage becomes memory, and its question the prompt. Any other request becomes memory as a whole, and its last
question is the prompt.
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

Item = TypeVar("Item")
_GROUNDED = re.compile(
    r"(?:Title: (?P<title>[^\n]*)\n\n)?(?P<passage>.*)\n\nQuestion: (?P<question>.*)\nAnswer:\s*", re.DOTALL
)
_QUESTION = re.compile(r"[^\n.?!]*\?")


@dataclass(frozen=True, slots=True)
class Written:
    """An answer, and the log-probability of its tokens and of its end."""

    text: str
    log_probability: float


def request(question: str, passage: Passage) -> str:
    """A question and its passage as one text."""
    title = f"Title: {passage.title}\n\n" if passage.title else ""
    return f"{title}{passage.text}\n\nQuestion: {question}\nAnswer:"


def split_request(text: str) -> tuple[str, Passage]:
    """A request -> its question, and the passage that becomes memory."""
    if found := _GROUNDED.fullmatch(text):
        return found["question"], Passage(found["passage"], found["title"] or "")
    questions = _QUESTION.findall(text) or [line for line in text.splitlines() if line.strip()]
    return questions[-1].strip() if questions else "", Passage(text)


class TextInterface:
    """A model that is asked by text."""

    def __init__(self, model: GroundedForCausalLM) -> None:
        self._model, self._reader = model.eval(), GroundedReader(model)

    @torch.inference_mode()
    def likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        """Of each (request, continuation) the continuation's log-probability, and whether it is the greedy one.

        Continuations of one request share its memory.
        """
        places: dict[str, list[int]] = {}  # of each request among the pairs
        for at, (text, _) in enumerate(pairs):
            places.setdefault(text, []).append(at)
        found: dict[int, tuple[float, bool]] = {}
        for texts in _batches(sorted(places, key=len)):
            recalled = self._recalled([split_request(text) for text in texts])
            rows = [(number, at) for number, text in enumerate(texts) for at in places[text]]
            answers = [(number, self._reader.tokens(pairs[at][1]).ids) for number, at in rows]
            scores = likelihoods(self._model, recalled.asked, answers, recalled.memory)
            found |= dict(zip([at for _, at in rows], scores, strict=True))
        return [found[at] for at in range(len(pairs))]

    def _recalled(self, pairs: Sequence[tuple[str, Passage]]) -> Recalled:
        return self._reader.remember(*zip(*pairs, strict=True), owners=range(len(pairs)))

    @torch.inference_mode()
    def write(self, requests: Sequence[str], longest: int) -> list[Written]:
        """Greedy answers of `longest` tokens at most; a copied answer is spelled as in its passage."""
        found: dict[int, Written] = {}
        for chosen in _batches(sorted(range(len(requests)), key=lambda at: len(requests[at]))):
            pairs = [split_request(requests[at]) for at in chosen]
            recalled = self._recalled(pairs)
            written = write(self._model, *prompts(recalled.asked, self._model.device), recalled.memory, longest)
            answers = [ids[: written_length(ids)] for ids in written.tolist()]
            ended = [(number, [*ids, SEP]) for number, ids in enumerate(answers)]
            scores = likelihoods(self._model, recalled.asked, ended, recalled.memory)
            rows = zip(chosen, answers, recalled.contexts, pairs, scores, strict=True)
            for at, ids, context, (_, passage), (log_probability, _) in rows:
                found[at] = Written(self._reader.text(ids, context, passage.text), log_probability)
        return [found[at] for at in range(len(requests))]


def _batches(items: list[Item]) -> Iterator[list[Item]]:
    """With a progress bar where there are several."""
    for first in tqdm(range(0, len(items), BATCH), desc="asked", disable=len(items) <= BATCH or None):
        yield items[first : first + BATCH]
