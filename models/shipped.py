"""The reader whose weights come with Folio, in int8 through ONNX Runtime. Imports no torch.

A folder of weights holds `model.safetensors` (the trained encoder layers and heads in float16; the word vectors are the base's
own and not there again), `config.json` (what they are, how their confidence is calibrated) and a model card.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models import base
from models.errors import WeightsError
from models.graph_file import open_session
from models.reader import Compute

if TYPE_CHECKING:
    from onnx import ModelProto

FOLDER = Path(__file__).parents[1] / "data" / "weights" / "reader"
FORMAT = 1  # of the folder; raised when an older Folio could not read it rightly
GRAPH_VERSION = 1  # raised when bert_graph changes what it writes
WEIGHTS, CONFIG = "model.safetensors", "config.json"
BASE_WEIGHTS = "model.safetensors"
ENCODER, EMBEDDINGS = "encoder.", "encoder.embeddings."


@dataclass(frozen=True, slots=True)
class Shipped:
    """What a folder of weights says of itself. `calibration` is what bench/fit_reader.py found; see rag.generators.quote."""

    digest: str  # of the weights: names the graph made of them
    calibration: Mapping[str, Any]
    weights: Path


def digest_of(weights: Path) -> str:
    return hashlib.blake2b(weights.read_bytes(), digest_size=8).hexdigest()


def describe(folder: Path = FOLDER) -> Shipped:
    """Read and check the folder. Raises WeightsError."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        digest = digest_of(folder / WEIGHTS)
        written, made_with, recorded = config["format"], config["base"], config["digest"]
        calibration = config["calibration"]
    except OSError as error:
        raise WeightsError(f"{error.filename} cannot be read ({error.strerror}): restore {folder} from the repository") from error
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{folder / CONFIG} is damaged ({error!r}): restore it from the repository") from error
    if written != FORMAT:
        raise WeightsError(f"{folder} is in format {written}, this Folio reads {FORMAT}: take weights and program from the same release")
    if made_with != base.identity():
        raise WeightsError(f"{folder} was trained on {made_with}, installed is {base.identity()}: run `make install`")
    if digest != recorded:
        raise WeightsError(f"{folder / WEIGHTS} is damaged: its digest is not the one in {CONFIG}; restore it from the repository")
    return Shipped(digest, calibration, folder / WEIGHTS)


def compute(shipped: Shipped) -> Compute:
    """The shipped weights as what models.reader computes with. Raises WeightsError."""
    session = open_session(f"reader-{shipped.digest}-int8-{GRAPH_VERSION}", lambda: _graph(shipped.weights))

    def run(ids: np.ndarray, types: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inputs = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
        spans, judged = session.run(["spans", "judged"], {name: array.astype(np.int32) for name, array in inputs.items()})
        return spans, judged

    return run


def save(state: Mapping[str, np.ndarray], folder: Path, calibration: Mapping[str, Any]) -> None:
    """Write the weights of a models.floor.FloorReader. Raises WeightsError for trained word vectors: those shipped are the base's own."""
    from safetensors.numpy import load_file, save_file

    base_weights = load_file(base.folder() / BASE_WEIGHTS)
    for name, values in state.items():
        if name.startswith(EMBEDDINGS) and not np.array_equal(values, base_weights.get(name.removeprefix(ENCODER))):
            raise WeightsError(f"{name} is not the base's: train with the word vectors frozen")
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: values.astype(np.float16) for name, values in state.items() if not name.startswith(EMBEDDINGS)}
    save_file(kept, folder / WEIGHTS)
    config = {"format": FORMAT, "base": base.identity(), "digest": digest_of(folder / WEIGHTS), "calibration": dict(calibration)}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _graph(path: Path) -> ModelProto:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from models import bert_graph

    base_weights = load_file(base.folder() / BASE_WEIGHTS)
    try:
        trained = {name: values.astype(np.float32) for name, values in load_file(path).items()}
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged ({error}): restore it from the repository") from error
    encoder = {name.removeprefix(ENCODER): values for name, values in trained.items() if name.startswith(ENCODER)}
    heads = {name: values for name, values in trained.items() if not name.startswith(ENCODER)}
    width = base_weights["embeddings.word_embeddings.weight"].shape[1]
    wanted = {name: values.shape for name, values in base_weights.items() if name.startswith("encoder.layer.")}
    wanted |= {f"{head}.weight": (2, width) for head in ("span", "judge")} | {f"{head}.bias": (2,) for head in ("span", "judge")}
    if {name: values.shape for name, values in (encoder | heads).items()} != wanted:
        raise WeightsError(f"{path} is not a reader's: some of its weights are missing or of another model")
    embeddings = {name: values for name, values in base_weights.items() if name.startswith("embeddings.")}
    return bert_graph.reader({**embeddings, **encoder}, heads)
