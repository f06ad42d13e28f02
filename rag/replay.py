"""Asks a saved answer again, with the settings that its trace records, and tells what differs now."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from indexing.filters import Filter
from indexing.index import IndexReader
from indexing.types import Locator
from models.common.errors import FolioError
from rag.config import RagConfig
from rag.pipeline import RagPipeline
from rag.types import Citation, Evidence

Json = Mapping[str, Any]


class ReplayError(FolioError):
    """A file that is no saved answer."""


@dataclass(frozen=True, slots=True)
class Saved:
    """An answer as `ask --json` printed it, and how it was asked."""

    answer: Json
    question: str
    history: tuple[str, ...]
    only: Filter | None
    config: RagConfig


def read(path: Path) -> Saved:
    """Raises ReplayError when the file cannot be read or holds no answer with its trace, ConfigError for an unknown setting."""
    try:
        answer = json.loads(path.read_text(encoding="utf-8-sig"))
        _check(answer)
        trace = answer["trace"]
        if trace.get("files"):
            raise ReplayError(f"{path} is an answer from files of its own ({', '.join(trace['files'])}), which no index holds: ask again with --file")
        only = {name: tuple(value) if isinstance(value, list) else value for name, value in (trace["filter"] or {}).items()}
        config = RagConfig.load({}, **{**trace["settings"], "generator": trace["generator"], "embedder": "", "download": 0})
        return Saved(answer, trace["question"], tuple(trace["history"]), Filter(**only) if only else None, config)
    except OSError as error:
        raise ReplayError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReplayError(f"{path} is no answer saved with `python -m rag ask QUESTION --index DIR --json > FILE.json`") from error


def replay(saved: Saved, index_dir: str | os.PathLike[str]) -> tuple[str, ...]:
    """What differs, a line each, the answer first and then what may be why; empty when the same answer came out.

    The same answer: text, abstention, confidence and citations, byte by byte. The index is opened with its own embedder.
    Raises what opening and asking raise.
    """
    rag = RagPipeline.from_index(index_dir, **asdict(saved.config))
    now = json.loads(json.dumps(rag.ask(saved.question, history=saved.history, only=saved.only).to_json()))
    lines = [
        f"{name}: {_short(saved.answer[name])} before, {_short(now[name])} now"
        for name in ("abstained", "confidence", "text") if now[name] != saved.answer[name]
    ]
    lines += _citations(saved.answer["citations"], now["citations"])
    return (*lines, *_reasons(saved.answer, now, rag.reader)) if lines else ()


def _check(answer: Json) -> None:
    """Whether an answer has the parts that are compared; else a KeyError, TypeError or AttributeError."""
    for name in ("text", "abstained", "confidence"):
        answer[name]
    for citation in answer["citations"]:
        Citation(**citation)
    for piece in answer["evidence"]:
        Locator(**Evidence(**piece).locator)
    answer["trace"]["generation"].items()


def _citations(before: list[Json], now: list[Json]) -> list[str]:
    lost, new = ([citation for citation in some if citation not in others] for some, others in ((before, now), (now, before)))
    lines = [f"cited before: {_cited(citation)}" for citation in lost] + [f"cited now: {_cited(citation)}" for citation in new]
    return lines or (["citations: in another order"] if before != now else [])


def _reasons(before: Json, now: Json, reader: IndexReader) -> list[str]:
    """What else is not as it was: the generator, the embedder, the documents of the evidence, the evidence."""
    old, new = before["trace"], now["trace"]
    pairs = [(name, old.get(name), new[name]) for name in ("generator", "embedder")]
    pairs += [(f"generation {name}", old["generation"].get(name), value) for name, value in new["generation"].items()]
    lines = [f"{name}: {_short(was)} before, {_short(is_now)} now" for name, was, is_now in pairs if was != is_now]
    for document in dict.fromkeys(piece["document"] for piece in before["evidence"]):
        if reader.source(document) is None:
            lines.append(f"document: {document} is no longer in the index")
        elif not all(_stands(piece, reader) for piece in before["evidence"] if piece["document"] == document):
            lines.append(f"document: {document} has changed")
    known = {piece["chunk_id"] for piece in before["evidence"]}
    other = sum(piece["chunk_id"] not in known for piece in now["evidence"])
    return lines + ([f"evidence: {other} of {len(now['evidence'])} chunks were not among it before"] if other else [])


def _stands(piece: Json, reader: IndexReader) -> bool:
    """Whether a chunk's text still is the text at its place."""
    at = piece["locator"]
    return reader.text(piece["document"])[at["char_start"] : at["char_end"]] == piece["text"]


def _cited(citation: Json) -> str:
    page = f", page {citation['page']}" if citation["page"] else ""
    return f"{citation['document']}{page}, {citation['char_start']}-{citation['char_end']}, chunk {citation['chunk_id']}: {_short(citation['quote'])}"


def _short(value: object) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else str(value)
    return text if len(text) <= 100 else text[:99] + "…"
