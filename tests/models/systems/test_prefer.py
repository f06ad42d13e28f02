"""Preference tuning on a tiny model: it learns to prefer grounded answers, and nothing is left half-written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from qa_files import row, write_jsonl
from torch.nn import functional as F

from models.common.checkpoint import open_model
from models.common.errors import DataError, TrainError, WeightsError
from models.network.config import tiny
from models.network.grounded import GroundedForCausalLM
from models.reader.sequences import CLS, IGNORED, PAD, SEP
from models.reader.windows import open_tokenizer
from models.systems import dpo, prefer
from models.systems.constitution import Answer, critique
from models.systems.critique import Critic, Critiqued, JudgedAnswer, words
from models.systems.dpo import MemoryCollator, optimise, stacked, token_scores
from models.systems.preference_pairs import Pair, PreferConfig, preferences
from models.training.question_sets import QaRow, read_qa

TOKENIZER = open_tokenizer()
CONTEXTS = [
    "The pool is heated to 28 degrees by a boiler.",
    "Lot 5 was sampled at noon, and found to be of grade B by the laboratory in Utrecht, which keeps it.",
]
ROWS = [
    row("How warm is it?", CONTEXTS[0], "28 degrees", title="Pool"),
    row("Which grade has lot 5?", CONTEXTS[1], "B"),
    row("Who pays?", CONTEXTS[0]),
]


def made(there: bool = True) -> GroundedForCausalLM:
    """A tiny model of chance that copies more than it writes, and judges as is said."""
    torch.manual_seed(0)
    model = GroundedForCausalLM(tiny(TOKENIZER.get_vocab_size(), CLS, SEP)).eval()
    with torch.no_grad():
        model.copy.sentinel.bias.fill_(2.0)
        model.memory.judge.bias.fill_(9.0 if there else -9.0)
    return model


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[QaRow]:
    return read_qa(write_jsonl(tmp_path_factory.mktemp("rows") / "rows.jsonl", ROWS))


@pytest.fixture(scope="module")
def looked(rows: list[QaRow]) -> list[Critiqued]:
    return list(Critic(made(), 3).critique(rows))


def ids(text: str) -> list[int]:
    return TOKENIZER.encode(text, add_special_tokens=False).ids


def chance(model: GroundedForCausalLM, pair: Pair, answer: list[int]) -> float:
    """The log-probability of an answer, taken the plain way: alone, with no padding."""
    tokens = torch.tensor([[*pair.prompt, *answer]])
    labels = tokens.clone()
    labels[:, : len(pair.prompt)] = IGNORED
    return -len(answer) * model(tokens, labels=labels, **pair.memory.inputs()).loss.item()


def pairs(looked: list[Critiqued]) -> list[Pair]:
    wanted = {
        "How warm is it?": ("28 degrees", "30 degrees pool pool"),
        "Which grade has lot 5?": ("B", "grade lot lot"),
        "Who pays?": ("a boiler", ""),
    }
    return [Pair(one.prompt, *([*ids(text), SEP] for text in wanted[one.row.question]), one.memory) for one in looked]


def test_tokens_become_words() -> None:
    assert words(["un", "##able", "to", "go", "##es"]) == (("unable", "to", "goes"), [0, 2, 3, 5])
    assert words(["##ing"]) == (("ing",), [0, 1]) and words([]) == ((), [0])


def test_samples_are_seeded_and_looked_at(rows: list[QaRow], looked: list[Critiqued]) -> None:
    model, copied = made(), 0
    other, again = (list(Critic(model, 3).critique(rows, seed, better=False)) for seed in (1, 0))
    drawn, same, not_same = (
        [[said.tokens for said in one.samples] for one in every] for every in (looked, again, other)
    )
    assert drawn == same != not_same
    for one in looked:
        assert (
            len(one.samples) == 3
            and one.better
            and not any({"supported", "together"} & {*said.broken} for said in one.better)
        )
        for said in [*one.samples, *one.better]:
            pair = Pair(one.prompt, said.tokens, said.tokens, one.memory)
            assert said.log_probability == pytest.approx(chance(model, pair, list(said.tokens)), abs=2e-3)
            closed = replace(one.memory, memory_bias=torch.full(one.memory.memory_ids.shape, -1e4))
            assert said.answer.fall == pytest.approx(
                said.log_probability - chance(model, replace(pair, memory=closed), list(said.tokens)), abs=4e-3
            )
            for token, place in zip(said.tokens, said.places, strict=False):
                if place:
                    copied += 1
                    assert token in ids(one.row.context[slice(*place)])
    assert copied > 5


def test_greedy_says_one_thing(rows: list[QaRow]) -> None:
    found = list(Critic(made(), 3, temperature=0.0).critique(rows, better=False))
    assert [len(one.samples) for one in found] == [1, 1, 1] and not any(one.better for one in found)
    with torch.no_grad():
        assert all(
            made()(torch.tensor([one.prompt]), **one.memory.inputs()).logits[0, -1].argmax() == one.samples[0].tokens[0]
            for one in found
        )


def test_where_the_judge_finds_nothing_silence_is_better(rows: list[QaRow]) -> None:
    for one in Critic(made(there=False), 3).critique(rows):
        assert [said.tokens for said in one.better] == [(SEP,)] and not one.better[0].broken
        assert all("abstains" in rejected.broken for _, rejected in preferences(one))


def test_pairs_prefer_what_is_grounded(looked: list[Critiqued]) -> None:
    one = next(one for one in looked if one.row.question == "How warm is it?")
    passage = one.better[0].answer.passage

    def said(text: str, chance: float = -1.0, fall: float = 5.0) -> JudgedAnswer:
        answer = Answer(tuple(text.split()), passage, answerable=True, fall=fall)
        return JudgedAnswer((*ids(text), SEP), answer, (), chance, critique(answer))

    good, stray, torn, worst, silent = (
        said("28 degrees"),
        said("30 degrees"),
        said("degrees 28"),
        said("32 to 30", fall=-1),
        said(""),
    )
    found = preferences(
        replace(one, samples=[good, stray, torn, torn, worst, silent], better=[torn, good, said("a boiler")])
    )
    assert found == [(good, worst), (good, stray)]
    assert preferences(replace(one, samples=[good], better=[good])) == []
    assert preferences(replace(one, samples=[stray], better=[torn])) == []


def test_memories_of_unlike_length_are_read_as_by_themselves(looked: list[Critiqued]) -> None:
    model, several = made(), pairs(looked)
    assert len({pair.memory.memory_ids.shape for pair in several}) > 1
    batch = MemoryCollator(PAD, memories=[pair.memory for pair in several])(
        [
            {"prompt_ids": pair.prompt, "chosen_ids": pair.chosen, "rejected_ids": pair.rejected, "pair": at}
            for at, pair in enumerate(several)
        ]
    )
    labels = batch["input_ids"].masked_fill(batch.pop("completion_mask") == 0, IGNORED)
    with torch.no_grad():
        out = token_scores(model, labels=labels, fused_lm_head=True, use_cache=False, **batch)
        wanted = [chance(model, pair, getattr(pair, side)) for side in ("chosen", "rejected") for pair in several]
        plain = model(**batch).logits[:, :-1]
    assert out.log_probs.shape == labels[:, 1:].shape == out.entropy.shape
    torch.testing.assert_close(out.log_probs.sum(1), torch.tensor(wanted), atol=2e-3, rtol=0)
    known = labels[:, 1:] != IGNORED
    torch.testing.assert_close(out.entropy[known], -(plain.exp() * plain).sum(-1)[known], atol=1e-3, rtol=0)
    assert torch.equal(out.is_top1[known].bool(), (plain.argmax(-1) == labels[:, 1:])[known])


def test_the_margin_grows_and_memory_stays(looked: list[Critiqued]) -> None:
    model, several = made(), pairs(looked)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}

    @torch.no_grad()
    def margins() -> list[float]:
        return [chance(model, pair, pair.chosen) - chance(model, pair, pair.rejected) for pair in several]

    first = margins()
    steps = optimise(model, several, PreferConfig(epochs=12, pairs=2, learning_rate=1e-2, beta=0.5))
    assert steps[0]["rewards/margins"] == pytest.approx(0, abs=1e-4)  # what it is compared with is what it was
    assert all(late > early + 1 for early, late in zip(first, margins(), strict=True)), (first, margins())
    assert steps[-1]["rewards/margins"] > 0.1
    changed = {
        name.split(".")[0] + "." + name.split(".")[1]
        for name, weight in model.state_dict().items()
        if not torch.equal(weight, before[name])
    }
    assert changed == {"model.layers", "model.norm", "copy.query", "copy.sentinel"}
    assert "forward" not in vars(model) and all(weight.requires_grad for weight in model.parameters())


@pytest.fixture
def start(tmp_path: Path) -> Path:
    made().save_pretrained(tmp_path / "start")
    return tmp_path / "start"


def test_the_command_writes_all_or_nothing(
    start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = write_jsonl(tmp_path / "own.jsonl.gz", ROWS), tmp_path / "out" / "it"
    given = ["--data", str(data), "--model", str(start), "--out", str(out), "--samples", "2", "--epochs", "1", "--json"]
    monkeypatch.setattr(dpo, "optimise", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prefer.main(given)
    assert not list((tmp_path / "out").iterdir())
    monkeypatch.undo()
    prefer.main(given)
    report = json.loads(capsys.readouterr().out)
    written = [json.loads(line) for line in (out / prefer.PAIRS).read_text().splitlines()]
    assert (
        report["questions"] == 3
        and report["samples"] == 6
        and report["pairs"] == len(written) > 0
        and set(report) >= {"broken", "margin", "told_apart"}
    )
    assert all(
        pair["broken"]
        and pair["chosen"] in " ".join(words(TOKENIZER.encode(" ".join(CONTEXTS), add_special_tokens=False).tokens)[0])
        for pair in written
    )
    tuned, begun = (
        open_model(GroundedForCausalLM, out).state_dict(),
        open_model(GroundedForCausalLM, start).state_dict(),
    )
    assert torch.equal(tuned["memory.span.weight"], begun["memory.span.weight"]) and not torch.equal(
        tuned["copy.query.weight"], begun["copy.query.weight"]
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["it"]
    with pytest.raises(WeightsError, match="is there already: name a new folder"):
        prefer.main(given)


def test_only_pairs(start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_jsonl(tmp_path / "own.jsonl", ROWS)
    prefer.main(
        ["--data", str(data), "--model", str(start), "--out", str(tmp_path / "out"), "--pairs-only", "--limit", "2"]
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == [
        prefer.PAIRS
    ] and "to 2 questions" in capsys.readouterr().out


def test_what_teaches_nothing_is_one_line(start: Path, tmp_path: Path) -> None:
    empty = write_jsonl(tmp_path / "empty.jsonl", [row("How deep?", " ")])
    with pytest.raises(
        DataError,
        match="of the answers to 0 questions none breaks a rule where a better one is found: give more questions",
    ):
        prefer.main(["--data", str(empty), "--model", str(start), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".new-*"))
    with pytest.raises(TrainError, match="samples must be at least 1, not 0"):
        prefer.main(["--data", str(empty), "--out", str(tmp_path / "out"), "--samples", "0"])
    with pytest.raises(TrainError, match="temperature must be above 0"):
        prefer.main(["--data", str(empty), "--out", str(tmp_path / "out"), "--temperature", "0"])
    with pytest.raises(DataError, match="cannot be read"):
        prefer.main(["--data", str(tmp_path / "none.jsonl"), "--out", str(tmp_path / "out")])
    with pytest.raises(WeightsError, match="holds no"):
        prefer.main(["--data", str(empty), "--model", str(tmp_path), "--out", str(tmp_path / "out")])


def test_rows_without_slots_stack() -> None:
    """What one memory lacks may not be read."""
    model = made()
    states = torch.randn(1, 5, 32)
    short, long = (
        model.remember(states[:, :size], torch.arange(5)[None, :size] + 7, torch.ones(1, size)) for size in (3, 5)
    )
    both = stacked([short, long])
    assert both.memory_mask.tolist() == [[True] * 3 + [False] * 2, [True] * 5] and both.memory_kv.shape[-2] == 5
    assert F.pad(short.memory_ids, (0, 2)).tolist() == both.memory_ids[:1].tolist()
