"""Direct Preference Optimization (arXiv 2305.18290) of a GroundedForCausalLM by TRL's trainer, memory being among the inputs.

The likelihood of what is chosen is learned beside it, so that it does not fall with that of what is rejected (arXiv 2404.19733). Of the model the decoder's layers and
its copy attention are trained: memory and the reference's log-probabilities, those of the weights that it begins with, are then made once. Legend: P pairs, T
tokens, V vocabulary.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from models.common import base_encoder
from models.network.grounded import GroundedForCausalLM  # first: it mends torchvision's import
from models.network.memory_encoder import Memory
from models.reader.sequences import IGNORED, PAD

# isort: split
from datasets import Dataset
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.utils import FusedCausalLMOutput

if TYPE_CHECKING:
    from models.systems.prefer import PreferConfig


@dataclass(frozen=True, slots=True)
class Pair:
    """Tokens: of `[CLS] question [SEP]`, and of two answers with the [SEP] behind them. memory: that of one question, on the CPU."""

    prompt: Sequence[int]
    chosen: Sequence[int]
    rejected: Sequence[int]
    memory: Memory


def optimise(model: GroundedForCausalLM, pairs: Sequence[Pair], config: PreferConfig) -> list[dict[str, float]]:
    """Train the model to prefer what is chosen; returns TRL's figures of each batch (`rewards/margins`, `rewards/accuracies`, `loss`, ...)."""
    model.requires_grad_(False)
    for part in (model.model.layers, model.model.norm, model.copy):
        part.requires_grad_(True)
    columns = [{"prompt_ids": list(pair.prompt), "chosen_ids": list(pair.chosen), "rejected_ids": list(pair.rejected), "pair": at} for at, pair in enumerate(pairs)]
    with tempfile.TemporaryDirectory() as unused:
        settings = DPOConfig(
            unused, num_train_epochs=config.epochs, per_device_train_batch_size=config.pairs, learning_rate=config.learning_rate, beta=config.beta,
            loss_type=["sigmoid", "sft"], loss_weights=[1.0, config.likelihood], seed=config.seed, precompute_ref_log_probs=True, max_length=None,
            bf16=False, activation_checkpointing=False, remove_unused_columns=False, use_cpu=not torch.cuda.is_available(), dataloader_pin_memory=False,
            save_strategy="no", logging_steps=1, report_to="none", disable_tqdm=True,
        )  # fmt: skip
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(base_encoder.folder() / "tokenizer.json"), bos_token="[CLS]", eos_token="[SEP]", pad_token="[PAD]")
        trainer = GroundedTrainer(
            model, args=settings, train_dataset=Dataset.from_list(columns), processing_class=tokenizer, callbacks=[Bar()],
            data_collator=WithMemory(PAD, memories=[pair.memory for pair in pairs]),
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    del model.forward  # TRL's own, bound to this very model: it would go along into a copy
    model.eval().requires_grad_(True)
    return [line for line in trainer.state.log_history if "loss" in line]


class GroundedTrainer(DPOTrainer):
    """TRL hands on to the model whatever a batch holds, memory too. But its log-probabilities come from a head of its own, which multiplies hidden states by
    `lm_head` and knows nothing of copying: here they are those of the mixture.
    """

    def compute_ref_log_probs(self, model: nn.Module, inputs: dict[str, torch.Tensor]) -> Any:
        return super().compute_ref_log_probs(partial(scored, model), inputs)

    def _compute_loss(self, model: nn.Module, inputs: dict[str, torch.Tensor], return_outputs: bool) -> Any:
        return super()._compute_loss(partial(scored, model), inputs, return_outputs)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset  # it is made of tokens

    def _send_telemetry(self) -> None:
        """Nothing leaves this machine."""


def scored(model: nn.Module, *, labels: torch.Tensor, fused_lm_head: bool, **inputs: torch.Tensor) -> FusedCausalLMOutput:
    """What TRL's head gives, each (2P, T - 1): of label t + 1 at place t, 0 where that is IGNORED."""
    first = int((labels != IGNORED).any(0).nonzero()[0, 0])  # before it stand prompts only
    logits = model(**inputs, logits_to_keep=labels.shape[1] - first + 1).logits[:, :-1]  # (2P, T - first, V), log-probabilities
    wanted = labels[:, first:]
    known = wanted != IGNORED

    def whole(values: torch.Tensor) -> torch.Tensor:
        return F.pad(values * known, (first - 1, 0))

    chances = whole(logits.gather(-1, wanted.clamp_min(0)[..., None])[..., 0])
    with torch.no_grad():
        entropy, means, top = whole(-(logits.exp() * logits).sum(-1)), whole(logits.mean(-1)), whole(logits.argmax(-1) == wanted)
    return FusedCausalLMOutput(log_probs=chances, entropy=entropy, mean_logits=means, is_top1=top)


@dataclass
class WithMemory(DataCollatorForPreference):
    """What is chosen (P rows), then what is rejected, both with the memory of their question; `pair` of an example says whose. Answers begin at one place, so
    that no logits are made but theirs: prompts are padded on the left, which positions that are relative do not mind.
    """

    memories: Sequence[Memory] = ()

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        width = max(len(example["prompt_ids"]) for example in examples)
        batch = super().torch_call([{**example, "prompt_ids": [PAD] * (width - len(example["prompt_ids"])) + example["prompt_ids"]} for example in examples])
        batch["attention_mask"] = (batch["input_ids"] != PAD).long()
        memory = stacked([self.memories[example["pair"]] for example in examples])
        return batch | {name: torch.cat((values, values)) for name, values in memory.inputs().items()}


def stacked(memories: Sequence[Memory]) -> Memory:
    """Memories of one question each as that of P; slots that only others have may not be read."""
    width = max(memory.memory_ids.shape[1] for memory in memories)

    def joined(name: str, behind: int) -> torch.Tensor:  # behind: dimensions behind that of the slots
        one = [getattr(memory, name) for memory in memories]
        return torch.cat([F.pad(values, (*(0, 0) * behind, 0, width - values.shape[-1 - behind])) for values in one])

    return Memory(joined("memory_kv", 1), joined("memory_keys", 1), joined("memory_ids", 0), joined("memory_mask", 0))


class Bar(TrainerCallback):
    """TRL's own would write its figures to standard output."""

    def on_train_begin(self, args: object, state: Any, control: object, **_: object) -> None:
        self._bar = tqdm(total=state.max_steps, desc="preferring", disable=None, mininterval=1)

    def on_step_end(self, args: object, state: Any, control: object, **_: object) -> None:
        self._bar.update()

    def on_train_end(self, args: object, state: Any, control: object, **_: object) -> None:
        self._bar.close()
