"""python -m bench.systems [NAME...] --data DATA [--json]: measures the systems of docs/systems.md again.

Benches run one after the other, each in a process of its own.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

NAMES = sorted(file.stem for file in Path(__file__).parent.glob("[a-z]*.py") if file.stem != "common")


def run(name: str, data: Path, as_json: bool) -> None:
    """One bench, in this process."""
    for row in importlib.import_module(f"bench.systems.{name}").measure(data):
        figures = "  ".join(f"{key} {value}" for key, value in row.figures.items())
        print(json.dumps(asdict(row)) if as_json else f"{row.system:<22} {row.form:<34} {figures}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.systems", description=__doc__.splitlines()[0].split(": ")[1])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all of them without")
    parser.add_argument("--data", type=Path, required=True, help="folder with qa/dev and qa/train")
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"{', '.join(sorted(unknown))}: there is no such bench, only {', '.join(NAMES)}")
    failed = 0
    for name in options.names or NAMES:
        began = time.monotonic()
        process = multiprocessing.get_context("spawn").Process(target=run, args=(name, options.data, options.json))
        process.start()
        process.join()
        failed += process.exitcode != 0
        print(f"{name}: {time.monotonic() - began:.0f} s" + (", FAILED" if process.exitcode else ""), file=sys.stderr)
    return failed


if __name__ == "__main__":
    from bench.systems.__main__ import main  # under its own name, by which spawned processes find `run`

    raise SystemExit(main())
