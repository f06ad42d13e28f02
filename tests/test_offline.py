"""Nothing leaves the machine: every socket that any process opens, and every name it looks up, is of loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from indexing.stores.schema import FILE
from indexing.stores.vector_spaces import IMAGE

ROOT = Path(__file__).parents[1]
QUESTION = "How wide is the south sea gate in the clear?"
HOME = re.compile(r"\('(127\.|::1|localhost|0\.0\.0\.0', 0)|'(127\.|::1'|localhost'|0\.0\.0\.0')|None$|b?''$")
# imported by every Python process that has it on its path; a process cannot take an audit hook away again
WATCH = """
import os, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.bind"):
        address = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        address = arguments[0]
    else:
        return
    with open(os.environ["WATCHED"], "a") as file:
        file.write(f"{event} {address!r}\\n")

sys.addaudithook(watch)
"""


class Machine:
    """Runs Folio as a user would, in a home of its own, and knows where its processes tried to go."""

    def __init__(self, home: Path) -> None:
        self.home, self.index, self._log = home, home / "index", home / "watched.txt"
        (home / "sitecustomize.py").write_text(WATCH)
        self._log.touch()
        self.environment = {
            **os.environ,
            "PYTHONPATH": f"{home}{os.pathsep}{ROOT}",
            "WATCHED": str(self._log),
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "FOLIO_DOWNLOAD": "0",
            "no_proxy": "*",
        }
        for name in ("HF_HUB_OFFLINE", "ORT_DISABLE_TELEMETRY", "GRADIO_ANALYTICS_ENABLED", "HF_HOME"):
            self.environment.pop(name, None)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=300)

    def strangers(self) -> list[str]:
        """What was tried since the last call beyond loopback; each line an event and an address."""
        lines = self._log.read_text().splitlines()
        self._log.write_text("")
        return [line for line in lines if not HOME.match(line.partition(" ")[2])]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    made = Machine(tmp_path_factory.mktemp("home"))
    Image.new("RGB", (90, 60), "teal").save(made.home / "sea.png")
    sources = [str(ROOT / "data" / "sample" / "walters-gate-notes.txt"), str(made.home / "sea.png")]
    done = made.run("-m", "indexing", *sources, "--index", str(made.index), "--no-progress")
    assert done.returncode == 0, done.stderr
    yield made


def test_the_watch_sees_what_it_is_there_to_see(machine: Machine) -> None:
    assert machine.strangers() == []  # of indexing
    machine.run("-c", "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))")
    machine.run("-c", "import socket; socket.getaddrinfo('folio.invalid', 80)")
    assert len(machine.strangers()) >= 2


def test_asking_stays_at_home_and_leaves_no_trace_for_telemetry(machine: Machine) -> None:
    done = machine.run("-m", "rag", "ask", QUESTION, "--index", str(machine.index))
    assert "1.85 m" in done.stdout, done.stderr
    assert machine.strangers() == []
    names = {path.relative_to(machine.home).parts[0] for path in machine.home.rglob("*") if path.is_file()}
    assert names <= {"cache", "index", "sea.png", "sitecustomize.py", "watched.txt", "__pycache__"}
    assert {path.name for path in (machine.home / "cache").iterdir()} == {"folio"}  # no device id of ONNX Runtime


def test_the_app_stays_at_home(machine: Machine) -> None:
    command = [sys.executable, "app.py", "--index", str(machine.index)]
    # A shell starts background jobs deaf to Ctrl+C.
    heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with subprocess.Popen(
        command, cwd=ROOT, env=machine.environment, stdout=subprocess.PIPE, text=True, preexec_fn=heard
    ) as served:
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+/", served.stdout.readline()).group()
            assert b"Folio" in opener.open(address).read()
            body = json.dumps({"data": [QUESTION, None]}).encode()
            asked = urllib.request.Request(f"{address}gradio_api/call/ask", body, {"content-type": "application/json"})
            event = json.loads(opener.open(asked).read())["event_id"]
            assert "1.85 m" in opener.open(f"{address}gradio_api/call/ask/{event}").read().decode()
        finally:
            served.send_signal(signal.SIGINT)
    assert machine.strangers() == []


def rename(index: Path, key: str, value: str) -> None:
    with sqlite3.connect(index / FILE) as db:
        assert db.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key)).rowcount == 1
    db.close()


@pytest.mark.parametrize("name", ["hf-hub:nobody/nothing", "ViT-B-32/openai"])
def test_an_index_that_names_an_image_model_of_a_hub_reaches_nobody(machine: Machine, name: str) -> None:
    rename(machine.index, IMAGE.embedder, name)
    done = machine.run("-m", "rag", "ask", QUESTION, "--index", str(machine.index), "--json")
    assert "--download" in json.loads(done.stdout)["trace"]["retrieval"]["problem"], done.stderr
    assert machine.strangers() == []


@pytest.mark.parametrize("command", ["search", "ask"])
def test_an_index_that_names_an_embedder_of_a_hub_reaches_nobody(machine: Machine, command: str) -> None:
    rename(machine.index, "embedder", "sentence-transformers/nothing")
    done = machine.run("-m", "rag", command, QUESTION, "--index", str(machine.index))
    assert done.returncode == 2 and "--download" in done.stderr and len(done.stderr.splitlines()) == 1
    assert machine.strangers() == []
