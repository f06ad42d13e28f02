"""Fits the confidence that a picture shows what is asked for.

    python -m rag.training.fit_pictures DATA WORK [--write]

Out: weights of rag.lookups.picture_lookup. Pictures of the development split of vision.training.image_text_pairs, which
neither the image encoder nor the reader was trained on, are indexed, some figures with their caption. Each is asked for
as in rag.training.make_pictures, once with the picture among the evidence and once without. A picture is chosen where
the question asks for one or the evidence has no sentence. Pictures whose name has an even hash are fitted on; printed
figures are of the others. --write writes the group `pictures` of calibration.json.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import random
from collections import Counter
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

import numpy as np
from tqdm import tqdm

from indexing.build.run import build
from models.common.metrics import area_under_roc, calibration_error, mean
from models.reader import shipped_weights
from models.reader.extractive_reader import Reader
from rag import reading
from rag.calibration import PictureWeights, update
from rag.lookups.picture_lookup import SHOWN, Candidate, best, candidates
from rag.pipeline import RagPipeline
from rag.training.fit_quote import fit
from rag.training.make_pictures import asked
from rag.understand import understand
from vision.training.image_text_pairs import Pair, pairs

MOST = 120  # pictures of a kind
FOUND = 8  # chunks of evidence


@dataclass(frozen=True, slots=True)
class Case:
    """A question with its candidate pictures.

    held: it is measured, not fitted on. there: the picture asked for is among the evidence. right: of each candidate,
    whether it shows what is asked for.
    """

    held: bool
    there: bool
    found: list[Candidate]
    right: list[bool]


def collection(data: Path, work: Path) -> tuple[Path, list[tuple[Pair, str, str]]]:
    """An index of pictures, and for each of them the pair, its question, and its file."""
    rng, count, chosen = random.Random(0), Counter(), []
    folder = work / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for pair in pairs(data, made=False):
        if pair.split == "dev" and pair.texts and count[pair.kind] < MOST:
            count[pair.kind] += 1
            name, (question, beside) = f"p{len(chosen)}", asked(pair, rng)
            pair.image.convert("RGBA").save(folder / f"{name}.png")
            if beside:
                (folder / f"{name}.html").write_text(f'<p></p><img src="{name}.png" alt="{escape(beside)}">')
            chosen.append((pair, question, f"{name}.html" if beside else f"{name}.png"))
    build([folder / file for _, _, file in chosen], work / "pictures-index")
    return work / "pictures-index", chosen


def cases(data: Path, work: Path, reader: Reader) -> list[Case]:
    folder, chosen = collection(data, work)
    rag, made = RagPipeline.from_index(folder, generator="quote"), []
    texts = {file: {text.casefold() for text in pair.texts} for pair, _, file in chosen}
    for pair, question, file in tqdm(chosen, desc="pictures", mininterval=20):
        query = understand(question)
        hits = rag.candidates(query, FOUND + 1)
        showing = {other for other, named in texts.items() if named & texts[file]}
        held_out = hashlib.blake2b(pair.name.encode()).digest()[0] % 2 == 1
        for there in (True, False):
            names = [Path(piece.document).name for piece in hits.evidence]
            found = hits.select([at for at, name in enumerate(names) if there or name not in showing][:FOUND])
            found = reading.read(query, found, reader, FOUND, math.inf)
            if query.wants_picture or not any(piece.text.strip() for piece in found.evidence):
                pictures = candidates(question, found)
                right = [Path(found.evidence[one.at].document).name in showing for one in pictures]
                made.append(Case(held_out, there, pictures, right))
    return made


def fitted(made: list[Case]) -> PictureWeights:
    """Weights and bias of rag.lookups.picture_lookup."""
    known = [
        (one.features, right)
        for case in made if not case.held
        for one, right in zip(case.found, case.right, strict=True) if one.words < SHOWN
    ]  # fmt: skip
    weights, bias = fit(*map(np.array, zip(*known, strict=True)))
    return PictureWeights(tuple(np.round(weights, 4).tolist()), round(float(bias), 4))


def report(made: list[Case], weights: PictureWeights) -> None:
    asked = [case for case in made if case.held]
    reachable = np.array([any(case.right) for case in asked if case.there])
    print("picture: the right one among the evidence", mean(reachable))
    held = [case for case in asked if case.found]
    chosen = [best(case.found, weights) for case in held]
    places = [[one.at for one in case.found].index(at) for case, (at, _) in zip(held, chosen, strict=True)]
    first = np.array([case.right[place] for case, place in zip(held, places, strict=True)])
    most, there = np.array([sure for _, sure in chosen]), np.array([case.there for case in held])
    among = np.array([any(case.right) for case in held])
    print("picture: it is the one shown, where it is there", mean(first[there & among]))
    for at, name in ((2, "likeness alone"), (1, "the reader's evidence alone"), (3, "words alone")):
        alone = np.array([case.right[int(np.argmax([one.features[at] for one in case.found]))] for case in held])
        print(f"picture: the same by {name}", mean(alone[there & among]))
    print("picture: AUROC of confidence, right", area_under_roc(most, first), " ECE", calibration_error(most, first))
    print("picture: AUROC, there against taken out", area_under_roc(most, there & among))
    for least in (0.2, 0.5):
        shown = most >= least
        shares = f"{shown[there].mean():.3f} of those there, {shown[~there].mean():.3f} of those taken out"
        print(f"picture: from {least} on shown {shares}, right {first[shown].mean():.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--write", action="store_true", help="write calibration.json")
    options = parser.parse_args()
    shipped = shipped_weights.describe()
    made = cases(options.data, options.work, Reader(shipped_weights.encoder(shipped)))
    found = fitted(made)
    report(made, found)
    print(found)
    if options.write:
        command = "python -m rag.training.fit_pictures DATA WORK --write"
        update("pictures", asdict(found), command, reader=shipped.digest)


if __name__ == "__main__":
    main()
