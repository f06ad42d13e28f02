"""Which tokens may follow in a strict statement: allowed words, and the answer as a whole exactly once.

An automaton over tokens: a trie of the allowed words, one of the answer, and punctuation, entered at the borders of
words. A token may belong to a word and to the answer, so that a state is a set of places. Knows no probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.writer.prompt import END

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(slots=True, eq=False)
class Node:
    """A place in a trie. whole: whether a word may follow. answer: the answer ends here. mark: no mark may follow."""

    after: dict[int, Node] = field(default_factory=dict)
    whole: bool = False
    answer: bool = False
    mark: bool = False

    def add(self, ids: Sequence[int]) -> Node:
        node = self
        for token in ids:
            node = node.after.setdefault(token, Node())
        return node


Place = tuple[Node, bool]  # and whether the answer was said before it
State = tuple[Place, ...]


class Constraint:
    """words: as they stand within a sentence. answer: said as it is; an article and a first letter suit their place."""

    def __init__(self, tokenizer: Tokenizer, words: Iterable[str], answer: str) -> None:
        self._tokenizer = tokenizer
        self._opening, self._words, self._opening_answer, self._answer = Node(), Node(), Node(), Node()
        for word in words:
            self._opening.add(self._ids(_raised(word))).whole = True
            self._words.add(self._ids(f" {word}")).whole = True
        article, _, rest = answer.partition(" ")
        lowered = article in ("The", "A", "An") and rest
        for said in {answer, f"{article.lower()} {rest}"} if lowered else {answer}:
            for end in (self._opening_answer.add(self._ids(_raised(said))), self._answer.add(self._ids(f" {said}"))):
                end.whole = end.answer = True
        self._marks, stop = Node(), Node()
        self._marks.add(self._ids(",")).whole = True
        self._marks.add(self._ids("'s")).whole = True
        stop.add([*self._ids("."), tokenizer.token_to_id(END)])
        self._stop = stop
        for node in self._marks.after.values():
            node.mark = True

    def start(self) -> State:
        return ((Node(self._opening.after), False), (Node(self._opening_answer.after), False))

    def after(self, state: State) -> Mapping[int, State]:
        """The tokens that may follow, each with its state: () at the statement's end."""
        found: dict[int, list[Place]] = {}
        for node, before in state:
            said = before or node.answer
            tries = [(node, before)]
            if node.whole:
                tries.append((self._words, said))
                tries += [] if said else [(self._answer, said)]
                tries += [] if node.mark else [(self._marks, said)]
                tries += [(self._stop, said)] if said and not node.mark else []
            for trie, known in tries:
                for token, child in trie.after.items():
                    found.setdefault(token, []).append((child, known))
        end = self._tokenizer.token_to_id(END)
        return {token: () if token == end else tuple(places) for token, places in found.items()}

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids


def _raised(text: str) -> str:
    return text[0].upper() + text[1:]
