"""Checkpoints of other families as our decoder: what they said, ours says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from models.common.errors import WeightsError
from models.network.grounded import GroundedForCausalLM
from models.network.memory_encoder import Memory
from models.systems import convert
from models.systems.random_checkpoints import CROSSED, FAMILIES, IDS, SMALL, randomised, save_clip, with_memory

# isort: split
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    MllamaConfig,
    MllamaForCausalLM,
    MllamaForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.models.mllama.configuration_mllama import MllamaVisionConfig


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_a_decoder_says_what_it_said(tmp_path: Path, family: str) -> None:
    source = randomised(FAMILIES[family])
    source.save_pretrained(tmp_path / "source", max_shard_size="20KB")
    assert len(list((tmp_path / "source").glob("*.safetensors"))) > 1
    model = convert.convert(tmp_path / "source").eval()
    torch.testing.assert_close(model(IDS).logits, source(IDS).logits, atol=1e-4, rtol=1e-4)
    memory = Memory(
        torch.randn(2, len(model.config.cross_attention_layers), 2, 2, 5, model.config.head_dim),
        torch.randn(2, 5, 128),
        IDS[:, :5],
        torch.ones(2, 5, dtype=torch.bool),
    )
    model.copy.sentinel.bias.fill_(1e4)  # nothing is copied
    # its gates are shut
    torch.testing.assert_close(
        model(IDS, **memory.inputs()).logits, source(IDS).logits.log_softmax(-1), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("whole", [False, True])
@torch.no_grad()
def test_mllama_reads_what_it_read(tmp_path: Path, whole: bool) -> None:
    source = randomised(lambda: MllamaForCausalLM(CROSSED))
    if whole:
        eye = MllamaVisionConfig(
            hidden_size=16, num_hidden_layers=2, num_global_layers=1, attention_heads=2, intermediate_size=16,
            vision_output_dim=32, image_size=16, patch_size=8, intermediate_layers_indices=[1],
            supported_aspect_ratios=[[1, 1]], max_num_tiles=1,
        )  # fmt: skip
        seeing = MllamaForConditionalGeneration(
            MllamaConfig(vision_config=eye.to_dict(), text_config=CROSSED.to_dict())
        )
        seeing.model.language_model.load_state_dict(source.model.state_dict())
        seeing.lm_head.load_state_dict(source.lm_head.state_dict())
        seeing.save_pretrained(tmp_path / "source")
    else:
        source.save_pretrained(tmp_path / "source")
    model = convert.convert(tmp_path / "source").eval()
    assert model.config.num_hidden_layers == 3 and model.config.cross_attention_layers == [0, 1]
    theirs, mine = with_memory(source, model)
    torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model(IDS).logits, source(IDS).logits, atol=1e-4, rtol=1e-4)
    assert (theirs - source(IDS).logits.log_softmax(-1)).abs().max() > 1e-2


def test_the_command_writes_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    randomised(FAMILIES["qwen2"]).save_pretrained(tmp_path / "source")
    monkeypatch.setattr(
        "sys.argv", ["convert", str(tmp_path / "source"), str(tmp_path / "out" / "it"), "--json", "--shard", "40KB"]
    )
    convert.main()
    assert json.loads(capsys.readouterr().out)["layers"] == 3
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["it"]
    assert len(list((tmp_path / "out" / "it").glob("*.safetensors"))) > 1
    model = GroundedForCausalLM.from_pretrained(tmp_path / "out" / "it")
    with torch.no_grad():
        torch.testing.assert_close(model(IDS).logits, convert.convert(tmp_path / "source")(IDS).logits)
    with pytest.raises(WeightsError, match="is there already"):
        convert.main()


def test_what_cannot_be_converted_is_one_line(tmp_path: Path) -> None:
    GPT2LMHeadModel(GPT2Config(vocab_size=101, n_embd=32, n_layer=1, n_head=4)).save_pretrained(tmp_path / "gpt2")
    with pytest.raises(WeightsError, match="family 'gpt2', which is not known here: there are llama"):
        convert.convert(tmp_path / "gpt2")
    save_clip(tmp_path)
    with pytest.raises(WeightsError, match="--image-model"):
        convert.convert(tmp_path)
    with pytest.raises(WeightsError, match="holds no checkpoint"):
        convert.convert(tmp_path / "none")
    randomised(FAMILIES["llama"]).save_pretrained(tmp_path / "source", max_shard_size="20KB")
    sorted((tmp_path / "source").glob("*.safetensors"))[1].unlink()
    with pytest.raises(WeightsError, match=r"cannot be read|has no counterpart"):
        convert.convert(tmp_path / "source")
    sliding = Qwen2ForCausalLM(Qwen2Config(**SMALL, use_sliding_window=True, sliding_window=4))
    sliding.save_pretrained(tmp_path / "sliding")
    with pytest.raises(WeightsError, match="sliding windows"):
        convert.convert(tmp_path / "sliding")
