"""The reader as text in, text out: what is memory, what is the prompt, and that batches change nothing."""

from __future__ import annotations

import pytest
import torch

from models.network import config
from models.network.grounded import GroundedForCausalLM
from models.network.grounded_reader import GroundedReader
from models.reader.sequences import CLS, SEP
from models.reader.windows import Passage, open_tokenizer
from models.systems.text_interface import TextInterface, request, split_request

POOL = Passage("The pool is heated to 28.5 degrees by a boiler. Children pay nothing.")
MILL = Passage("Question: who built it?\nAnswer: nobody knows.\n\nJosiah Pask mended the gate in 1786.", "Mill")


@pytest.fixture(scope="module")
def model() -> GroundedForCausalLM:
    torch.manual_seed(0)
    return GroundedForCausalLM(config.tiny(open_tokenizer().get_vocab_size(), CLS, SEP)).eval()


@pytest.mark.parametrize("passage", [POOL, MILL, Passage(""), Passage("\n\nTitle: no\n\n")])
def test_a_request_is_parted_as_it_was_made(passage: Passage) -> None:
    assert split_request(request("Who pays?", passage)) == ("Who pays?", passage)
    assert split_request(request("Who pays?", passage) + " ") == ("Who pays?", passage)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Q: Was it paid with bitcoin?\nA:", "Q: Was it paid with bitcoin?"),
        ("Facts. Is it? No.\nWhich is it?\nA. one\nB. two\nAnswer: ", "Which is it?"),
        ("Close it.\n\nInput: ( [\nOutput:", "Output:"),
        ("", ""),
    ],
)
def test_without_a_passage_the_whole_is_memory(text: str, question: str) -> None:
    assert split_request(text) == (question, Passage(text))


@torch.no_grad()
def test_likelihoods_are_the_models(model: GroundedForCausalLM) -> None:
    asked = [request("How warm is it?", POOL), request("Who mended it?", MILL)]
    pairs = [
        (asked[0], " 28.5 degrees"),
        (asked[1], " Josiah Pask"),
        (asked[0], "a boiler"),
        (asked[1], " in 1786 or so"),
    ]
    found = TextInterface(model).likelihoods(pairs)
    reader = GroundedReader(model)
    for (text, continuation), (chance, greedy) in zip(pairs, found, strict=True):
        question, passage = split_request(text)
        read, ids = (
            reader.remember([question], [passage], [0]),
            open_tokenizer().encode(continuation, add_special_tokens=False).ids,
        )
        logits = model(input_ids=torch.tensor([[*read.asked[0], *ids]]), **read.memory.inputs()).logits[
            0, len(read.asked[0]) - 1 : -1
        ]
        assert chance == pytest.approx(float(logits[range(len(ids)), ids].sum()), abs=1e-3)
        assert greedy == (logits.argmax(-1).tolist() == ids)
    without = reader.remember([split_request(asked[0])[0]], [Passage("nothing")], [0])
    ids = open_tokenizer().encode("a boiler", add_special_tokens=False).ids
    other = model(input_ids=torch.tensor([[*without.asked[0], *ids]]), **without.memory.inputs()).logits[
        0, len(without.asked[0]) - 1 : -1
    ]
    assert abs(float(other[range(len(ids)), ids].sum()) - found[2][0]) > 1e-2  # the passage is read


def test_what_is_written_is_quoted_and_greedy(shipped_model: GroundedForCausalLM) -> None:
    prompted = TextInterface(shipped_model)
    asked = [
        request("Who mended the gate?", MILL),
        request("How many degrees is the pool heated to?", POOL),
        request("Who?", Passage("")),
    ]
    written = prompted.write(asked, 20)
    assert written[0].text == "Josiah Pask" and written[1].text.startswith("28.5")  # not "28. 5", as its tokens are
    assert all(one.log_probability <= 0 for one in written)
    [(chance, greedy)] = prompted.likelihoods([(asked[0], written[0].text)])
    assert greedy and written[0].log_probability <= chance <= 0
    assert [one.text for one in prompted.write(asked[::-1], 20)] == [one.text for one in written][::-1]
    assert prompted.write([], 20) == [] == prompted.likelihoods([])


@pytest.fixture(scope="module")
def shipped_model() -> GroundedForCausalLM:
    from models.common.checkpoint import open_model
    from models.reader import shipped_weights

    return open_model(GroundedForCausalLM, shipped_weights.FOLDER)
