"""Quantised readers: equal after saving and opening, trained as they are stored, and wrong use is one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from qa_files import lot_rows, write_jsonl

from models.common.checkpoint import open_model
from models.common.errors import TrainError, WeightsError
from models.network.config import tiny
from models.network.grounded import GroundedForCausalLM
from models.network.memory_encoder import Live
from models.reader.sequences import CLS, SEP
from models.reader.windows import open_tokenizer
from models.systems.quantise import METHODS, PROJECTIONS, RECIPE, main, prepare, quantised, trained
from models.training.prepare_data import prepare_rows
from models.training.question_sets import read_qa

GROUP = 16
IDS = torch.arange(3, 33).view(2, 15)
ERRORS = {"int8-dynamic": 0.4, "int8": 0.2, "int4": 1.2}  # of a logit, at most


def model(vocabulary: int = 97, *words: int) -> GroundedForCausalLM:
    """All weights drawn, so that no part is without effect."""
    torch.manual_seed(0)
    made = GroundedForCausalLM(tiny(vocabulary, *words)).eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if weight.ndim > 1 and "embed" not in name:
                weight.normal_(0, weight.shape[-1] ** -0.5)
    return made


@torch.no_grad()
def said(model: GroundedForCausalLM) -> tuple[torch.Tensor, Live]:
    """Of a question with a block: what the decoder writes, what the encoder finds."""
    mask, kinds = torch.ones_like(IDS), torch.zeros(2, dtype=torch.long)
    grid, codes = torch.zeros(*IDS.shape, 6, dtype=torch.long), torch.zeros(2, 2 * IDS.shape[1], dtype=torch.long)
    live = model.memory.live(
        model.memory.lower(IDS, mask), mask, model.memory.lower(IDS, mask, grid), mask, codes, kinds
    )
    memory = model.remember(live.states, IDS, mask)
    return model(input_ids=IDS, **memory.inputs()).logits, live


def levels(weight: torch.Tensor) -> torch.Tensor:
    return getattr(weight, "qdata", weight)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "model"
    model().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_opened_again_it_says_the_same(
    plain: Path, tmp_path: Path, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--method", method, "--model", str(plain), "--out", str(tmp_path / "q"), "--group", str(GROUP), "--json"])
    told, made = json.loads(capsys.readouterr().out), quantised(model(), method, GROUP)
    again = open_model(GroundedForCausalLM, tmp_path / "q").eval()
    stored = dict(made.named_parameters())
    assert all(
        type(weight) is type(stored[name]) and torch.equal(levels(weight), levels(stored[name]))
        for name, weight in again.named_parameters()
    )
    whole, now, before = said(made), said(again), said(model())
    for one, two, three in ((whole[0], now[0], before[0]), (whole[1].spans, now[1].spans, before[1].spans)):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
        assert 1e-4 < (two - three).abs().max() < ERRORS[method]
    assert (
        told["bytes"]
        == (tmp_path / "q" / "model.safetensors").stat().st_size
        < (plain / "model.safetensors").stat().st_size
    )
    assert [path.name for path in tmp_path.iterdir()] == ["q"]


@pytest.mark.parametrize(("method", "most"), [("int8-dynamic", 128), ("int8", 128), ("int4", 8)])
def test_only_projections_become_integers(method: str, most: int) -> None:
    made = quantised(model(), method, GROUP)
    kinds = {name: type(weight.data) for name, weight in made.named_parameters()}
    integers = {name for name, kind in kinds.items() if kind is not torch.Tensor}
    linear = {f"{name}.weight" for name, module in made.named_modules() if isinstance(module, torch.nn.Linear)}
    assert (
        integers == {name for name in linear if name.startswith(PROJECTIONS)} and len(integers) == 4 * 6 + 3 * 7 + 2 * 5
    )
    assert max(
        int(levels(weight).int().abs().max()) for name, weight in made.named_parameters() if name in integers
    ) in (most - 1, most)
    before = model().state_dict()
    assert all(torch.equal(weight, before[name]) for name, weight in made.named_parameters() if name not in integers)


@pytest.mark.parametrize("method", METHODS)
def test_it_computes_what_training_saw(method: str) -> None:
    learning = model()
    prepare(learning, method, GROUP)
    made = quantised(learning, method, GROUP)
    seen, stored, before = said(learning), said(made), said(model())
    for one, two, three in ((seen[0], stored[0], before[0]), (seen[1].spans, stored[1].spans, before[1].spans)):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)
        assert (two - three).abs().max() > 1e-2  # what rounding changed


@pytest.mark.parametrize("method", METHODS)
def test_gradients_pass_the_rounding(method: str) -> None:
    learning = model()
    prepare(learning, method, GROUP)
    learning(input_ids=IDS, labels=IDS).loss.backward()
    for layer in learning.model.layers:
        assert layer.self_attn.q_proj.weight.grad.abs().sum() > 0 and layer.mlp.down_proj.weight.grad.abs().sum() > 0


def test_a_run_is_gone_on_with_and_gives_what_it_learned(tmp_path: Path) -> None:
    model(open_tokenizer().get_vocab_size(), CLS, SEP).save_pretrained(tmp_path / "plain")
    rows = lot_rows(8)
    prepare_rows(read_qa(write_jsonl(tmp_path / "own.jsonl", rows)), tmp_path / "prepared")
    before = open_model(GroundedForCausalLM, tmp_path / "plain").eval()
    config = replace(RECIPE, batches=3, tokens=300, learning_rate=1e-2)
    learned = trained(
        open_model(GroundedForCausalLM, tmp_path / "plain"), "int4", tmp_path / "prepared", config,
        tmp_path / "qat.run", GROUP,
    ).eval()
    main([
        "--method", "int4", "--model", str(tmp_path / "plain"), "--group", str(GROUP), "--out", str(tmp_path / "qat"),
        "--qat", "--data", str(tmp_path / "prepared"), "--batches", "3", "--tokens", "300", "--learning-rate", "1e-2",
    ])  # fmt: skip
    made = open_model(GroundedForCausalLM, tmp_path / "qat").eval()
    torch.testing.assert_close(said(made)[1].spans, said(learned)[1].spans, atol=1e-4, rtol=1e-4)
    assert (said(made)[1].spans - said(quantised(before, "int4", GROUP))[1].spans).abs().max() > 1e-2
    assert torch.equal(made.model.embed_tokens.weight, before.model.embed_tokens.weight)
    assert {path.name for path in tmp_path.iterdir()} == {"plain", "own.jsonl", "prepared", "qat"}


@pytest.mark.parametrize(("more", "kind", "says"), [
    (["--method", "int4", "--group", "5"], WeightsError, "groups of 5 weights do not divide.* a divisor of 16"),
    (["--method", "int4", "--group", "0"], WeightsError, "a divisor of 16"),
    (["--method", "int8", "--model", "nowhere"], WeightsError, "holds no GroundedForCausalLM"),
    (["--method", "int8", "--qat"], TrainError, "give --data"),
    (["--method", "int8", "--batches", "3"], TrainError, "nothing is trained without --qat"),
])  # fmt: skip
def test_what_cannot_be_done_is_one_line(
    plain: Path, tmp_path: Path, more: list[str], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        main(["--model", str(plain), "--out", str(tmp_path / "q"), *more])
    assert not list(tmp_path.iterdir())


def test_nothing_is_quantised_twice_or_written_over(plain: Path, tmp_path: Path) -> None:
    asked = ["--method", "int8", "--model", str(plain), "--out", str(tmp_path / "q")]
    main(asked)
    with pytest.raises(WeightsError, match="is there already"):
        main(asked)
    with pytest.raises(WeightsError, match="quantised already"):
        main(["--method", "int8", "--model", str(tmp_path / "q"), "--out", str(tmp_path / "twice")])
    damaged = tmp_path / "q" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="holds no GroundedForCausalLM"):
        open_model(GroundedForCausalLM, tmp_path / "q")
