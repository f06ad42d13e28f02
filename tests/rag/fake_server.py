"""A small OpenAI-compatible server on 127.0.0.1: real sockets, scripted answers, a record of what was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def event(text: str | None = None, finish: str | None = None) -> str:
    delta = {} if text is None else {"content": text}
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}]})}\n\n"


def stream(*pieces: str) -> list[str]:
    return [event(piece) for piece in pieces] + [event(finish="stop"), "data: [DONE]\n\n"]


class FakeServer:
    """`chat(body)` returns (status, lines): a string in `lines` is sent as it is, a callable is called on its turn."""

    def __init__(self) -> None:
        self.models: tuple[int, str] = (200, json.dumps({"data": [{"id": "small"}, {"id": "large"}]}))
        self.chat: Callable[[dict[str, Any]], tuple[int, list]] = lambda body: (200, stream("ok"))
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.cut = threading.Event()  # set when the client went away while it was being answered
        self.url = ""


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    script = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = script.models if self.path == "/v1/models" else (404, "no such page")
            self._begin(status)
            self.wfile.write(text.encode())

        def do_POST(self) -> None:
            script.headers.append(dict(self.headers))
            script.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, lines = (
                script.chat(script.bodies[-1]) if self.path == "/v1/chat/completions" else (404, ["no such page"])
            )
            self._begin(status)
            try:
                for line in lines:
                    if callable(line):
                        line()
                    else:
                        self.wfile.write(line.encode())
                        self.wfile.flush()
            except (BrokenPipeError, ConnectionResetError):
                script.cut.set()

        def _begin(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream" if status == 200 else "application/json")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
