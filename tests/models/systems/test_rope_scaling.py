"""RoPE scaling beyond the trained length: transformers' own, in the decoder, its cache and the saved folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

# isort: skip - after models.network.config, which mends torchvision
from transformers import LlamaConfig, LlamaForCausalLM

from models.common.errors import WeightsError
from models.network.config import GroundedConfig, tiny
from models.network.grounded import GroundedForCausalLM
from models.systems import rope_scaling

TRAINED, FACTOR = 16, 4.0


def made() -> GroundedForCausalLM:
    torch.manual_seed(0)
    model = GroundedForCausalLM(GroundedConfig(**tiny().to_dict() | {"max_position_embeddings": TRAINED})).eval()
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return model


def ids(length: int) -> torch.Tensor:
    torch.manual_seed(3)
    return torch.randint(3, 97, (1, length))


@pytest.mark.parametrize("scaling", rope_scaling.SCALINGS)
@torch.no_grad()
def test_it_is_that_of_transformers(scaling: str) -> None:
    model = made()
    rope_scaling.stretch(model, scaling, FACTOR, TRAINED)
    names = set(LlamaConfig.__dataclass_fields__)
    llama = LlamaForCausalLM(
        LlamaConfig(**{name: value for name, value in model.config.to_dict().items() if name in names})
    ).eval()
    llama.load_state_dict({name: value for name, value in model.state_dict().items() if name in llama.state_dict()})
    assert llama.model.rotary_emb.rope_type == scaling
    for length in (TRAINED, 60):
        torch.testing.assert_close(model(ids(length)).logits, llama(ids(length)).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("scaling", "spared"), [("yarn", False), ("dynamic", True)])
@torch.no_grad()
def test_dynamic_scaling_begins_beyond_training_and_yarn_at_once(scaling: str, spared: bool) -> None:
    plain, model = made(), made()
    rope_scaling.stretch(model, scaling, FACTOR, TRAINED)
    within, beyond = ((model(ids(length)).logits - plain(ids(length)).logits).abs().max() for length in (TRAINED, 60))
    assert (within < 1e-5) == spared and beyond > 0.05
    again = (model(ids(TRAINED - 1)).logits - plain(ids(TRAINED - 1)).logits).abs().max()
    assert (again < 1e-5) == spared  # after a longer one too


@torch.no_grad()
def test_a_cache_holds_what_yarn_made() -> None:
    model, text = made(), ids(60)
    rope_scaling.stretch(model, "yarn", FACTOR, TRAINED)
    start = model(text[:, :50], use_cache=True)
    rest = model(text[:, 50:], past_key_values=start.past_key_values, use_cache=True).logits
    torch.testing.assert_close(torch.cat((start.logits, rest), 1), model(text).logits, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_command_writes_all_or_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = made()
    model.save_pretrained(tmp_path / "model")
    asked = [str(tmp_path / "model"), str(tmp_path / "made" / "it"), "--scaling", "yarn", "--json"]
    rope_scaling.main(asked)
    assert json.loads(capsys.readouterr().out) == {"scaling": "yarn", "trained": TRAINED, "reads": 64}
    rope_scaling.stretch(model, "yarn", 4.0, TRAINED)
    opened = GroundedForCausalLM.from_pretrained(tmp_path / "made" / "it")
    assert opened.config.max_position_embeddings == 64
    torch.testing.assert_close(opened(ids(60)).logits, model(ids(60)).logits)
    with pytest.raises(WeightsError, match="is there already"):
        rope_scaling.main(asked)
    for source, flags, says in [
        ("made/it", [], "scaled already"),
        ("model", ["--factor", "1"], "a factor above 1"),
        ("model", ["--trained", "0"], "at least 1 token"),
        ("none", [], "holds no"),
    ]:
        with pytest.raises(WeightsError, match=says):
            rope_scaling.main([str(tmp_path / source), str(tmp_path / "made" / "other"), *flags])
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["it"]
