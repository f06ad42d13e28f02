"""Opens what models.training.train wrote, and writes folders whole or not at all.

Opening is strict: a weight that is missing or left over is an error, not a line of a log.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from models.common.errors import WeightsError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Model = TypeVar("Model", bound="PreTrainedModel")


def model_type(folder: Path) -> str:
    """Which kind of model a folder holds. Raises WeightsError."""
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        remedy = "give the folder `model` of a run of models.training.train"
        raise WeightsError(f"{folder} holds no model ({error}): {remedy}") from error


def open_model(kind: type[Model], folder: Path) -> Model:
    """The trained model in a folder, of this class or of the subclass whose model_type the folder has.

    A subclass is known once the module that defines it is imported. Raises WeightsError.
    """
    from safetensors import SafetensorError

    kind = _variant(kind, folder)
    try:
        model, report = kind.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    except ImportError as error:
        remedy = "run `pip install -r requirements-systems.txt`"
        raise WeightsError(f"{folder} needs what is not installed ({error}): {remedy}") from error
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{folder} holds no {kind.__name__} ({str(error).splitlines()[0]})") from error
    wrong = [name for which in ("missing_keys", "unexpected_keys") for name in sorted(report[which])]
    if wrong:
        what = f"{len(wrong)} weights are missing or of another model ({wrong[0]}, ...)"
        raise WeightsError(f"{folder} holds no {kind.__name__}: {what}")
    return model


def _variant(kind: type[Model], folder: Path) -> type[Model]:
    try:
        wanted = model_type(folder)
    except WeightsError:
        return kind  # whose own error says more
    classes = {one.config_class.model_type: one for one in (*kind.__subclasses__(), kind)}
    if wanted not in classes:
        raise WeightsError(
            f"{folder} holds no {kind.__name__} but a model of type {wanted}: "
            "only python -m models.systems.{train,evaluate,write,prefer,harness,rope_scaling} know its variants"
        )
    return classes[wanted]


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `out` when all is written. Raises WeightsError if that exists."""
    if out.exists():
        raise WeightsError(f"{out} is there already: name a new folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=out.parent))
    try:
        yield new
        new.rename(out)
    finally:
        shutil.rmtree(new, ignore_errors=True)  # what was not renamed
