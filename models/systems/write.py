"""python -m models.systems.write QUESTION FILE.txt...: has the decoder write an answer from passages by copying, and tells from where and at what cost.

--cache, --speculate and --samples are the ways to write of models.systems.key_value_caches, models.systems.speculative_decoding and models.systems.parallel_sampling.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.common import command_line
from models.common.errors import DataError, WritingError
from models.reader import shipped_weights
from models.reader.extractive_reader import LONGEST

if TYPE_CHECKING:
    from models.network.grounded import GroundedForCausalLM
    from models.network.grounded_reader import GroundedReader, Recalled

CACHES = ("dynamic", "static", "sliding", "quantised")
GUESSES = ("memory", "prompt", "assistant", "early-exit")
FORGETFUL = ("dynamic", "quantised")  # caches that can take tokens back
BITS = (8, 4)


@dataclass(frozen=True, slots=True)
class Manner:
    """How an answer is written. cache: of CACHES; bits: of a quantised one; window: tokens of a sliding one (a question longer than that fades as the answer
    grows); speculate: of GUESSES; temperature: 0 = the likeliest token each time; longest: tokens of an answer.

    Raises WritingError for what does not go together.
    """

    cache: str = "dynamic"
    bits: int = BITS[0]
    window: int = 32
    speculate: str | None = None
    samples: int = 1
    temperature: float = 0.0
    longest: int = LONGEST

    def __post_init__(self) -> None:
        for name, value, allowed in (("cache", self.cache, CACHES), ("bits", self.bits, BITS), ("speculate", self.speculate, (None, *GUESSES))):
            if value not in allowed:
                raise WritingError(f"{name} is one of {', '.join(map(str, filter(None, allowed)))}, not {value!r}")
        if self.window < 2:
            raise WritingError(f"a window of {self.window} tokens holds nothing before the one that is written: give 2 or more")
        if self.samples < 1 or self.longest < 1 or self.temperature < 0:
            raise WritingError("an answer has 1 sample and 1 token or more, and a temperature of 0 or more")
        if self.samples > 1 and not self.temperature:
            raise WritingError(f"{self.samples} samples would all be the same: give --temperature 0.6")
        if self.speculate and self.samples > 1:
            raise WritingError("guesses are verified for one answer at a time: leave out --samples or --speculate")
        if self.speculate and self.cache not in FORGETFUL:
            raise WritingError(f"wrong guesses must be forgotten again, which a {self.cache} cache cannot: take a dynamic or a quantised one")


@dataclass(frozen=True, slots=True)
class Written:
    """passage: number of the one that it was copied from, characters start..end of it, None where nothing was copied; chance: its log-probability;
    copied: share of the tokens that stand there one behind the other. accepted: tokens a pass of the decoder; cache_bytes: of the cache, a token.
    """

    text: str
    passage: int | None
    start: int | None
    end: int | None
    chance: float
    copied: float
    tokens: int  # with the end
    seconds: float  # of writing alone
    tokens_per_second: float
    accepted: float
    cache_bytes: float


def write(reader: GroundedReader, recalled: Recalled, manner: Manner, assistant: GroundedForCausalLM | None = None) -> Written:
    """The answer to the first question of `recalled`. assistant: what guesses where the manner speculates with one. Raises WritingError."""
    import torch

    from models.network.grounded_reader import drafted, trace
    from models.systems import key_value_caches, speculative_decoding
    from models.systems.parallel_sampling import best, samples

    model, memory = reader.model, recalled.memory
    with torch.inference_mode():
        options: dict[str, Any] = key_value_caches.options(manner.cache, model.config, manner.bits, manner.window)
        if manner.speculate:
            drafts = drafted(recalled.blocks, recalled.log_odds(), 0)[:1]
            first = recalled.tokens(drafts[0]) if drafts else ()
            options |= speculative_decoding.options(manner.speculate, model, memory.memory_ids[0], first, assistant)
        if manner.temperature:
            options |= {"do_sample": True, "temperature": manner.temperature, "top_k": 0, "num_return_sequences": manner.samples}
        else:
            options |= {"do_sample": False}
        prompt = torch.tensor([recalled.asked[0]], device=model.device)  # (1, P)
        began = time.perf_counter()
        with speculative_decoding.counted(model) as passes:
            made = model.generate(prompt, max_new_tokens=manner.longest, return_dict_in_generate=True, **options, **memory.inputs())
        seconds = time.perf_counter() - began
        new = made.sequences[:, prompt.shape[1] :]  # (samples, A)
        prompt = prompt.expand(len(new), -1)
        traced = trace(model, prompt, torch.ones_like(prompt), new, memory)
        said = best(samples(recalled, new.tolist(), traced))
    start, end = recalled.characters(*said.place) if said.place else (None, None)
    tokens = min(len(said.tokens) + 1, new.shape[1])
    return Written(
        text=reader.tokenizer.decode(list(said.tokens)), passage=recalled.blocks[said.place[0]].passage if said.place else None, start=start, end=end,
        chance=said.chance, copied=said.copied, tokens=tokens, seconds=seconds, tokens_per_second=tokens / seconds,
        accepted=new.shape[1] / passes.count, cache_bytes=key_value_caches.held(made.past_key_values) / manner.samples / (made.sequences.shape[1] - 1),
    )  # fmt: skip


def _passage(file: Path) -> str:
    """Raises DataError."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read as UTF-8 text ({error}): name a text file") from error
    if not text.strip():
        raise DataError(f"{file} is empty: there is nothing to answer from")
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    usual = Manner()
    parser = argparse.ArgumentParser(prog="python -m models.systems.write", description="Have the decoder write an answer from passages, by copying.")
    parser.add_argument("question")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE.txt", help="passages; all are read for the one question")
    parser.add_argument("--model", type=Path, default=shipped_weights.FOLDER, help="a folder of shipped weights, or of models.training.train")
    parser.add_argument("--cache", choices=CACHES, default=usual.cache)
    parser.add_argument("--bits", type=int, choices=BITS, default=usual.bits, help="of a number in a quantised cache (8)")
    parser.add_argument("--window", type=int, default=usual.window, help="tokens of a sliding cache (32)")
    parser.add_argument("--speculate", choices=GUESSES, help="what guesses tokens ahead; the answer stays the same")
    parser.add_argument("--assistant", type=Path, help="a smaller grounded model's folder; without it the lower half of the decoder")
    parser.add_argument("--samples", type=int, default=usual.samples, help="answers that are drawn at once, of which the best grounded one is said (1)")
    parser.add_argument("--temperature", type=float, default=usual.temperature, help="0 writes the likeliest token each time (0)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    manner = Manner(options.cache, options.bits, options.window, options.speculate, options.samples, options.temperature)
    texts = [_passage(file) for file in options.files]
    import torch

    from models.common.checkpoint import open_model
    from models.network.grounded import GroundedForCausalLM
    from models.network.grounded_reader import GroundedReader
    from models.reader.windows import Passage
    from models.systems import variants  # noqa: F401 - so that open_model knows the variants
    from models.systems.speculative_decoding import lower_half

    reader = GroundedReader(open_model(GroundedForCausalLM, options.model))
    assistant = None
    if manner.speculate == "assistant":
        assistant = open_model(GroundedForCausalLM, options.assistant).eval() if options.assistant else lower_half(reader.model)
    torch.manual_seed(options.seed)
    written = write(reader, reader.remember([options.question], [Passage(text) for text in texts], [0] * len(texts)), manner, assistant)
    place = "nothing was copied"
    if written.passage is not None:
        place = f"{options.files[written.passage]}, characters {written.start} to {written.end}: {texts[written.passage][written.start : written.end]!r}"
    if options.json:
        print(json.dumps(asdict(written)))
        return
    print(written.text)
    print(place)
    print(
        f"{written.tokens} tokens, log-probability {written.chance:.2f}, {100 * written.copied:.0f} % copied in one run; {written.tokens_per_second:.0f} tokens/s,"
        f" {written.accepted:.2f} accepted a pass, {written.cache_bytes:.0f} bytes of cache a token"
    )


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
