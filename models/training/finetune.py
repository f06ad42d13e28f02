"""python -m models.training.finetune --method lora --data FILE.jsonl --out DIR: adapt the shipped reader.

FILE has a user's own questions: lines {"question", "context", "answers": [{"text", "start"}]}, and optionally "title"
and "unanswerable". DIR is then given to any door as `--adapter DIR`. One context in HELD is not trained on; F1 and
AUROC of their questions are measured before and after, in int8, as they will be answered.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.common import command_line
from models.common.checkpoint import open_model
from models.common.errors import DataError
from models.network.grounded import GroundedForCausalLM
from models.network.soft_prompts import Prefix, Prompt
from models.reader import adapter, shipped_weights
from models.reader.extractive_reader import Reader, sigmoid
from models.training import attention_flags, trainer_flags
from models.training.attention_flags import Attend
from models.training.evaluate import evaluate_qa
from models.training.objective import reading
from models.training.prepare_data import prepare_rows
from models.training.presets import with_fixed_words
from models.training.question_batches import Questions
from models.training.question_sets import QaRow, read_qa
from models.training.train import epochs
from models.training.training_loop import TrainConfig, train

HELD = 5  # one context in so many is held out
RANK, ALPHA = 4, 8  # of LoRA
VECTORS = 16  # of a prompt, of a prefix
WORDS = 1000  # the vocabulary's first word; before it are signs and letters
MATRICES = r"(attention\.self\.(query|key|value)|attention\.output\.dense|intermediate\.dense|output\.dense)"
UPPER = r"memory\.bert\.encoder\.layer\.({layers})\." + MATRICES
HEADS = ("span", "judge")
RATES = {"lora": 1e-3, "prefix": 5e-3, "prompt": 5e-3, "full": 5e-5}


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was trained: its weights by name, and how many of all weights that is."""

    weights: dict[str, torch.Tensor]
    share: float


def held_out(context: str) -> bool:
    """Whether the questions of a context are measured on and not trained on; its text alone decides."""
    return int.from_bytes(hashlib.blake2b(context.encode("utf-8", "replace"), digest_size=4).digest()) % HELD == 0


def prepare(model: GroundedForCausalLM, method: str) -> None:
    """Let a model learn by one of adapter.METHODS: what it trains requires a gradient, all else does not."""
    model.requires_grad_(False)
    memory = model.memory
    first, layers = memory.cached_layers, memory.config.num_hidden_layers
    words = memory.bert.embeddings.word_embeddings.weight
    begin = words[torch.linspace(WORDS, len(words) - 1, VECTORS).long()]
    if method == "lora":
        from peft import LoraConfig, inject_adapter_in_model

        chosen = UPPER.format(layers="|".join(map(str, range(first, layers))))
        inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=chosen), model)
    elif method == "prompt":
        memory.prompt = Prompt(begin)
    elif method == "prefix":
        memory.prefix = Prefix(begin, layers - first, first)
    else:
        memory.bert.encoder.layer[first:].requires_grad_(True)
    for head in HEADS:
        getattr(memory, head).requires_grad_(True)


def trained(model: GroundedForCausalLM) -> Tuned:
    """What `prepare` let learn, named as models.reader.adapter reads it."""
    learned = {name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}
    spelled = {name: name.replace(".default.weight", ".weight").replace("prompt.vectors", "prompt") for name in learned}
    weights = {spelled[name]: weight for name, weight in learned.items()}
    share = sum(weight.numel() for weight in weights.values()) / sum(weight.numel() for weight in model.parameters())
    return Tuned(weights, share)


def save(tuned: Tuned, method: str, base: str, about: dict[str, Any], out: Path) -> None:
    """Write an adapter's folder; of one that was there before nothing is lost until the new one is whole."""
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=out))
    named = {adapter.PEFT + name: weight.contiguous() for name, weight in tuned.weights.items()}
    save_file(named, new / adapter.WEIGHTS)
    scale = ALPHA / RANK if method == "lora" else 1.0
    about = {"format": adapter.FORMAT, "method": method, "base": base, "scale": scale, **about}
    (new / adapter.ABOUT).write_text(json.dumps(about, indent=2) + "\n")
    for file in (adapter.WEIGHTS, adapter.ABOUT):
        (new / file).replace(out / file)
    shutil.rmtree(new)


def measured(rows: Sequence[QaRow], folder: Path, adapted: Path | None) -> dict[str, float | None]:
    reader = Reader(shipped_weights.encoder(shipped_weights.describe(folder, adapted)))
    report = evaluate_qa(reader, rows, lambda finding: sigmoid(finding.answerable))
    return {"exact_match": report.exact_match.value, "f1": report.f1.value, "auroc": report.auroc.value}


def finetune(
    data: Path, out: Path, method: str, config: TrainConfig, folder: Path = shipped_weights.FOLDER,
    attend: Attend | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What the command prints. attend: see models.training.attention_flags.

    Raises DataError, TrainError, WeightsError.
    """
    base = shipped_weights.describe(folder)
    rows = [row for row in read_qa(data) if row.unanswerable or row.span]
    learned, left_out = ([row for row in rows if held_out(row.context) == which] for which in (False, True))
    if not any(row.span for row in learned):
        raise DataError(f"{data} has no question with an answer in its context: there is nothing to learn from")
    before = measured(left_out, folder, None)
    torch.manual_seed(config.seed)
    model = open_model(GroundedForCausalLM, folder)
    prepare(model, method)
    with_fixed_words(model)
    if attend:
        model = attend(model)
    prepare_rows(learned, out / "run" / "prepared", config.seed)
    questions = Questions(out / "run" / "prepared")
    tuned = trained(train(model, epochs(questions, config), reading, config, out / "run").cpu())
    about = {"share": round(tuned.share, 6), "questions": len(learned), "held": len(left_out)}
    save(tuned, method, base.digest, about, out)
    shutil.rmtree(out / "run")
    return {"method": method, **about, "before": before, "after": measured(left_out, folder, out)}


def main(arguments: Sequence[str] | None = None) -> None:
    about = "Adapt the shipped reader to questions of your own."
    parser = argparse.ArgumentParser(prog="python -m models.training.finetune", description=about)
    parser.add_argument("--method", choices=adapter.METHODS, default="lora")
    parser.add_argument("--data", type=Path, required=True, help="JSONL of questions with their context and answers")
    parser.add_argument("--out", type=Path, required=True, help="the adapter's folder")
    parser.add_argument("--model", type=Path, default=shipped_weights.FOLDER, help="a folder of shipped weights")
    parser.add_argument("--json", action="store_true")
    attention_flags.add(parser)
    trainer_flags.add(parser)
    options = parser.parse_args(arguments)
    config = trainer_flags.given(options, TrainConfig(epochs=3, tokens=2048, learning_rate=RATES[options.method]))
    made = finetune(options.data, options.out, options.method, config, options.model, attention_flags.given(options))
    if options.json:
        print(json.dumps(made))
        return
    share, questions = 100 * made["share"], made["questions"]
    print(f"{options.out}: {options.method}, {share:.2f} % of the weights, from {questions} questions")
    for name in ("before", "after"):
        shown = {key: "-" if value is None else f"{value:.3f}" for key, value in made[name].items()}
        figures = "  ".join(f"{key} {value}" for key, value in shown.items())
        print(f"{name:<7}{figures}  ({made['held']} questions of other contexts)")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
