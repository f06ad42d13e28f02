"""The library as HTML. In: the index's status, progress and summary of a run. Out: escaped HTML. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import PurePath

from indexing.build.summary import Failure, Progress, Summary
from indexing.status import FileStatus, Status

ROWS = 500  # files shown at once; a filter finds the others


def library_html(status: Status, wanted: str = "") -> str:
    """A table of the files whose name contains `wanted`, failed ones first, with their reasons and remove buttons."""
    matching = [file for file in status.files if wanted.casefold() in file.name.casefold()]
    found = sorted(matching, key=lambda file: file.status != "failed")
    head = f'<p class="totals">{_totals(status)}</p>'
    if not status.files:
        return f'<div class="library">{head}<p class="note">The index is empty: add documents below.</p></div>'
    columns = "".join(f"<th>{name}</th>" for name in ("Name", "Type", "Chunks", "Size", "Date", "Status", ""))
    rows = "".join(map(_row, found[:ROWS]))
    left = len(found) - ROWS
    more = f'<p class="note">{left} more: narrow the list with the filter.</p>' if left > 0 else ""
    none = "" if found else '<p class="note">No file has this in its name.</p>'
    table = f"<table><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="library">{head}{table}{more}{none}</div>'


def _totals(status: Status) -> str:
    counts = (len(status.files), "file"), (status.documents, "document"), (status.chunks, "chunk")
    failed = f'<b class="failed">{status.failed} failed</b>' if status.failed else ""
    origin = f"{escape(status.index)} · {escape(status.embedder or 'no embedder yet')}"
    return f"{', '.join(_count(number, noun) for number, noun in counts)}{failed}<span>{origin}</span>"


def _row(file: FileStatus) -> str:
    name, folder = PurePath(file.name).name, str(PurePath(file.name).parent)
    path = f"<small>{escape(folder)}</small>" if folder != "." else ""
    reason = f"<small>{escape(file.reason)}</small>" if file.reason else ""
    date = f"{datetime.fromtimestamp(file.modified):%Y-%m-%d}" if file.modified else ""
    remove = f'data-remove="{escape(file.name)}" aria-label="Remove {escape(name)}"'
    cells = {
        "name": f"{escape(name)}{path}",
        "type": escape(file.format or PurePath(name).suffix.lstrip(".")),
        "chunks": str(file.chunks),
        "size": _size(file.size),
        "date": date,
        "status": f'<span class="{escape(file.status)}">{escape(file.status)}</span>{reason}',
        "act": f'<button type="button" {remove}>Remove</button>',
    }
    return "<tr>" + "".join(f'<td class="{kind}">{cell}</td>' for kind, cell in cells.items()) + "</tr>"


def progress_html(progress: Progress | None) -> str:
    """How far a run is, in words and as a bar. None: the files are being listed."""
    if progress is None or not progress.of:
        return _bar("Looking at the files", 0)
    files = _count(progress.of, "file")
    read = f"Read {progress.files} of {files}, {_count(progress.chunks, 'chunk')}"
    name = f", last {escape(PurePath(progress.name).name)}" if progress.name else ""
    return _bar((read if progress.files else f"Reading {files}") + name, 100 * progress.files / progress.of)


def _bar(words: str, percent: float) -> str:
    return f'<div class="progress"><p>{words}</p><span><i style="width:{percent:.0f}%"></i></span></div>'


def summary_html(summary: Summary) -> str:
    """What a run did, and which files it could not read."""
    counts = {name: getattr(summary, name) for name in ("added", "changed", "unchanged", "removed")}
    changes = [f"{_count(count, 'document')} {name}" for name, count in counts.items() if count]
    failed = _failures(summary.failures)
    if not changes and not failed:
        changes = ["No documents were found"]
    done = f"<p>{', '.join(changes)} in {summary.seconds:.1f} s</p>" if changes else ""
    return f'<div class="summary">{done}{failed}</div>'


def _failures(failures: Sequence[Failure]) -> str:
    if not failures:
        return ""
    names = ((escape(PurePath(failure.path).name), escape(failure.reason)) for failure in failures)
    items = "".join(f"<li><b>{name}</b> {reason}</li>" for name, reason in names)
    return f'<p class="failed">{_count(len(failures), "file")} could not be read:</p><ul>{items}</ul>'


def problem_html(problem: str) -> str:
    """A run that ended with an error."""
    return f'<div class="summary"><p class="failed">{escape(problem)}</p></div>'


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(size: float) -> str:
    """Bytes as people read them: 2.0 KB."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")
