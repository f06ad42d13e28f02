"""Samples of the decoder's answers and better answers to the same questions, under models.systems.constitution.

In: questions with their passage. Out: for each question its samples and better answers, each with the names of the
rules that it breaks. Better answers are the span head's best draft (models.network.grounded_reader) and, of each
sample, the longest contiguous span of the passage. Legend as in models.network.grounded; A tokens of an answer.
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

QUESTIONS = 8  # in one batch; chosen: with 4 samples each, 32 sequences are generated at once
CONTINUES = "##"  # WordPiece: begins a token that continues a word

Tokens = tuple[int, ...]  # of an answer, with its [SEP] unless it was cut off


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """An answer and the names of the rules that it breaks.

    places: (start, end) in the passage's characters of what each token was copied from, None where it was written.
    log_probability: of all tokens.
    """

    tokens: Tokens
    answer: Answer
    places: tuple[tuple[int, int] | None, ...]
    log_probability: float
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Critiqued:
    """A question with its samples in the order of drawing, and better answers: the best draft, then revisions.

    Revisions are in order of length, the longest first.
    """

    row: QaRow
    prompt: list[int]
    samples: list[JudgedAnswer]
    better: list[JudgedAnswer]
    memory: Memory  # of this question, on the CPU


class Critic:
    """samples: answers drawn for each question; at temperature 0 there is one, the greedy answer."""

    def __init__(self, model: GroundedForCausalLM, samples: int, temperature: float = 1.0) -> None:
        self._model, self._reader, self._tokenizer = model, GroundedReader(model), open_tokenizer()
        self._decoding = {"do_sample": False}
        if temperature:
            self._decoding = {
                "do_sample": True, "temperature": temperature, "top_k": 0, "num_return_sequences": samples,
            }  # fmt: skip

    def critique(self, rows: Sequence[QaRow], seed: int = 0, *, better: bool = True) -> Iterator[Critiqued]:
        """Sample and critique. Yields questions in order of length, without those whose context is blank.

        better: look for better answers too.
        """
        torch.manual_seed(seed)
        order = sorted((row for row in rows if row.context.strip()), key=lambda row: len(row.context))
        for first in tqdm(range(0, len(order), QUESTIONS), desc="sampling", disable=None, mininterval=1):
            yield from self._batch(order[first : first + QUESTIONS], improve=better)

    @torch.no_grad()
    def _batch(self, rows: Sequence[QaRow], *, improve: bool) -> list[Critiqued]:
        passages = [Passage(row.context, row.title, row.boxes) for row in rows]
        recalled = self._reader.remember([row.question for row in rows], passages, range(len(rows)))
        samples, abstentions = self._sampled(recalled), _abstentions(recalled)
        better = self._better(recalled, abstentions, samples) if improve else [[] for _ in rows]
        candidates = [list(dict.fromkeys([*better[i], *samples[i]])) for i in range(len(rows))]
        judged = self._judged(recalled, abstentions, candidates)
        return [
            Critiqued(
                row, recalled.asked[i], [judged[i][tokens] for tokens in samples[i]],
                [judged[i][tokens] for tokens in better[i]], recalled.memory.alone(i),
            )
            for i, row in enumerate(rows)
        ]  # fmt: skip

    def _better(
        self, recalled: Recalled, abstentions: list[Answer], samples: list[list[Tokens]]
    ) -> list[list[Tokens]]:
        """Better answers to each question; where the judge says that it has no answer, the abstention."""
        better, odds = [], recalled.log_odds()
        for i, context in enumerate(recalled.contexts):
            starts = words(context.tokens)[1]
            revised = [revise(replace(abstentions[i], words=self._words(tokens))) for tokens in samples[i]]
            drafts = drafted(recalled.blocks, odds, i)[:1] if abstentions[i].answerable else []
            spans = [(draft.first, draft.last + 1) for draft in drafts]
            spans += [(starts[one.start], starts[one.stop]) for one in sorted(revised, key=len, reverse=True) if one]
            answers = dict.fromkeys((*context.ids[begin:end], SEP) for begin, end in spans)
            better.append(list(answers) or [(SEP,)])
        return better

    def _sampled(self, recalled: Recalled) -> list[list[Tokens]]:
        prompt, mask = prompts(recalled.asked, self._model.device)
        written = self._model.generate(
            prompt, attention_mask=mask, max_new_tokens=ANSWER, **self._decoding, **recalled.memory.inputs()
        )
        new = written[:, prompt.shape[1] :].tolist()
        answers = [tuple(tokens[: tokens.index(SEP) + 1] if SEP in tokens else tokens) for tokens in new]
        each = len(answers) // len(recalled.asked)
        return [answers[first : first + each] for first in range(0, len(answers), each)]

    def _judged(
        self, recalled: Recalled, abstentions: list[Answer], answers: list[list[Tokens]]
    ) -> list[dict[Tokens, JudgedAnswer]]:
        """Each of the answers to each question under the rules."""
        model, device = self._model, self._model.device
        flat = [(i, tokens) for i, own in enumerate(answers) for tokens in own]
        owner = torch.tensor([i for i, _ in flat], device=device)
        arrays = padded([tokens for _, tokens in flat])
        new, known = (torch.from_numpy(array).to(device) for array in arrays)  # (B, A)
        prompt = [values[owner] for values in prompts(recalled.asked, device)]
        traced = trace(model, *prompt, new, recalled.memory.of(owner))
        log_probabilities = (traced.chances * known).sum(1).tolist()
        closed = torch.full(recalled.memory.memory_ids.shape, CLOSED, device=device)
        masked = likelihoods(model, recalled.asked, flat, replace(recalled.memory, memory_bias=closed))
        judged: list[dict[Tokens, JudgedAnswer]] = [{} for _ in answers]
        rows = zip(flat, traced.slots.tolist(), log_probabilities, masked, strict=True)
        for (i, tokens), slots, log_probability, (without, _) in rows:
            answer = replace(abstentions[i], words=self._words(tokens), fall=log_probability - without)
            placed = [recalled.placed(i, [slot]) for slot in slots[: written_length(tokens)]]
            places = tuple(place and recalled.characters(*place) for place in placed)
            judged[i][tokens] = JudgedAnswer(tokens, answer, places, log_probability, critique(answer))
        return judged

    def _words(self, tokens: Tokens) -> tuple[str, ...]:
        return words([self._tokenizer.id_to_token(token) for token in tokens if token != SEP])[0]


def _abstentions(recalled: Recalled) -> list[Answer]:
    """The empty answer to each question, with what the judge says of its passage."""
    logits = recalled.live.judged[:, 0].tolist()  # of "answerable", one a block
    made = []
    for i, context in enumerate(recalled.contexts):
        own = [logit for block, logit in zip(recalled.blocks, logits, strict=True) if block.owner == i]
        made.append(Answer((), words(context.tokens)[0], max(own) > 0, 0.0))
    return made


def words(tokens: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """The words of WordPiece tokens, and the first token of each word; the last number is that of all tokens."""
    starts = [*(at for at, token in enumerate(tokens) if not at or not token.startswith(CONTINUES)), len(tokens)]
    spans = pairwise(starts)
    return tuple("".join(token.removeprefix(CONTINUES) for token in tokens[start:end]) for start, end in spans), starts
