"""Answers sampled from the decoder, and better ones, each looked at under the rules of models.systems.constitution.

Better ones are the span head's best draft (models.network.grounded_reader) and what of the samples stands together in the passage. Legend as in models.network.grounded; A tokens of an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from tqdm import tqdm

from models.network.grounded import GroundedForCausalLM
from models.network.grounded_reader import (
    GroundedReader,
    Recalled,
    drafted,
    likelihoods,
    prompts,
    trace,
    written_length,
)
from models.network.memory_encoder import Memory
from models.network.padding import padded
from models.reader.sequences import CLOSED, SEP
from models.reader.windows import Passage, open_tokenizer
from models.systems.constitution import Answer, critique, revise
from models.training.question_batches import ANSWER
from models.training.question_sets import QaRow

QUESTIONS = 8  # whose answers are sampled at once
CONTINUES = "##"  # begins a token that goes on with a word

Tokens = tuple[int, ...]  # of an answer, with the [SEP] behind it unless it was cut off


@dataclass(frozen=True, slots=True)
class Said:
    """places: the characters of the passage that each token was copied from, None where it was not. chance: the log-probability of the tokens.
    broken: the names of the rules.
    """

    tokens: Tokens
    answer: Answer
    places: tuple[tuple[int, int] | None, ...]
    chance: float
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Critiqued:
    """A question, its samples as they were drawn, and what might rather be said: the best draft, then revisions, the longest first."""

    row: QaRow
    prompt: list[int]
    samples: list[Said]
    better: list[Said]
    memory: Memory  # of this question, on the CPU


class Critic:
    """samples: of each question; temperature 0: the one greedy answer."""

    def __init__(self, model: GroundedForCausalLM, samples: int, temperature: float = 1.0) -> None:
        self._model, self._reader, self._tokenizer = model, GroundedReader(model), open_tokenizer()
        self._how = {"do_sample": True, "temperature": temperature, "top_k": 0, "num_return_sequences": samples} if temperature else {"do_sample": False}

    def look(self, rows: Sequence[QaRow], seed: int = 0, *, better: bool = True) -> Iterator[Critiqued]:
        """In an order of their own: questions of like length together. Rows without a context are left out. better: look for better answers too."""
        torch.manual_seed(seed)
        order = sorted((row for row in rows if row.context.strip()), key=lambda row: len(row.context))
        for first in tqdm(range(0, len(order), QUESTIONS), desc="sampling", disable=None, mininterval=1):
            yield from self._some(order[first : first + QUESTIONS], improve=better)

    @torch.no_grad()
    def _some(self, rows: Sequence[QaRow], *, improve: bool) -> list[Critiqued]:
        recalled = self._reader.remember([row.question for row in rows], [Passage(row.context, row.title, row.boxes) for row in rows], range(len(rows)))
        samples, judged = self._sampled(recalled), recalled.live.judged[:, 0].tolist()
        blank = []
        for i, context in enumerate(recalled.contexts):
            there = max(answerable for block, answerable in zip(recalled.blocks, judged, strict=True) if block.owner == i) > 0
            blank.append(Answer((), words(context.tokens)[0], there, 0.0))
        better = self._better(recalled, blank, samples) if improve else [[] for _ in rows]
        looked = self._looked(recalled, blank, [list(dict.fromkeys([*better[i], *samples[i]])) for i in range(len(rows))])
        return [
            Critiqued(row, recalled.asked[i], [looked[i][tokens] for tokens in samples[i]], [looked[i][tokens] for tokens in better[i]], recalled.memory.alone(i))
            for i, row in enumerate(rows)
        ]

    def _better(self, recalled: Recalled, blank: list[Answer], samples: list[list[Tokens]]) -> list[list[Tokens]]:
        """Where the judge says that nothing is there: to say nothing."""
        better, odds = [], recalled.log_odds()
        for i, context in enumerate(recalled.contexts):
            starts = words(context.tokens)[1]
            revised = [revise(replace(blank[i], words=self._words(tokens))) for tokens in samples[i]]
            spans = [(draft.first, draft.last + 1) for draft in drafted(recalled.blocks, odds, i)[:1] if blank[i].there]
            spans += [(starts[one.start], starts[one.stop]) for one in sorted(revised, key=len, reverse=True) if one]
            better.append(list(dict.fromkeys((*context.ids[begin:end], SEP) for begin, end in spans)) or [(SEP,)])
        return better

    def _sampled(self, recalled: Recalled) -> list[list[Tokens]]:
        prompt, mask = prompts(recalled.asked, self._model.device)
        written = self._model.generate(prompt, attention_mask=mask, max_new_tokens=ANSWER, **self._how, **recalled.memory.inputs())
        new = [tuple(tokens[: tokens.index(SEP) + 1] if SEP in tokens else tokens) for tokens in written[:, prompt.shape[1] :].tolist()]
        each = len(new) // len(recalled.asked)
        return [new[first : first + each] for first in range(0, len(new), each)]

    def _looked(self, recalled: Recalled, blank: list[Answer], answers: list[list[Tokens]]) -> list[dict[Tokens, Said]]:
        """Each of the answers to each question under the rules. blank: what is known of an answer before it is said."""
        model, device = self._model, self._model.device
        flat = [(i, tokens) for i, mine in enumerate(answers) for tokens in mine]
        owner = torch.tensor([i for i, _ in flat], device=device)
        new, known = (torch.from_numpy(array).to(device) for array in padded([tokens for _, tokens in flat]))  # (B, A)
        seen = trace(model, *(values[owner] for values in prompts(recalled.asked, device)), new, recalled.memory.of(owner))
        closed = torch.full(recalled.memory.memory_ids.shape, CLOSED, device=device)
        unseen = likelihoods(model, recalled.asked, flat, replace(recalled.memory, memory_bias=closed))
        looked: list[dict[Tokens, Said]] = [{} for _ in answers]
        for (i, tokens), slots, chance, (alone, _) in zip(flat, seen.slots.tolist(), (seen.chances * known).sum(1).tolist(), unseen, strict=True):
            answer = replace(blank[i], words=self._words(tokens), fall=chance - alone)
            places = tuple(place and recalled.characters(*place) for place in (recalled.placed(i, [slot]) for slot in slots[: written_length(tokens)]))
            looked[i][tokens] = Said(tokens, answer, places, chance, critique(answer))
        return looked

    def _words(self, tokens: Tokens) -> tuple[str, ...]:
        return words([self._tokenizer.id_to_token(token) for token in tokens if token != SEP])[0]


def words(tokens: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """The words that tokens make, and at which token each begins; the last number is that of all tokens."""
    starts = [*(at for at, token in enumerate(tokens) if not at or not token.startswith(CONTINUES)), len(tokens)]
    return tuple("".join(token.removeprefix(CONTINUES) for token in tokens[start:end]) for start, end in pairwise(starts)), starts
