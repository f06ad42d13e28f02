"""lm-evaluation-harness over files of our own: what it counts, by hand, and what it is told of the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from qa_files import row, write_jsonl

from models.common.errors import DataError
from models.network import config
from models.network.grounded import GroundedForCausalLM
from models.reader.sequences import CLS, SEP
from models.reader.windows import open_tokenizer
from models.systems import harness
from models.systems.harness import LM, GroundedLM, evaluate, files, plain

CONTEXT = "The pool is heated to 28 degrees by a boiler. Children pay nothing."
QUERY = "Which is it?\nA. one\nB. two\nAnswer: "


class Knows(LM):
    """Says what is written for a request, and likes what is written."""

    def __init__(self, answers: dict[str, str]) -> None:
        super().__init__()
        self.answers, self.asked = answers, []

    def generate_until(self, requests: list) -> list[str]:
        self.asked += [request.args[0] for request in requests]
        return [next(said for asked, said in self.answers.items() if asked in request.args[0]) for request in requests]

    def loglikelihood(self, requests: list) -> list[tuple[float, bool]]:
        return [(float(self.answers[request.args[0]] == request.args[1].strip()), False) for request in requests]

    def loglikelihood_rolling(self, requests: list) -> list[float]:
        return []


@pytest.fixture
def data(tmp_path: Path) -> Path:
    free = {**row("Why?", CONTEXT), "unanswerable": False, "answers": [{"text": "It is winter.", "start": -1}]}
    write_jsonl(tmp_path / "qa" / "dev" / "mine.jsonl.gz", [
        row("How warm?", CONTEXT, "28 degrees", title="Pool"),
        row("user: By what?\tagent: no\tuser: What heats it?", CONTEXT, "a boiler", title=""),
        row("How deep?", CONTEXT, title=""), {**free, "title": ""},
    ])  # fmt: skip
    write_jsonl(
        tmp_path / "bigbench" / "bigbench_pick.jsonl.gz",
        [{"query": f"{at} {QUERY}", "choices": ["one", "two"], "gold": gold} for at, gold in enumerate((0, 1, 1))],
    )
    write_jsonl(
        tmp_path / "bigbench" / "bigbench_close.jsonl.gz",
        [{"context": f"Input {at}: (", "continuation": end} for at, end in enumerate((") ]", ") ]", "Yes."))],
    )
    return tmp_path


def test_every_figure_by_hand(data: Path) -> None:
    model = Knows({
        "How warm?": "28 degrees", "What heats it?": "gas boiler",
        **{f"{at} {QUERY}".rstrip(): "one" for at in range(3)}, **{f"{at} {QUERY}": "one" for at in range(3)},
        "Input 0": ")]", "Input 1": "]", "Input 2": "yes.",
    })  # fmt: skip
    made = evaluate(model, files(data, ["mine", "pick", "close"]))
    f1 = 2 * (1 / 2) * 1 / (1 / 2 + 1)
    assert made["mine"].n == 2 and made["mine"].figures == {"exact_match": 0.5, "f1": round((1 + f1) / 2, 4)}
    assert 0 <= made["mine"].chance["f1"] < 0.7 and made["mine"].constant == {}
    assert (made["pick"].figures, made["pick"].chance, made["pick"].constant) == (
        {"acc": 0.3333},
        {"acc": 0.5},
        {"acc": 0.6667},
    )
    assert made["pick"].errors["acc"] == pytest.approx((1 / 3 * 2 / 3 / 2) ** 0.5, abs=1e-3)
    assert (made["close"].figures, made["close"].chance, made["close"].constant) == (
        {"exact_match": 0.6667},
        {"exact_match": 0.0},
        {"exact_match": 0.6667},
    )
    assert model.asked[:2] == [
        f"Title: Pool\n\n{CONTEXT}\n\nQuestion: How warm?\nAnswer:",
        f"{CONTEXT}\n\nQuestion: What heats it?\nAnswer:",
    ]
    assert evaluate(model, files(data, ["pick"]), limit=1)["pick"].n == 1


@pytest.fixture(scope="module")
def model() -> GroundedForCausalLM:
    torch.manual_seed(0)
    return GroundedForCausalLM(config.tiny(open_tokenizer().get_vocab_size(), CLS, SEP)).eval()


def test_a_grounded_model_is_asked(data: Path, model: GroundedForCausalLM) -> None:
    made = evaluate(GroundedLM(model), files(data, ["mine", "pick", "close"]))
    assert [one.n for one in made.values()] == [2, 3, 3] and made["pick"].figures["acc"] in (0.3333, 0.6667, 0.0, 1.0)
    with pytest.raises(DataError, match="--plain"):
        GroundedLM(model).loglikelihood_rolling([])


@torch.no_grad()
def test_without_memory_a_continuation_is_all_that_counts(model: GroundedForCausalLM) -> None:
    """A BERT's tokenizer puts [SEP] behind a prompt: the continuation would begin a token too late."""
    from lm_eval.api.instance import Instance

    tokenizer = open_tokenizer()
    prompt, end = (
        tokenizer.encode(text, add_special_tokens=False).ids for text in ("who pays for the pool?", "children")
    )
    logits = model(input_ids=torch.tensor([[*prompt, *end]])).logits[0].log_softmax(-1)
    [(chance, _)] = plain(model).loglikelihood(
        [Instance("loglikelihood", {}, ("who pays for the pool?", " children"), 0)], disable_tqdm=True
    )
    assert chance == pytest.approx(float(logits[range(len(prompt) - 1, len(logits) - 1), end].sum()), abs=1e-3)


def test_what_is_no_task_is_named(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match="no task nothing: there are mine, close, pick"):
        files(data, ["nothing"])
    with pytest.raises(DataError, match="name a folder with qa/dev and bigbench"):
        files(tmp_path / "nowhere", [])
    write_jsonl(data / "qa" / "dev" / "odd.jsonl.gz", [{"text": "no task"}])
    with pytest.raises(DataError, match="is no task: its lines need"):
        evaluate(Knows({}), files(data, ["odd"]))
    (data / "qa" / "dev" / "odd.jsonl.gz").write_text("not gzip")
    for text in (b"", b"not gzip"):
        (data / "qa" / "dev" / "odd.jsonl.gz").write_bytes(text)
        with pytest.raises(DataError, match=r"odd.*cannot be read"):
            evaluate(Knows({}), files(data, ["odd"]))


def test_the_command(data: Path, model: GroundedForCausalLM, capsys: pytest.CaptureFixture[str]) -> None:
    model.save_pretrained(data / "model")
    asked = ["--data", str(data), "--tasks", "pick", "--model", str(data / "model"), "--limit", "2"]
    harness.main([*asked, "--json"])
    assert json.loads(capsys.readouterr().out)["pick"]["chance"] == {"acc": 0.5}
    harness.main([*asked, "--plain"])
    assert "chance 0.500, constant 0.500" in capsys.readouterr().out
