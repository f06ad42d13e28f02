"""python -m models.systems.prefer --data FILE.jsonl[.gz] --out DIR: the decoder learns to prefer grounded answers.

For each question answers are sampled and critiqued under the rules of models.systems.constitution. A sample that
breaks a rule is rejected for a better answer that keeps all of them (models.systems.critique), and the decoder learns
the difference by DPO (models.systems.dpo). The reference answers of FILE are not used. DIR must not exist: it gets
`pairs.jsonl` and the tuned model.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.common import command_line
from models.common.checkpoint import new_folder, open_model
from models.common.errors import DataError
from models.reader import shipped_weights
from models.systems.constitution import CONSTITUTION
from models.systems.preference_pairs import PreferConfig, json_lines, preferences, token_pairs
from models.training import trainer_flags
from models.training.question_sets import QaRow, read_qa

if TYPE_CHECKING:
    from models.network.grounded import GroundedForCausalLM
    from models.systems.critique import Critiqued

PAIRS = "pairs.jsonl"


def prefer(model: GroundedForCausalLM, questions: Iterable[Critiqued], config: PreferConfig) -> dict[str, float]:
    """Train a model on the preferences among critiqued answers, in place.

    Returns figures of the last batch: the margin of DPO's rewards, and the share of pairs with a positive margin.
    """
    from models.systems.dpo import optimise

    last = optimise(model, token_pairs(questions), config)[-1]
    return {"margin": round(last["rewards/margins"], 4), "told_apart": round(last["rewards/accuracies"], 4)}


def summary(questions: Sequence[Critiqued]) -> dict[str, Any]:
    """How many questions, samples and pairs there are, and the share of samples that break each rule."""
    samples = [sample for question in questions for sample in question.samples]
    broken = {
        rule.name: round(sum(rule.name in sample.broken for sample in samples) / len(samples), 4)
        for rule in CONSTITUTION
    }
    pairs = sum(len(preferences(question)) for question in questions)
    return {"questions": len(questions), "samples": len(samples), "broken": broken, "pairs": pairs}


def run(
    rows: Sequence[QaRow], folder: Path, out: Path, config: PreferConfig, *, pairs_only: bool = False
) -> dict[str, Any]:
    """Tune the model of `folder` and write it to `out`. Returns the figures that the command prints.

    Raises DataError where no pair is found, WeightsError for a model that cannot be opened.
    """
    import torch

    from models.network.grounded import GroundedForCausalLM
    from models.systems import variants  # noqa: F401 - so that open_model knows the variants
    from models.systems.critique import Critic

    model = open_model(GroundedForCausalLM, folder).to("cuda" if torch.cuda.is_available() else "cpu")
    with new_folder(out) as new:
        questions = list(Critic(model, config.samples, config.temperature).critique(rows, config.seed))
        if not any(map(preferences, questions)):
            raise DataError(
                f"of the answers to {len(questions)} questions none breaks a rule where a better one is found: "
                "give more questions, --samples or a higher --temperature"
            )
        (new / PAIRS).write_text(json_lines(questions), encoding="utf-8")
        if pairs_only:
            return summary(questions)
        learned = prefer(model, questions, config)
        model.cpu().save_pretrained(new)
    return {**summary(questions), **learned}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.systems.prefer", description="Have the decoder prefer answers that its passage bears."
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="JSONL of questions with their context")
    add("--out", type=Path, required=True, help="the folder to write, which must not be there")
    add("--model", type=Path, default=shipped_weights.FOLDER, help="a grounded model's folder (the shipped weights)")
    add("--limit", type=int, help="questions at most")
    add("--pairs-only", action="store_true", help="write the pairs and train nothing")
    add("--json", action="store_true")
    trainer_flags.add(parser, PreferConfig)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    rows, config = read_qa(options.data)[: options.limit], trainer_flags.given(options, PreferConfig())
    figures = run(rows, options.model, options.out, config, pairs_only=options.pairs_only)
    if options.json:
        print(json.dumps(figures))
        return
    counts = "{pairs} pairs of {samples} answers to {questions} questions".format_map(figures)
    print(f"{options.out}: {counts}")
    print("broken  " + "  ".join(f"{name} {share:.3f}" for name, share in figures["broken"].items()))
    if not options.pairs_only:
        print(f"in the last batch: margin {figures['margin']:.3f}, told apart {figures['told_apart']:.3f}")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
