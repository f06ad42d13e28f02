"""Direct Preference Optimization (arXiv 2305.18290) of a GroundedForCausalLM, by TRL's trainer with memory as an input.

In: pairs of a chosen and a rejected answer (models.systems.preference_pairs). Out: the model, trained in place.
The likelihood of the chosen answer is a second loss, or it would fall with that of the rejected one
(arXiv 2404.19733). Trained are the decoder's layers, its last norm and its copy attention. The memory encoder is
frozen, so that memory and the log-probabilities of the reference (the initial weights) are computed once.
Legend: P pairs, T tokens, V vocabulary, S slots of memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from models.common import base_encoder
from models.network.grounded import GroundedForCausalLM  # first: it mends torchvision's import
from models.network.memory_encoder import Memory
from models.reader.sequences import IGNORED, PAD
from models.systems.preference_pairs import Pair, PreferConfig

# isort: split
from datasets import Dataset
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.utils import FusedCausalLMOutput


def optimise(model: GroundedForCausalLM, pairs: Sequence[Pair], config: PreferConfig) -> list[dict[str, float]]:
    """Train the model to prefer the chosen answers, in place.

    Returns TRL's figures of each batch: `rewards/margins`, `rewards/accuracies`, `loss` and others.
    """
    model.requires_grad_(False)
    for part in (model.model.layers, model.model.norm, model.copy):
        part.requires_grad_(True)
    columns = [
        {
            "prompt_ids": list(pair.prompt), "chosen_ids": list(pair.chosen), "rejected_ids": list(pair.rejected),
            "pair": number,
        }
        for number, pair in enumerate(pairs)
    ]  # fmt: skip
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(base_encoder.folder() / "tokenizer.json"),
        bos_token="[CLS]", eos_token="[SEP]", pad_token="[PAD]",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as unused:
        trainer = GroundedTrainer(
            model, args=_arguments(unused, config), train_dataset=Dataset.from_list(columns),
            processing_class=tokenizer, callbacks=[ProgressBar()],
            data_collator=MemoryCollator(PAD, memories=[pair.memory for pair in pairs]),
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    del model.forward  # TRL's wrapper, bound to this very model: a copy of the model would keep it
    model.eval().requires_grad_(True)
    return [line for line in trainer.state.log_history if "loss" in line]


def _arguments(folder: str, config: PreferConfig) -> DPOConfig:
    return DPOConfig(
        folder, num_train_epochs=config.epochs, per_device_train_batch_size=config.pairs,
        learning_rate=config.learning_rate, beta=config.beta, loss_type=["sigmoid", "sft"],
        loss_weights=[1.0, config.likelihood], seed=config.seed, precompute_ref_log_probs=True, max_length=None,
        bf16=False, activation_checkpointing=False, remove_unused_columns=False,
        use_cpu=not torch.cuda.is_available(), dataloader_pin_memory=False, save_strategy="no", logging_steps=1,
        report_to="none", disable_tqdm=True,
    )  # fmt: skip


class GroundedTrainer(DPOTrainer):
    """DPO over the mixture of writing and copying.

    TRL passes everything in a batch to the model, memory too. But it computes log-probabilities with a head of its
    own, hidden states times `lm_head`, which leaves copying out: here `token_scores` takes its place.
    """

    def compute_ref_log_probs(self, model: nn.Module, inputs: dict[str, torch.Tensor]) -> Any:
        return super().compute_ref_log_probs(partial(token_scores, model), inputs)

    def _compute_loss(self, model: nn.Module, inputs: dict[str, torch.Tensor], return_outputs: bool) -> Any:
        return super()._compute_loss(partial(token_scores, model), inputs, return_outputs)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset  # it holds token ids already

    def _send_telemetry(self) -> None:
        """Nothing leaves this machine."""


def token_scores(
    model: nn.Module, *, labels: torch.Tensor, fused_lm_head: bool, **inputs: torch.Tensor
) -> FusedCausalLMOutput:
    """The output of TRL's head, from the model's own logits. labels: (2P, T), IGNORED outside the answers.

    Each field is (2P, T - 1): position t holds the value of label t + 1, 0 where that is IGNORED.
    """
    first = int((labels != IGNORED).any(0).nonzero()[0, 0])  # only prompts are in front of it
    logits = model(**inputs, logits_to_keep=labels.shape[1] - first + 1).logits[:, :-1]  # (2P, T - first, V), log
    targets = labels[:, first:]
    known = targets != IGNORED

    def full(values: torch.Tensor) -> torch.Tensor:
        return F.pad(values * known, (first - 1, 0))  # (2P, T - first) -> (2P, T - 1)

    log_probs = full(logits.gather(-1, targets.clamp_min(0)[..., None])[..., 0])
    with torch.no_grad():
        entropy, means = full(-(logits.exp() * logits).sum(-1)), full(logits.mean(-1))
        top = full(logits.argmax(-1) == targets)
    return FusedCausalLMOutput(log_probs=log_probs, entropy=entropy, mean_logits=means, is_top1=top)


@dataclass
class MemoryCollator(DataCollatorForPreference):
    """TRL's batch of P chosen answers, then P rejected ones, each with the memory of its question.

    `pair` of an example is its number in `memories`. Prompts are padded on the left, so that all answers begin at one
    position and logits are computed for answers alone; rotary positions are relative, and padding shifts nothing.
    """

    memories: Sequence[Memory] = ()

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        width = max(len(example["prompt_ids"]) for example in examples)
        prompts = [[PAD] * (width - len(example["prompt_ids"])) + example["prompt_ids"] for example in examples]
        padded = [{**example, "prompt_ids": ids} for example, ids in zip(examples, prompts, strict=True)]
        batch = super().torch_call(padded)
        batch["attention_mask"] = (batch["input_ids"] != PAD).long()
        memory = stacked([self.memories[example["pair"]] for example in examples])
        return batch | {name: torch.cat((values, values)) for name, values in memory.inputs().items()}


def stacked(memories: Sequence[Memory]) -> Memory:
    """P memories of one question each as a batch, padded to the most slots; the padding is masked."""
    width = max(memory.memory_ids.shape[1] for memory in memories)

    def joined(name: str, after: int) -> torch.Tensor:  # after: number of dimensions after that of the slots
        parts = [getattr(memory, name) for memory in memories]
        missing = [width - values.shape[-1 - after] for values in parts]
        return torch.cat([F.pad(one, (*(0, 0) * after, 0, more)) for one, more in zip(parts, missing, strict=True)])

    return Memory(joined("memory_kv", 1), joined("memory_keys", 1), joined("memory_ids", 0), joined("memory_mask", 0))


class ProgressBar(TrainerCallback):
    """A bar on standard error; transformers' own would write figures to standard output."""

    def on_train_begin(self, args: object, state: Any, control: object, **_: object) -> None:
        self._bar = tqdm(total=state.max_steps, desc="preferring", disable=None, mininterval=1)

    def on_step_end(self, args: object, state: Any, control: object, **_: object) -> None:
        self._bar.update()

    def on_train_end(self, args: object, state: Any, control: object, **_: object) -> None:
        self._bar.close()
