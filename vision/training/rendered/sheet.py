"""A synthetic page: runs of text at known places in, the words with their boxes and the page's image out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PIL import ImageFont

from vision.ocr import Line, Word, in_order
from vision.reading_order import Box

if TYPE_CHECKING:
    from PIL.Image import Image

FACES = {  # regular and bold, from the fonts that come with matplotlib
    "sans": ("DejaVuSans", "DejaVuSans-Bold"), "serif": ("DejaVuSerif", "DejaVuSerif-Bold"),
    "mono": ("DejaVuSansMono", "DejaVuSansMono-Bold"), "times": ("STIXGeneral", "STIXGeneralBol"),
}  # fmt: skip
INK, PAPER = (25, 25, 30), (252, 251, 247)
LETTER = 0.62  # width of a letter, in sizes of the font: what pages reckon with before they write
LINE_HEIGHT = 1.2  # of a word's box, in sizes of the font
CONFIDENCE = 0.98  # of every word, as of clean print

Align = Literal["left", "middle", "right"]


@dataclass(frozen=True, slots=True)
class Run:
    """Text on one line, from the point (x, y) of its top left, in pixels."""

    text: str
    x: float
    y: float
    size: int
    bold: bool = False


@lru_cache(maxsize=256)
def font(face: str, bold: bool, size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / f"{FACES[face][bold]}.ttf"), size)


class Sheet:
    """A page that is filled run by run; sizes in pixels. face: of FACES."""

    def __init__(self, width: int, height: int, face: str = "sans") -> None:
        self.width, self.height, self.face = width, height, face
        self.runs: dict[int, Run] = {}
        self.shapes: list[tuple[Box, tuple[int, int, int]]] = []  # filled boxes in pixels, drawn before the text

    def write(self, text: str, x: float, y: float, size: int, *, bold: bool = False, align: Align = "left") -> int:
        """Add a run; its number in `runs`. x: its left end, middle or right end, by `align`; y: its top."""
        width = font(self.face, bold, size).getlength(text)
        number = len(self.runs)
        self.runs[number] = Run(text, x - {"left": 0, "middle": width / 2, "right": width}[align], y, size, bold)
        return number

    def fit(self, margin: int) -> Sheet:
        """Grow to hold every run with a margin; returns the sheet itself."""
        ends = [self.words(number)[-1][1] for number in self.runs]
        self.width = max(self.width, *(round(right) + margin for _, _, right, _ in ends))
        self.height = max(self.height, *(round(bottom) + margin for *_, bottom in ends))
        return self

    def without(self, *numbers: int) -> Sheet:
        """A copy without these runs; the others keep their numbers and places."""
        other = Sheet(self.width, self.height, self.face)
        other.runs, other.shapes = {at: run for at, run in self.runs.items() if at not in numbers}, self.shapes
        return other

    def words(self, number: int) -> list[Word]:
        """The words of a run, boxes in pixels."""
        run, words, at = self.runs[number], [], 0
        face = font(self.face, run.bold, run.size)
        for word in run.text.split():
            first = run.text.index(word, at)
            at = first + len(word)
            left, right = (run.x + face.getlength(run.text[:end]) for end in (first, at))
            words.append((word, (left, run.y, right, run.y + LINE_HEIGHT * run.size), CONFIDENCE))
        return words

    def box(self, number: int) -> Box:
        """The box of a run, in 0..1 of the page."""
        boxes = [box for _, box, _ in self.words(number)]
        (left, top, _, _), (_, _, right, bottom) = boxes[0], boxes[-1]
        return left / self.width, top / self.height, right / self.width, bottom / self.height

    def lines(self) -> list[list[Word]]:
        """The words in lines, in the order and form of vision.ocr.read_lines."""
        return in_order([Line.of(self.words(number)) for number in self.runs], self.width, self.height)

    def picture(self) -> Image:
        """The page as an RGB image."""
        from PIL import Image, ImageDraw

        image = Image.new("RGB", (self.width, self.height), PAPER)
        draw = ImageDraw.Draw(image)
        for box, colour in self.shapes:
            draw.rectangle(box, fill=colour)
        for run in self.runs.values():
            draw.text((run.x, run.y), run.text, fill=INK, font=font(self.face, run.bold, run.size))
        return image
