"""Answers of several processes that share a model's heads: those of one process."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from together import run

from models.common.errors import LayoutError, WeightsError
from models.network.config import tiny
from models.network.grounded import GroundedForCausalLM
from models.network.grounded_reader import GroundedReader
from models.network.memory_encoder import Memory
from models.reader.sequences import CLS, SEP
from models.reader.windows import open_tokenizer
from models.systems import serve
from models.systems.processes import TENSOR, Layout, process_group
from models.systems.tensor_parallel import share_heads

POOL = "The pool is heated to 28 degrees. It is open until nine in the evening."
LINES = [
    json.dumps({"question": "How warm is it?", "context": POOL}), "[]", json.dumps({"question": "Who?", "context": ""}),
    json.dumps({"question": "How long?", "context": POOL, "title": "Pool"}),
    json.dumps({"question": 3, "context": POOL}),
]  # fmt: skip


def model(*, normed: bool) -> GroundedForCausalLM:
    config = tiny(open_tokenizer().get_vocab_size(), CLS, SEP)
    config.query_key_norm = normed
    torch.manual_seed(0)
    made = GroundedForCausalLM(config).eval()
    for weight in made.parameters():  # far from the small start, so that differences show
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.2)
    return made


@torch.no_grad()
def computed(model: GroundedForCausalLM) -> dict[str, Any]:
    """What one process, or each of several, makes of the lines, and what the decoder says beside memory."""
    torch.manual_seed(1)
    ids, shape = torch.randint(3, 99, (2, 9)), model.projector.shape
    memory = Memory(
        torch.randn(2, shape[0], 2, shape[2], 9, shape[3]),
        torch.randn(2, 9, model.config.pointer_size),
        ids,
        torch.ones_like(ids).bool(),
    )
    logits = model(ids[:, :5], **memory.inputs()).logits.numpy()
    return {
        "logits": logits,
        **{str(greedy): list(serve.serve(GroundedReader(model, greedy=greedy), LINES)) for greedy in (False, True)},
    }


def shared() -> list[dict[str, Any]]:
    """In one of the processes."""
    made = []
    with process_group():
        for normed in (False, True):
            whole = model(normed=normed)
            share_heads(whole, Layout(tensor=2).mesh()[TENSOR])
            made.append(computed(whole))
    return made


def test_two_processes_say_what_one_says() -> None:
    first, second = run(2, shared)
    for normed, one, other in zip((False, True), first, second, strict=True):
        with process_group():
            alone = computed(model(normed=normed))
        assert abs(one["logits"] - alone["logits"]).max() < 1e-4
        for greedy in ("False", "True"):
            assert one[greedy] == other[greedy] and len(one[greedy]) == len(LINES)
            for line, wanted in zip(one[greedy], alone[greedy], strict=True):
                assert line == pytest.approx(wanted, abs=1e-3)
            assert one[greedy][2] == {"answer": None, "start": None, "end": None}
            assert [at for at, line in enumerate(one[greedy]) if "error" in line] == [1, 4]
        assert one["False"][0]["answer"] == POOL[one["False"][0]["start"] : one["False"][0]["end"]]


def test_what_cannot_be_served_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="holds no GroundedForCausalLM"):
        serve.main(["--model", str(tmp_path)])
    model(normed=False).save_pretrained(tmp_path / "model")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(LayoutError, match="4 tensor-parallel processes cannot share 2 key-value heads evenly"):
        serve.main(["--model", str(tmp_path / "model")])


def test_as_it_is_typed_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model(normed=False).save_pretrained(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(LINES)))
    serve.main(["--model", str(tmp_path)])
    first, wrong, *_ = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["answer"] and wrong == {"error": 'line 2 is not {"question": "...", "context": "..."}'}
