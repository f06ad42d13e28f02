"""Nothing leaves the machine: every socket that any process opens, while indexing and asking, goes to loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

# imported by every Python process that has it on its path; a process cannot take an audit hook away again
WATCH = """
import os, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.bind"):
        address = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments[0]
    else:
        return
    with open(os.environ["WATCHED"], "a") as file:
        file.write(f"{event} {address!r}\\n")

sys.addaudithook(watch)
"""


def test_no_socket_beyond_loopback(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    log = tmp_path / "watched.txt"
    log.touch()
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "WATCHED": str(log), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("HF_HUB_OFFLINE", None)

    def run(*arguments: str) -> str:
        done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-m", "indexing", "data/sample", "--index", str(tmp_path / "index"), "--no-progress")
    assert "1.85 m" in run("-m", "rag", "ask", "How wide is the south sea gate in the clear?", "--index", str(tmp_path / "index"))
    strangers = [line for line in log.read_text().splitlines() if not any(host in line for host in ("127.0.0.1", "localhost", "::1"))]
    assert strangers == []
    # and the watch does see what it is there to see
    run("-c", "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))")
    assert "192.0.2.1" in log.read_text()
