"""python -m models.systems.prefer --data FILE.jsonl[.gz] --out DIR: the decoder learns to prefer answers that keep the rules of models.systems.constitution.

Answers to each question are sampled and critiqued; one that breaks a rule is rejected for a better one that keeps them all (models.systems.critique), and the decoder learns
the difference (models.systems.dpo). The answers that FILE gives are not looked at. DIR must not be there: it gets `pairs.jsonl` and the model, to be opened as any.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.common import command_line
from models.common.checkpoint import new_folder, open_model
from models.common.errors import DataError, TrainError
from models.reader import shipped_weights
from models.systems.constitution import CONSTITUTION
from models.training import trainer_flags
from models.training.question_sets import QaRow, read_qa

if TYPE_CHECKING:
    from models.network.grounded import GroundedForCausalLM
    from models.systems.critique import Critiqued, Said

REJECTED = 2  # answers of a question at most
PAIRS = "pairs.jsonl"


@dataclass(frozen=True, slots=True)
class PreferConfig:
    """samples: answers drawn for each question, at this temperature. beta: how dear it is to leave the weights begun with; likelihood: the weight of the
    loss of what is chosen. Raises TrainError.
    """

    samples: int = 4
    temperature: float = 1.0
    epochs: int = 3
    pairs: int = 16  # in a batch
    learning_rate: float = 1e-4
    beta: float = 0.1
    likelihood: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("samples", "epochs", "pairs"):
            if getattr(self, name) < 1:
                raise TrainError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("temperature", "learning_rate", "beta"):
            if getattr(self, name) <= 0:
                raise TrainError(f"{name} must be above 0, not {getattr(self, name)}")


def preferences(one: Critiqued) -> list[tuple[Said, Said]]:
    """What is chosen and what is rejected: the first of the better answers that keeps all rules, and the samples that break the most."""
    chosen = next((said for said in one.better if not said.broken), None)
    wrong = {said.tokens: said for said in one.samples if said.broken}
    worst = sorted(wrong.values(), key=lambda said: (-len(said.broken), -said.chance))
    return [(chosen, said) for said in worst[:REJECTED]] if chosen else []


def prefer(model: GroundedForCausalLM, looked: Iterable[Critiqued], config: PreferConfig) -> dict[str, float]:
    """Train a model on the preferences; returns the margin of rewards in the last batch and the share of its pairs that are told apart."""
    from models.systems.dpo import Pair, optimise

    pairs = [Pair(one.prompt, chosen.tokens, rejected.tokens, one.memory) for one in looked for chosen, rejected in preferences(one)]
    last = optimise(model, pairs, config)[-1]
    return {"margin": round(last["rewards/margins"], 4), "told_apart": round(last["rewards/accuracies"], 4)}


def told(looked: Sequence[Critiqued]) -> dict[str, Any]:
    """How often samples break each rule, and how many pairs that makes."""
    samples = [said for one in looked for said in one.samples]
    broken = {rule.name: round(sum(rule.name in said.broken for said in samples) / len(samples), 4) for rule in CONSTITUTION}
    return {"questions": len(looked), "samples": len(samples), "broken": broken, "pairs": sum(len(preferences(one)) for one in looked)}


def lines(looked: Iterable[Critiqued]) -> str:
    """The pairs, to be read."""
    found = [
        {"id": one.row.id, "question": one.row.question, "chosen": " ".join(chosen.answer.words), "rejected": " ".join(rejected.answer.words), "broken": rejected.broken}
        for one in looked for chosen, rejected in preferences(one)
    ]  # fmt: skip
    return "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in found)


def run(rows: Sequence[QaRow], folder: Path, out: Path, config: PreferConfig, *, pairs_only: bool = False) -> dict[str, Any]:
    """Returns what the command prints. Raises DataError where there is nothing to learn from, WeightsError."""
    import torch

    from models.network.grounded import GroundedForCausalLM
    from models.systems import variants  # noqa: F401 - so that open_model knows the variants
    from models.systems.critique import Critic

    model = open_model(GroundedForCausalLM, folder).to("cuda" if torch.cuda.is_available() else "cpu")
    with new_folder(out) as new:
        looked = list(Critic(model, config.samples, config.temperature).look(rows, config.seed))
        if not any(map(preferences, looked)):
            raise DataError(f"of the answers to {len(looked)} questions none breaks a rule where a better one is found: give more questions, --samples or a higher --temperature")
        (new / PAIRS).write_text(lines(looked), encoding="utf-8")
        if pairs_only:
            return told(looked)
        learned = prefer(model, looked, config)
        model.cpu().save_pretrained(new)
    return {**told(looked), **learned}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m models.systems.prefer", description="Have the decoder prefer answers that its passage bears.")
    parser.add_argument("--data", type=Path, required=True, help="JSONL of questions with their context")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write, which must not be there")
    parser.add_argument("--model", type=Path, default=shipped_weights.FOLDER, help="a grounded model's folder; without it, the shipped weights")
    parser.add_argument("--limit", type=int, help="questions at most")
    parser.add_argument("--pairs-only", action="store_true", help="write the pairs, and learn nothing of them")
    parser.add_argument("--json", action="store_true")
    trainer_flags.add(parser, PreferConfig)
    options = parser.parse_args(arguments)
    made = run(read_qa(options.data)[: options.limit], options.model, options.out, trainer_flags.given(options, PreferConfig()), pairs_only=options.pairs_only)
    if options.json:
        print(json.dumps(made))
        return
    print(f"{options.out}: {made['pairs']} pairs of {made['samples']} answers to {made['questions']} questions")
    print("broken  " + "  ".join(f"{name} {share:.3f}" for name, share in made["broken"].items()))
    if not options.pairs_only:
        print(f"in the last batch: margin {made['margin']:.3f}, told apart {made['told_apart']:.3f}")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
