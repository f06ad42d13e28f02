"""Question -> Answer. `from rag import RagPipeline` is the Python API; `python -m rag` the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.pipeline import RagPipeline

__all__ = ["RagPipeline"]


def __getattr__(name: str) -> object:
    """RagPipeline is imported when it is asked for, so that `python -m rag --help` answers at once."""
    if name == "RagPipeline":
        from rag.pipeline import RagPipeline

        return RagPipeline
    raise AttributeError(f"module 'rag' has no attribute {name!r}")
