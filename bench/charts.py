"""How often a page look-up is right on charts as matplotlib draws them: `python bench/charts.py`.

The charts of bench/labels.py are made by our own script; these have what real ones have: axis titles that are written
upwards, ticks, notes below, values over every second one's bars. Each is read by OCR and asked for its titles, its
values, and near misses: questions about what it does not say, to which no look-up may answer.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from indexing.boxes import words_within
from indexing.loaders import load
from rag.lookups.decide import look_up_page
from rag.training.make_pages import alike

DPI = 120


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    values: str
    categories: str
    names: tuple[str, ...]
    note: str = ""


CHARTS = (
    Chart("Visitors by year", "Visitors", "Year", ("2019", "2020", "2021", "2022"), "Source: gate book"),
    Chart("Rainfall", "Millimetres", "Month", ("Jan", "Feb", "Mar", "Apr", "May"), "Figure 3: weather station"),
    Chart("Flour sold", "Tonnes", "Kind", ("White", "Rye", "Spelt")),
    Chart("Bird counts", "Pairs", "Species", ("Swift", "Teal", "Curlew", "Gull"), "Note: estimates"),
    Chart("", "Load in kW", "Pump", ("Alpha", "Beta", "Gamma")),
    Chart("Staff costs", "Cost (thousand)", "Department", ("Mill", "Shop", "Office"), "Source: accounts 2021"),
    Chart("Speed of the wheel", "Turns per minute", "Sluice", ("Low", "Half", "Full")),
    Chart("", "Share", "Region", ("North", "South", "East", "West")),
    Chart("Loaves baked", "Loaves", "Year", ("2020", "2021", "2022", "2023")),
    Chart("Elvers counted", "Elvers", "Year", ("2021", "2022", "2023")),
)


def draw(chart: Chart, values: list[int], printed: bool, path: Path) -> None:
    """printed: each value stands over its bar."""
    from matplotlib.figure import Figure

    figure = Figure((6, 4), dpi=DPI)
    axes = figure.add_subplot()
    bars = axes.bar(chart.names, values)
    if printed:
        axes.bar_label(bars)
    axes.set_title(chart.title)
    axes.set_xlabel(chart.categories)
    axes.set_ylabel(chart.values)
    if chart.note:
        figure.subplots_adjust(bottom=0.2)
        figure.text(0.4, 0.02, chart.note, fontsize=8)
    figure.savefig(path)


def questions(chart: Chart, values: list[int], printed: bool) -> list[tuple[str, str, str]]:
    """(kind, question, answer); the answer of a near miss is ""."""
    name = chart.names[1]
    kind, value = ("value", str(values[1])) if printed else ("near miss", "")
    asked = [
        ("y axis", "What does the y axis show?", chart.values),
        ("x axis", "What is on the x axis?", chart.categories),
        (kind, f"What is the {chart.values.lower()} of {name}?", value),
        (kind, f"What is shown for {name}?", value),
        ("near miss", "How high does the y axis go?", ""),
        ("near miss", "What is the highest value on the y axis?", ""),
        ("near miss", f"Which {chart.categories.lower()} has more than {name}?", ""),
    ]
    return [*asked, ("title", "What is the title of the chart?", chart.title)] if chart.title else asked


def main() -> None:
    rng, counts = random.Random(0), defaultdict(Counter)
    for number, chart in enumerate(CHARTS):
        printed = number % 2 == 0
        values = [rng.randint(20, 900) for _ in chart.names]
        with tempfile.TemporaryDirectory() as folder:
            draw(chart, values, printed, Path(folder) / "chart.png")
            [read] = load(Path(folder) / "chart.png")
        words = read.pages[0].words
        boxes = words_within(words, 0, len(read.text)) if words else ()
        for kind, question, answer in questions(chart, values, printed):
            found = look_up_page(question, read.text, boxes)
            right = found is not None and alike(read.text[slice(*found.value)]) == alike(answer)
            counts[kind]["silent" if found is None else "right" if right else "wrong"] += 1
    for kind, made in counts.items():
        print(f"{kind:<10} " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(made.items())))


if __name__ == "__main__":
    main()
