"""Distillation: a student with fewer layers, and what it learns from a teacher."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small
import torch

from models.common.checkpoint import open_model
from models.common.errors import TrainError, WeightsError
from models.network.grounded import GroundedForCausalLM
from models.systems import distill
from models.systems.prune import prune
from models.training.presets import distilled

RUN = ["--tokens", "200", "--batches", "3", "--precision", "fp32", "--json"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("distill")
    small.questions(made / "data")
    teacher = small.reader()
    teacher.save_pretrained(made / "teacher")
    prune(teacher, 0.5, 0.5).save_pretrained(made / "student")
    return made


def run(folder: Path, out: str, *more: str) -> Path:
    distill.main(
        ["--teacher", str(folder / "teacher"), "--data", str(folder / "data"), "--out", str(folder / out), *RUN, *more]
    )
    return folder / out


def test_layers_are_taken_evenly_and_the_last_one_stays() -> None:
    assert distill.evenly_spaced(6, 3) == [1, 3, 5] and distill.evenly_spaced(6, 4) == [0, 2, 3, 5]
    assert distill.evenly_spaced(4, 1) == [3] and distill.evenly_spaced(4, 4) == [0, 1, 2, 3]


def test_layers_that_do_nothing_may_go() -> None:
    """Layers made to add nothing are removed, in the memory encoder below and above its cut and in the decoder."""
    model = small.grounded()
    small.assert_same(small.outputs(distill.fewer_layers(model, 3, 4)), small.outputs(model))
    with torch.no_grad():
        for norm in [module for module in model.modules() if isinstance(module, torch.nn.LayerNorm)]:
            norm.weight.fill_(1.0), norm.bias.zero_()  # so that what is normalised already stays
        for at in (0, 2):
            layer = model.memory.bert.encoder.layer[at]
            for part in (layer.attention.output.dense, layer.output.dense):
                part.weight.zero_(), part.bias.zero_()
        model.memory.experts[0].up.zero_()
        for at in (0, 1):
            model.model.layers[at].self_attn.o_proj.weight.zero_(), model.model.layers[at].mlp.down_proj.weight.zero_()
        model.model.layers[0].cross_attn.attention_gate.zero_(), model.model.layers[0].cross_attn.mlp_gate.zero_()
    student = distill.fewer_layers(model, 1, 2)
    assert (
        student.config.cross_attention_layers,
        student.config.memory_cached_layers,
        len(student.memory.experts),
    ) == ([0], 1, 1)
    small.assert_same(small.outputs(student, code=0), small.outputs(model, code=0))


def lost(folder: Path, student: Path) -> dict[str, torch.Tensor]:
    """The parts of the loss of a student, and of a teacher as its own student."""
    questions = small.Questions(folder / "data")
    batch = questions.batch(questions.order(10_000, 0, 0)[0])
    task = distilled(
        open_model(GroundedForCausalLM, student), open_model(GroundedForCausalLM, folder / "teacher"), folder / "data"
    )
    with torch.no_grad():
        return task.loss(task.model.eval(), batch)


def test_a_run_teaches_the_student_and_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {path: path.read_bytes() for name in ("teacher", "student") for path in (folder / name).iterdir()}
    flags = ["--student", str(folder / "student"), "--epochs", "3", "--batches", "8", "--learning-rate", "1e-2"]
    out = run(folder, "pruned", *flags)
    sizes = json.loads(capsys.readouterr().out)
    assert open_model(GroundedForCausalLM, out / "model").num_parameters() == sizes["student"] < sizes["teacher"]
    itself, before, after = (lost(folder, path) for path in (folder / "teacher", folder / "student", out / "model"))
    assert itself["taught"] < before["taught"] and after["loss"] < before["loss"]
    log = (out / "log.jsonl").read_text()
    assert "taught" in json.loads(log.splitlines()[-1])
    run(folder, "pruned", *flags)  # done already
    assert (out / "log.jsonl").read_text() == log
    assert all(path.read_bytes() == held for path, held in files.items())


def test_fewer_layers_by_the_command(folder: Path) -> None:
    out = run(folder, "layers", "--layers", "2", "--memory-layers", "3")
    config = open_model(GroundedForCausalLM, out / "model").config
    assert (config.num_hidden_layers, config.cross_attention_layers) == (2, [0, 1])
    assert (config.memory_config.num_hidden_layers, config.memory_cached_layers) == (3, 2)
    with pytest.raises(TrainError, match="of another model"):
        run(folder, "layers", "--layers", "1", "--memory-layers", "3")


def test_what_cannot_be_distilled_is_one_line(folder: Path) -> None:
    for wrong in ([], ["--student", str(folder / "student"), "--layers", "2"]):
        with pytest.raises(TrainError, match="give one of both"):
            run(folder, "wrong", *wrong)
    for flag, number, most in (("--layers", "0", 3), ("--layers", "4", 3), ("--memory-layers", "5", 4)):
        with pytest.raises(WeightsError, match=f"{flag} is from 1 to {most}"):
            run(folder, "wrong", flag, number)
    assert not (folder / "wrong").exists()
    blind = small.grounded()
    blind.config.cross_attention_layers = [0]
    with pytest.raises(WeightsError, match="none of the layers that read memory"):
        distill.fewer_layers(blind, 1, 4)
