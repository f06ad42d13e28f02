"""Weights as they are shipped: int8 against torch, and what is said of a folder that is not in order."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from models import floor, shipped
from models.errors import WeightsError
from models.floor import FloorReader
from models.layout import collate
from models.reader import Compute, Passage, Reader

ROOT = Path(__file__).parents[2]
CALIBRATION = {"threshold": 0.5}
PASSAGES = [
    Passage("The wheel turns at six revolutions a minute.", "Mill"), Passage("x"), Passage("水車は海にある。"),
    Passage("12 | 4.5 | 0.3\n13 | 4.6 | 0.2", "Tides"), Passage("The pond holds nine thousand cubic metres of sea water. " * 40),
]


@pytest.fixture(scope="module")
def trained() -> FloorReader:
    """MiniLM as it is under heads of chance, large enough that their logits differ."""
    torch.manual_seed(0)
    model = FloorReader.from_base().eval()
    with torch.no_grad():
        for head in (model.span, model.judge):
            head.weight.normal_(0, 0.5)
            head.bias.normal_(0, 0.5)
    return model


@pytest.fixture(scope="module")
def state(trained: FloorReader) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in trained.state_dict().items()}


@pytest.fixture(scope="module")
def folder(state: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("shipped") / "reader"
    shipped.save(state, made, CALIBRATION)
    return made


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(path))
        yield path / "folio"


@pytest.fixture(scope="module")
def compute(folder: Path, cache: Path) -> Compute:
    return shipped.compute(shipped.describe(folder))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "reader"))


def test_int8_stays_close_to_torch(trained: FloorReader, compute: Compute) -> None:
    rng = np.random.default_rng(0)
    parts = [(rng.integers(2000, 20000, 8), rng.integers(2000, 20000, i), rng.integers(2000, 20000, 30 * i)) for i in range(1, 7)]
    arrays = collate(parts)
    (spans, judged), (theirs, their_judged) = compute(*arrays), floor.compute(trained)(*arrays)
    assert spans.shape == (6, arrays[0].shape[1], 2) and judged.shape == (6, 2)
    read = arrays[2] == 1  # what stands in the padding is nobody's
    assert theirs[read].std() > 1
    assert np.corrcoef(spans[read].ravel(), theirs[read].ravel())[0, 1] > 0.98
    assert np.abs(spans[read] - theirs[read]).mean() < 0.15 * theirs[read].std()
    assert np.abs(judged - their_judged).max() < 0.5 * their_judged.std()


def test_segments_and_padding_count_as_in_torch(trained: FloorReader, compute: Compute) -> None:
    ids, types, mask = collate([(np.arange(3000, 3008), [], np.arange(4000, 4020))])
    whole = compute(ids, types, mask)
    assert np.abs(compute(ids, np.zeros_like(types), mask)[0] - whole[0]).max() > 0.3
    wide = [np.pad(array, ((0, 0), (0, 40))) for array in (ids, types, mask)]
    assert np.allclose(compute(*wide)[0][:, : ids.shape[1]], whole[0], atol=1e-3)


def test_a_finding_does_not_depend_on_its_batch(compute: Compute) -> None:
    pairs = [("How fast does the wheel turn?", passage) for passage in PASSAGES]
    reader = Reader(compute)
    together = reader.read_pairs(pairs)
    for pair, one in zip(pairs, together, strict=True):
        [alone] = reader.read_pairs([pair])
        assert (alone.start, alone.end) == (one.start, one.end)
        assert [alone.span, alone.answerable, alone.evidence] == pytest.approx([one.span, one.answerable, one.evidence], abs=2e-3)
    assert reader.read_pairs(pairs) == together


def test_the_graph_is_kept_and_made_again_where_it_is_damaged(folder: Path, compute: Compute, cache: Path) -> None:
    [kept] = cache.iterdir()  # and no half of one
    assert shipped.describe(folder).digest in kept.name
    before = kept.read_bytes()
    kept.write_bytes(before[: len(before) // 2])
    Reader(shipped.compute(shipped.describe(folder))).read_pairs([("Why?", PASSAGES[0])])
    assert kept.read_bytes() == before


def test_what_is_shipped_has_no_word_vectors(folder: Path) -> None:
    names = set(load_file(folder / shipped.WEIGHTS))
    assert {"span.weight", "judge.bias", "encoder.encoder.layer.5.output.dense.weight"} < names
    assert not any("embeddings" in name for name in names)
    assert shipped.describe(folder).calibration == CALIBRATION


def test_trained_word_vectors_are_not_shipped(state: dict[str, np.ndarray], tmp_path: Path) -> None:
    name = "encoder.embeddings.word_embeddings.weight"
    with pytest.raises(WeightsError, match="word vectors frozen"):
        shipped.save({**state, name: state[name] + 1e-3}, tmp_path, CALIBRATION)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [shipped.WEIGHTS, shipped.CONFIG])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(WeightsError, match=re.escape(str(copy / name))):
        shipped.describe(copy)
    with pytest.raises(WeightsError, match="nowhere"):
        shipped.describe(copy / "nowhere")


@pytest.mark.parametrize("text", ["{", "[]", "null", "{}", '{"format": 1}', "\xff"])
def test_a_damaged_sheet_is_named(copy: Path, text: str) -> None:
    (copy / shipped.CONFIG).write_text(text, encoding="latin-1")
    with pytest.raises(WeightsError, match=re.escape(f"{copy / shipped.CONFIG} is damaged")):
        shipped.describe(copy)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"format": 2}, "is in format 2, this Folio reads 1"), ({"base": "other@1"}, "was trained on other@1"), ({"digest": "0" * 16}, "is damaged")],
)
def test_weights_of_another_release_are_refused(copy: Path, change: dict, said: str) -> None:
    config = json.loads((copy / shipped.CONFIG).read_text())
    (copy / shipped.CONFIG).write_text(json.dumps({**config, **change}))
    with pytest.raises(WeightsError, match=said) as raised:
        shipped.describe(copy)
    assert str(copy) in str(raised.value)


def test_damaged_weights_are_named(copy: Path) -> None:
    weights = copy / shipped.WEIGHTS
    whole = weights.read_bytes()
    for damaged in (whole[:-1], whole[:-9] + bytes(9), b""):
        weights.write_bytes(damaged)
        with pytest.raises(WeightsError, match=re.escape(f"{weights} is damaged")):
            shipped.describe(copy)


def resealed(folder: Path) -> shipped.Shipped:
    """The folder with the digest that its weights have: what another program might have written."""
    config = json.loads((folder / shipped.CONFIG).read_text())
    config["digest"] = shipped.digest_of(folder / shipped.WEIGHTS)
    (folder / shipped.CONFIG).write_text(json.dumps(config))
    return shipped.describe(folder)


def test_weights_of_another_model_are_named(copy: Path) -> None:
    weights = copy / shipped.WEIGHTS
    kept = load_file(weights)
    shape = {**kept, "span.weight": kept["span.weight"][:, :5]}
    fewer = {name: values for name, values in kept.items() if name != "judge.bias"}
    for other in (fewer, {**kept, "more": np.zeros(1)}, {}, shape):
        save_file({name: np.ascontiguousarray(values) for name, values in other.items()}, weights)
        with pytest.raises(WeightsError, match=re.escape(f"{weights} is not a reader's")):
            shipped.compute(resealed(copy))
    weights.write_bytes(b"no safetensors")
    with pytest.raises(WeightsError, match=re.escape(f"{weights} is damaged")):
        shipped.compute(resealed(copy))


def test_reading_needs_no_torch(folder: Path, compute: Compute) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom models import shipped\nfrom models.reader import Passage, Reader\n"
        f"reader = Reader(shipped.compute(shipped.describe(Path({str(folder)!r}))))\n"
        "reader.read_pairs([('Why?', Passage('The mill stands.'))])\nprint('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["False", "False"], done.stderr
