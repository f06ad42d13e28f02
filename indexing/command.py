"""Shared by the command lines: exit statuses and types of flags."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Callable

from models.common import command_line
from models.common.command_line import WRONG_USE


def run(act: Callable[[], int]) -> int:
    """Run a command and return its exit status. An error that a user can cause is one line, never a traceback."""
    try:
        return command_line.run(act)
    except sqlite3.DatabaseError as error:
        remedy = "free some room if the disk is full, else index its sources again into a new directory"
        print(f"error: the index cannot be used ({error}): {remedy}", file=sys.stderr)
        return WRONG_USE


def positive(text: str) -> int:
    """An argparse type: a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
