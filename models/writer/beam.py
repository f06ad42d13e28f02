"""Beam search over the tokens that a constraint allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from models.writer.constraint import Constraint, State
from models.writer.decoder import Decoder

WIDTH = 4  # hypotheses kept at each step


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """ids: its tokens, of which the last ends it where `state` is (). total: the sum of their log-probabilities."""

    ids: tuple[int, ...]
    state: State
    total: float

    @property
    def score(self) -> float:
        """The mean log-probability of its tokens."""
        return self.total / len(self.ids)


def search(
    decoder: Decoder, prompt: list[int], constraint: Constraint, longest: int, admits: Callable[[tuple[int, ...]], bool]
) -> list[Hypothesis]:
    """Statements of at most `longest` tokens, the likeliest first; none where no beam comes to an end.

    admits: of the tokens so far, whether the search goes on from them.
    """
    step = decoder.read(prompt)
    live, done = [Hypothesis((), constraint.start(), 0.0)], []
    for _ in range(longest):
        candidates = [
            (hypothesis.total + float(chances[token]), row, token, state)
            for row, (hypothesis, chances) in enumerate(zip(live, step.log_probabilities, strict=True))
            for token, state in constraint.after(hypothesis.state).items()
        ]
        candidates.sort(key=lambda one: -one[0])
        chosen: list[tuple[int, Hypothesis]] = []
        for total, row, token, state in candidates:
            ids = (*live[row].ids, token)
            if not state:
                done.append(Hypothesis(ids, state, total))
            elif admits(ids):
                chosen.append((row, Hypothesis(ids, state, total)))
            if len(chosen) == WIDTH:
                break
        if not chosen or len(done) >= WIDTH:
            break
        live = [hypothesis for _, hypothesis in chosen]
        step = decoder.extend(step, [row for row, _ in chosen], [hypothesis.ids[-1] for hypothesis in live])
    return sorted(done, key=lambda one: -one.score)
