"""Charts as matplotlib draws them, of random values, and what such a chart is called."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

STYLES = ("default", "ggplot", "bmh", "seaborn-v0_8-whitegrid", "fivethirtyeight", "grayscale", "classic")
X_LABELS, Y_LABELS = ("year", "time", "x", "month", "distance"), ("value", "price", "count", "rate", "y")
NAMES = {  # kind -> texts that name a chart of it
    "line": ("line chart", "line graph with a rising curve", "a graph of a quantity over time"),
    "lines": ("line chart with several lines", "graph comparing curves", "a plot of several series with a legend"),
    "bar": ("bar chart", "column chart", "a bar graph comparing categories"),
    "barh": ("horizontal bar chart", "bar chart with horizontal bars"),
    "stacked": ("stacked bar chart", "bar chart with stacked bars and a legend"),
    "scatter": ("scatter plot", "scatter diagram of points", "a plot of data points"),
    "pie": ("pie chart", "a circle divided into shares"),
    "histogram": ("histogram", "distribution of values as bars"),
    "heatmap": ("heat map", "a matrix of coloured cells", "confusion matrix"),
    "box": ("box plot", "box and whisker plot"),
    "area": ("area chart", "stacked area chart over time"),
}


def plot(kind: str, rng: random.Random) -> Image:
    """A chart of one of NAMES, RGB."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot
    from PIL import Image

    numbers = np.random.default_rng(rng.getrandbits(32))
    with pyplot.style.context(rng.choice(STYLES)):
        figure, axes = pyplot.subplots(figsize=(rng.uniform(2.5, 5), rng.uniform(2, 3.6)), dpi=60)
        count, series = rng.randint(3, 12), rng.randint(2, 4)
        along, values = np.arange(count), numbers.gamma(2, 2, (series, count))
        curves = np.cumsum(numbers.normal(0.1, 1, (series, 60)), 1)
        if kind == "line":
            axes.plot(curves[0])
        elif kind == "lines":
            axes.plot(curves.T, label=[f"series {at}" for at in range(series)])
        elif kind in ("bar", "barh"):
            getattr(axes, kind)(along, values[0], color=numbers.random(3))
        elif kind == "stacked":
            for at in range(series):
                axes.bar(along, values[at], bottom=values[:at].sum(0), label=f"part {at}")
        elif kind == "scatter":
            x = numbers.normal(size=80)
            axes.scatter(x, x * rng.uniform(-1, 1) + numbers.normal(size=80), s=rng.uniform(4, 30))
        elif kind == "pie":
            axes.pie(values[0, :6], labels=list("ABCDEF"[: min(count, 6)]))
        elif kind == "histogram":
            axes.hist(numbers.normal(size=300), bins=rng.randint(8, 30))
        elif kind == "heatmap":
            axes.imshow(numbers.random((count, count)), cmap=rng.choice(["viridis", "Blues", "magma", "gray"]))
        elif kind == "box":
            axes.boxplot(list(values + 1))
        else:
            axes.stackplot(np.arange(60), np.abs(curves) + 0.5)
        if kind in ("lines", "stacked"):
            axes.legend()
        if kind != "pie":
            axes.set(xlabel=rng.choice(X_LABELS), ylabel=rng.choice(Y_LABELS))
        figure.tight_layout()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        pyplot.close(figure)
    return Image.open(buffer).convert("RGB")
