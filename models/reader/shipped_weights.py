"""The reader whose weights come with Folio, in int8 through ONNX Runtime. Imports no torch.

A folder of weights holds

    model.safetensors   a GroundedForCausalLM: large matrices as the int8 levels that its graphs compute with, and the
                        value of one level in each row; the rest in float16; without word vectors (the base encoder's)
    config.json         a GroundedConfig, and under OWN the format and the digest
    README.md           a model card

GroundedForCausalLM.from_pretrained opens it too.
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
GRAPH_VERSION = 8  # raised when bert_graph or decoder_graph changes what it writes
WEIGHTS, CONFIG = "model.safetensors", "config.json"
OWN = "folio"  # the key of Folio's own part of the config
BASE_WEIGHTS = "model.safetensors"
MEMORY, ENCODER = "memory.", "bert."  # prefixes of weights: of the memory encoder, and of the BERT in it
EMBEDDINGS = MEMORY + ENCODER + "embeddings."
DECODER = ("model.", "projector.", "copy.")
COMPUTED = {  # values of a GroundedConfig that the graphs compute with; others are refused
    "model_type": "grounded", "memory_heads": None, "query_key_norm": False, "cross_sink": True,
    "hidden_act": "silu", "rms_norm_eps": 1e-6,
}  # fmt: skip
LARGE = 64  # a matrix of more rows and columns is saved as int8 levels
WORTH = ".worth"  # ends the name of the scale of a matrix in int8, the value of one level in each row
RESTORE = "restore it from the repository"
WORDS, TIED_WORDS = EMBEDDINGS + "word_embeddings.weight", "model.embed_tokens.weight"


@dataclass(frozen=True, slots=True)
class ReaderWeights:
    """A folder of weights, checked."""

    digest: str  # of the weights; names the graphs made of them
    cached_layers: int  # of the memory encoder, see models.reader.onnx_encoder
    path: Path  # of model.safetensors
    adapter: Adapter | None = None


def digest_of(weights: Path) -> str:
    return hashlib.blake2b(weights.read_bytes(), digest_size=8).hexdigest()


def is_shipped(folder: Path) -> bool:
    """Whether a folder holds weights as Folio ships them, and not a model as transformers saves it."""
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
    except OSError as error:
        reason = f"{error.filename} cannot be read ({error.strerror})"
        raise WeightsError(f"{reason}: restore {folder} from the repository") from error
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{folder / CONFIG} is damaged ({error!r}): {RESTORE}") from error
    if written != FORMAT:
        remedy = "take weights and program from the same release"
        raise WeightsError(f"{folder} is in format {written}, this Folio reads {FORMAT}: {remedy}")
    if made_with != base_encoder.identity():
        installed = base_encoder.identity()
        raise WeightsError(f"{folder} was trained on {made_with}, installed is {installed}: run `make install`")
    if digest != recorded:
        raise WeightsError(f"{folder / WEIGHTS} is damaged: its digest is not the one in {CONFIG}; {RESTORE}")
    adapted = open_adapter(adapter, digest, cached) if adapter else None
    return ReaderWeights(digest, cached, folder / WEIGHTS, adapted)


def encoder(weights: ReaderWeights) -> Encoder:
    """The memory encoder as the Compute of a models.reader.extractive_reader.Reader. Raises WeightsError."""
    from models.reader import encoder_graph

    @cache
    def upper(modality: BlockModality) -> InferenceSession:
        part = f"upper-{weights.adapter.digest}" if weights.adapter else "upper"
        name = f"{part}-{modality.name.lower()}"
        cached = weights.cached_layers
        return _session(weights, name, lambda: encoder_graph.upper(*_encoder_weights(weights), cached, modality), 1)

    def make_lower() -> ModelProto:
        return encoder_graph.lower(*_encoder_weights(weights), weights.cached_layers)

    lower, matches = _session(weights, "lower", make_lower, threads=1), f"{MEMORY}matches.weight"
    prompt = weights.adapter.weights.get(f"{MEMORY}prompt") if weights.adapter else None
    embeddings, name = _read(weights, matches)[matches], f"{weights.digest}-{GRAPH_VERSION}"
    return Encoder(lower, upper, name, embeddings, weights.cached_layers, prompt=prompt)


def decoder(weights: ReaderWeights) -> Decoder:
    """The decoder as an AnswerScorer, which says whether a citation bears its answer. Raises WeightsError."""
    from safetensors.numpy import load_file

    from models.reader import decoder_graph

    def make() -> ModelProto:
        words = load_file(base_encoder.folder() / BASE_WEIGHTS)[WORDS.removeprefix(MEMORY + ENCODER)]
        try:
            return decoder_graph.decoder(_read(weights, *DECODER), words)
        except KeyError as error:
            raise WeightsError(f"{weights.path} is not a reader's: its decoder lacks {error}") from error

    return Decoder(_session(weights, "decoder", make))


def _session(
    weights: ReaderWeights, part: str, make: Callable[[], ModelProto], threads: int = 0
) -> InferenceSession:
    return open_session(f"reader-{part}-{weights.digest}-int8-{GRAPH_VERSION}", make, threads)


def save(state: Mapping[str, np.ndarray], model: Mapping[str, Any], folder: Path) -> None:
    """Write a GroundedForCausalLM; model: its configuration.

    Raises WeightsError for trained word vectors, as those shipped are the base encoder's own, and for a model that the
    graphs do not compute.
    """
    from safetensors.numpy import load_file, save_file

    positions = {"rope_type": "default", "rope_theta": 10000.0} | (model.get("rope_parameters") or {})
    other = [name for name, value in COMPUTED.items() if model.get(name, value) != value]
    other += ["rope_parameters"] * ((positions["rope_type"], positions["rope_theta"]) != ("default", 10000.0))
    if other:
        remedy = "read with it in torch, --reader DIR"
        raise WeightsError(f"a model with {other[0]} of its own has no int8 graphs: {remedy}")
    base_weights = load_file(base_encoder.folder() / BASE_WEIGHTS)
    words = [(WORDS, state[TIED_WORDS])] if TIED_WORDS in state else []  # of weights that are tied a file has only one
    for name, values in [*state.items(), *words]:
        base = base_weights.get(name.removeprefix(MEMORY + ENCODER))
        if name.startswith(EMBEDDINGS) and not np.array_equal(values, base):
            raise WeightsError(f"{name} is not the base's: train with the word vectors frozen")
    folder.mkdir(parents=True, exist_ok=True)
    saved: dict[str, np.ndarray] = {}
    for name, values in state.items():
        if name == TIED_WORDS or name.startswith(EMBEDDINGS) or not name.startswith((MEMORY, *DECODER)):
            continue
        if values.ndim == 2 and min(values.shape) > LARGE:
            levels, saved[name + WORTH] = quantised(values.T)
            saved[name] = np.ascontiguousarray(levels.T)
        else:
            saved[name] = values.astype(np.float16)
    save_file(saved, folder / WEIGHTS)
    own = {"format": FORMAT, "base": base_encoder.identity(), "digest": digest_of(folder / WEIGHTS)}
    (folder / CONFIG).write_text(json.dumps({**model, OWN: own}, indent=2) + "\n", encoding="utf-8")


def state(weights: ReaderWeights) -> dict[str, np.ndarray]:
    """All weights of the GroundedForCausalLM, float32, the base's word vectors among them. Raises WeightsError."""
    from safetensors.numpy import load_file

    base = load_file(base_encoder.folder() / BASE_WEIGHTS)
    words = {MEMORY + ENCODER + name: values for name, values in base.items() if name.startswith("embeddings.")}
    return {**_read(weights, ""), **words, TIED_WORDS: words[WORDS]}


def _read(weights: ReaderWeights, *begins: str) -> dict[str, np.ndarray]:
    """The weights whose names begin so, float32. Raises WeightsError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights.path, "np") as file:
            names = file.keys()
            found = {name: file.get_tensor(name) for name in names if name.startswith(begins)}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{weights.path} is damaged ({error}): {RESTORE}") from error
    plain = {name: values.astype(np.float32) for name, values in found.items() if not name.endswith(WORTH)}
    for name in plain.keys() & {name.removesuffix(WORTH) for name in found if name.endswith(WORTH)}:
        plain[name] = plain[name] * found[name + WORTH][:, None]
    return plain


def _parted(memory: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Weights of a memory encoder as those of its BERT, and all others."""
    named = {name.removeprefix(MEMORY): values for name, values in memory.items()}
    encoder = {name.removeprefix(ENCODER): values for name, values in named.items() if name.startswith(ENCODER)}
    return encoder, {name: values for name, values in named.items() if not name.startswith(ENCODER)}


def _shapes(base: Mapping[str, np.ndarray], live: int, size: int, routed: bool) -> dict[str, tuple[int, ...]]:
    """The shape of each weight of the memory encoder that the graphs use.

    base: the base encoder's weights; live: upper layers; size: channels of an expert; routed: with routers.
    """
    width, experts = base["embeddings.word_embeddings.weight"].shape[1], len(BlockModality) - 1
    shapes = {name: values.shape for name, values in base.items() if name.startswith("encoder.layer.")}
    for head in ("span", "judge"):
        shapes |= {f"{head}.weight": (2, width), f"{head}.bias": (2,)}
    shapes |= {
        "grid.rows.weight": (ROWS, width), "grid.columns.weight": (COLUMNS, width),
        "grid.sides.weight": ((PLACES - 2) * SIDES, width), "grid.header.weight": (width, width),
        "matches.weight": (CODES, width),
        "patches.weight": (width, WIDTH), "patches.bias": (width,),
    }  # fmt: skip
    for at in range(live):
        shapes |= {
            f"experts.{at}.down": (experts, width, size), f"experts.{at}.bias": (experts, size),
            f"experts.{at}.up": (experts, size, width),
        }  # fmt: skip
        if routed:
            shapes |= {f"routers.{at}.weight": (width,), f"routers.{at}.bias": ()}
    return shapes


def _encoder_weights(weights: ReaderWeights) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What models.reader.encoder_graph makes its graphs of: the weights of the BERT, and all others."""
    from safetensors.numpy import load_file

    base = load_file(base_encoder.folder() / BASE_WEIGHTS)
    encoder, heads = _parted(_read(weights, MEMORY))
    size = heads.get("experts.0.bias", np.empty((1, 0))).shape[-1]
    routed = any(name.startswith("routers.") for name in heads)
    wanted = _shapes(base, flops.LAYERS - weights.cached_layers, size, routed)
    if {name: values.shape for name, values in (encoder | heads).items()} != wanted:
        raise WeightsError(f"{weights.path} is not a reader's: some of its weights are missing or of another model")
    if weights.adapter:
        whole = {MEMORY + ENCODER + name: values for name, values in encoder.items()}
        whole |= {MEMORY + name: values for name, values in heads.items()}
        encoder, heads = _parted(weights.adapter.applied(whole))
    embeddings = {name: values for name, values in base.items() if name.startswith("embeddings.")}
    return {**embeddings, **encoder}, heads
