"""Tables: a title, a header and rows of cells, half of them with rules between the rows."""

from __future__ import annotations

import random
from collections.abc import Sequence

from vision.training.rendered.fact import Fact, Rendered
from vision.training.rendered.sheet import FACES, LETTER, Sheet

RULE = (120, 120, 125)


def grid(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], key: int, rng: random.Random) -> Rendered:
    """A page with one table. key: the column that identifies the rows."""
    size = rng.randint(13, 18)
    pitch, margin = round(size * rng.uniform(1.6, 2.2)), rng.randint(15, 50)
    longest = [max(len(row[at]) for row in (header, *rows)) for at in range(len(header))]
    widths = [letters * size * LETTER + 2 * size for letters in longest]
    lefts = [margin + sum(widths[:at]) for at in range(len(header) + 1)]
    top = margin + (2 * pitch if title else 0)
    sheet = Sheet(round(lefts[-1] + margin), round(top + pitch * (len(rows) + 1) + margin), rng.choice(tuple(FACES)))
    if title:
        sheet.write(title, margin, margin, round(size * 1.2), bold=True)
    for at, name in enumerate(header):
        sheet.write(name, lefts[at], top, size, bold=rng.random() < 0.7)
    ruled, facts = rng.random() < 0.5, []
    for line, row in enumerate(rows, 1):
        y = top + line * pitch
        if ruled:
            sheet.shapes.append(((margin, y - pitch * 0.2, lefts[-1], y - pitch * 0.2 + 1), RULE))
        runs = {at: sheet.write(text, lefts[at], y, size) for at, text in enumerate(row) if text}
        named = ((header[key], row[key]),)
        facts += [Fact(header[at], run, (run,), named) for at, run in runs.items() if at != key and key in runs]
    file = rng.choice((title.casefold() or "table", "table", f"scan {rng.randint(1, 99)}"))
    return Rendered(file, sheet.fit(margin), tuple(facts))
