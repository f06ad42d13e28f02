"""python -m models.training.train_writer DATA --out DIR: teach the pretrained decoder to say an answer in a sentence.

The base stays as it is; low-rank adapters of its linear layers learn (LoRA, arXiv 2106.09685), on the pairs of
`models.training.statements`. DIR gets a checkpoint every SAVE_EVERY steps; the same command goes on from the last one.
bfloat16 is used where the processor multiplies it faster than float32.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import time
from itertools import islice
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from models.training.question_sets import read_qa
from models.training.statements import (
    SPAN_SETS,
    Statement,
    clause_statements,
    inverted_statements,
    table_statements,
)
from models.writer.base import checked_file
from models.writer.prompt import END, prompt

RANK, ALPHA = 16, 32
MATRICES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
RATE, WARM_UP, DECAY = 4e-4, 30, 0.0  # chosen by hand
BATCH = 16
SAVE_EVERY, REPORT_EVERY = 50, 10  # steps
LONGEST_PROMPT, LONGEST_TEXT = 200, 80  # tokens
INVERTED, TABLE_REPEATS = 1800, 1  # statements made from prose; how often each of FeTaQA is seen
CHECKPOINT, ADAPTER = "checkpoint.pt", "writer_adapter.safetensors"


def load_base(dtype: torch.dtype):
    """The decoder (LlamaForCausalLM, 134.5 M weights) and its tokenizer, from the package's file."""
    from models.common.torchvision_ops import ensure_operators

    ensure_operators()
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    path = checked_file()
    read = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name)
    config = read.config
    # the GGUF method in a config makes later casts and saves raise
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = LlamaForCausalLM(config)
    model.load_state_dict(read.state_dict())
    return model.to(dtype), AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)


def statements(data: Path, seed: int) -> list[Statement]:
    """What is trained on, in the order of training. data: a folder with `qa/train` and `text`."""
    found = list(table_statements(data / "qa" / "train" / "fetaqa.jsonl.gz")) * TABLE_REPEATS
    for name in SPAN_SETS:
        found += clause_statements(read_qa(data / "qa" / "train" / f"{name}.jsonl.gz"))
    found += islice(inverted_statements(data / "text", seed), INVERTED)
    random.Random(seed).shuffle(found)
    return found


def batches(examples: list[tuple[list[int], list[int]]], block: int = 16 * BATCH) -> list[list[int]]:
    """Numbers of examples, BATCH of like length together; only within blocks, so that the order stays mixed."""
    made = []
    for first in range(0, len(examples), block):
        numbers = sorted(range(first, min(first + block, len(examples))), key=lambda n: sum(map(len, examples[n])))
        groups = [numbers[at : at + BATCH] for at in range(0, len(numbers), BATCH)]
        random.Random(first).shuffle(groups)
        made += groups
    return made


def loss_of(model, examples: list[tuple[list[int], list[int]]]) -> torch.Tensor:
    """Mean cross-entropy of the statements' tokens. The head is computed at their positions alone."""
    longest = max(len(read) + len(said) for read, said in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    mask, target = torch.zeros_like(ids), torch.full_like(ids, -100)
    for row, (read, said) in enumerate(examples):
        ids[row, : len(read) + len(said)] = torch.tensor(read + said)
        mask[row, : len(read) + len(said)] = 1
        target[row, len(read) - 1 : len(read) + len(said) - 1] = torch.tensor(said)
    states = model.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    chosen = target != -100
    return cross_entropy(model.lm_head(states[chosen]).float(), target[chosen])


def adapter_weights(model) -> dict[str, torch.Tensor]:
    """The trained matrices in float16, by layer and matrix: "0.q_proj.a" (rank, in), "0.q_proj.b" (out, rank)."""
    found = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            layer, matrix, half = re.search(r"layers\.(\d+)\.\w+\.(\w+)\.lora_(A|B)", name).groups()
            scale = ALPHA / RANK if half == "B" else 1.0
            found[f"{layer}.{matrix}.{half.lower()}"] = (weight.detach() * scale).half().contiguous()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, help="statements, for a trial")
    parser.add_argument("--float32", action="store_true", help="where bfloat16 is slow")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    dtype = torch.float32 if args.float32 else torch.bfloat16
    model, tokenizer = load_base(dtype)
    from peft import LoraConfig, inject_adapter_in_model

    model.requires_grad_(False)
    inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(MATRICES)), model)
    model.train()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in trained:
        weight.data = weight.data.float()
    chosen = statements(args.data, args.seed)[: args.most]
    (args.out / "statements.json").write_text(json.dumps([[s.question, s.answer, s.text, s.source] for s in chosen]))
    examples = [
        (
            tokenizer(prompt(one.question, one.answer[:700]))["input_ids"][-LONGEST_PROMPT:],
            tokenizer(one.text + END)["input_ids"][:LONGEST_TEXT],
        )
        for one in chosen
    ]
    steps = batches(examples)
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / len(steps)))
    )
    first, file = 0, args.out / CHECKPOINT
    if file.exists():
        saved = torch.load(file)
        for weight, value in zip(trained, saved["weights"], strict=True):
            weight.data.copy_(value)
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        first = saved["step"]
    print(f"{len(chosen)} statements, {len(steps)} steps, {sum(w.numel() for w in trained):,} weights; at {first}")
    total, started = 0.0, time.perf_counter()
    for step in range(first, len(steps)):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = loss_of(model, [examples[number] for number in steps[step]])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        total += loss.item()
        if (step + 1) % REPORT_EVERY == 0:
            rate = (step + 1 - first) * BATCH / (time.perf_counter() - started)
            print(f"step {step + 1}: loss {total / REPORT_EVERY:.3f}, {rate:.2f} examples a second", flush=True)
            total = 0.0
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == len(steps):
            _save(file, model, trained, optimizer, schedule, step + 1)


def _save(file: Path, model, trained, optimizer, schedule, step: int) -> None:
    from safetensors.torch import save_file

    parts = {"weights": trained, "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(), "step": step}
    torch.save(parts, file.with_suffix(".new"))
    file.with_suffix(".new").replace(file)
    save_file(adapter_weights(model), file.with_name(ADAPTER))


if __name__ == "__main__":
    main()
