"""Makes questions for pictures, to train on and to measure: `python -m rag.training.make_pictures DATA OUT`.

In: pictures with the texts that name them (vision.training.image_text_pairs), but for its test pictures. Each is asked
for by one of its texts and put beside another picture, half of the time one that looks like it. Some figures have their
caption beside them, where they are asked for by another text. Out: the files that models.training.image_questions
reads.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from pathlib import Path

import numpy as np
from tqdm import tqdm

from models.reader.image_patches import PATCHES, WIDTH
from models.training.image_questions import PATCH_FILE, QUESTION_FILE
from vision.encoder import BATCH, EmbeddedTower
from vision.training.image_text_pairs import Pair, pairs

KINDS = {
    "figure": ("figure", "picture", "diagram", "image"),
    "photo": ("photo", "picture", "image"),
    "emoji": ("emoji", "picture", "symbol"),
    "icon": ("icon", "picture", "symbol"),
    "page": ("picture", "scan", "image"),
}
FORMS = (
    "Which {kind} shows {text}?", "Show me the {kind} of {text}.", "{kind} of {text}",
    "Do you have a picture of {text}?", "{text}", "Where is the {kind} with {text}?", "find {text}",
)  # fmt: skip
WORDS = 24  # of the text in a question, at most
LETTERS = 3  # of the text, at least
LIKE = 30  # most similar pictures, of which the other one is drawn
CAPTIONED = 0.4  # share of figures with their other texts beside them


def asked(pair: Pair, rng: random.Random) -> tuple[str, str]:
    """A question, and the words beside its picture: its texts but for the one in the question."""
    text = rng.choice([one for one in pair.texts if sum(map(str.isalpha, one)) >= LETTERS] or pair.texts)
    captioned = pair.kind == "figure" and rng.random() < CAPTIONED
    beside = [other for other in pair.texts if other != text] if captioned else []
    plain = " ".join(text.split()[:WORDS]).rstrip(".")
    lowered = plain[:1].lower() + plain[1:] if plain[1:2].islower() else plain
    return rng.choice(FORMS).format(kind=rng.choice(KINDS[pair.kind]), text=lowered), " ".join(beside)


def neighbours(vectors: np.ndarray, at: int) -> list[int]:
    """The LIKE rows of normalised vectors (n, d) most similar to row `at`, without it."""
    return [int(one) for one in np.argsort(-(vectors @ vectors[at]))[: LIKE + 1] if one != at]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("data", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--count", type=int, help="pictures at most")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tower, rng = EmbeddedTower(), random.Random(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    chosen: list[Pair] = []
    vectors, waiting = [np.empty((0, tower.dimension), np.float32)], []
    with (options.out / PATCH_FILE).open("wb") as file:

        def see() -> None:
            patches = tower.patches(waiting)
            file.write(patches.tobytes())
            means = patches.astype(np.float32).mean(1)
            vectors.append(means / np.linalg.norm(means, axis=1, keepdims=True))
            waiting.clear()

        for pair in tqdm(pairs(options.data), desc="pictures", mininterval=10):
            if pair.split != "test" and pair.texts and (options.count is None or len(chosen) < options.count):
                waiting.append(pair.image.convert("RGBA"))
                chosen.append(Pair(pair.name, pair.kind, pair.split, None, pair.texts))
                if len(waiting) == BATCH:
                    see()
        see()
    seen = np.concatenate(vectors)
    named = [frozenset(text.casefold() for text in pair.texts) for pair in chosen]
    with gzip.open(options.out / QUESTION_FILE, "wt", encoding="utf-8") as file:
        for at, pair in enumerate(tqdm(chosen, desc="questions", mininterval=10)):
            question, text = asked(pair, rng)
            like = neighbours(
                seen, at,
            ) if rng.random() < 0.5 else rng.sample(range(len(chosen)), min(LIKE, len(chosen)))
            others = [one for one in like if chosen[one].split == pair.split and not named[one] & named[at]]
            others = [one for one in others if one != at]
            shown = [{"picture": at, "text": text, "title": "", "shows": True}]
            if others:
                other = rng.choice(others)
                shown.append({"picture": other, "text": asked(chosen[other], rng)[1], "title": "", "shows": False})
            file.write(json.dumps({"question": question, "split": pair.split, "shown": shown}) + "\n")
    print(f"{len(chosen)} pictures of {PATCHES} patches of {WIDTH}")


if __name__ == "__main__":
    main()
