"""Bar charts and point charts with printed values, a title and labels of the axes."""

from __future__ import annotations

import random
from collections.abc import Sequence

from vision.training.rendered.fact import Fact, Rendered
from vision.training.rendered.sheet import FACES, LETTER, Sheet

BLUE, RED = (70, 110, 160), (190, 90, 60)
AXIS = (
    "What does the {side} axis show?", "What is on the {side} axis?", "What does the {side} axis of the chart say?",
    "{side} axis label", "What is measured on the {side} axis?",
)  # fmt: skip
HEADING = (
    "What is the title of the chart?", "What does the chart show?", "title of the chart", "What is the chart about?",
)  # fmt: skip
VALUE = (
    "What is the {name} of {key}?", "What value does {key} have?", "{name} {key}", "{key} {name}",
    "What is shown for {key}?", "How high is the bar of {key}?", "What is the {name} for {key} in the chart?",
    "{name} in {key}",
)  # fmt: skip


def chart(title: str, name: str, along: str, points: Sequence[tuple[str, str]], rng: random.Random) -> Rendered:
    """points: (category, value as it is printed); name: label of the values; along: label of the categories."""
    size = rng.randint(13, 19)
    height, longest = rng.randint(300, 520), max(len(text) for pair in points for text in pair)
    step = max(longest * size * LETTER + size, 40)
    left, top = 6 * size, 4 * size
    sheet = Sheet(round(left + step * len(points) + 2 * size), top + height + 5 * size, rng.choice(tuple(FACES)))
    facts = []
    if title:
        at = sheet.write(title, sheet.width / 2, size, round(size * 1.3), bold=rng.random() < 0.5, align="middle")
        facts.append(Fact("title", at, (at,), questions=HEADING))
    numbers = [abs(float(value.replace(",", "").strip("$£€%") or 0)) for _, value in points]
    most = max(numbers) * 1.15 or 1.0
    at = sheet.write(name, size, top - 1.5 * size, size)
    facts.append(_axis("y axis", at, ("y", "vertical"), rng))
    for tick in range(rng.choice((0, 4, 5))):
        value = most * tick / 5
        y = top + height * (1 - tick / 5) - size / 2
        sheet.write(f"{value:,.0f}" if most > 20 else f"{value:.1f}", left - size, y, round(size * 0.8), align="right")
    bars = rng.random() < 0.7
    for place, ((key, value), number) in enumerate(zip(points, numbers, strict=True)):
        x, y = left + step * (place + 0.5), top + height * (1 - number / most)
        if bars:
            sheet.shapes.append(((x - step * 0.3, y, x + step * 0.3, top + height), BLUE))
        else:
            sheet.shapes.append(((x - 4, y - 4, x + 4, y + 4), RED))
        printed = sheet.write(value, x, y - 1.4 * size, size, align="middle")
        sheet.write(key, x, top + height + size * 0.5, size, align="middle")
        asked = tuple(text.format(name=name.lower() if rng.random() < 0.5 else name, key=key) for text in VALUE)
        facts.append(Fact(name, printed, (printed,), ((along, key),), asked))
    if along and rng.random() < 0.7:
        at = sheet.write(along, left + step * len(points) / 2, top + height + 2.5 * size, size, align="middle")
        facts.append(_axis("x axis", at, ("x", "horizontal"), rng))
    file = rng.choice((title.casefold() or "chart", "chart", f"figure {rng.randint(1, 30)}"))
    return Rendered(file, sheet.fit(size), tuple(facts))


def _axis(asked: str, run: int, sides: Sequence[str], rng: random.Random) -> Fact:
    return Fact(asked, run, (run,), questions=tuple(text.format(side=rng.choice(sides)) for text in AXIS))
