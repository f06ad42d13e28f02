"""Sources and what the index knows of them -> which files to read, and which to prune. Pure but for looking at paths.

Files are compared by their stamp (size and times); their content is compared later, by the workers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from indexing.build.sources import Source
from indexing.build.summary import Failure, Summary
from indexing.stores.sqlite import FileRecord


@dataclass(slots=True)
class Plan:
    """Every source file is in one of these lists, in the order of the sources."""

    to_read: list[tuple[Source, FileRecord | None]] = field(default_factory=list)  # new, changed, or read in part only
    failed: list[tuple[Source, FileRecord | None]] = field(default_factory=list)  # with a problem, or as the last run
    unchanged: list[FileRecord] = field(default_factory=list)


def plan(found: Iterable[Source], records: Mapping[str, FileRecord]) -> Plan:
    """records: what the index knows, by absolute path."""
    work = Plan()
    for source in found:
        record = records.get(source.path)
        if source.problem:
            work.failed.append((source, record))
        elif record is None or record.stamp != source.stamp:
            work.to_read.append((source, record))
        elif record.status == "failed":
            work.failed.append((source, record))
        else:
            work.unchanged.append(record)
    return work


def failure_of(source: Source, record: FileRecord | None) -> Failure:
    """Of a file in `Plan.failed`: the problem with its state, else what the last run found."""
    return Failure(source.name, source.problem or (record.reason if record else ""))


def vanished(
    records: Iterable[FileRecord], found: Iterable[Source], sources: Sequence[str | os.PathLike[str]]
) -> list[FileRecord]:
    """The known files below the sources that are no longer there."""
    roots = [os.path.abspath(source) for source in sources]  # noqa: PTH100  (as in sources.py)
    there = {source.path for source in found}
    return [
        record for record in records
        if record.path not in there and not os.path.lexists(record.path)
        and any(Path(record.path).is_relative_to(root) for root in roots)
    ]


def rehearse(
    records: Mapping[str, FileRecord], found: Sequence[Source], sources: Sequence[str | os.PathLike[str]], prune: bool
) -> Summary:
    """What a run would do, counted in files, as their content is not looked at."""
    work = plan(found, records)
    return Summary(
        added=sum(record is None for _, record in work.to_read),
        changed=sum(record is not None for _, record in work.to_read),
        unchanged=len(work.unchanged),
        removed=len(vanished(records.values(), found, sources)) if prune else 0,
        failures=[failure_of(source, record) for source, record in work.failed],
    )
