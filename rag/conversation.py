"""A conversation: questions that build on each other, over the library and over files of its own.

Files that are dropped into a conversation go into an index that lives and ends with it. From then on a question is put
to both indexes, and the better supported answer is told; scores of two indexes are never compared, confidences are.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from indexing.build.follow import follow
from indexing.build.run import Progress, Summary, build
from indexing.build.uploads import keep
from indexing.filters import Filter
from indexing.index import Index
from indexing.loaders import is_picture
from models.common.errors import FolioError
from models.reader import state_cache
from rag.pipeline import RagPipeline
from rag.types import Answer, Evidence

EMPTY = "The index is empty: add documents in the Library tab, or drop files here."


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and the index that it came from; `dropped`: the conversation's own."""

    answer: Answer
    index: Index
    dropped: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Similar:
    """What of the library is like the pictures that were dropped without a question, or about the words on them."""

    evidence: tuple[Evidence, ...]
    index: Index


@dataclass(slots=True)
class Turn:
    """What was asked, or which files were dropped, or both; and what came of it so far."""

    question: str
    files: tuple[str, ...] = ()
    progress: Progress | None = None
    summary: Summary | None = None
    text: str = ""  # of the answer, as far as it has been told
    reply: Reply | None = None
    similar: Similar | None = None
    problem: str = ""  # one line, where there is no reply


@dataclass(slots=True)
class Conversation:
    """One thread at a time. Close it to delete its files."""

    library: RagPipeline
    turns: list[Turn] = field(default_factory=list)
    _folder: tempfile.TemporaryDirectory[str] | None = None
    _own: RagPipeline | None = None

    def take(self, question: str, files: Sequence[str | os.PathLike[str]] = ()) -> Iterator[Turn]:
        """Take a turn: read the files, answer the question. Yields the turn each time there is more to show of it.

        What a user can cause ends up in `turn.problem`.
        """
        history = [] if files else self._asked()
        turn = Turn(question, tuple(Path(file).name for file in files))
        self.turns.append(turn)
        yield turn
        try:
            for event in self.add(files) if files else ():
                turn.summary, turn.progress = (event, None) if isinstance(event, Summary) else (None, event)
                yield turn
            if question and self._is_empty():
                turn.problem = EMPTY
            elif question:
                for piece in self.stream(question, history):
                    if isinstance(piece, Reply):
                        turn.reply = piece
                    else:
                        turn.text += piece
                    yield turn
            elif pictures := [file for file in files if is_picture(file)]:
                turn.similar = Similar(self.library.search(image=pictures[0]), self.library.index)
        except FolioError as error:
            turn.problem = str(error)
        yield turn

    def again(self, number: int) -> Iterator[Turn]:
        """Take a turn once more; it and what followed are replaced."""
        question = self.turns[number].question
        del self.turns[number:]
        return self.take(question)

    def stop(self, problem: str = "Stopped.") -> None:
        """Say of the last turn why nothing came of it, where that is so. Its iterator must not be used any more."""
        if self.turns and not (self.turns[-1].reply or self.turns[-1].problem):
            self.turns[-1].problem = problem

    def add(self, files: Sequence[str | os.PathLike[str]]) -> Iterator[Progress | Summary]:
        """Read files into the conversation's own index. Errors: those of `build`."""
        if self._folder is None:
            # deleted with the conversation, and at the latest when the process ends
            self._folder = tempfile.TemporaryDirectory(prefix="folio-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        index, kept = folder / "index", keep(files, folder / "files")
        yield from follow(kept, index, embedder=self.library.index.embedder_name)
        if self._own is None:
            self._own = self.library.over(index)

    def stream(self, question: str, history: Sequence[str] = ()) -> Iterator[str | Reply]:
        """Pieces of the answer's text, then the Reply. history: earlier questions, oldest first."""
        started = time.perf_counter()
        if self._own is None or not self._own.index.count():
            for piece in self.library.stream(question, history=history):
                seconds = time.perf_counter() - started
                yield Reply(piece, self.library.index, False, seconds) if isinstance(piece, Answer) else piece
            return
        ours = self._own.ask(question, history=history)
        theirs = self.library.ask(question, history=history)
        dropped = _better(ours, theirs)
        answer, index = (ours, self._own.index) if dropped else (theirs, self.library.index)
        yield answer.text
        yield Reply(answer, index, dropped, time.perf_counter() - started)

    def _asked(self) -> list[str]:
        """The questions since files were last dropped, with which another subject begins, oldest first."""
        first = max((at for at, turn in enumerate(self.turns) if turn.files), default=0)
        return [turn.question for turn in self.turns[first:] if turn.question]

    def _is_empty(self) -> bool:
        return not self.library.index.count() and (self._own is None or not self._own.index.count())

    def close(self) -> None:
        """Forget the conversation's own files and index."""
        if self._folder is not None:
            state_cache.forget(Path(self._folder.name) / "index")
            self._folder.cleanup()
        self._folder = self._own = None
        self.turns.clear()


def ask_about(
    library: RagPipeline, question: str, files: Sequence[str | os.PathLike[str]], *, only: Filter | None = None
) -> Answer:
    """The better supported answer to one question, from files of its own or from the library.

    The trace of an answer from the files names them. only: filters the library. Raises FolioError for a file that
    cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="folio-", ignore_cleanup_errors=True) as folder:
        for failure in build(files, folder, embedder=library.index.embedder_name).failures:
            raise FolioError(f"{failure.path} cannot be read: {failure.reason}")
        ours, theirs = library.over(folder).ask(question), library.ask(question, only=only)
        state_cache.forget(Path(folder))
        if not _better(ours, theirs):
            return theirs
        return replace(ours, trace={**ours.trace, "files": [os.fspath(file) for file in files]})


def _better(ours: Answer, theirs: Answer) -> bool:
    """Whether the answer from the conversation's own files is told. On a tie it is: they are what is talked about."""
    if ours.abstained != theirs.abstained:
        return theirs.abstained
    return ours.abstained or ours.confidence >= theirs.confidence
