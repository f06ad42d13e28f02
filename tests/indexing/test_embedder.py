"""The default embedder against its reference in torch, and sentence-transformers models by path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from indexing.build.run import build
from indexing.embedder import EmbedderError, SentenceTransformerEmbedder, open_embedder
from indexing.index import Index
from models.common import base_encoder, minilm

TEXTS = [
    "The wheel turns at six revolutions a minute.", "Mackerel is the cat's favourite.", "How fast does the wheel go?",
    "12 | 4.5 | 0.3",
    "Größe und Maß", "水車は海にある。", "x", "", "The pond holds nine thousand cubic metres of sea water. " * 60,
    "def height(tide): return tide - 1.1", "Invoice No 40836, total £126.05",
    "The mill has two pairs of stones, French burr and Peak.",
]


@pytest.fixture(scope="module")
def embedder() -> minilm.MiniLM:
    return minilm.MiniLM()


def test_int8_stays_close_to_torch(embedder: minilm.MiniLM) -> None:
    reference = SentenceTransformerEmbedder(str(base_encoder.folder()))
    ours, theirs = embedder.encode_documents(TEXTS), reference.encode_documents(TEXTS)
    assert (ours * theirs).sum(1).min() > 0.975
    assert np.abs(ours @ ours.T - theirs @ theirs.T).max() < 0.05
    assert embedder.count_tokens(TEXTS) == reference.count_tokens(TEXTS)
    assert embedder.max_tokens == reference.max_tokens == 254
    assert np.allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)


def test_an_embedding_does_not_depend_on_its_batch(embedder: minilm.MiniLM) -> None:
    together = embedder.encode_documents(TEXTS)
    alone = np.concatenate([embedder.encode_documents([text]) for text in TEXTS])
    assert np.allclose(together, alone, atol=1e-3)
    assert (embedder.encode_documents(TEXTS) == together).all()
    assert embedder.encode_documents([]).shape == (0, 384)


def test_the_graph_is_kept_in_memory_where_the_cache_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, embedder: minilm.MiniLM
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert (minilm.MiniLM().encode_queries(["tide"]) == embedder.encode_queries(["tide"])).all()


def test_without_onnx_runtime_torch_takes_over_in_the_same_space() -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from indexing.embedder import open_embedder; e = open_embedder()\n"
        "print(type(e).__name__, e.name, e.fingerprint)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["SentenceTransformerEmbedder", minilm.NAME, minilm.fingerprint()], done.stderr


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model whose questions and documents are prompted differently."""
    from models.common.torchvision_ops import ensure_operators

    ensure_operators()
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder / "bert")
    AutoTokenizer.from_pretrained(base_encoder.folder()).save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"), max_seq_length=64)
    model = SentenceTransformer(modules=[transformer, Pooling(32)], prompts={"query": "find: ", "document": "text: "})
    model.save(str(folder / "made"))
    return folder / "made"


def test_a_models_own_prompts_are_honoured(prompted: Path) -> None:
    made = open_embedder(str(prompted))
    assert (made.dimension, made.max_tokens) == (32, 62)
    query, document = made.encode_queries(["tide"])[0], made.encode_documents(["tide"])[0]
    assert not np.allclose(query, document, atol=1e-3)
    assert np.allclose(np.linalg.norm(query), 1, atol=1e-5)
    assert open_embedder(str(prompted)).fingerprint == made.fingerprint


def test_an_index_remembers_its_embedder(prompted: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("The tide mill stands on the creek. " * 30)
    build([tmp_path / "docs"], tmp_path / "index", embedder=str(prompted))
    reader = Index(tmp_path / "index")
    assert reader.embedder_name == str(prompted) and reader.fingerprint.endswith("/32/l2")
    assert reader.count() > 1  # its window is shorter than the default's
    (tmp_path / "docs" / "b.txt").write_text("Another page.")
    assert build([tmp_path / "docs"], tmp_path / "index").added == 1
    with pytest.raises(EmbedderError, match="made with the embedder"):
        build([tmp_path / "docs"], tmp_path / "index", embedder=minilm.NAME)


def test_other_weights_under_the_same_name_are_refused(prompted: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The tide mill.")
    build([tmp_path / "a.txt"], tmp_path / "index", embedder=str(prompted))
    weights = prompted / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-4] + b"\0\0\0\0")
    try:
        (tmp_path / "a.txt").write_text("The other mill.")
        with pytest.raises(EmbedderError, match="NEW_DIR"):
            build([tmp_path / "a.txt"], tmp_path / "index")
    finally:
        weights.write_bytes(before)


def test_a_model_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(EmbedderError, match="cannot open the embedder 'no/such-model'"):
        open_embedder("no/such-model")
