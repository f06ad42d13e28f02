"""Word boxes: from a character span to boxes on its page, and their compact form in the store. Pure."""

from __future__ import annotations

import zlib

import numpy as np

from indexing.types import Box, Words

SCALE = 65535  # boxes are stored as uint16: finer than a pixel on any page
SAME_LINE = 0.5  # of the lower height: how far two words of a line overlap at least

WordBox = tuple[int, int, float, float, float, float]  # start, end, x0, y0, x1, y1


def boxes_of(words: Words, start: int, end: int) -> tuple[Box, ...]:
    """The boxes that mark the span [start, end): one for each run of neighbouring words on a line."""
    lines: list[list[float]] = []
    for x0, y0, x1, y1 in words.boxes[_within(words, start, end)].tolist():
        if lines and _same_line(lines[-1], x0, y0, y1):
            line = lines[-1]
            lines[-1] = [min(line[0], x0), min(line[1], y0), max(line[2], x1), max(line[3], y1)]
        else:
            lines.append([x0, y0, x1, y1])
    return tuple((round(a, 5), round(b, 5), round(c, 5), round(d, 5)) for a, b, c, d in lines)


def words_within(words: Words, start: int, end: int) -> tuple[WordBox, ...]:
    """Each word of the span [start, end) with its box; its character offsets count from `start`."""
    mine = _within(words, start, end)
    starts, ends = (words.starts[mine] - start).tolist(), (words.ends[mine] - start).tolist()
    return tuple((a, b, *box) for a, b, box in zip(starts, ends, words.boxes[mine].tolist(), strict=True))


def _within(words: Words, start: int, end: int) -> slice:
    """The words that have characters of [start, end)."""
    first = int(np.searchsorted(words.ends, start, side="right"))
    return slice(first, int(np.searchsorted(words.starts, end, side="left")))


def _same_line(line: list[float], x0: float, y0: float, y1: float) -> bool:
    overlap = min(line[3], y1) - max(line[1], y0)
    return overlap > SAME_LINE * min(line[3] - line[1], y1 - y0) and x0 >= line[0]


def pack_boxes(boxes: tuple[Box, ...]) -> bytes:
    """uint16 (n, 4), row by row."""
    return _quantise(np.asarray(boxes, np.float32).reshape(-1, 4)).tobytes()


def unpack_boxes(blob: bytes) -> tuple[Box, ...]:
    values = np.frombuffer(blob, np.uint16).reshape(-1, 4) / SCALE
    return tuple(tuple(round(v, 5) for v in row) for row in values.tolist())


def pack_words(words: Words | None) -> bytes | None:
    """The number of words n (4 bytes), then deflated: starts and ends int32 (n,), boxes uint16 (n, 4).

    Words that OCR read have their confidences behind, uint8 (n,).
    """
    if words is None:
        return None
    parts = [words.starts.astype(np.int32), words.ends.astype(np.int32), _quantise(words.boxes)]
    if words.confidence is not None:
        parts.append(np.round(words.confidence * 255).astype(np.uint8))
    return len(words.starts).to_bytes(4, "little") + zlib.compress(b"".join(part.tobytes() for part in parts), 1)


def unpack_words(blob: bytes | None) -> Words | None:
    if blob is None:
        return None
    count, data = int.from_bytes(blob[:4], "little"), zlib.decompress(blob[4:])
    starts = np.frombuffer(data, np.int32, count)
    ends = np.frombuffer(data, np.int32, count, 4 * count)
    boxes = np.frombuffer(data, np.uint16, 4 * count, 8 * count).reshape(-1, 4).astype(np.float32) / SCALE
    rest = np.frombuffer(data, np.uint8, offset=16 * count)
    return Words(starts, ends, boxes, rest.astype(np.float32) / 255 if len(rest) else None)


def _quantise(boxes: np.ndarray) -> np.ndarray:
    return np.round(np.clip(boxes, 0, 1) * SCALE).astype(np.uint16)
