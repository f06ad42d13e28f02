"""Messages between a parent and its workers: JSON, with arrays and bytes behind it. Reading one runs no code.

In: dataclasses of known types, whose fields are strings, numbers, bytes, arrays, tuples and dataclasses. Out: equal
ones, checked against the types that the fields declare. Knows nothing of files or processes.

A frame is the length of its JSON as 8 bytes, the JSON, and the raw bytes that the JSON gives the sizes of.
"""

from __future__ import annotations

import json
import struct
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, BinaryIO

import numpy as np

LENGTH = struct.Struct("<Q")
LARGEST = 2**31  # bytes of one message
ARRAYS = ("<i4", "<f4")  # the types of arrays that may be sent
CHECKED = {str: str, bool: bool, int: int, float: (int, float)}
Decode = Callable[[Any, Sequence[bytes]], Any]


class TooLarge(ValueError):
    """A message of more than LARGEST bytes."""


def write(stream: BinaryIO, message: Any) -> None:
    """Send a dataclass. Raises TooLarge, BrokenPipeError."""
    parts: list[bytes] = []

    def other(value: Any) -> Any:
        if isinstance(value, bytes):
            parts.append(value)
            return len(parts) - 1
        if isinstance(value, np.ndarray):
            parts.append(np.ascontiguousarray(value).tobytes())
            return [len(parts) - 1, value.dtype.str, list(value.shape)]
        if isinstance(value, np.generic):
            return value.item()
        return [getattr(value, field.name) for field in fields(value)]

    body = json.dumps(other(message), default=other, ensure_ascii=False, separators=(",", ":"))
    frame = f'[{json.dumps(type(message).__name__)},{json.dumps([len(part) for part in parts])},{body}]'
    head = frame.encode("utf-8", "surrogatepass")
    if len(head) + sum(map(len, parts)) > LARGEST:
        raise TooLarge
    stream.write(b"".join((LENGTH.pack(len(head)), head, *parts)))
    stream.flush()


def read(stream: BinaryIO, kinds: Sequence[type]) -> Any:
    """The next message, one of these dataclasses. Raises EOFError at the end and ValueError for anything else."""
    (length,) = LENGTH.unpack(_exactly(stream, LENGTH.size))
    if length > LARGEST:
        raise TooLarge
    try:
        name, sizes, body = json.loads(_exactly(stream, length))
        if min(sizes, default=0) < 0 or sum(sizes) > LARGEST:
            raise TooLarge
        parts = [_exactly(stream, size) for size in sizes]
        kind = next(kind for kind in kinds if kind.__name__ == name)
        return _decoder(kind)(body, parts)
    except (TypeError, KeyError, IndexError, StopIteration, RecursionError) as error:
        raise ValueError(f"not a message: {error}") from error


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


@cache
def _decoder(kind: Any) -> Decode:
    """From JSON to a value of a declared type. The decoder raises TypeError or ValueError where the value is none."""
    if kind in CHECKED:
        return _scalar(CHECKED[kind])
    if kind is bytes:
        return lambda value, parts: parts[value]
    if kind is np.ndarray:
        return _array
    if is_dataclass(kind):
        return _dataclass(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda value, parts: kind(value)
    of = typing.get_args(kind)
    if isinstance(kind, types.UnionType) and len(of) == 2 and of[1] is types.NoneType:
        inner = _decoder(of[0])
        return lambda value, parts: None if value is None else inner(value, parts)
    assert typing.get_origin(kind) is tuple, kind
    if of[-1] is Ellipsis:
        each = _decoder(of[0])
        return lambda value, parts: tuple(each(one, parts) for one in _listed(value))
    members = [_decoder(one) for one in of]
    return lambda value, parts: tuple(one(v, parts) for one, v in zip(members, _listed(value), strict=True))


def _scalar(allowed: Any) -> Decode:
    def decode(value: Any, parts: Sequence[bytes]) -> Any:
        if not isinstance(value, allowed):
            raise TypeError(f"{type(value).__name__} for {allowed}")
        return value

    return decode


def _array(value: Any, parts: Sequence[bytes]) -> np.ndarray:
    part, dtype, shape = value
    if dtype not in ARRAYS:
        raise TypeError(f"an array of {dtype}")
    return np.frombuffer(parts[part], dtype).reshape(shape)


def _dataclass(kind: type) -> Decode:
    hints = typing.get_type_hints(kind, localns={"np": np})
    decoders = [_decoder(hints[field.name]) for field in fields(kind)]
    return lambda value, parts: kind(*[one(v, parts) for one, v in zip(decoders, _listed(value), strict=True)])


def _listed(value: Any) -> list:
    if not isinstance(value, list):
        raise TypeError("no list")
    return value
