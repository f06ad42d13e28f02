"""The Embedder protocol, and the embedder that a name stands for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from models.common import base_encoder, hub, minilm
from models.common.errors import FolioError


class EmbedderError(FolioError):
    """An embedder that cannot be opened, or that is not the one of the index."""


class Embedder(Protocol):
    """Texts to unit vectors. `fingerprint` names the vector space: model, revision, dimension, normalisation."""

    name: str
    fingerprint: str
    dimension: int
    max_tokens: int  # that a text may have, special tokens not counted

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Of each text, special tokens not counted."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> np.ndarray:
        """(n, dimension) float32, each row of length 1."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        """The same for questions, which some models put another prompt before."""
        ...


def open_embedder(name: str = minilm.NAME, *, download: bool = False) -> Embedder:
    """The embedder called `name`: the default one, or any sentence-transformers model by hub name or folder.

    download: fetch it from the hub where it is not on this machine. Raises EmbedderError when it cannot be opened.
    """
    if name != minilm.NAME:
        return SentenceTransformerEmbedder(name, download=download)
    try:
        return minilm.MiniLM()
    except ImportError:  # no ONNX Runtime for this platform: the same weights through torch, the same space
        folder = str(base_encoder.folder())
        return SentenceTransformerEmbedder(folder, name=minilm.NAME, fingerprint=minilm.fingerprint())


def other_embedder(directory: Path, recorded: str, asked: str) -> EmbedderError:
    return EmbedderError(
        f"{directory} was made with the embedder {recorded!r}, not {asked!r}: open it with `--embedder {recorded}` "
        "(or without --embedder), or index its sources again into a new directory with "
        f"`--embedder {asked} --index NEW_DIR`"
    )


def other_image_model(directory: Path, recorded: str, asked: str) -> EmbedderError:
    name = asked.partition("@")[0]
    return EmbedderError(
        f"the pictures of {directory} were embedded with {recorded!r}, not {asked!r}: leave --image-model out, "
        f"or index its sources again into a new directory with `--image-model {name} --index NEW_DIR`"
    )


def check_fingerprint(directory: Path, recorded: str | None, embedder: Embedder) -> None:
    """Raises EmbedderError, with both remedies, when an index's vectors are of another space than the embedder's."""
    if recorded and recorded != embedder.fingerprint:
        raise other_embedder(directory, recorded, embedder.fingerprint)


class SentenceTransformerEmbedder:
    """Any sentence-transformers model, with its own query and document prompts. Code that comes with it is not run."""

    def __init__(self, path: str, *, name: str = "", fingerprint: str = "", download: bool = False) -> None:
        if not download and not hub.is_here(path):
            raise EmbedderError(f"cannot open the embedder {path!r}: {hub.REMEDY}")
        from models.common.torchvision_ops import ensure_operators

        ensure_operators()
        from sentence_transformers import SentenceTransformer

        try:
            with hub.access(download):
                self._model = SentenceTransformer(path, local_files_only=not download, trust_remote_code=False)
        except (OSError, ValueError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise EmbedderError(f"cannot open the embedder {path!r}: {hub.REMEDY} ({reason})") from error
        self.name = name or path
        self.dimension = self._model.get_embedding_dimension()
        self.max_tokens = (self._model.max_seq_length or 512) - self._model.tokenizer.num_special_tokens_to_add()
        self.fingerprint = fingerprint or f"{path}@{_revision(self._model, path)}/{self.dimension}/l2"

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        encoded = self._model.tokenizer(list(texts), add_special_tokens=False, verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]

    def encode_documents(self, texts: Sequence[str]) -> np.ndarray:
        return self._model.encode_document(list(texts), normalize_embeddings=True, show_progress_bar=False)

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        return self._model.encode_query(list(texts), normalize_embeddings=True, show_progress_bar=False)


def _revision(model: object, path: str) -> str:
    """The hub commit of a downloaded model, or a hash of a local folder's files."""
    if not Path(path).is_dir():
        return getattr(model[0].auto_model.config, "_commit_hash", None) or "unknown"
    digest = hashlib.blake2b(digest_size=6)
    for file in sorted(Path(path).rglob("*")):
        if file.suffix in {".safetensors", ".json", ".txt", ".model"}:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "blake2b").digest())
    return digest.hexdigest()
