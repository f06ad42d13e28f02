"""The numbers that were fitted on development data, from data/weights/calibration.json. None of them stands in Python.

Each group is written by a command of rag.training, which its entry `command` names. Comes in: the file. Goes out:
frozen dataclasses. What was fitted to a reader names the digest of its weights, and is refused with another.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from models.common.errors import WeightsError
from models.reader.shipped_weights import FOLDER
from rag.config import ConfigError

FILE = FOLDER.with_name("calibration.json")
FORMAT = 1
WIDTH = 118  # characters of a line of the file
_NUMBERS = re.compile(r"\[([-\d.eE,\s]+)\]")

Group = TypeVar("Group")


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """Logistic regression for the share of the dense channel, over rag.retrieve.fusion.shape."""

    weights: tuple[float, ...]
    bias: float


@dataclass(frozen=True, slots=True)
class ImageShares:
    """The share of the image channel in a fusion: a picture is searched with, one is asked for, or neither."""

    given: float
    named: float
    unnamed: float


@dataclass(frozen=True, slots=True)
class RerankWeights:
    """A linear score over rag.rerank.FEATURES, and over the reader's state of a chunk, (W,)."""

    weights: tuple[float, ...]
    state: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class QuoteWeights:
    """How the extractive generators choose a sentence and how sure they are.

    sentence: linear weights of a sentence's features. answer, bias: logistic regression of the confidence.
    threshold: the least confidence of an answer. risks: (risk, threshold) pairs, risks ascending: from which confidence
    on at most that share of the held-out quotes was wrong.
    """

    sentence: tuple[float, ...]
    answer: tuple[float, ...]
    bias: float
    threshold: float
    risks: tuple[tuple[float, float], ...] = ()

    def threshold_of(self, risk: float) -> float:
        """The least confidence at which at most this share of answers is expected to be wrong. Raises ConfigError."""
        fitting = [threshold for known, threshold in self.risks if known <= risk]
        if not fitting:
            least = f"the least that can is {self.risks[0][0]}" if self.risks else "this generator is fitted for none"
            raise ConfigError(f"risk {risk} cannot be kept: {least}")
        return fitting[-1]


@dataclass(frozen=True, slots=True)
class PictureWeights:
    """Logistic regression of the confidence that a picture shows what is asked for, over PICTURE_FEATURES."""

    weights: tuple[float, ...]
    bias: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """reader: digest of the reader's weights that `rerank`, `embedded` and `pictures` were fitted with."""

    reader: str
    fusion: FusionWeights
    image_shares: ImageShares
    rerank: RerankWeights
    quote: QuoteWeights
    embedded: QuoteWeights
    pictures: PictureWeights


@cache
def calibration(path: Path = FILE) -> Calibration:
    """Raises WeightsError for a file that is missing, damaged or of another release."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            raise WeightsError(
                f"{path} is in format {values['format']}, this Folio reads {FORMAT}: "
                "take weights and program from the same release"
            )
        groups = {
            field: _group(kind, values[field])
            for field, kind in (
                ("fusion", FusionWeights), ("image_shares", ImageShares), ("rerank", RerankWeights),
                ("quote", QuoteWeights), ("embedded", QuoteWeights), ("pictures", PictureWeights),
            )
        }  # fmt: skip
        return Calibration(str(values["reader"]), **groups)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}): restore it from the repository") from error
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} is damaged ({error!r}): restore it from the repository") from error


def update(name: str, values: Mapping[str, Any], command: str, path: Path = FILE, reader: str | None = None) -> None:
    """Write one group anew, with the command that fitted it, and the reader's digest where it was fitted with one."""
    whole = json.loads(path.read_text(encoding="utf-8"))
    whole[name] = {"command": command, **values}
    if reader is not None:
        whole["reader"] = reader
    path.write_text(_NUMBERS.sub(_wrapped, json.dumps(whole, indent=1)) + "\n", encoding="utf-8")


def _wrapped(numbers: re.Match[str]) -> str:
    """A list of numbers in lines, not a line for each."""
    return "[\n" + textwrap.indent(textwrap.fill(" ".join(numbers[1].split()), WIDTH - 2), "  ") + "\n ]"


def _group(kind: type[Group], values: Mapping[str, Any]) -> Group:
    """A group from its entry: lists become tuples, everything else a float."""
    return kind(**{field.name: _number(values[field.name]) for field in fields(kind) if field.name in values})


def _number(value: Any) -> Any:
    return tuple(map(_number, value)) if isinstance(value, list) else float(value)
