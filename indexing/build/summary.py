"""What a run reports: its progress, and in the end its summary."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be read, by its name, and why."""

    path: str
    reason: str


@dataclass(slots=True)
class Summary:
    """What a run did, counted in documents (a dry run: in files). `chunks` are all that the index holds now."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    chunks: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    note: str = ""  # what was done otherwise than asked

    def to_json(self) -> dict[str, object]:
        counts = {name: getattr(self, name) for name in ("added", "changed", "unchanged", "removed")}
        failures = [{"path": failure.path, "reason": failure.reason} for failure in self.failures]
        return {
            "documents": {**counts, "failed": len(failures)}, "chunks": self.chunks,
            "seconds": round(self.seconds, 3), "failures": failures,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. `name` is the file that was just read; `chunks` are committed."""

    files: int  # read so far
    of: int  # files to read
    documents: int  # added or changed
    chunks: int
    name: str
