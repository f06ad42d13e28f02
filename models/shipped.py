"""The reader whose weights come with Folio, in int8 through ONNX Runtime. Imports no torch.

A folder of weights holds `model.safetensors` (the grounded model's memory encoder with its heads in float16; the word vectors are the
base's own and not there again), `config.json` (what they are, how their confidence is calibrated) and a model card.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models import base
from models.errors import WeightsError
from models.graph_file import open_session
from models.grid import COLUMNS, ROWS
from models.int8 import Encoder, Router

if TYPE_CHECKING:
    from onnx import ModelProto

FOLDER = Path(__file__).parents[1] / "data" / "weights" / "reader"
FORMAT = 2  # of the folder; raised when an older Folio could not read it rightly
GRAPH_VERSION = 2  # raised when bert_graph changes what it writes
WEIGHTS, CONFIG = "model.safetensors", "config.json"
BASE_WEIGHTS = "model.safetensors"
MEMORY, ENCODER = "memory.", "bert."  # what the names of the weights begin with: of all that is shipped, and of its BERT
EMBEDDINGS = MEMORY + ENCODER + "embeddings."
WORDS, TIED_WORDS = EMBEDDINGS + "word_embeddings.weight", "model.embed_tokens.weight"


@dataclass(frozen=True, slots=True)
class Shipped:
    """What a folder of weights says of itself. `calibration` is what bench/fit_reader.py found; see rag.generators.quote."""

    digest: str  # of the weights: names the graph made of them
    cached_layers: int  # see models.config
    calibration: Mapping[str, Any]
    weights: Path


def digest_of(weights: Path) -> str:
    return hashlib.blake2b(weights.read_bytes(), digest_size=8).hexdigest()


def is_shipped(folder: Path) -> bool:
    """Whether a folder holds weights as they are shipped, and not a model as transformers saves it."""
    try:
        return "calibration" in json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def describe(folder: Path = FOLDER) -> Shipped:
    """Read and check the folder. Raises WeightsError."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        digest = digest_of(folder / WEIGHTS)
        written, made_with, recorded = config["format"], config["base"], config["digest"]
        cached_layers, calibration = int(config["cached_layers"]), config["calibration"]
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
    return Shipped(digest, cached_layers, calibration, folder / WEIGHTS)


def encoder(shipped: Shipped) -> Encoder:
    """The shipped weights as what models.reader computes with. Raises WeightsError."""
    from models import bert_graph

    def graph(make: Callable[..., ModelProto]) -> Callable[[], ModelProto]:
        return lambda: make(*_weights(shipped), shipped.cached_layers)

    lower, upper = (
        open_session(f"reader-{half}-{shipped.digest}-int8-{GRAPH_VERSION}", graph(make))
        for half, make in (("lower", bert_graph.lower), ("upper", bert_graph.upper))
    )
    return Encoder(lower, upper, f"{shipped.digest}-{GRAPH_VERSION}", router(shipped) if "router" in shipped.calibration else None)


def router(shipped: Shipped) -> Router:
    """The router of these weights; without a fitted threshold it lets every block through."""
    from safetensors import safe_open

    with safe_open(shipped.weights, "np") as file:
        question, block, weight, bias, scale = (
            file.get_tensor(f"{MEMORY}router.{name}").astype(np.float32) for name in ("question.weight", "block.weight", "weight.weight", "weight.bias", "scale")
        )
    return Router(question.T, block.T, weight[0], float(bias[0]), scale, float(shipped.calibration.get("router", -np.inf)))


def save(state: Mapping[str, np.ndarray], cached_layers: int, folder: Path, calibration: Mapping[str, Any]) -> None:
    """Write the memory of a GroundedForCausalLM. Raises WeightsError for trained word vectors: those shipped are the base's own."""
    from safetensors.numpy import load_file, save_file

    base_weights = load_file(base.folder() / BASE_WEIGHTS)
    memory = {name: values for name, values in state.items() if name.startswith(MEMORY)}
    words = [(WORDS, state[TIED_WORDS])] if TIED_WORDS in state else []  # of weights that are tied a file has only one
    for name, values in [*memory.items(), *words]:
        if name.startswith(EMBEDDINGS) and not np.array_equal(values, base_weights.get(name.removeprefix(MEMORY + ENCODER))):
            raise WeightsError(f"{name} is not the base's: train with the word vectors frozen")
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: values.astype(np.float16) for name, values in memory.items() if not name.startswith(EMBEDDINGS)}
    save_file(kept, folder / WEIGHTS)
    config = {
        "format": FORMAT, "base": base.identity(), "digest": digest_of(folder / WEIGHTS), "cached_layers": cached_layers,
        "calibration": dict(calibration),
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _weights(shipped: Shipped) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What models.bert_graph makes its graphs of: the weights of the BERT, and of what stands around it."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    base_weights = load_file(base.folder() / BASE_WEIGHTS)
    try:
        trained = {name.removeprefix(MEMORY): values.astype(np.float32) for name, values in load_file(shipped.weights).items()}
    except SafetensorError as error:
        raise WeightsError(f"{shipped.weights} is damaged ({error}): restore it from the repository") from error
    encoder = {name.removeprefix(ENCODER): values for name, values in trained.items() if name.startswith(ENCODER)}
    heads = {name: values for name, values in trained.items() if not name.startswith(ENCODER)}
    width = base_weights["embeddings.word_embeddings.weight"].shape[1]
    wanted = {name: values.shape for name, values in base_weights.items() if name.startswith("encoder.layer.")}
    wanted |= {f"{head}.weight": (2, width) for head in ("span", "judge")} | {f"{head}.bias": (2,) for head in ("span", "judge")}
    size = heads.get("router.block.weight", np.empty((0, 0))).shape[0]
    wanted |= {f"router.{part}.weight": (size, width) for part in ("question", "block")}
    wanted |= {"router.weight.weight": (1, width), "router.weight.bias": (1,), "router.scale": (2,)}
    wanted |= {"grid.rows.weight": (ROWS, width), "grid.columns.weight": (COLUMNS, width), "grid.header.weight": (width, width)}
    if {name: values.shape for name, values in (encoder | heads).items()} != wanted:
        raise WeightsError(f"{shipped.weights} is not a reader's: some of its weights are missing or of another model")
    embeddings = {name: values for name, values in base_weights.items() if name.startswith("embeddings.")}
    return {**embeddings, **encoder}, heads
