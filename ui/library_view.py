"""The library as HTML: what is indexed, what failed and why."""

from __future__ import annotations

from datetime import datetime
from html import escape
from pathlib import PurePath

from indexing.build.run import Progress, Summary
from indexing.status import FileStatus, Status

ROWS = 500  # files shown at once; a filter finds the others


def library_html(status: Status, wanted: str = "") -> str:
    """The files whose name holds `wanted`; failed ones first, each with its reason and a button to forget it."""
    found = sorted((file for file in status.files if wanted.casefold() in file.name.casefold()), key=lambda file: file.status != "failed")
    failed = f'<b class="failed">{status.failed} failed</b>' if status.failed else ""
    totals = f"{_count(len(status.files), 'file')}, {_count(status.documents, 'document')}, {_count(status.chunks, 'chunk')}{failed}"
    head = f'<p class="totals">{totals}<span>{escape(status.index)} · {escape(status.embedder or "no embedder yet")}</span></p>'
    if not status.files:
        return f'<div class="library">{head}<p class="note">The index is empty: add documents below.</p></div>'
    columns = "".join(f"<th>{name}</th>" for name in ("Name", "Type", "Chunks", "Size", "Date", "Status", ""))
    rows = "".join(map(_row, found[:ROWS]))
    more = f'<p class="note">{len(found) - ROWS} more: narrow the list with the filter.</p>' if len(found) > ROWS else ""
    none = "" if found else '<p class="note">No file has this in its name.</p>'
    return f'<div class="library">{head}<table><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table>{more}{none}</div>'


def _row(file: FileStatus) -> str:
    name, folder = PurePath(file.name).name, str(PurePath(file.name).parent)
    path = f"<small>{escape(folder)}</small>" if folder != "." else ""
    status = f'<span class="{escape(file.status)}">{escape(file.status)}</span>' + (f"<small>{escape(file.reason)}</small>" if file.reason else "")
    kind = file.format or PurePath(name).suffix.lstrip(".")
    cells = (
        ("name", f"{escape(name)}{path}"), ("type", escape(kind)), ("chunks", str(file.chunks)), ("size", _size(file.size)),
        ("date", f"{datetime.fromtimestamp(file.modified):%Y-%m-%d}" if file.modified else ""), ("status", status),
        ("act", f'<button type="button" data-remove="{escape(file.name)}" aria-label="Remove {escape(name)}">Remove</button>'),
    )
    return "<tr>" + "".join(f'<td class="{kind}">{cell}</td>' for kind, cell in cells) + "</tr>"


def progress_html(progress: Progress | None) -> str:
    """How far a run is, with a bar."""
    if progress is None or not progress.of:
        return '<div class="progress"><p>Looking at the files</p><span><i style="width:0%"></i></span></div>'
    share = 100 * progress.files / progress.of
    done = f"Read {progress.files} of {_count(progress.of, 'file')}, {_count(progress.chunks, 'chunk')}" if progress.files else f"Reading {_count(progress.of, 'file')}"
    name = f", last {escape(PurePath(progress.name).name)}" if progress.name else ""
    return f'<div class="progress"><p>{done}{name}</p><span><i style="width:{share:.0f}%"></i></span></div>'


def summary_html(summary: Summary) -> str:
    """What a run did, and what it could not read."""
    counts = {name: getattr(summary, name) for name in ("added", "changed", "unchanged", "removed")}
    told = [f"{_count(count, 'document')} {name}" for name, count in counts.items() if count] or ["No documents were found"]
    failures = "".join(f"<li><b>{escape(PurePath(failure.path).name)}</b> {escape(failure.reason)}</li>" for failure in summary.failures)
    failed = f'<p class="failed">{_count(len(summary.failures), "file")} could not be read:</p><ul>{failures}</ul>' if failures else ""
    if failed and not any(counts.values()):
        told = []
    done = f"<p>{', '.join(told)} in {summary.seconds:.1f} s</p>" if told else ""
    return f'<div class="summary">{done}{failed}</div>'


def problem_html(problem: str) -> str:
    return f'<div class="summary"><p class="failed">{escape(problem)}</p></div>'


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")
