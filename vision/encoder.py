"""Image embedders: images and texts in, L2-normalised vectors of one space out. Knows no index and no files of users.

The built-in tower runs in ONNX Runtime. Models of open_clip, transformers (CLIP, SigLIP) and sentence-transformers run
in torch and are opened by hub name, folder or file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from models.common import hub
from models.common.checkpoint import model_type
from models.common.errors import WeightsError
from models.common.onnx_session import open_session
from vision.errors import ImageModelError
from vision.tower_input import TowerConfig, pixels

if TYPE_CHECKING:
    import onnxruntime
    from onnx import ModelProto
    from PIL.Image import Image

NAME = "folio-tower"
WEIGHTS = Path(__file__).parents[1] / "data" / "weights" / "tower"
GRAPH_VERSION = 2  # raised when tower_graph changes what it writes
BATCH = 16  # images a forward pass
GRID = 4  # cells to a side of the pooled patch grid; the reader's prompt has as many places for an image
PATCHES = GRID * GRID
TRANSFORMERS_TYPES = ("clip", "siglip", "siglip2")  # `model_type` of the checkpoints that TransformersTowers opens

EncodeTexts = Callable[[Sequence[str]], np.ndarray]


class ImageEmbedder(Protocol):
    """An encoder of images and of texts. `fingerprint` names its vector space, as indexing.embedder.Embedder's does."""

    name: str
    fingerprint: str
    dimension: int

    def encode_images(self, images: Sequence[Image]) -> np.ndarray:
        """n images -> (n, dimension) float32, rows of length 1."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """n queries for images -> (n, dimension) float32, rows of length 1."""
        ...


def open_image_embedder(
    name: str = NAME, encode_texts: EncodeTexts | None = None, *, download: bool = False
) -> ImageEmbedder:
    """The image model called `name`, which is one of:

    - NAME, the built-in tower;
    - MODEL/PRETRAINED (a tag or a file), `hf-hub:...`, or a folder with open_clip_config.json: a model of open_clip;
    - a folder with a CLIP or SigLIP checkpoint of transformers;
    - any other hub name or folder: a model of sentence-transformers.

    encode_texts: the tower's text side (MiniLM), if the caller has it open already.
    download: fetch it where it is not on this machine. Raises ImageModelError if it cannot be opened.
    """
    if name == NAME:
        return EmbeddedTower(encode_texts=encode_texts)
    if not download and name.startswith("hf-hub:") and not hub.is_here(name.removeprefix("hf-hub:").partition("@")[0]):
        raise ImageModelError(f"cannot open the image model {name!r}: {hub.REMEDY}")
    from safetensors import SafetensorError

    from models.common.torchvision_ops import ensure_operators

    ensure_operators()
    try:
        with hub.access(download):
            return _open(name, download)
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ImageModelError(f"cannot open the image model {name!r}: {hub.REMEDY} ({reason})") from error


def _open(name: str, download: bool) -> ImageEmbedder:
    import open_clip

    model, _, pretrained = name.partition("/")
    if name.startswith("hf-hub:"):
        return OpenClip(name, name)
    if (Path(name) / "open_clip_config.json").exists():
        return OpenClip(name, f"local-dir:{name}")
    if _model_type(Path(name)) in TRANSFORMERS_TYPES:
        return TransformersTowers(name)
    if model in open_clip.list_models():
        if not download and _is_elsewhere(model, pretrained):
            raise ImageModelError(f"cannot open the image model {name!r}: {hub.REMEDY}")
        return OpenClip(name, model, pretrained or None)
    return SentenceTransformerImages(name)


def _is_elsewhere(model: str, pretrained: str) -> bool:
    """Whether open_clip would fetch these weights from an address of their own, and not through a hub."""
    from open_clip.pretrained import get_pretrained_cfg

    found = get_pretrained_cfg(model, pretrained) if pretrained else {}
    address = "" if found.get("hf_hub") else found.get("url", "")
    return bool(address) and not (Path.home() / ".cache" / "clip" / Path(address).name).is_file()


class EmbeddedTower:
    """The tower of vision.training.tower in ONNX Runtime. Thread-safe.

    Texts are embedded by MiniLM, into whose space the tower was trained (LiT, arXiv 2111.07991). Raises WeightsError.
    """

    name = NAME

    def __init__(self, folder: Path = WEIGHTS, encode_texts: EncodeTexts | None = None) -> None:
        self._folder = folder
        try:
            self._config = TowerConfig(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
            self._revision = _hash([folder / "config.json", folder / "model.safetensors"])
        except (OSError, ValueError, TypeError) as error:
            raise WeightsError(f"{folder} holds no image tower ({error})") from error
        self.dimension = self._config.output
        self.fingerprint = f"{NAME}@{self._revision}/{self.dimension}/l2"
        self._texts = encode_texts

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        return open_session(f"{NAME}-{self._revision}-{GRAPH_VERSION}", self._graph)

    def _graph(self) -> ModelProto:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        from vision.tower_graph import tower

        try:
            return tower(load_file(self._folder / "model.safetensors"), self._config)
        except (OSError, KeyError, SafetensorError) as error:
            reason = f"is damaged or of another version ({error})"
            raise WeightsError(f"{self._folder}/model.safetensors {reason}") from error

    def encode_images(self, images: Sequence[Image]) -> np.ndarray:
        """n images -> (n, dimension) float32, rows of length 1."""
        return np.concatenate([np.empty((0, self.dimension), np.float32), *self._run("embedding", images)])

    def patches(self, images: Sequence[Image]) -> np.ndarray:
        """n images -> patch features (n, PATCHES, dimension) float16, see `pooled_patches`."""
        pooled = map(pooled_patches, self._run("patches", images))
        return np.concatenate([np.empty((0, PATCHES, self.dimension), np.float16), *pooled])

    def _run(self, output: str, images: Sequence[Image]) -> Iterator[np.ndarray]:
        for batch in _batches(images):
            inputs = np.stack([pixels(image, self._config.size) for image in batch])  # (n, 3, size, size)
            yield self._session.run([output], {"pixels": inputs})[0]

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        if self._texts is None:
            from models.common.minilm import MiniLM

            self._texts = MiniLM().encode_queries
        return self._texts(texts)


def pooled_patches(features: np.ndarray) -> np.ndarray:
    """Mean-pool patch features (n, S * S, d) into a grid of GRID x GRID: (n, PATCHES, d) float16, row by row.

    Features are divided by the norm of the mean of all S * S, which is the scale of the embedding.
    """
    side = round(features.shape[1] ** 0.5)
    norms = np.linalg.norm(features.mean(1), axis=-1)  # (n,)
    square = features.reshape(len(features), side, side, -1) / norms[:, None, None, None]  # (n, S, S, d)
    spans = [*pairwise(side * at // GRID for at in range(GRID + 1))]
    means = [square[:, slice(*rows), slice(*columns)].mean((1, 2)) for rows in spans for columns in spans]
    return np.stack(means, 1).astype(np.float16)


class OpenClip:
    """A model of open_clip, in torch. model, pretrained: as open_clip.create_model_from_pretrained takes them."""

    def __init__(self, name: str, model: str, pretrained: str | None = None) -> None:
        import open_clip

        self._model, self._transform = open_clip.create_model_from_pretrained(model, pretrained=pretrained)
        self._model.eval()
        self._tokenizer = open_clip.get_tokenizer(model)
        self.name = name
        self.dimension = len(self.encode_texts(["picture"])[0])
        self.fingerprint = f"{name}@{_revision(Path(pretrained or name))}/{self.dimension}/l2"

    def encode_images(self, images: Sequence[Image]) -> np.ndarray:
        import torch

        with torch.inference_mode():
            batches = (torch.stack([self._transform(image) for image in batch]) for batch in _batches(images))
            parts = [self._model.encode_image(batch, normalize=True).numpy() for batch in batches]
        return np.concatenate([np.empty((0, self.dimension), np.float32), *parts])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self._model.encode_text(self._tokenizer(list(texts)), normalize=True).numpy()


class TransformersTowers:
    """A CLIP or SigLIP checkpoint of transformers with its processor, in torch.

    Texts are padded to the length of the text tower, as in SigLIP's training (arXiv 2303.15343).
    """

    def __init__(self, name: str) -> None:
        from transformers import AutoModel, AutoProcessor

        self._model = AutoModel.from_pretrained(name, local_files_only=True).eval()
        self._processor = AutoProcessor.from_pretrained(name, local_files_only=True)
        self.name = name
        self.dimension = len(self.encode_texts(["picture"])[0])
        self.fingerprint = f"{name}@{_revision(Path(name))}/{self.dimension}/l2"

    def encode_images(self, images: Sequence[Image]) -> np.ndarray:
        parts = [self._normalised(self._model.get_image_features, images=list(batch)) for batch in _batches(images)]
        return np.concatenate([np.empty((0, self.dimension), np.float32), *parts])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        length = self._model.config.text_config.max_position_embeddings
        padded = {"padding": "max_length", "max_length": length, "truncation": True}
        return self._normalised(self._model.get_text_features, text=list(texts), **padded)

    def _normalised(self, encode: Callable[..., Any], **inputs: Any) -> np.ndarray:
        import torch

        with torch.inference_mode():
            output = encode(**self._processor(return_tensors="pt", **inputs))
            return torch.nn.functional.normalize(output.pooler_output, dim=-1).numpy()


class SentenceTransformerImages:
    """A model of sentence-transformers that embeds images and texts, in torch."""

    def __init__(self, name: str) -> None:
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(name)
        self.name = name
        self.dimension = len(self.encode_texts(["picture"])[0])
        self.fingerprint = f"{name}@{_revision(Path(name))}/{self.dimension}/l2"

    def encode_images(self, images: Sequence[Image]) -> np.ndarray:
        return self._encoded(images) if images else np.empty((0, self.dimension), np.float32)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._encoded(texts)

    def _encoded(self, inputs: Sequence[Image] | Sequence[str]) -> np.ndarray:
        return self._model.encode(list(inputs), normalize_embeddings=True, show_progress_bar=False)


def _batches(images: Sequence[Image]) -> Iterator[Sequence[Image]]:
    return (images[at : at + BATCH] for at in range(0, len(images), BATCH))


def _model_type(folder: Path) -> str:
    try:
        return model_type(folder)
    except WeightsError:
        return ""


def _revision(path: Path) -> str:
    """A hash of a local model's files; "hub" if there is no such file or folder."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return _hash(files) if files else "hub"


def _hash(files: Sequence[Path]) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "blake2b").digest())
    return digest.hexdigest()
