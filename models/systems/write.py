"""python -m models.systems.write QUESTION FILE.txt...: an answer that the decoder writes from passages, by copying.

Prints the answer, the place that it was copied from, and what it cost. How it is decoded is chosen by --cache
(models.systems.key_value_caches), --speculate (speculative_decoding) and --samples (parallel_sampling).
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
CROPPABLE = ("dynamic", "quantised")  # caches that can take tokens back
SOURCES = ("memory", "prompt", "assistant", "early-exit")  # of candidates for speculative decoding
BITS = (8, 4)


@dataclass(frozen=True, slots=True)
class Decoding:
    """How an answer is decoded. Raises WritingError for settings that do not go together.

    cache: of CACHES. bits: of a number in a quantised cache. window: tokens of a sliding cache; a question longer than
    that is forgotten while the answer grows. speculate: of SOURCES. temperature: 0 = greedy. longest: tokens.
    """

    cache: str = "dynamic"
    bits: int = BITS[0]
    window: int = 32
    speculate: str | None = None
    samples: int = 1
    temperature: float = 0.0
    longest: int = LONGEST

    def __post_init__(self) -> None:
        choices = {"cache": CACHES, "bits": BITS, "speculate": (None, *SOURCES)}
        for name, allowed in choices.items():
            if (value := getattr(self, name)) not in allowed:
                named = ", ".join(map(str, filter(None, allowed)))
                raise WritingError(f"{name} is one of {named}, not {value!r}")
        if self.window < 2:
            raise WritingError(
                f"a window of {self.window} tokens holds nothing before the one that is written: give 2 or more"
            )
        if self.samples < 1 or self.longest < 1 or self.temperature < 0:
            raise WritingError("an answer has 1 sample and 1 token or more, and a temperature of 0 or more")
        if self.samples > 1 and not self.temperature:
            raise WritingError(f"{self.samples} samples would all be the same: give --temperature 0.6")
        if self.speculate and self.samples > 1:
            raise WritingError("guesses are verified for one answer at a time: leave out --samples or --speculate")
        if self.speculate and self.cache not in CROPPABLE:
            raise WritingError(
                f"wrong guesses must be forgotten again, which a {self.cache} cache cannot: "
                "take a dynamic or a quantised one"
            )


@dataclass(frozen=True, slots=True)
class Written:
    """An answer and its cost.

    passage: number of the passage that it was copied from, start and end its characters there; None where nothing was
    copied. copied: share of the tokens in the longest copied run. accepted: tokens for each pass of the decoder.
    """

    text: str
    passage: int | None
    start: int | None
    end: int | None
    log_probability: float
    copied: float
    tokens: int  # with the end
    seconds: float  # of generating alone
    tokens_per_second: float
    accepted: float
    cache_bytes: float  # of the cache, for each token and sample


def write(
    reader: GroundedReader, recalled: Recalled, decoding: Decoding, assistant: GroundedForCausalLM | None = None
) -> Written:
    """The answer to the first question of `recalled`.

    assistant: the model that proposes candidates for speculate="assistant". Raises WritingError.
    """
    import torch

    from models.network.grounded_reader import trace
    from models.systems import key_value_caches, speculative_decoding
    from models.systems.parallel_sampling import best, samples

    model, memory = reader.model, recalled.memory
    with torch.inference_mode():
        options = _options(model, recalled, decoding, assistant)
        prompt = torch.tensor([recalled.asked[0]], device=model.device)  # (1, P)
        began = time.perf_counter()
        with speculative_decoding.counted(model) as passes:
            made = model.generate(
                prompt, max_new_tokens=decoding.longest, return_dict_in_generate=True, **options, **memory.inputs()
            )
        seconds = time.perf_counter() - began
        new = made.sequences[:, prompt.shape[1] :]  # (samples, A)
        prompt = prompt.expand(len(new), -1)
        traced = trace(model, prompt, torch.ones_like(prompt), new, memory)
        chosen = best(samples(recalled, new.tolist(), traced))
    start, end = recalled.characters(*chosen.place) if chosen.place else (None, None)
    tokens = min(len(chosen.tokens) + 1, new.shape[1])
    cached = decoding.samples * (made.sequences.shape[1] - 1)  # tokens in the cache: all but the last one written
    return Written(
        text=reader.tokenizer.decode(list(chosen.tokens)),
        passage=recalled.blocks[chosen.place[0]].passage if chosen.place else None, start=start, end=end,
        log_probability=chosen.log_probability, copied=chosen.copied, tokens=tokens, seconds=seconds,
        tokens_per_second=tokens / seconds, accepted=new.shape[1] / passes.count,
        cache_bytes=key_value_caches.cache_bytes(made.past_key_values) / cached,
    )  # fmt: skip


def _options(
    model: GroundedForCausalLM, recalled: Recalled, decoding: Decoding, assistant: GroundedForCausalLM | None
) -> dict[str, Any]:
    """Keyword arguments of `generate()`."""
    from models.network.grounded_reader import drafted
    from models.systems import key_value_caches, speculative_decoding

    options = key_value_caches.options(decoding.cache, model.config, decoding.bits, decoding.window)
    if decoding.speculate:
        drafts = drafted(recalled.blocks, recalled.log_odds(), 0)[:1]
        first = recalled.tokens(drafts[0]) if drafts else ()
        ids = recalled.memory.memory_ids[0]
        options |= speculative_decoding.options(decoding.speculate, model, ids, first, assistant)
    if not decoding.temperature:
        return options | {"do_sample": False}
    sampling = {"temperature": decoding.temperature, "top_k": 0, "num_return_sequences": decoding.samples}
    return options | {"do_sample": True, **sampling}


def _passage(file: Path) -> str:
    """Raises DataError."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read as UTF-8 text ({error}): name a text file") from error
    if not text.strip():
        raise DataError(f"{file} is empty: there is nothing to answer from")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.systems.write", description="Have the decoder write an answer from passages, by copying."
    )
    add, default = parser.add_argument, Decoding()
    add("question")
    add("files", type=Path, nargs="+", metavar="FILE.txt", help="passages; all are read for the one question")
    add("--model", type=Path, default=shipped_weights.FOLDER, help="a grounded model's folder (the shipped weights)")
    add("--cache", choices=CACHES, default=default.cache)
    add("--bits", type=int, choices=BITS, default=default.bits, help="of a number in a quantised cache (8)")
    add("--window", type=int, default=default.window, help="tokens of a sliding cache (32)")
    add("--speculate", choices=SOURCES, help="what guesses tokens ahead; the answer stays the same")
    add("--assistant", type=Path, help="a smaller grounded model's folder (the lower half of the decoder)")
    add("--samples", type=int, default=default.samples, help="answers to draw; the best grounded one is given (1)")
    add("--temperature", type=float, default=default.temperature, help="0 writes the likeliest token each time (0)")
    add("--seed", type=int, default=0)
    add("--json", action="store_true")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    decoding = Decoding(
        options.cache, options.bits, options.window, options.speculate, options.samples, options.temperature
    )
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
    if decoding.speculate == "assistant" and options.assistant:
        assistant = open_model(GroundedForCausalLM, options.assistant).eval()
    elif decoding.speculate == "assistant":
        assistant = lower_half(reader.model)
    torch.manual_seed(options.seed)
    recalled = reader.remember([options.question], [Passage(text) for text in texts], [0] * len(texts))
    written = write(reader, recalled, decoding, assistant)
    if options.json:
        print(json.dumps(asdict(written)))
        return
    print(written.text)
    if written.passage is None:
        print("nothing was copied")
    else:
        quote = texts[written.passage][written.start : written.end]
        print(f"{options.files[written.passage]}, characters {written.start} to {written.end}: {quote!r}")
    print(
        f"{written.tokens} tokens, log-probability {written.log_probability:.2f}, "
        f"{100 * written.copied:.0f} % copied in one run; {written.tokens_per_second:.0f} tokens/s, "
        f"{written.accepted:.2f} accepted a pass, {written.cache_bytes:.0f} bytes of cache a token"
    )


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
