"""Speculative decoding: the text is that of plain decoding, in fewer passes where the guesses are right."""

from __future__ import annotations

import pytest
import torch
from copier import by_chance, copier, memory

from models.common.errors import WritingError
from models.network.config import tiny
from models.network.grounded import GroundedForCausalLM
from models.systems import key_value_caches, speculative_decoding

EVIDENCE = [102, 20, 21, 22, 23, 24, 25, 26, 102]
PROMPT = torch.tensor([[101, 60, 20]])
GUESSES = ("memory", "prompt", "assistant", "early-exit")


def run(model: GroundedForCausalLM, prompt: torch.Tensor, words: list[int], **options: object) -> tuple[list[int], int]:
    """What is written, and in how many passes."""
    with speculative_decoding.counted(model) as passes:
        written = model.generate(
            prompt, do_sample=False, **{"max_new_tokens": 12, **options}, **memory(model, words).inputs()
        )
    return written[0, prompt.shape[1] :].tolist(), passes.count


def test_memory_is_copied_in_two_passes_or_in_one() -> None:
    model, ids = copier(), torch.tensor(EVIDENCE)
    answer = [21, 22, 23, 24, 25, 26, 102]
    assert run(model, PROMPT, EVIDENCE) == (answer, 7)
    assert run(model, PROMPT, EVIDENCE, **speculative_decoding.options("memory", model, ids)) == (answer, 2)
    assert run(model, PROMPT, EVIDENCE, **speculative_decoding.options("memory", model, ids, answer)) == (answer, 1)
    assert run(model, PROMPT, EVIDENCE, **speculative_decoding.options("memory", model, ids, [21, 22, 50, 51])) == (
        answer,
        2,
    )
    assert run(model, PROMPT, EVIDENCE, **speculative_decoding.options("memory", model, ids, [60])) == (answer, 2)
    # where nothing of it stands
    assert run(model, PROMPT, EVIDENCE, **speculative_decoding.options("prompt", model, ids)) == (answer, 7)


@pytest.mark.parametrize(("words", "bias", "first"), [
    ([30, 21, 40, 41, 42, 102, 20, 21, 22, 23, 24, 102], -50.0, []),  # the first 21 is there, but hardly read
    # the first 23 is read where 21 was copied, not where 23 was
    ([30, 23, 40, 41, 42, 102, 20, 21, 22, 23, 24, 102], 150.0, [21, 22, 50]),
])  # fmt: skip
def test_of_two_places_the_one_that_is_copied_from_goes_on(words: list[int], bias: float, first: list[int]) -> None:
    model = copier()
    inputs = memory(model, words).inputs()
    inputs["memory_bias"][0, 1] = bias
    candidates = speculative_decoding.MemoryCandidates(torch.tensor(words), first)
    with speculative_decoding.counted(model) as passes:
        written = model.generate(
            PROMPT,
            custom_generate=speculative_decoding.verifying(candidates),
            max_new_tokens=12,
            do_sample=False,
            **inputs,
        )
    assert written[0, 3:].tolist() == [21, 22, 23, 24, 102] and passes.count == 2


@pytest.mark.parametrize("guess", GUESSES)
@pytest.mark.parametrize("cache", ["dynamic", "quantised"])
def test_the_answer_is_that_of_greedy_search(guess: str, cache: str) -> None:
    for seed in range(2):
        model, prompt = by_chance(seed), torch.tensor([[101, 40, 41, 42 + seed, 40, 102]])
        model.copy.sentinel.bias.data.fill_(-1.0)  # much is copied
        words = torch.randint(3, 100, (24,)).tolist()
        options = speculative_decoding.options(
            guess,
            model,
            torch.tensor(words),
            [5, 6],
            by_chance(seed + 7) if seed else speculative_decoding.lower_half(model),
        )
        kept = {"eos_token_id": None, "pad_token_id": 0}
        plain, passes = run(model, prompt, words, **kept, **key_value_caches.options(cache, model.config, 8, 32))
        assert passes == len(plain) == 12
        written, fewer = run(
            model, prompt, words, **kept, **options, **key_value_caches.options(cache, model.config, 8, 32)
        )
        assert written == plain and fewer <= passes
        assert model.config.num_hidden_layers == 3


def test_the_model_itself_guesses_right() -> None:
    model = by_chance()
    written, passes = run(model, PROMPT, EVIDENCE, eos_token_id=None, pad_token_id=0, assistant_model=by_chance())
    assert len(written) == 12 and passes <= 6


def test_the_lower_half_says_what_an_early_exit_says() -> None:
    model = by_chance()
    lower, inputs = speculative_decoding.lower_half(model), memory(model, EVIDENCE).inputs()
    with torch.no_grad():
        said = lower(PROMPT, **inputs).logits
        model.config.num_hidden_layers = 1
        torch.testing.assert_close(said, model(PROMPT, **inputs).logits)


def test_an_assistant_that_cannot_read_the_memory_is_one_clear_line() -> None:
    model, other = by_chance(), tiny(110, 101, 102)
    other.pointer_size = 8
    ids = torch.tensor(EVIDENCE)
    with pytest.raises(WritingError, match="its pointer_size is 8, not 16"):
        speculative_decoding.options("assistant", model, ids, assistant=by_chance(config=other))
    wider = tiny(110, 101, 102)
    wider.cross_attention_layers = [0, 1, 2]
    with pytest.raises(WritingError, match="more cross layers"):
        speculative_decoding.options("assistant", model, ids, assistant=by_chance(config=wider))
    with pytest.raises(WritingError, match="an assistant is wanted"):
        speculative_decoding.options("assistant", model, ids)
    model.config.num_hidden_layers = 1
    with pytest.raises(WritingError, match="no lower half"):
        speculative_decoding.options("early-exit", model, ids)
