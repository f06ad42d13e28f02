"""Named endpoints for programs: what the command lines answer with --json, under the same names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from indexing.build.run import build
from indexing.build.uploads import forget
from indexing.status import status_of
from models.common.errors import FolioError
from ui.server import REMOTE, is_from_this_machine

if TYPE_CHECKING:
    from rag.pipeline import RagPipeline

AT_ONCE = 8  # calls of an endpoint that are answered at the same time


def endpoints(rag: RagPipeline, local: bool) -> None:
    """Add the endpoints to the app that is being laid out. local: the app serves this machine alone.

    Paths of this machine are taken only then, and only from a request that was made on it.
    """
    directory = rag.index.directory

    def search(question: str = "", k: int = 10, image: str = "", request: gr.Request | None = None) -> dict[str, Any]:
        """The k chunks that fit a question best, or a picture of this machine.

        {"results": [{document, page, chunk_id, text, score, channels, locator}]}
        """
        if image:
            check_local(request)
        return kindly(lambda: {"results": [hit.to_json() for hit in rag.search(question, k, image=image or None)]})

    def ask(question: str, history: list[str] | None = None) -> dict[str, Any]:
        """A cited answer or an abstention. history: the earlier questions of the conversation, oldest first."""
        return kindly(lambda: rag.ask(question, history=history or ()).to_json())

    def ingest(paths: list[str], request: gr.Request | None = None) -> dict[str, Any]:
        """Index files and folders of this machine; what was added, changed, unchanged, and what failed and why."""
        check_local(request)
        return kindly(lambda: _renamed(build(paths, directory).to_json()))

    def delete(document: str) -> dict[str, int]:
        """Forget a document or a file, by the name that `status` gives; how many documents went."""
        return kindly(lambda: {"removed": forget(directory, document)})

    def status() -> dict[str, Any]:
        """What is indexed: totals, the embedder, and every file with its status."""
        return _renamed(status_of(rag.index).to_json())

    def check_local(request: gr.Request | None) -> None:
        if not (local and is_from_this_machine(request)):
            raise gr.Error(REMOTE, print_exception=False)

    def kindly(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return act()
        except FolioError as error:
            raise gr.Error(str(error), print_exception=False) from error

    for endpoint in (search, ask, ingest, delete, status):
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_limit=AT_ONCE)


def _renamed(found: Any) -> Any:
    """With `file` for `path`: gradio's Python client takes an object with a `path` for a file, and fetches it."""
    if isinstance(found, (list, tuple)):
        return [_renamed(item) for item in found]
    if isinstance(found, dict):
        return {"file" if key == "path" else key: _renamed(value) for key, value in found.items()}
    return found
