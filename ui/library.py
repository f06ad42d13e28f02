"""The library tab: what is indexed, what failed and why; add and remove. Layout and handlers only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from indexing.build.follow import follow
from indexing.build.run import Progress
from indexing.build.uploads import FOLDER, forget, keep
from models.common.errors import FolioError
from ui.library_view import library_html, problem_html, progress_html, summary_html
from ui.server import REMOTE, is_from_this_machine

if TYPE_CHECKING:
    from rag.pipeline import RagPipeline

AT_ONCE = 8  # browser tabs that add documents at the same time
REMOVE_JS = """
element.addEventListener('click', (event) => {
    const button = event.target.closest('[data-remove]');
    const name = button?.dataset.remove;
    if (name && confirm('Remove ' + name + ' from the index?')) trigger('click', {name});
});
"""


def library_tab(app: gr.Blocks, tab: gr.Tab, rag: RagPipeline, local: bool) -> None:
    """Lay the tab out. local: the app serves this machine alone, so a folder of it may be named."""
    with gr.Column(elem_classes="shelf"):
        with gr.Row(elem_classes="add"):
            files = gr.File(file_count="multiple", label="Add documents", height=132, scale=1, min_width=280)
            with gr.Column(scale=1, min_width=280, visible=local):
                path = gr.Textbox(label="Or a file or folder on this machine", placeholder="~/Documents", max_lines=1)
                button = gr.Button("Add", size="sm")
        news = gr.HTML(visible=False, apply_default_css=False)
        wanted = gr.Textbox(
            show_label=False, container=False, placeholder="Filter by name", max_lines=1, elem_classes="filter"
        )
        table = gr.HTML(js_on_load=REMOVE_JS, apply_default_css=False)
    shelf = Shelf(rag, local)
    hidden = {"api_visibility": "private", "show_progress": "hidden"}
    outputs = [news, table, files, path]
    several = {"concurrency_limit": AT_ONCE}  # a second run fails at once while another one writes, and does not wait
    files.upload(shelf.upload, [files, wanted], outputs, **several, **hidden)
    button.click(shelf.add, [path, wanted], outputs, **several, **hidden)
    path.submit(shelf.add, [path, wanted], outputs, **several, **hidden)
    table.click(shelf.remove, [wanted], [news, table], **hidden)
    wanted.input(shelf.show, [wanted], table, trigger_mode="always_last", **hidden)
    tab.select(shelf.show, [wanted], table, **hidden)
    app.load(shelf.show, [wanted], table, **hidden)


class Shelf:
    """The handlers of the tab. `wanted` is what the filter says. local: as for `library_tab`."""

    def __init__(self, rag: RagPipeline, local: bool) -> None:
        self._reader, self._local = rag.reader, local

    def show(self, wanted: str | None) -> str:
        return library_html(self._reader.status(), wanted or "")

    def upload(self, files: list[str] | None, wanted: str) -> Iterator[list]:
        yield from self._index(lambda: keep(files or [], self._reader.directory / FOLDER), wanted)

    def add(self, path: str | None, wanted: str, request: gr.Request) -> Iterator[list]:
        """Index a path of this machine, for a request from this machine. Anyone can call a handler, seen or not."""
        given = (path or "").strip()
        if not (self._local and is_from_this_machine(request)):
            yield [gr.HTML(problem_html(REMOTE), visible=True), gr.skip(), gr.skip(), gr.skip()]
        elif given:
            yield from self._index(lambda: [Path(given).expanduser()], wanted)
        else:
            yield [gr.skip()] * 4

    def remove(self, event: gr.EventData, wanted: str) -> tuple[gr.HTML, str]:
        try:
            forget(self._reader.directory, event.name)
            told = f'<div class="summary"><p>Removed {escape(event.name)}</p></div>'
        except FolioError as error:
            told = problem_html(str(error))
        return gr.HTML(told, visible=True), self.show(wanted)

    def _index(self, sources: Callable[[], list[Path]], wanted: str) -> Iterator[list[Any]]:
        """News, table and the two fields while sources are read; the fields are emptied at the end."""
        told = progress_html(None)
        yield [gr.HTML(told, visible=True), gr.skip(), gr.skip(), gr.skip()]
        try:
            for event in follow(sources(), self._reader.directory):
                told = progress_html(event) if isinstance(event, Progress) else summary_html(event)
                yield [gr.HTML(told, visible=True), gr.skip(), gr.skip(), gr.skip()]
        except FolioError as error:
            told = problem_html(str(error))
        yield [gr.HTML(told, visible=True), self.show(wanted), None, ""]
