"""The flags of attention: every implementation computes the same, and reaches memory encoder and decoder alike."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import torch
from qa_files import row, write_jsonl

from models.common.errors import AttentionError, WeightsError
from models.network.config import tiny
from models.network.grounded import GroundedForCausalLM
from models.network.memory_encoder import MemoryEncoder
from models.reader.coordinates import PLACES
from models.reader.sequences import WINDOW
from models.reader.windows import Passage
from models.systems import attention_flags, evaluate, train
from models.systems.sparse_attention import SparseAttentionConfig
from models.training.evaluate import open_reader
from models.training.prepare_data import prepare

ROWS = [
    row(f"How warm is pool {i}?", f"Pool {i} is heated to {i + 100} degrees.", f"{i + 100} degrees") for i in range(9)
]
LONG = " ".join(one["context"] for one in ROWS) * 6


def attend(*flags: str) -> attention_flags.Attend | None:
    parser = argparse.ArgumentParser()
    attention_flags.add(parser)
    return attention_flags.given(parser.parse_args(flags))


def computed(*flags: str) -> tuple[list[torch.Tensor], GroundedForCausalLM]:
    """Logits and gradients of one text in the decoder and in the memory encoder."""
    torch.manual_seed(0)
    model = GroundedForCausalLM(tiny())
    model.memory.config._attn_implementation = "eager"  # as presets have it
    if given := attend(*flags):
        model = given(model)
    torch.manual_seed(1)
    ids = torch.randint(3, 97, (2, 30))
    mask = torch.ones_like(ids)
    mask[1, 20:] = 0
    memory = model.remember(model.memory.lower(ids, mask, torch.zeros(2, 30, PLACES, dtype=torch.long)), ids, mask)
    logits = model(ids, attention_mask=mask, **memory.inputs()).logits[mask.bool()]
    logits.max(-1).values.sum().backward()
    return [logits.detach(), *(weight.grad for weight in model.parameters() if weight.grad is not None)], model


def test_every_way_computes_the_same() -> None:
    expected, plain = computed()
    assert (plain.config._attn_implementation, plain.memory.config._attn_implementation) == ("sdpa", "eager")
    for flags in (
        ["--attention", "eager"],
        ["--attention", "sdpa"],
        ["--attention", "sparse", "--attention-window", "40"],
    ):
        found, model = computed(*flags)
        assert {
            model.config._attn_implementation,
            model.memory.config._attn_implementation,
            model.memory.bert.config._attn_implementation,
        } == {flags[1]}
        for mine, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_jsonl(folder / "qa" / "train" / "squad2_dev.jsonl.gz", ROWS)
    prepare(folder, folder / "prepared")
    sparse = ["--attention", "sparse", "--attention-window", "16", "--attention-globals", "4"]
    train.main(
        [
            "--preset",
            "tiny",
            "--data",
            str(folder / "prepared"),
            "--out",
            str(folder / "run"),
            "--batches",
            "1",
            "--precision",
            "fp32",
            *sparse,
        ]
    )
    return folder / "run" / "model"


def test_what_was_trained_sparse_is_opened_so_and_measured_as_asked(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = SparseAttentionConfig.from_pretrained(trained)
    assert (opened._attn_implementation, opened.attention_window, opened.attention_globals) == ("sparse", 16, 4)
    file, shapes, ways = write_jsonl(tmp_path / "dev.jsonl", [row("How warm is pool 3?", LONG, "103 degrees")]), [], []
    live = MemoryEncoder.live
    monkeypatch.setattr(
        MemoryEncoder,
        "live",
        lambda self, *tensors: (
            shapes.append(tensors[2].shape),
            ways.append(self.config._attn_implementation),
            live(self, *tensors),
        )[-1],
    )
    evaluate.main(["qa", str(file), "--model", str(trained), "--block", "4000", "--attention", "sdpa", "--json"])
    assert json.loads(capsys.readouterr().out)["dev"]["f1"]["n"] == 1
    open_reader(trained).read_pairs([("How warm is pool 3?", Passage(LONG))])
    assert (
        ways == ["sdpa", "sparse"] and shapes[0][0] == 1 and shapes[0][1] > WINDOW and shapes[1][0] > 1
    )  # blocks, tokens of one


def test_what_cannot_be_asked(trained: Path, tmp_path: Path) -> None:
    file = str(write_jsonl(tmp_path / "dev.jsonl", ROWS))
    assert attend() is None
    for flags in (["--attention-window", "9"], ["--attention", "sdpa", "--attention-globals", "0"]):
        with pytest.raises(AttentionError, match="give --attention sparse too"):
            evaluate.main(["qa", file, *flags])
    with pytest.raises(AttentionError, match="a window of 0 tokens"):
        evaluate.main(["qa", file, "--model", str(trained), "--attention", "sparse", "--attention-window", "0"])
    with pytest.raises(AttentionError, match="give at least 256"):
        evaluate.main(["qa", file, "--block", "8"])
    with pytest.raises(WeightsError, match="leave out --model, --block and --attention"):
        evaluate.main(["qa", file, "--attention", "eager", "--adapter", str(tmp_path)])
