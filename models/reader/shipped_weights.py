"""The reader whose weights come with Folio, in int8 through ONNX Runtime. Imports no torch.

A folder of weights holds `model.safetensors` (a GroundedForCausalLM: large matrices as the int8 levels that its graphs compute with and what
a level is worth, the rest in float16; the word vectors are the base's own and not there again), `config.json` (a GroundedConfig, and under OWN
what they are and how their confidence is calibrated) and a model card. `GroundedForCausalLM.from_pretrained` opens it too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.common import base_encoder
from models.common.errors import WeightsError
from models.common.onnx_graph import quantised
from models.common.onnx_session import open_session
from models.reader import flops
from models.reader.ablation import Decoder
from models.reader.adapter import Adapter, open_adapter
from models.reader.coordinates import COLUMNS, PLACES, ROWS, SIDES, BlockModality
from models.reader.exact_match import CODES
from models.reader.image_patches import WIDTH
from models.reader.onnx_encoder import Encoder

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

FOLDER = Path(__file__).parents[2] / "data" / "weights" / "reader"
FORMAT = 5  # of the folder; raised when an older Folio could not read it rightly
GRAPH_VERSION = 7  # raised when bert_graph or decoder_graph changes what it writes
WEIGHTS, CONFIG = "model.safetensors", "config.json"
OWN = "folio"  # where our part of the config stands
BASE_WEIGHTS = "model.safetensors"
MEMORY, ENCODER = "memory.", "bert."  # what the names of the weights begin with: of all that is shipped, and of its BERT
EMBEDDINGS = MEMORY + ENCODER + "embeddings."
DECODER = ("model.", "projector.", "copy.")
COMPUTED = {  # what the graphs take for granted of a GroundedConfig
    "model_type": "grounded", "memory_heads": None, "query_key_norm": False, "cross_sink": True,
    "hidden_act": "silu", "rms_norm_eps": 1e-6,
}  # fmt: skip
LARGE = 64  # a matrix of more rows and columns is kept as int8 levels
WORTH = ".worth"  # of a level in each row: ends the name of what stands beside them
WORDS, TIED_WORDS = EMBEDDINGS + "word_embeddings.weight", "model.embed_tokens.weight"


@dataclass(frozen=True, slots=True)
class ReaderWeights:
    """What a folder of weights says of itself. `calibration` is what rag/training/fit_reader.py found; see rag.generators.quote.generator."""

    digest: str  # of the weights: names the graph made of them
    cached: int  # layers, see models.reader.onnx_encoder
    calibration: Mapping[str, Any]
    weights: Path
    adapter: Adapter | None = None


def digest_of(weights: Path) -> str:
    return hashlib.blake2b(weights.read_bytes(), digest_size=8).hexdigest()


def is_shipped(folder: Path) -> bool:
    """Whether a folder holds weights as they are shipped, and not a model as transformers saves it."""
    try:
        return OWN in json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def describe(folder: Path = FOLDER, adapter: Path | None = None) -> ReaderWeights:
    """Read and check the folder, and that of an adapter to it. Raises WeightsError."""
    try:
        config = dict(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
        digest = digest_of(folder / WEIGHTS)
        own = config.get(OWN, config)  # before format 4 there was nothing else
        written, made_with, recorded = own["format"], own["base"], own["digest"]
        cached = int(config["memory_cached_layers"]) if written == FORMAT else 0
        calibration = dict(own["calibration"])
    except OSError as error:
        raise WeightsError(f"{error.filename} cannot be read ({error.strerror}): restore {folder} from the repository") from error
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{folder / CONFIG} is damaged ({error!r}): restore it from the repository") from error
    if written != FORMAT:
        raise WeightsError(f"{folder} is in format {written}, this Folio reads {FORMAT}: take weights and program from the same release")
    if made_with != base_encoder.identity():
        raise WeightsError(f"{folder} was trained on {made_with}, installed is {base_encoder.identity()}: run `make install`")
    if digest != recorded:
        raise WeightsError(f"{folder / WEIGHTS} is damaged: its digest is not the one in {CONFIG}; restore it from the repository")
    adapted = open_adapter(adapter, digest, cached) if adapter else None
    return ReaderWeights(digest, cached, calibration, folder / WEIGHTS, adapted)


def encoder(shipped: ReaderWeights) -> Encoder:
    """The memory encoder as what models.reader.extractive_reader computes with. Raises WeightsError."""
    from models.reader import encoder_graph

    @cache
    def upper(kind: BlockModality) -> InferenceSession:
        mine = f"upper-{shipped.adapter.digest}" if shipped.adapter else "upper"
        return _session(shipped, f"{mine}-{kind.name.lower()}", lambda: encoder_graph.upper(*_encoder_weights(shipped), shipped.cached, kind))

    lower = _session(shipped, "lower", lambda: encoder_graph.lower(*_encoder_weights(shipped), shipped.cached))
    matches = _read(shipped, f"{MEMORY}matches.weight")[f"{MEMORY}matches.weight"]
    prompt = shipped.adapter.weights.get(f"{MEMORY}prompt") if shipped.adapter else None
    return Encoder(lower, upper, f"{shipped.digest}-{GRAPH_VERSION}", matches, shipped.cached, prompt=prompt)


def decoder(shipped: ReaderWeights) -> Decoder:
    """The decoder, which tells whether a citation bears its answer. Raises WeightsError."""
    from safetensors.numpy import load_file

    from models.reader import decoder_graph

    def make() -> ModelProto:
        words = load_file(base_encoder.folder() / BASE_WEIGHTS)[WORDS.removeprefix(MEMORY + ENCODER)]
        try:
            return decoder_graph.decoder(_read(shipped, *DECODER), words)
        except KeyError as error:
            raise WeightsError(f"{shipped.weights} is not a reader's: its decoder lacks {error}") from error

    return Decoder(_session(shipped, "decoder", make))


def _session(shipped: ReaderWeights, part: str, make: Callable[[], ModelProto]) -> InferenceSession:
    return open_session(f"reader-{part}-{shipped.digest}-int8-{GRAPH_VERSION}", make)


def save(state: Mapping[str, np.ndarray], model: Mapping[str, Any], folder: Path, calibration: Mapping[str, Any]) -> None:
    """Write a GroundedForCausalLM; model: its configuration. Raises WeightsError for trained word vectors, as those shipped are the base's own, and for what the
    graphs do not compute.
    """
    from safetensors.numpy import load_file, save_file

    positions = {"rope_type": "default", "rope_theta": 10000.0} | (model.get("rope_parameters") or {})
    other = [name for name, value in COMPUTED.items() if model.get(name, value) != value]
    other += ["rope_parameters"] * ((positions["rope_type"], positions["rope_theta"]) != ("default", 10000.0))
    if other:
        raise WeightsError(f"a model with {other[0]} of its own has no int8 graphs: read with it in torch, --reader DIR")
    base_weights = load_file(base_encoder.folder() / BASE_WEIGHTS)
    words = [(WORDS, state[TIED_WORDS])] if TIED_WORDS in state else []  # of weights that are tied a file has only one
    for name, values in [*state.items(), *words]:
        if name.startswith(EMBEDDINGS) and not np.array_equal(values, base_weights.get(name.removeprefix(MEMORY + ENCODER))):
            raise WeightsError(f"{name} is not the base's: train with the word vectors frozen")
    folder.mkdir(parents=True, exist_ok=True)
    kept: dict[str, np.ndarray] = {}
    for name, values in state.items():
        if name == TIED_WORDS or name.startswith(EMBEDDINGS) or not name.startswith((MEMORY, *DECODER)):
            continue
        if values.ndim == 2 and min(values.shape) > LARGE:
            levels, kept[name + WORTH] = quantised(values.T)
            kept[name] = np.ascontiguousarray(levels.T)
        else:
            kept[name] = values.astype(np.float16)
    save_file(kept, folder / WEIGHTS)
    own = {"format": FORMAT, "base": base_encoder.identity(), "digest": digest_of(folder / WEIGHTS), "calibration": dict(calibration)}
    (folder / CONFIG).write_text(json.dumps({**model, OWN: own}, indent=2) + "\n", encoding="utf-8")


def state(shipped: ReaderWeights) -> dict[str, np.ndarray]:
    """All weights of the GroundedForCausalLM, float32, the base's word vectors among them. Raises WeightsError."""
    from safetensors.numpy import load_file

    words = {MEMORY + ENCODER + name: values for name, values in load_file(base_encoder.folder() / BASE_WEIGHTS).items() if name.startswith("embeddings.")}
    return {**_read(shipped, ""), **words, TIED_WORDS: words[WORDS]}


def _read(shipped: ReaderWeights, *begins: str) -> dict[str, np.ndarray]:
    """The weights whose names begin so, float32. Raises WeightsError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(shipped.weights, "np") as file:
            there = file.keys()
            found = {name: file.get_tensor(name) for name in there if name.startswith(begins)}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{shipped.weights} is damaged ({error}): restore it from the repository") from error
    plain = {name: values.astype(np.float32) for name, values in found.items() if not name.endswith(WORTH)}
    return {name: values * found[name + WORTH][:, None] if name + WORTH in found else values for name, values in plain.items()}


def _parted(memory: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Weights of a memory encoder as those of its BERT, and of what stands around it."""
    named = {name.removeprefix(MEMORY): values for name, values in memory.items()}
    encoder = {name.removeprefix(ENCODER): values for name, values in named.items() if name.startswith(ENCODER)}
    return encoder, {name: values for name, values in named.items() if not name.startswith(ENCODER)}


def _encoder_weights(shipped: ReaderWeights) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What models.reader.encoder_graph makes its graphs of: the weights of the BERT, and of what stands around it."""
    from safetensors.numpy import load_file

    base_weights = load_file(base_encoder.folder() / BASE_WEIGHTS)
    encoder, heads = _parted(_read(shipped, MEMORY))
    width = base_weights["embeddings.word_embeddings.weight"].shape[1]
    wanted = {name: values.shape for name, values in base_weights.items() if name.startswith("encoder.layer.")}
    wanted |= {f"{head}.weight": (2, width) for head in ("span", "judge")} | {f"{head}.bias": (2,) for head in ("span", "judge")}
    wanted |= {"grid.rows.weight": (ROWS, width), "grid.columns.weight": (COLUMNS, width), "grid.header.weight": (width, width)}
    wanted |= {"matches.weight": (CODES, width), "grid.sides.weight": ((PLACES - 2) * SIDES, width)}
    wanted |= {"patches.weight": (width, WIDTH), "patches.bias": (width,)}
    live = flops.LAYERS - shipped.cached
    routed = any(name.startswith("routers.") for name in heads)
    kinds, size = len(BlockModality) - 1, heads.get("experts.0.bias", np.empty((1, 0))).shape[-1]
    for at in range(live):
        wanted |= {f"experts.{at}.down": (kinds, width, size), f"experts.{at}.bias": (kinds, size), f"experts.{at}.up": (kinds, size, width)}
        wanted |= {f"routers.{at}.weight": (width,), f"routers.{at}.bias": ()} if routed else {}
    if {name: values.shape for name, values in (encoder | heads).items()} != wanted:
        raise WeightsError(f"{shipped.weights} is not a reader's: some of its weights are missing or of another model")
    if shipped.adapter:
        changed = shipped.adapter.applied({MEMORY + name: values for name, values in heads.items()} | {MEMORY + ENCODER + name: values for name, values in encoder.items()})
        encoder, heads = _parted(changed)
    embeddings = {name: values for name, values in base_weights.items() if name.startswith("embeddings.")}
    return {**embeddings, **encoder}, heads
