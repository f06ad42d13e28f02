"""Messages of workers: equal on the other side, and nothing that a worker could write is more than data."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import Any

import numpy as np
import pytest

from indexing.build import messages
from indexing.build.workers import Alive, Failed, Finished, Loaded, Task
from indexing.types import Block, BlockKind, Document, Modality, Page, Picture, Words

KINDS = (Loaded, Finished, Failed, Alive)


def document() -> Document:
    boxes = np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1]], np.float32)
    places = np.array([0, 5], np.int32), np.array([4, 9], np.int32), boxes
    pages = (
        Page(1, 0, 9, 595.0, 842, "i", Words(*places)),
        Page(2, 9, 9, words=Words(*places, np.array([0.5, 1.0], np.float32))),
        Page(3, 9, 9),
    )
    pictures = (Picture(1, 10, 20, b"", b"\0\xff", 0, (0.0, 0.25, 1.0, 1.0)), Picture(2, 1, 1, b"RIFF", b""))
    blocks = (Block(BlockKind.HEADING, 0, 4, 1), Block(BlockKind.FIGURE, 5, 5))
    return Document("Tide \ud83c\u2028…", blocks, 'a "title"\n', "1", "pdf", pages, pictures, Modality.IMAGE)


def same(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if dataclasses.is_dataclass(left):
        return all(same(getattr(left, field.name), getattr(right, field.name)) for field in dataclasses.fields(left))
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    return left == right


def test_messages_arrive_as_they_were_sent() -> None:
    loaded = [Loaded(0, document()), Loaded(1, Document("", ()))]
    sent = [*loaded, Finished(0, "a", True), Failed(2, "torn", True), Alive()]
    pipe = io.BytesIO()
    for message in sent:
        messages.write(pipe, message)
    pipe.seek(0)
    assert all(same(message, messages.read(pipe, KINDS)) for message in sent)
    with pytest.raises(EOFError):
        messages.read(pipe, KINDS)


@pytest.mark.parametrize("frame", [
    ["Task", [], [0, "/etc/passwd", ""]], ["Loaded", [], [0, None]], ["Failed", [], [0, 7, False]],
    ["Failed", [], [0, "torn"]], ["Failed", [], {"task": 0}], ["Loaded", [-1], [0, []]], ["Loaded", [2**40], [0, []]],
    [], "Failed", [["Failed"], [], []],
    ["Loaded", [8], [0, ["", [], "", "", "", [[1, 0, 0, 0, 0, "", [[0, "|O", [1]]] * 3]], [], "text"]]],
])
def test_what_is_no_message_is_refused(frame: Any) -> None:
    head = json.dumps(frame).encode()
    for content in (head, b"\x80\x05cos\nsystem\n.", b"[" * 100_000):
        with pytest.raises(ValueError):
            messages.read(io.BytesIO(messages.LENGTH.pack(len(content)) + content + bytes(100)), KINDS)


def test_no_size_is_believed() -> None:
    with pytest.raises(messages.TooLarge):
        messages.read(io.BytesIO(messages.LENGTH.pack(2**63)), KINDS)
    with pytest.raises(EOFError):
        messages.read(io.BytesIO(messages.LENGTH.pack(100) + b"short"), (Task,))
