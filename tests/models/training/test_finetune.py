"""Adapters: each method trains a small part, and int8 answers as the trained model does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from by_torch import by_torch
from qa_files import lot_rows, row, write_jsonl
from safetensors.numpy import load_file, save_file

from models.common.checkpoint import open_model
from models.common.errors import DataError, WeightsError
from models.network.grounded import GroundedForCausalLM
from models.reader import adapter, shipped_weights
from models.reader.coordinates import BlockModality
from models.reader.sequences import collate
from models.reader.windows import Passage, cut, open_tokenizer
from models.training import evaluate, finetune
from models.training.question_sets import read_qa
from models.training.training_loop import TrainConfig

SPAN = "memory.span.weight"
ROWS = lot_rows(24)
PAIRS = [
    ("Which grade has lot 5?", Passage("Lot 5 was sampled and found to be of grade B. It is kept in the hall.")),
    ("Who paid?", Passage("Nobody did.", "Tolls")),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "own.jsonl"
    write_jsonl(path, ROWS)
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped weights with open routers: int8 routes some tokens unlike torch, which hides what is compared."""
    own, folder = shipped_weights.describe(), tmp_path_factory.mktemp("open") / "reader"
    state = {
        name: np.full_like(values, 9.0 * name.endswith("bias")) if name.startswith("memory.routers.") else values
        for name, values in shipped_weights.state(own).items()
    }
    config = json.loads((shipped_weights.FOLDER / shipped_weights.CONFIG).read_text())
    del config[shipped_weights.OWN]
    shipped_weights.save(state, config, folder)
    return folder


@pytest.fixture(scope="module", params=adapter.METHODS)
def made(
    request: pytest.FixtureRequest, data: Path, base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict, GroundedForCausalLM]:
    """An adapter's folder, what was said of it, and a model that was adapted in the same way."""
    out, models = tmp_path_factory.mktemp("adapter") / request.param, []
    with pytest.MonkeyPatch.context() as patch:
        train = finetune.train

        def observed(model: torch.nn.Module, *rest: object, **options: object) -> torch.nn.Module:
            models.append(train(model, *rest, **options))
            return models[-1]

        patch.setattr(finetune, "train", observed)
        rate = 5e-4 if request.param == "full" else 5e-3
        config = TrainConfig(epochs=3, tokens=600, learning_rate=rate, precision="fp32")
        report = finetune.finetune(data, out, request.param, config, base)
    return out, report, models[0].eval()


def test_what_is_answered_is_what_was_trained(made: tuple[Path, dict, GroundedForCausalLM], base: Path) -> None:
    out, _, model = made
    parts = [one.parts for one in cut(PAIRS, open_tokenizer())]
    rows = collate(parts)
    plain, adapted = (shipped_weights.encoder(shipped_weights.describe(base, folder))(rows) for folder in (None, out))
    before = open_model(GroundedForCausalLM, base).eval()
    for at, one in enumerate(parts):
        seen = [0, *range(one.block, len(one))]
        moved = adapted.spans[at, seen] - plain.spans[at, seen]
        theirs = by_torch(model, one)[0] - by_torch(before, one)[0]
        assert np.abs(theirs).mean() > 0.3 and np.corrcoef(moved.ravel(), theirs.ravel())[0, 1] > 0.9
    assert adapted.spans.shape[:2] == adapted.states.shape[:2] == rows.input_ids.shape
    assert adapted.costs[0].routed >= plain.costs[0].routed


def test_a_small_share_is_trained_and_only_what_may_be(
    made: tuple[Path, dict, GroundedForCausalLM], data: Path, base: Path
) -> None:
    out, report, model = made
    assert report["share"] < 0.01 or report["method"] == "full"
    held = {one.context for one in read_qa(data) if finetune.held_out(one.context)}
    assert report["held"] == len(held) > 0 and report["questions"] == len(ROWS) - len(held)
    assert not (out / "run").exists() and {path.name for path in out.iterdir()} == {adapter.ABOUT, adapter.WEIGHTS}
    before = open_model(GroundedForCausalLM, base).state_dict()
    after = {
        name.replace(".base_layer.", "."): weight
        for name, weight in model.named_parameters()
        if not weight.requires_grad
    }
    assert len(after) > 100 and all(torch.equal(before[name], weight) for name, weight in after.items())


def test_states_that_are_kept_of_blocks_stay_right(made: tuple[Path, dict, GroundedForCausalLM], base: Path) -> None:
    rows, kept = collate([one.parts for one in cut(PAIRS, open_tokenizer())]), {}
    for folder in (None, made[0]):
        replace(shipped_weights.encoder(shipped_weights.describe(base, folder)), cache=kept).keep(rows)
    assert len(kept) == len(PAIRS)


def test_the_command_tells_before_and_after(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finetune.main([
        "--data", str(data), "--out", str(tmp_path / "own"), "--epochs", "1", "--tokens", "900", "--batches", "2",
        "--precision", "fp32", "--json",
    ])
    told = json.loads(capsys.readouterr().out)
    assert told["method"] == "lora" and set(told["before"]) == set(told["after"]) == {"exact_match", "f1", "auroc"}
    evaluate.main(["qa", str(data), "--adapter", str(tmp_path / "own"), "--json"])
    assert json.loads(capsys.readouterr().out)["own"]["f1"]["n"] == len(ROWS)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """An adapter that changes nothing."""
    weights = {SPAN: torch.from_numpy(shipped_weights.state(shipped_weights.describe())[SPAN])}
    finetune.save(finetune.Tuned(weights, 0.0), "full", shipped_weights.describe().digest, {}, tmp_path / "plain")
    return tmp_path / "plain"


def test_an_adapter_that_changes_nothing_does_not(plain: Path) -> None:
    rows = collate([one.parts for one in cut(PAIRS, open_tokenizer())])
    mine, theirs = (shipped_weights.encoder(shipped_weights.describe(adapter=folder))(rows) for folder in (plain, None))
    assert np.array_equal(mine.spans, theirs.spans)


@pytest.mark.parametrize(("about", "weights", "says"), [
    ({"base": "0000"}, {}, "made for the weights 0000"), ({"format": 2}, {}, "is in format 2"),
    ({"scale": "much"}, {}, "is damaged"),
    ({}, {"memory.bert.encoder.layer.3.output.dense.lora_A.weight": (4, 1536)}, "must not hold"),
    ({}, {"memory.bert.encoder.layer.1.output.dense.bias": (384,)}, "must not hold"),
    ({}, {SPAN: (2, 5)}, "of another model"),
])  # fmt: skip
def test_a_wrong_adapter_is_one_clear_line(plain: Path, about: dict, weights: dict, says: str) -> None:
    (plain / adapter.ABOUT).write_text(json.dumps({**json.loads((plain / adapter.ABOUT).read_text()), **about}))
    strange = {adapter.PEFT + name: np.zeros(shape, np.float32) for name, shape in weights.items()}
    save_file({**load_file(plain / adapter.WEIGHTS), **strange}, plain / adapter.WEIGHTS)
    with pytest.raises(WeightsError, match=says):
        shipped_weights.encoder(shipped_weights.describe(adapter=plain)).upper(BlockModality.TEXT)


def test_a_torn_adapter_and_none(plain: Path, tmp_path: Path) -> None:
    (plain / adapter.WEIGHTS).write_bytes((plain / adapter.WEIGHTS).read_bytes()[:200])
    with pytest.raises(WeightsError, match="is damaged"):
        shipped_weights.describe(adapter=plain)
    with pytest.raises(WeightsError, match="holds no adapter"):
        shipped_weights.describe(adapter=tmp_path / "nothing")


def test_a_file_without_an_answer_teaches_nothing(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "none.jsonl", [row("How deep is it?", "The pool is round.")])
    with pytest.raises(DataError, match="nothing to learn from"):
        finetune.finetune(tmp_path / "none.jsonl", tmp_path / "out", "lora", TrainConfig())
    assert not (tmp_path / "out").exists()
