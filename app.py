"""Starts the web app: python app.py --index DIR. The page is in ui, and the same doors for programs in ui.api."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from models.common.errors import FolioError
from rag.generators import USAGE
from ui.server import LOOPBACK, check_host, launch

if TYPE_CHECKING:
    import gradio as gr

    from rag.pipeline import RagPipeline


def build_app(rag: RagPipeline, *, local: bool = True) -> gr.Blocks:
    """The app over a pipeline and its index. local: only this machine reaches it, so it may name files by path."""
    import gradio as gr

    from ui.api import endpoints
    from ui.chat import ask_tab
    from ui.library import library_tab

    with gr.Blocks(title="Folio", analytics_enabled=False, fill_height=True, fill_width=True) as app:
        endpoints(rag, local)  # first, so that its names are not taken by handlers of the page
        with gr.Tabs(elem_classes="rooms"):
            with gr.Tab("Ask"):
                ask_tab(app, rag)
            with gr.Tab("Library") as tab:
                library_tab(app, tab, rag, local)
    return app


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported, which reads it then
    host = options.host or os.environ.get("GRADIO_SERVER_NAME") or LOOPBACK[0]
    if importlib.util.find_spec("gradio") is None:
        print("error: the web page needs gradio: pip install 'folio-rag[server]'", file=sys.stderr)
        return 2
    try:
        check_host(host, options.open)
        rag = _open(options)
        app = build_app(rag, local=host in LOOPBACK)
        address = launch(app, host, options.port)
    except FolioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # gradio's word for a port that is taken
        print(f"error: cannot serve: {error}", file=sys.stderr)
        return 2
    if rag.config.generator == "embedded":
        _open_writer()
    print(f"Folio: {address}  ({options.index}: {rag.index.count()} chunks; Ctrl+C ends it)", flush=True)
    app.block_thread()
    return 0


def _open_writer() -> None:
    """Now and not at the first question; where it cannot be opened answers are quoted, and the reason is printed."""
    from models.common.errors import WeightsError
    from models.writer.writer import open_writer

    try:
        open_writer()
    except WeightsError as error:
        print(f"note: answers are quoted and not written: {error}", file=sys.stderr)


def _open(options: argparse.Namespace) -> RagPipeline:
    from indexing.build.run import build
    from indexing.stores.schema import FILE
    from rag.pipeline import RagPipeline

    if not (options.index / FILE).exists():
        build((), options.index)  # an empty index, so that the library can be filled from the page
    settings = {name: getattr(options, name) for name in ("generator", "adapter", "reader", "download")}
    return RagPipeline.from_index(options.index, **settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python app.py", description="Ask your documents in the browser.")
    add = parser.add_argument
    add("--index", type=Path, default=Path("index"), metavar="DIR", help="the index directory (default: index)")
    add("--generator", metavar="NAME", help=f"{USAGE} (default embedded)")
    add("--adapter", metavar="DIR", help="what python -m models.training.finetune wrote (embedded only)")
    add("--reader", metavar="DIR", help="a model in torch to read with instead of the shipped one (embedded only)")
    add("--download", action="store_true", default=None, help="fetch models that are not on this machine")
    add("--host", metavar="NAME", help="where to listen (default: GRADIO_SERVER_NAME, else 127.0.0.1: this machine)")
    add("--open", action="store_true", help="let others ask, add and remove documents, where --host lets them in")
    add("--port", type=int, metavar="N", help="the port (default: GRADIO_SERVER_PORT, else the first free from 7860)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
