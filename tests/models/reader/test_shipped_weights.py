"""Weights as they are shipped: int8 against torch, and what is said of a folder that is not in order."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from by_torch import by_torch
from safetensors.numpy import load_file, save_file

from models.common.errors import WeightsError
from models.network.baseline_reader import BaselineReader
from models.network.config import embedded
from models.network.grounded import GroundedForCausalLM
from models.reader import flops, shipped_weights
from models.reader.answer_blocks import answer, encode_blocks
from models.reader.coordinates import PLACES, SIDES, BlockModality
from models.reader.extractive_reader import Reader, modality_of_parts
from models.reader.image_patches import PATCHES, WIDTH, Picture
from models.reader.onnx_encoder import Encoder
from models.reader.sequences import Parts, collate
from models.reader.types import NOTHING
from models.reader.windows import Passage

ROOT = Path(__file__).parents[3]
CACHED = 2
PASSAGES = [
    Passage("The wheel turns at six revolutions a minute.", "Mill"),
    Passage("x"),
    Passage("水車は海にある。"),
    Passage("12 | 4.5 | 0.3\n13 | 4.6 | 0.2", "Tides"),
    Passage("The pond holds nine thousand cubic metres of sea water. " * 40),
]


@pytest.fixture(scope="module")
def trained() -> GroundedForCausalLM:
    """MiniLM as it is under heads of chance, large enough that their logits differ; a small decoder."""
    torch.manual_seed(0)
    config = embedded()
    config.num_hidden_layers, config.cross_attention_layers, config.memory_routed = 1, [0], True
    model = GroundedForCausalLM(config).eval()
    model.begin_with(BaselineReader.from_base())
    with torch.no_grad():
        for head in (model.memory.span, model.memory.judge):
            head.weight.normal_(0, 0.5)
            head.bias.normal_(0, 0.5)
        for table in (model.memory.grid.rows, model.memory.grid.columns, model.memory.grid.sides, model.memory.matches):
            table.weight[1:].normal_(0, 0.05)
        for experts in model.memory.experts:
            experts.up.normal_(0, 0.2)
        for router, bias in zip(model.memory.routers, (0.5, 9.0, -9.0, 9.0), strict=True):
            router.bias.fill_(bias)
        # mixed in one layer alone: int8 moves tokens over the edge, the more the later
        model.memory.routers[0].weight.normal_(0, 1)
        model.memory.patches.weight.normal_(0, 0.1)
    return model


@pytest.fixture(scope="module")
def state(trained: GroundedForCausalLM) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in trained.state_dict().items()}


@pytest.fixture(scope="module")
def folder(
    trained: GroundedForCausalLM, state: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    made = tmp_path_factory.mktemp("shipped") / "reader"
    shipped_weights.save(state, trained.config.to_dict(), made)
    return made


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(path))
        yield path / "folio"


@pytest.fixture(scope="module")
def encoder(folder: Path, cache: Path) -> Encoder:
    return shipped_weights.encoder(shipped_weights.describe(folder))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "reader"))


def parts() -> list[Parts]:
    """Blocks of several lengths and every kind. The first half of a table and of a page has eight columns."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(1, 7):
        grid = np.zeros((30 * i, PLACES), np.uint8)
        if i % 3:
            grid[: 15 * i, :2] = [(1 + at // 8, 1 + at % 8) for at in range(15 * i)]
        if i % 3 == 2:
            grid[:, 2:] = rng.integers(1, SIDES, (30 * i, 4))
        context = rng.integers(2000, 20000, 30 * i)
        # three words of it stand in the context
        question = np.concatenate([rng.integers(2000, 20000, 5), rng.choice(context, 3)])
        made.append(Parts(question, rng.integers(2000, 20000, i), context, context_grid=grid))
    picture = Picture(rng.normal(0, 0.06, (PATCHES, WIDTH)).astype(np.float16))
    return [
        *made,
        Parts(rng.integers(2000, 20000, 6), [], context[:20], picture=picture),
        Parts(rng.integers(2000, 20000, 6), [], [], picture=picture),
    ]


# int8 moves a few tokens over the edge, of few in a short block
@pytest.mark.parametrize(("routed", "alike", "apart"), [(False, 0.98, 0.15), (True, 0.9, 0.25)])
def test_int8_stays_close_to_torch(
    trained: GroundedForCausalLM, encoder: Encoder, tmp_path: Path, routed: bool, alike: float, apart: float
) -> None:
    model = trained
    if not routed:
        model = deepcopy(trained)
        for router in model.memory.routers:
            torch.nn.init.zeros_(router.weight)
            torch.nn.init.constant_(router.bias, 9.0)
        shipped_weights.save(
            {name: values.numpy() for name, values in model.state_dict().items()},
            model.config.to_dict(),
            tmp_path / "open")
        encoder = shipped_weights.encoder(shipped_weights.describe(tmp_path / "open"))
    spans, judged, *_ = encoder(collate(parts()))
    theirs = [by_torch(model, part) for part in parts()]
    for i, (part, (their_spans, *_)) in enumerate(zip(parts(), theirs, strict=True)):
        mine = np.concatenate([spans[i, :1], spans[i, len(part.question) + 2 : len(part)]])  # [CLS], then the block
        assert their_spans.std() > 1
        assert np.corrcoef(mine.ravel(), their_spans.ravel())[0, 1] > alike
        assert np.abs(mine - their_spans).mean() < apart * their_spans.std()
    their_judged = np.stack([judged for _, judged, _ in theirs])
    assert np.abs(judged - their_judged).max() < 0.5 * their_judged.std()


def test_a_table_is_read_as_one(encoder: Encoder) -> None:
    whole = encoder(collate(parts()))[0]
    flat = encoder(collate([replace(part, context_grid=np.zeros_like(part.context_grid)) for part in parts()]))[0]
    assert np.abs(whole - flat).max() > 0.3


def test_words_of_the_question_are_seen(encoder: Encoder) -> None:
    seeing, blind = (
        one(collate(parts()))[0]
        for one in (encoder, replace(encoder, match_embeddings=np.zeros_like(encoder.match_embeddings)))
    )
    assert np.abs(seeing - blind).max() > 0.3


def test_a_picture_is_seen_and_is_no_answer(encoder: Encoder) -> None:
    *_, part = parts()
    other = replace(part, picture=replace(part.picture, features=part.picture.features[::-1].copy()))
    seen, unlike = (encoder(collate([one])) for one in (part, other))
    assert np.abs(seen.judged - unlike.judged).max() > 0.1
    picture = Passage("", picture=part.picture)
    assert Reader(encoder).read_pairs([("Why?", picture)]) == [NOTHING]
    found, (window,) = Reader(encoder).study("Why?", [picture], [[]])
    assert found == [[]] and np.isfinite(window.judged).all() and window.modality is BlockModality.PAGE


def test_states_that_are_kept_are_those_of_the_picture(encoder: Encoder) -> None:
    *_, part = parts()
    other = replace(part, picture=replace(part.picture, features=part.picture.features[::-1].copy()))
    keeping = replace(encoder, cache={})
    keeping(collate([part]))
    assert np.array_equal(keeping(collate([other])).judged, encoder(collate([other])).judged)


def test_states_that_are_kept_change_nothing(encoder: Encoder) -> None:
    kept: dict[str, bytes] = {}
    keeping = replace(encoder, cache=kept)
    first = keeping(collate(parts()))
    assert len(kept) == 8  # blocks alone, no questions
    again = keeping(collate([replace(part, question=part.question[:5]) for part in parts()]))
    fresh = encoder(collate([replace(part, question=part.question[:5]) for part in parts()]))
    assert len(kept) == 8 and all(
        np.array_equal(mine, theirs) for mine, theirs in zip(again[:3], fresh[:3], strict=True)
    )
    assert all(
        np.array_equal(mine, theirs) for mine, theirs in zip(first[:3], encoder(collate(parts()))[:3], strict=True)
    )
    lengths = [len(part) - part.block for part in parts()]
    assert [theirs.flops - mine.flops for mine, theirs in zip(again.costs, fresh.costs, strict=True)] == [
        flops.layers(CACHED, length) for length in lengths
    ]


def test_what_is_kept_is_what_is_used(encoder: Encoder) -> None:
    kept: dict[str, bytes] = {}
    keeping = replace(encoder, cache=kept)
    before = keeping(collate(parts()))[0]
    kept |= dict(zip(kept, [bytes(len(states)) for states in kept.values()], strict=True))
    assert np.abs(keeping(collate(parts()))[0] - before).max() > 0.3


def test_a_finding_does_not_depend_on_its_batch(encoder: Encoder) -> None:
    pairs = [("How fast does the wheel turn?", passage) for passage in PASSAGES]
    reader = Reader(encoder)
    together = reader.read_pairs(pairs)
    for pair, one in zip(pairs, together, strict=True):
        [alone] = reader.read_pairs([pair])
        assert (alone.start, alone.end) == (one.start, one.end)
        assert [alone.span, alone.answerable, alone.evidence] == pytest.approx(
            [one.span, one.answerable, one.evidence], abs=2e-3
        )
    assert reader.read_pairs(pairs) == together


def test_a_null_expert_costs_nothing_and_is_taken_as_in_torch(
    encoder: Encoder, trained: GroundedForCausalLM, folder: Path, tmp_path: Path
) -> None:
    made = encoder(collate(parts()))
    for part, spent in zip(parts(), made.costs, strict=True):
        theirs = int((by_torch(trained, part)[2] == 0).sum())
        assert spent.routed == 4 * len(part) and 0.2 < spent.null / spent.routed < 0.8
        assert abs(spent.null - theirs) <= 0.03 * spent.routed  # int8 moves a few over the edge
        every = (
            flops.layers(2, len(part.question) + 2)
            + flops.layers(2, len(part) - len(part.question) - 2)
            + flops.layers(4, len(part))
        )
        assert spent.flops == every - 4 * spent.null * flops.WIDTH * flops.INNER


def test_experts_are_of_their_kind(
    encoder: Encoder, trained: GroundedForCausalLM, state: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """Without the experts of pages only pages are read otherwise."""
    poor = {
        name: np.concatenate([values[:1], 0 * values[1:]]) if name.startswith("memory.experts") else values
        for name, values in state.items()
    }
    shipped_weights.save(poor, trained.config.to_dict(), tmp_path / "poor")
    mine, theirs = (
        encoder(collate(parts())),
        shipped_weights.encoder(shipped_weights.describe(tmp_path / "poor"))(collate(parts())),
    )
    changed = [not np.array_equal(a, b) for a, b in zip(mine.spans, theirs.spans, strict=True)]
    assert changed == [modality_of_parts(part) is BlockModality.PAGE for part in parts()]


def test_blocks_are_encoded_before_they_are_asked(encoder: Encoder) -> None:
    kept: dict[str, bytes] = {}
    reader = Reader(replace(encoder, cache=kept))
    boxes = tuple((at, at + 3, at / 20, 0.1, (at + 3) / 20, 0.2) for at in range(0, 12, 4))
    blocks = [*PASSAGES, Passage("one two six", boxes=boxes)]
    memory = encode_blocks(blocks, reader)
    before = dict(kept)
    given = answer("How fast does the wheel turn?", memory)
    assert kept == before and len(kept) >= len(blocks)  # nothing of a block was computed again
    ((block, start, end),) = given.spans
    assert given.text == blocks[block].text[start:end] and given.tokens and len(given.evidence) == len(blocks)
    assert 0 < given.confidence < 1 and given == answer("How fast does the wheel turn?", memory)
    ((_, first, last),) = (alone := answer("Why?", encode_blocks(blocks[-1:], reader))).spans
    assert alone.boxes == tuple(tuple(box) for a, b, *box in boxes if a < last and first < b) != ()


def test_nothing_is_found_in_no_blocks(encoder: Encoder) -> None:
    reader = Reader(replace(encoder, cache={}))
    for blocks in ([], [""], [Passage("", "title"), Passage("  ")]):
        found = answer("Why?", encode_blocks(blocks, reader))
        assert (found.text, found.tokens, found.spans, found.boxes, found.confidence) == ("", (), (), (), 0.0)
        assert len(found.evidence) == len(blocks)
    with pytest.raises(TypeError, match="no cache of block states"):
        encode_blocks(PASSAGES, Reader(encoder))


@pytest.mark.parametrize("half", ["lower", "upper-text"])
def test_the_graphs_are_kept_and_made_again_where_one_is_damaged(
    folder: Path, encoder: Encoder, cache: Path, half: str
) -> None:
    assert all(path.suffix == ".onnx" for path in cache.iterdir())  # and no half of one
    [kept] = [
        path for path in cache.iterdir() if half in path.name and shipped_weights.describe(folder).digest in path.name
    ]
    before = kept.read_bytes()
    kept.write_bytes(before[: len(before) // 2])
    Reader(shipped_weights.encoder(shipped_weights.describe(folder))).read_pairs([("Why?", PASSAGES[0])])
    assert kept.read_bytes() == before


def test_what_is_shipped_has_no_word_vectors(folder: Path) -> None:
    names = set(load_file(folder / shipped_weights.WEIGHTS))
    assert {
        "memory.span.weight",
        "memory.judge.bias",
        "memory.bert.encoder.layer.5.output.dense.weight",
        "memory.grid.rows.weight",
    } < names
    assert not any("embeddings" in name for name in names)


@pytest.mark.parametrize("name", [
    "memory.bert.embeddings.word_embeddings.weight", "model.embed_tokens.weight",
    "memory.bert.embeddings.LayerNorm.bias",
])
def test_trained_word_vectors_are_not_shipped(state: dict[str, np.ndarray], tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="word vectors frozen"):
        shipped_weights.save({**state, name: state[name] + 1e-3}, {}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("more", [
    {"model_type": "grounded_sparse_attention"}, {"memory_heads": 6}, {"cross_sink": False}, {"rms_norm_eps": 1e-5},
    {"rope_parameters": {"rope_theta": 5e5}}, {"rope_parameters": {"rope_type": "yarn", "factor": 2.0}},
])
def test_what_the_graphs_do_not_compute_is_refused(
    trained: GroundedForCausalLM, state: dict[str, np.ndarray], tmp_path: Path, more: dict
) -> None:
    with pytest.raises(WeightsError, match=f"a model with {next(iter(more))} of its own has no int8 graphs"):
        shipped_weights.save(state, trained.config.to_dict() | more, tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [shipped_weights.WEIGHTS, shipped_weights.CONFIG])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(WeightsError, match=re.escape(str(copy / name))):
        shipped_weights.describe(copy)
    with pytest.raises(WeightsError, match="nowhere"):
        shipped_weights.describe(copy / "nowhere")


@pytest.mark.parametrize("text", ["{", "[]", "null", "{}", '{"format": 1}', "\xff"])
def test_a_damaged_sheet_is_named(copy: Path, text: str) -> None:
    (copy / shipped_weights.CONFIG).write_text(text, encoding="latin-1")
    with pytest.raises(WeightsError, match=re.escape(f"{copy / shipped_weights.CONFIG} is damaged")):
        shipped_weights.describe(copy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 1}, "is in format 1, this Folio reads 5"),
        ({"base": "other@1"}, "was trained on other@1"),
        ({"digest": "0" * 16}, "is damaged"),
    ],
)
def test_weights_of_another_release_are_refused(copy: Path, change: dict, said: str) -> None:
    config = json.loads((copy / shipped_weights.CONFIG).read_text())
    (copy / shipped_weights.CONFIG).write_text(
        json.dumps({**config, shipped_weights.OWN: {**config[shipped_weights.OWN], **change}})
    )
    with pytest.raises(WeightsError, match=said) as raised:
        shipped_weights.describe(copy)
    assert str(copy) in str(raised.value)


def test_damaged_weights_are_named(copy: Path) -> None:
    weights = copy / shipped_weights.WEIGHTS
    whole = weights.read_bytes()
    for damaged in (whole[:-1], whole[:-9] + bytes(9), b""):
        weights.write_bytes(damaged)
        with pytest.raises(WeightsError, match=re.escape(f"{weights} is damaged")):
            shipped_weights.describe(copy)


def resealed(folder: Path) -> shipped_weights.ReaderWeights:
    """The folder with the digest that its weights have: what another program might have written."""
    config = json.loads((folder / shipped_weights.CONFIG).read_text())
    config[shipped_weights.OWN]["digest"] = shipped_weights.digest_of(folder / shipped_weights.WEIGHTS)
    (folder / shipped_weights.CONFIG).write_text(json.dumps(config))
    return shipped_weights.describe(folder)


def test_weights_of_another_model_are_named(copy: Path) -> None:
    weights = copy / shipped_weights.WEIGHTS
    kept = load_file(weights)
    shape = {**kept, "memory.span.weight": kept["memory.span.weight"][:, :5]}
    fewer = {name: values for name, values in kept.items() if name != "memory.judge.bias"}
    undecided = {name: values for name, values in kept.items() if name != "copy.sentinel.bias"}
    save_file(undecided, weights)
    with pytest.raises(WeightsError, match=r"its decoder lacks .copy\.sentinel\.bias."):
        shipped_weights.decoder(resealed(copy))
    for other in (fewer, {**kept, "more": np.zeros(1)}, {}, shape):
        save_file({name: np.ascontiguousarray(values) for name, values in other.items()}, weights)
        with pytest.raises(WeightsError, match=re.escape(f"{weights} is not a reader's")):
            shipped_weights.encoder(resealed(copy))
    weights.write_bytes(b"no safetensors")
    with pytest.raises(WeightsError, match=re.escape(f"{weights} is damaged")):
        shipped_weights.encoder(resealed(copy))


def test_reading_needs_no_torch(folder: Path, encoder: Encoder) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from models.reader import shipped_weights\n"
        "from models.reader.extractive_reader import Reader\n"
        "from models.reader.windows import Passage\n"
        f"weights = shipped_weights.describe(Path({str(folder)!r}))\n"
        "reader = Reader(shipped_weights.encoder(weights), shipped_weights.decoder(weights))\n"
        "reader.read_pairs([('Why?', Passage('The mill stands.'))])\n"
        "print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_transformers_opens_what_is_shipped(trained: GroundedForCausalLM, folder: Path, tmp_path: Path) -> None:
    """Its own way and the Auto classes'; what is saved again is an ordinary model with the same weights."""
    from transformers import AutoModelForCausalLM

    opened = AutoModelForCausalLM.from_pretrained(folder)
    assert isinstance(opened, GroundedForCausalLM) and not opened.training
    opened.save_pretrained(tmp_path / "saved")
    again = GroundedForCausalLM.from_pretrained(tmp_path / "saved")
    for (name, weight), other, near in zip(
        opened.state_dict().items(), again.state_dict().values(), trained.state_dict().values(), strict=True
    ):
        assert torch.equal(weight, other), name
        assert (weight - near).abs().max() <= near.abs().max() / 60 + 1e-3, name  # int8
    assert (
        opened.lm_head.weight
        is opened.model.embed_tokens.weight
        is opened.memory.bert.embeddings.word_embeddings.weight
    )
