"""Questions about pages made by script, to train on: `python -m rag.training.make_pages DATA OUT.jsonl.gz [--count N] [--seed N]`.

Receipts, forms, charts and tables (vision.training.rendered), their words in the order and the blocks in which Folio indexes a picture, with some of
the mistakes of OCR. Rows are as in models.training.question_sets, `boxes` among them. Half of the questions lose their fact. Tables of the question sets that training
holds out, and those of development files, are not drawn.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections import deque
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path

from tqdm import tqdm

from indexing.loaders import layout
from indexing.loaders.builder import DocumentBuilder
from indexing.loaders.images.ocr_lines import laid_out
from indexing.loaders.layout import Style
from indexing.types import Document
from models.training.question_phrasing import Lookup, question
from models.training.question_sets import QaRow, Span
from models.training.table_contexts import has_words
from vision.ocr import Word
from vision.training.rendered.fact import Fact, Rendered
from vision.training.rendered.pages import KINDS, Material, material, random_page
from vision.training.rendered.sheet import Sheet

CONFUSED = str.maketrans("O0l1S5B8", "0O1l5S8B")  # letters and figures that OCR takes for each other
ALIKE = str.maketrans("olsb", "0158")  # of lower case
LONGEST = 1500  # characters of a page
PER_PAGE = 3  # questions of one page
STRANGER = 0.12  # share of the questions that name their page's shop and are put to another page


def misread(lines: list[list[Word]], rng: random.Random) -> list[list[Word]]:
    """Words as OCR might give them: some joined to the next, some letters taken for others."""
    read = []
    for line in lines:
        words: list[Word] = []
        for text, box, confidence in line:
            if rng.random() < 0.01:
                text = text.translate(CONFUSED)
            if words and rng.random() < 0.04:
                before, at, _ = words.pop()
                text, box = before + text, (at[0], min(at[1], box[1]), box[2], max(at[3], box[3]))
            words.append((text, box, confidence))
        read.append(words)
    return read


def document(page: Rendered, sheet: Sheet, rng: random.Random) -> Document:
    """The sheet as Folio's loader of pictures reads it."""
    builder = DocumentBuilder()
    builder.page(1, sheet.width, sheet.height)
    lines = laid_out(misread(sheet.lines(), rng), sheet.width, sheet.height)
    layout.feed(builder, lines, Style(layout.body_size(lines), steady=False))
    return builder.build(title=page.title)


def answer(read: Document, sheet: Sheet, number: int) -> Span | None:
    """Where a run stands in the text; None where it was torn apart."""
    words = read.pages[0].words
    left, top, right, bottom = sheet.box(number)
    held = [at for at, (x0, y0, x1, y1) in enumerate(words.boxes.tolist()) if left - 1e-3 <= (x0 + x1) / 2 <= right + 1e-3 and top <= (y0 + y1) / 2 <= bottom] if words else []
    if not held or held != list(range(held[0], held[-1] + 1)):
        return None
    start, end = int(words.starts[held[0]]), int(words.ends[held[-1]])
    text = read.text[start:end]
    return Span(text, start) if alike(text) == alike(sheet.runs[number].text) else None


def alike(text: str) -> str:
    """The same for texts that differ by OCR's mistakes alone."""
    return "".join(text.split()).casefold().translate(ALIKE)


def asked(page: Rendered, fact: Fact, rng: random.Random) -> str:
    if fact.questions:
        return rng.choice(fact.questions)
    return question(Lookup(fact.asked, fact.keys, named=False, sole=False), page.sheet.runs[fact.value].text, rng)


def put(page: Rendered, fact: Fact, sentence: str, others: list[Rendered], rng: random.Random) -> tuple[Document, Span | None] | None:
    """What a question about a fact is put to, and its answer there: its page, that page without the fact, another shop's; None where that fails."""
    shop = next((page.sheet.runs[one.value].text for one in page.facts if one.asked == "shop"), "")
    if others and shop and shop in sentence and rng.random() < STRANGER:
        other = rng.choice(others)
        elsewhere = has_words("\n".join(run.text for run in other.sheet.runs.values()), shop)
        return None if elsewhere else (document(other, other.sheet, rng), None)
    if rng.random() < 0.5:
        read = document(page, page.sheet.without(*(fact.own if rng.random() < 0.5 else (fact.value,))), rng)
        return None if has_words(read.text, page.sheet.runs[fact.value].text) else (read, None)
    read = document(page, page.sheet, rng)
    span = answer(read, page.sheet, fact.value)
    return (read, span) if span else None


def rows(given: Material, count: int, seed: int) -> list[QaRow]:
    rng, receipts = random.Random(seed), deque(maxlen=20)
    made: list[QaRow] = []
    bar = tqdm(total=count, desc="pages", disable=None)
    for kind in islice(cycle(KINDS), 100 * count):
        page = random_page(kind, given, rng)
        for fact in rng.sample(page.facts, min(PER_PAGE, len(page.facts))) if page else ():
            sentence = asked(page, fact, rng)
            found = put(page, fact, sentence, list(receipts), rng)
            if found and 0 < len(found[0].text) <= LONGEST and len(made) < count:
                made.append(row(f"rendered-{seed}-{len(made)}", sentence, *found))
                bar.update()
        if page and kind == "receipt":
            receipts.append(page)
        if len(made) == count:
            break
    return made


def row(name: str, sentence: str, read: Document, span: Span | None) -> QaRow:
    words = read.pages[0].words
    boxes = tuple((int(a), int(b), *(round(v, 3) for v in box)) for a, b, box in zip(words.starts, words.ends, words.boxes.tolist(), strict=True))
    return QaRow(name, "rendered", sentence, read.text, read.title, (span,) if span else (), span is None, "extractive", boxes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=12000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with gzip.open(options.out, "wt", encoding="utf-8") as file:
        for row in rows(material(options.data), options.count, options.seed):
            file.write(json.dumps(asdict(row)) + "\n")


if __name__ == "__main__":
    main()
