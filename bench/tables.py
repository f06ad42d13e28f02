"""How often a cell of an unseen table is found and boxed: `python bench/tables.py DATA [--count N] [--json]`.

Tables of development files are drawn as pages, half of them with rules. Each page, as a PDF and as a picture, is the
only document of an index that is asked for ASKED of its cells. Right: a citation quotes the cell alone and exactly.
Boxed: the box of such a citation overlaps the true one by bench.pages.IOU.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from bench.common import parser_of, report
from bench.pages import judged
from indexing.build.run import build
from models.common.metrics import mean
from models.training.table_contexts import read_tables
from models.training.training_sets import TABLE_SETS
from rag.pipeline import RagPipeline
from vision.training.rendered.fact import Rendered
from vision.training.rendered.pages import Material, random_page
from vision.training.rendered.sheet import Sheet, font

ASKED = 2  # cells of a page


def save_picture(sheet: Sheet, folder: Path) -> Path:
    sheet.picture().save(folder / "page.png")
    return folder / "page.png"


def save_pdf(sheet: Sheet, folder: Path) -> Path:
    """The same page with letters and rules as a PDF has them, a point for a pixel."""
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import Rectangle

    figure = Figure((sheet.width / 72, sheet.height / 72))
    for (left, top, right, bottom), colour in sheet.shapes:
        place = (left / sheet.width, 1 - bottom / sheet.height)
        size = (right - left) / sheet.width, (bottom - top) / sheet.height
        figure.add_artist(Rectangle(place, *size, color=[part / 255 for part in colour], lw=0))
    for run in sheet.runs.values():
        letters = font(sheet.face, run.bold, run.size)
        figure.text(
            run.x / sheet.width, 1 - (run.y + letters.getmetrics()[0]) / sheet.height, run.text, fontsize=run.size,
            va="baseline", fontproperties=FontProperties(fname=letters.path, size=run.size), parse_math=False,
        )  # fmt: skip
    figure.savefig(folder / "page.pdf")
    return folder / "page.pdf"


WAYS: dict[str, Callable[[Sheet, Path], Path]] = {"PDF": save_pdf, "picture": save_picture}


def asked(page: Rendered, save: Callable[[Sheet, Path], Path], rng: random.Random) -> list[tuple[bool, bool]]:
    """(right, boxed) of some cells of a page."""
    with tempfile.TemporaryDirectory() as folder:
        build([save(page.sheet, Path(folder))], Path(folder) / "index")
        rag = RagPipeline.from_index(Path(folder) / "index")
        facts = rng.sample(page.facts, min(ASKED, len(page.facts)))
        return [judged(rag.ask(f"What is the {fact.asked} of {fact.keys[0][1]}?"), page, fact) for fact in facts]


def main() -> None:
    parser = parser_of("tables", __doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=30, help="tables")
    options = parser.parse_args()
    files = [options.data / "qa" / "dev" / f"{name}.jsonl.gz" for name in TABLE_SETS]
    given = Material([], read_tables([file for file in files if file.exists()]))
    rng, pages = random.Random(0), []
    while len(pages) < options.count:
        page = random_page("table", given, rng)
        pages += [page] if page and page.facts else []
    made = {}
    for name, save in WAYS.items():
        results = []
        for number, page in enumerate(tqdm(pages, desc=name, disable=None)):
            results += asked(page, save, random.Random(number))
        right, boxed = (mean([float(result[at]) for result in results]) for at in (0, 1))
        made[name] = {"right": right, "boxed": boxed}
    report(parser, options, made)


if __name__ == "__main__":
    main()
