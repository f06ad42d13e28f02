"""Asks a saved answer again, with the settings that its trace records, and tells what differs now."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from indexing.filters import Filter
from indexing.index import Index
from indexing.types import Locator
from models.common.errors import FolioError
from rag.config import RagConfig
from rag.pipeline import RagPipeline
from rag.types import Citation, Evidence

Json = Mapping[str, Any]
# Defaults that answers of earlier versions record: of a setting that no longer exists, and for "not set" (now None).
EARLIER_DEFAULTS = {"together": 0, "threshold": -1.0, "risk": -1.0, "budget": 0.0}


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
    """Raises ReplayError for a file that holds no answer with its trace, ConfigError for an unknown setting."""
    try:
        answer = json.loads(path.read_text(encoding="utf-8-sig"))
        _check(answer)
        trace = answer["trace"]
        if trace.get("files"):
            names = ", ".join(trace["files"])
            raise ReplayError(f"{path} is an answer from files ({names}) that no index holds: ask again with --file")
        parts = (trace["filter"] or {}).items()
        only = {name: tuple(value) if isinstance(value, list) else value for name, value in parts}
        saved = trace["settings"].items()
        settings = {name: value for name, value in saved if (name, value) not in EARLIER_DEFAULTS.items()}
        config = RagConfig.load({}, **{**settings, "generator": trace["generator"], "embedder": "", "download": False})
        return Saved(answer, trace["question"], tuple(trace["history"]), Filter(**only) if only else None, config)
    except OSError as error:
        raise ReplayError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReplayError(f"{path} is no answer that `python -m rag ask ... --json` printed") from error


def replay(saved: Saved, index_dir: str | os.PathLike[str]) -> tuple[str, ...]:
    """What differs, a line each, the answer first and then what may be why; empty when the same answer came out.

    The same answer: text, abstention, confidence and citations, byte by byte. The index keeps its own embedder.
    Raises what opening and asking raise.
    """
    rag = RagPipeline.from_index(index_dir, **asdict(saved.config))
    now = json.loads(json.dumps(rag.ask(saved.question, history=saved.history, only=saved.only).to_json()))
    lines = [
        f"{name}: {_short(saved.answer[name])} before, {_short(now[name])} now"
        for name in ("abstained", "confidence", "text") if now[name] != saved.answer[name]
    ]
    lines += _citations(saved.answer["citations"], now["citations"])
    return (*lines, *_reasons(saved.answer, now, rag.index)) if lines else ()


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
    lines = [f"cited before: {_cited(citation)}" for citation in before if citation not in now]
    lines += [f"cited now: {_cited(citation)}" for citation in now if citation not in before]
    return lines or (["citations: in another order"] if before != now else [])


def _reasons(before: Json, now: Json, reader: Index) -> list[str]:
    """What else is not as it was: the generator, the embedder, the documents of the evidence, the evidence."""
    old, new = before["trace"], now["trace"]
    pairs = [(name, old.get(name), new[name]) for name in ("generator", "embedder")]
    pairs += [(f"generation {name}", old["generation"].get(name), value) for name, value in new["generation"].items()]
    lines = [f"{name}: {_short(was)} before, {_short(is_now)} now" for name, was, is_now in pairs if was != is_now]
    for document in dict.fromkeys(piece["document"] for piece in before["evidence"]):
        if reader.documents.source(document) is None:
            lines.append(f"document: {document} is no longer in the index")
        elif not all(_stands(piece, reader) for piece in before["evidence"] if piece["document"] == document):
            lines.append(f"document: {document} has changed")
    known = {piece["chunk_id"] for piece in before["evidence"]}
    other = sum(piece["chunk_id"] not in known for piece in now["evidence"])
    return lines + ([f"evidence: {other} of {len(now['evidence'])} chunks were not among it before"] if other else [])


def _stands(piece: Json, reader: Index) -> bool:
    """Whether a chunk's text still is the text at its place."""
    at = piece["locator"]
    return reader.documents.text(piece["document"])[at["char_start"] : at["char_end"]] == piece["text"]


def _cited(citation: Json) -> str:
    page = f", page {citation['page']}" if citation["page"] else ""
    place = f"{citation['document']}{page}, {citation['char_start']}-{citation['char_end']}"
    return f"{place}, chunk {citation['chunk_id']}: {_short(citation['quote'])}"


def _short(value: object) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else str(value)
    return text if len(text) <= 100 else text[:99] + "…"
