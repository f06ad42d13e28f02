"""What is answered without evidence: greetings, thanks, what Folio can do, and what the library holds.

In: the kind of a question, and an index. Out: the text of the answer. Its words stand in about.toml.
"""

from __future__ import annotations

from pathlib import Path

from indexing.index import Index
from rag.question_kind import Kind
from rag.word_lists import read_lists

NAMED = 20  # files that are named
_TEXTS = read_lists(Path(__file__).with_name("about.toml"))


def about(kind: Kind, index: Index) -> str:
    """The answer to a question of a kind in rag.question_kind.ABOUT_US."""
    return _TEXTS[kind.value].strip().format(library=_library(index))


def _library(index: Index) -> str:
    """How much the index holds, and the names of its first files."""
    documents, files = index.documents.counts()
    if not documents:
        return _TEXTS["empty"].strip()
    names = index.documents.files(NAMED)
    rest = _TEXTS["more"].format(count=files - len(names)) if files > len(names) else ""
    return _TEXTS["holds"].strip().format(
        documents=f"{documents:,} {_TEXTS['document'][documents > 1]}", files=f"{files:,} {_TEXTS['file'][files > 1]}",
        names=", ".join(Path(name).name for name in names) + rest,
    )  # fmt: skip
