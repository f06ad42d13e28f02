"""python app.py as a process of its own: quick to open, without torch, and for this machine alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from indexing.build.run import build

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_the_command_serves_without_torch(tmp_path: Path) -> None:
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "GRADIO_SERVER_PORT": str(port)}
    code = "import sys, app; served = app.main(sys.argv[1:]); print('torch' in sys.modules); sys.exit(served)"
    command = [sys.executable, "-c", code, "--index", str(tmp_path / "index")]
    # A shell starts background jobs deaf to Ctrl+C.
    heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=heard
    ) as run:
        try:
            line = run.stdout.readline()
            assert f"http://127.0.0.1:{port}/" in line and "0 chunks" in line
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as response:
                assert b"Folio" in response.read()
        finally:
            run.send_signal(signal.SIGINT)
        assert run.stdout.read().split()[-1] == "False"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_others_are_let_in_only_by_an_explicit_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    from app import main

    assert main(["--index", str(tmp_path / "index"), "--host", host]) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ") and "--open" in line and line.count("\n") == 1
    monkeypatch.setenv("GRADIO_SERVER_NAME", host)
    assert main(["--index", str(tmp_path / "index")]) == 2
    assert not (tmp_path / "index").exists()


def test_what_cannot_be_served_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from app import main

    build((), index := tmp_path / "index")
    assert main(["--index", str(index), "--generator", "nonsense"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown generator 'nonsense'")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["--index", str(index), "--port", str(taken.getsockname()[1])]) == 2
    assert capsys.readouterr().err.startswith("error: cannot serve")
