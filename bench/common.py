"""The command line of a bench, and the form in which it prints what it measured. Knows nothing of what is measured.

    {"bench": "ocr", "command": "python -m bench.ocr DATA --count 12", "figures": {"error rate": 0.01, ...}}

is printed with --json; without it, the same figures in lines. A path in `command` is named as in the usage, because it
differs from machine to machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

Figures = Mapping[str, Any]  # name -> number, text, models.common.metrics.Score, list, or figures again


def parser_of(bench: str, doc: str) -> argparse.ArgumentParser:
    """A parser with --json. doc: the docstring of the bench, whose first line describes it."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{bench}", description=doc.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="a JSON object in place of lines")
    return parser


def report(parser: argparse.ArgumentParser, options: argparse.Namespace, figures: Figures) -> None:
    """Print what the command of these options measured."""
    if options.json:
        bench = parser.prog.partition("bench.")[2]
        made = {"bench": bench, "command": command(parser, options), "figures": figures}
        print(json.dumps(made, default=asdict))
    else:
        print("\n".join(_lines(figures)))


def command(parser: argparse.ArgumentParser, options: argparse.Namespace) -> str:
    """The command that gives these options, defaults left out, paths by the names that the usage has for them."""
    words = [parser.prog]
    for action in parser._actions:
        value = getattr(options, action.dest, action.default)
        if value == action.default or action.dest == "json":
            continue
        words += action.option_strings[-1:]
        values = value if isinstance(value, list) else [value]
        name = action.metavar or action.dest.upper()
        words += dict.fromkeys(name if isinstance(one, Path) else str(one) for one in values if one is not True)
    return " ".join(words)


def note(text: str) -> None:
    """Progress of a bench that runs for long, on stderr, so that stdout holds the figures alone."""
    print(text, file=sys.stderr, flush=True)


def _lines(figures: Figures, title: str = "") -> Iterator[str]:
    """`title: name value, name value` for the values of each level."""
    values = {name: value for name, value in figures.items() if not isinstance(value, Mapping)}
    if values:
        told = ", ".join(f"{name} {_shown(value)}" for name, value in values.items())
        yield f"{title}: {told}" if title else told
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _lines(value, f"{title}, {name}" if title else str(name))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
