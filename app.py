"""The web app: python app.py --index DIR. A chat with its evidence, the library, and the same doors for programs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.common.errors import FolioError
from ui.server import LOOPBACK, launch

if TYPE_CHECKING:
    import gradio as gr

    from rag.pipeline import RagPipeline

REMOTE = "paths are taken only while Folio serves this machine alone (--host 127.0.0.1): upload the files instead"
AT_ONCE = 8  # calls of an endpoint that are answered at the same time


def build_app(rag: RagPipeline, *, local: bool = True) -> gr.Blocks:
    """The app over a pipeline and its index. local: only this machine reaches it, so it may name files by their paths."""
    import gradio as gr

    from ui.chat import ask_tab
    from ui.library import library_tab

    with gr.Blocks(title="Folio", analytics_enabled=False, fill_height=True, fill_width=True) as app:
        _api(rag, local)  # first, so that its names are not taken by handlers of the page
        with gr.Tabs(elem_classes="rooms"):
            with gr.Tab("Ask"):
                ask_tab(app, rag)
            with gr.Tab("Library") as tab:
                library_tab(app, tab, rag, local)
    return app


def _api(rag: RagPipeline, local: bool) -> None:
    """Named endpoints, for programs: what the command line answers with --json, under the same names."""
    import gradio as gr

    from indexing.build.run import build
    from indexing.build.uploads import forget
    from indexing.status import status_of

    directory = rag.index.directory

    def search(question: str = "", k: int = 10, image: str = "") -> dict[str, Any]:
        """The k chunks that fit a question best, or a picture of this machine: {"results": [{document, page, chunk_id, text, score, channels, locator}]}."""
        if image and not local:
            raise gr.Error(REMOTE, print_exception=False)
        return kindly(lambda: {"results": [hit.to_json() for hit in rag.search(question, k, image=image or None)]})

    def ask(question: str, history: list[str] | None = None) -> dict[str, Any]:
        """A cited answer or an abstention. history: the earlier questions of the conversation, oldest first."""
        return rag.ask(question, history=history or ()).to_json()

    def ingest(paths: list[str]) -> dict[str, Any]:
        """Index files and folders of this machine; what was added, changed, unchanged, and what failed and why."""
        if not local:
            raise gr.Error(REMOTE, print_exception=False)
        return kindly(lambda: _renamed(build(paths, directory).to_json()))

    def delete(document: str) -> dict[str, int]:
        """Forget a document or a file, by the name that `status` gives; how many documents went."""
        return kindly(lambda: {"removed": forget(directory, document)})

    def status() -> dict[str, Any]:
        """What is indexed: totals, the embedder, and every file with its status."""
        return _renamed(status_of(rag.index).to_json())

    def kindly(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return act()
        except FolioError as error:
            raise gr.Error(str(error), print_exception=False) from error

    for endpoint in (search, ask, ingest, delete, status):
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_limit=AT_ONCE)


def _renamed(found: Any) -> Any:
    """With `file` for `path`: gradio's Python client takes any object with a `path` for a file, and tries to fetch it."""
    if isinstance(found, (list, tuple)):
        return [_renamed(item) for item in found]
    return {"file" if key == "path" else key: _renamed(value) for key, value in found.items()} if isinstance(found, dict) else found


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported, which reads it then
    from indexing.build.run import build
    from indexing.stores.schema import FILE
    from rag.pipeline import RagPipeline

    try:
        if not (options.index / FILE).exists():
            build((), options.index)  # an empty index, so that the library can be filled from the page
        rag = RagPipeline.from_index(options.index, generator=options.generator, adapter=options.adapter, reader=options.reader)
        host = options.host or os.environ.get("GRADIO_SERVER_NAME") or LOOPBACK[0]
        app = build_app(rag, local=host in LOOPBACK)
        address = launch(app, host, options.port)
    except FolioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # gradio's word for a port that is taken
        print(f"error: cannot serve: {error}", file=sys.stderr)
        return 2
    print(f"Folio: {address}  ({options.index}: {rag.index.count()} chunks; Ctrl+C ends it)", flush=True)
    app.block_thread()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python app.py", description="Ask your documents in the browser.")
    parser.add_argument("--index", type=Path, default=Path("index"), metavar="DIR", help="the index directory (default: index)")
    parser.add_argument("--generator", metavar="NAME", help="embedded (default), quote, openai:URL[#MODEL] or hf:PATH_OR_ID")
    parser.add_argument("--adapter", metavar="DIR", help="what python -m models.training.finetune wrote (embedded only)")
    parser.add_argument("--reader", metavar="DIR", help="a model in torch to read with instead of the shipped one (embedded only)")
    parser.add_argument("--host", metavar="NAME", help="where to listen (default: GRADIO_SERVER_NAME, else 127.0.0.1: this machine only)")
    parser.add_argument("--port", type=int, metavar="N", help="the port (default: GRADIO_SERVER_PORT, else the first free one from 7860)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
