"""Pairs of a question, its answer and the sentence that says it; and what the writer's training makes of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from qa_files import row, write_jsonl

from models.common.torchvision_ops import ensure_operators
from models.training.question_sets import read_qa
from models.training.statements import cells, clause_statements, invert, inverted_statements, table_statements
from models.training.train_writer import BATCH, adapter_weights, batches, loss_of

ensure_operators()
from peft import LoraConfig, inject_adapter_in_model  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

TABLE = [["Year", "Race", "Place"], ["2001", "Derby", "2nd"], ["2003", "Derby", "-"]]


def test_highlighted_cells_are_told_with_their_headers() -> None:
    highlight = [[1, 0], [1, 2], [2, 0], [2, 2], [9, 0]]
    told = cells({"title": "Mill Horse", "table": TABLE, "highlight": highlight})
    assert told == "Mill Horse. Year: 2001, Place: 2nd; Year: 2003"


def test_a_table_question_brings_its_human_sentence(tmp_path: Path) -> None:
    made = row("When was it second?", "Mill Horse 2nd in 2001", "2001", source="a", title="Mill Horse", table=TABLE,
               highlight=[[1, 0]])  # fmt: skip
    made["answers"][0]["text"] = "It was second in 2001."
    made["answers"][0]["start"] = -1
    path = write_jsonl(tmp_path / "fetaqa.jsonl.gz", [made])
    [one] = table_statements(path)
    assert (one.question, one.answer, one.text) == (
        "When was it second?", "Mill Horse. Year: 2001", "It was second in 2001.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("context", "answer", "text"),
    [
        ("In spring the miller dressed the stones, and sold.", "miller", ""),  # its start is no subject
        ("Once, in spring, the miller dressed the stones.", "miller", "The miller dressed the stones."),
        ("The miller carefully dressed the stones.", "miller", ""),  # a word of neither
        ("The miller dressed (twice) the stones.", "miller", ""),
    ],
)  # fmt: skip
def test_a_clause_holds_nothing_but_question_and_answer(tmp_path: Path, context: str, answer: str, text: str) -> None:
    asked = row("Who dressed the stones?", context, answer, source="a")
    found = list(clause_statements(read_qa(write_jsonl(tmp_path / "set.jsonl.gz", [asked]))))
    assert [one.text for one in found] == ([text] if text else [])


def questions(sentence: str) -> set[tuple[str, str]]:
    made = (invert(sentence, random.Random(seed)) for seed in range(40))
    return {pair for pair in made if pair}


def test_a_sentence_is_asked_for_its_parts() -> None:
    assert ("When did the old mill close?", "1962") in questions("The old mill closed in 1962.")
    assert ("What closed in 1962?", "The old mill") in questions("The old mill closed in 1962.")
    assert ("Where is the chapel?", "") not in questions("The chapel is in Lyon.")
    assert ("Who was built by?", "") not in questions("The chapel was built by Amos Reed in the valley.")
    assert ("Who was elected mayor of the town?", "Ruth Ames") in questions("Ruth Ames was elected mayor of the town.")


@pytest.mark.parametrize(
    "sentence",
    ["It closed in 1962.", "When the mill closed, all left.", "Closed in 1962; sold later.", "The mill.", "no start"],
)  # fmt: skip
def test_what_the_rules_do_not_fit_is_not_asked(sentence: str) -> None:
    assert questions(sentence) == set()


def test_prose_gives_a_few_sentences_of_each_document(tmp_path: Path) -> None:
    text = " ".join(f"The mill of place {n} closed in {1900 + n}." for n in range(30))
    assert len(list(inverted_statements(prose(tmp_path, text), 0))) <= 4


def prose(folder: Path, text: str) -> Path:
    record = {"title": "Mills", "sections": [{"heading": "", "paragraphs": [text]}]}
    write_jsonl(folder / "prose.jsonl.gz", [record])
    return folder


def test_batches_hold_each_example_once() -> None:
    examples = [([1] * (n % 7 + 1), [2] * 3) for n in range(70)]
    made = batches(examples)
    assert sorted(number for batch in made for number in batch) == list(range(70))
    assert max(map(len, made)) == BATCH


def test_the_adapter_learns_and_is_what_it_computes() -> None:
    """Low-rank halves, multiplied, are what the adapted model differs by; padding changes no loss."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = LlamaConfig(vocab_size=64, **sizes)
    model = LlamaForCausalLM(config).requires_grad_(False)
    plain = model.model.layers[0].self_attn.q_proj.weight.clone()
    inject_adapter_in_model(LoraConfig(r=16, lora_alpha=32, target_modules=["q_proj", "up_proj"]), model)
    examples = [([5, 6, 7], [8, 9]), ([11, 12, 13, 14, 15], [16])]
    whole = loss_of(model, examples)
    alone = [loss_of(model, [one]) * len(one[1]) for one in examples]
    assert torch.isclose(whole, sum(alone) / 3, atol=1e-5)
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], 5.0)
    for _ in range(20):
        optimizer.zero_grad()
        loss_of(model, examples).backward()
        optimizer.step()
    assert loss_of(model, examples) < whole - 0.01
    found = adapter_weights(model)
    assert sorted(found) == ["0.q_proj.a", "0.q_proj.b", "0.up_proj.a", "0.up_proj.b"]
    x, adapted = torch.randn(3, 32), model.model.layers[0].self_attn.q_proj
    merged = plain + found["0.q_proj.b"].float() @ found["0.q_proj.a"].float()
    assert torch.allclose(adapted(x), x @ merged.T, atol=1e-2)
