"""OCR: an upright RGB image in, lines of words with boxes and confidences out. Knows nothing of documents.

The PP-OCR models come inside the rapidocr package. Detection finds the quadrilaterals of lines; recognition reads each
line and says in which column every character stands. Word boxes are interpolated from these columns along the
quadrilateral. Vertical lines are read in both directions; text that stands upside down is not read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from vision.reading_order import Box, reading_order, same_row

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

Word = tuple[str, Box, float]  # text without white space, box in 0..1 of the image, confidence in 0..1
Edge = tuple["np.ndarray", "np.ndarray"]  # ((x, y), (x, y)) in pixels, from the first letter of a line to its last

DETECT_SIDE = 1600  # pixels; larger images are scaled down for detection, not for recognition
DETECT_SMALL = 736  # pixels; images whose shorter side is below are scaled up for detection (PP-OCR's own limit)
MIN_SIDE = 8  # pixels; an image less wide or less high cannot hold a letter
TALL = 2.5  # height / width from which an image (a long screenshot) is read in pieces,
PIECE = 1.5  # each as high as this many widths,
CUT_FROM, LAST_PIECE = 0.8, 1.3  # cut between 0.8 and 1 of that; a last piece may be 1.3 of it
MIN_CONFIDENCE = 0.5  # of a line, rapidocr's default
VERTICAL = 1.5  # height / width of a quadrilateral from which its line may be vertical (rapidocr turns it from here on)
LONE = 2.5  # up to this height / width it may be a single level letter
JOIN = 1.2  # line heights: fragments of a line that are nearer are joined,
OVERLAPPING = 0.5  # even where they overlap by this many
HALF_LETTER = 0.55  # of the letters' pitch: a word's box begins this far before the centre of its first letter


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or a fragment of one, as detection finds it."""

    words: list[Word]  # boxes in pixels
    box: Box
    direction: int  # 0: level, 1: written upwards, -1: written downwards

    @classmethod
    def of(cls, words: list[Word], *, direction: int = 0) -> Line:
        left, top, right, bottom = zip(*(box for _, box, _ in words), strict=True)
        return cls(words, (min(left), min(top), max(right), max(bottom)), direction)


@dataclass(frozen=True, slots=True)
class _Orientation:
    """One way to read a quadrilateral: its pixels turned level, and the edges above and below its letters."""

    crop: np.ndarray  # (h, w, 3) in BGR
    upper: Edge
    lower: Edge
    direction: int  # as Line.direction


def read_lines(image: Image) -> list[list[Word]]:
    """The lines of an upright RGB image in reading order; empty if it holds no text."""
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        return []
    return in_order([line for top, piece in _pieces(image) for line in _read(piece, top)], width, height)


def in_order(lines: list[Line], width: int, height: int) -> list[list[Word]]:
    """Lines of an image of this size in reading order, level ones first, with the boxes of words in 0..1."""
    ordered: list[list[Word]] = []
    for direction in (0, 1, -1):
        members = [line for line in lines if line.direction == direction]
        if direction:
            members = [replace(line, box=_levelled(line.box, direction)) for line in members]
        ordered += _joined([members[i] for i in reading_order([line.box for line in members])])
    return [[(text, _unit(box, width, height), confidence) for text, box, confidence in line] for line in ordered]


@lru_cache(maxsize=1)
def _engine() -> Any:
    """The engine of this process. Its models are files of the rapidocr package: nothing is downloaded."""
    from models.common.onnx_session import import_onnxruntime

    import_onnxruntime()  # first: rapidocr imports it too
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.use_preprocess_img": False,  # _for_detection bounds sizes
            "Global.text_score": MIN_CONFIDENCE,
            "Det.limit_type": "max",
            "Det.limit_side_len": 4096,  # never reached: _for_detection has scaled the image
            "EngineConfig.onnxruntime.intra_op_num_threads": os.cpu_count() or 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _read(image: Image, top: int) -> list[Line]:
    """Lines of one piece of an image, boxes in pixels of the image. top: where the piece begins in it."""
    import numpy as np
    from rapidocr.utils.process_img import get_rotate_crop_image

    engine = _engine()
    pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])  # (H, W, 3) in BGR
    small, scale = _for_detection(image)
    detected = engine(small, use_det=True, use_cls=False, use_rec=False)
    lines: list[Line] = []
    for quad in () if detected.boxes is None else detected.boxes:
        quad = (np.asarray(quad) * scale).astype(np.float32)  # (4, 2) from top left, clockwise
        crop = get_rotate_crop_image(pixels, quad.copy())
        if not crop.size:
            continue
        # One line at a time: batches are padded to their longest line, which on a CPU costs more than it saves.
        read = [(one, _recognised(engine, one.crop)) for one in _orientations(crop, quad)]
        orientation, best = max(read, key=lambda one: one[1].scores[0] if one[1].txts else 0.0)
        if best.txts and best.scores[0] >= MIN_CONFIDENCE:
            words = _words(best.txts[0], best.word_results[0], orientation, top)
            lines += [Line.of(words, direction=orientation.direction)] if words else []
    return lines


def _recognised(engine: Any, crop: np.ndarray) -> Any:
    return engine(crop, use_det=False, use_cls=False, use_rec=True, return_word_box=True)


def _orientations(crop: np.ndarray, quad: np.ndarray) -> list[_Orientation]:
    """How a line may be read. quad: (4, 2), from top left, clockwise.

    crop: the pixels of quad; rapidocr has turned one of VERTICAL or more as if it were written downwards.
    """
    import numpy as np

    top, right, bottom, left = (int(np.linalg.norm(quad[at] - quad[(at + 1) % 4])) for at in range(4))
    width, height = max(top, bottom), max(right, left)  # rounded as rapidocr does when it decides whether to turn
    level = (quad[0], quad[1]), (quad[3], quad[2])
    if height < VERTICAL * width:
        return [_Orientation(crop, *level, 0)]
    down, up = ((quad[1], quad[2]), (quad[0], quad[3])), ((quad[3], quad[0]), (quad[2], quad[1]))
    turned = _Orientation(crop, *down, -1), _Orientation(np.ascontiguousarray(crop[::-1, ::-1]), *up, 1)
    if height > LONE * width:
        return [*turned]
    return [_Orientation(np.ascontiguousarray(np.rot90(crop, -1)), *level, 0), *turned]


def _for_detection(image: Image) -> tuple[np.ndarray, np.ndarray]:
    """The image in BGR at the size that detection works best at, and the factors (x, y) back to its own size."""
    import numpy as np

    width, height = image.size
    factor = max(1.0, DETECT_SMALL / min(width, height)) if max(width, height) < DETECT_SIDE else 1.0
    factor = min(factor, DETECT_SIDE / max(width, height))
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    small = image.resize(size) if size != image.size else image
    return np.ascontiguousarray(np.asarray(small)[:, :, ::-1]), np.array([width / size[0], height / size[1]])


def _words(text: str, info: Any, orientation: _Orientation, top: int) -> list[Word]:
    """Words of one recognised line. info: rapidocr's columns and confidences of the characters that are no space."""
    import numpy as np

    columns = [column for word in info.word_cols for column in word]
    characters = _aligned(text, columns, info.confs)
    centres = [(at + 0.5) / max(info.line_txt_len, 1.0) for _, at, _ in characters if at is not None]
    if not centres:
        return []
    pitch = (centres[-1] - centres[0]) / max(len(text) - 1, 1) or 1.0 / max(len(text), 1)
    words: list[Word] = []
    for word in _split(characters):
        first, last = ((at + 0.5) / max(info.line_txt_len, 1.0) for at in (word[0][1], word[-1][1]))
        ends = np.clip([first - HALF_LETTER * pitch, last + HALF_LETTER * pitch], 0.0, 1.0)
        edges = orientation.upper, orientation.lower
        points = np.array([a + (b - a) * end for a, b in edges for end in ends])  # (4, 2)
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        box = float(x0), float(y0) + top, float(x1), float(y1) + top
        confidence = float(np.clip(np.mean([conf for _, _, conf in word]), 0.0, 1.0))
        words.append(("".join(char for char, _, _ in word), box, confidence))
    return words


def _aligned(text: str, columns: list[int], confidences: list[float]) -> list[tuple[str, int | None, float]]:
    """(character, column, confidence) of each character of a line; white space has no column."""
    left = iter(columns)
    return [(char, None if char.isspace() else next(left), conf) for char, conf in zip(text, confidences, strict=True)]


def _split(characters: list[tuple[str, int | None, float]]) -> list[list[tuple[str, int, float]]]:
    """The characters of each word."""
    words: list[list] = [[]]
    for item in characters:
        if item[1] is None:
            words.append([])
        else:
            words[-1].append(item)
    return [word for word in words if word]


def _joined(lines: list[Line]) -> list[list[Word]]:
    """The words of each line: fragments, which detection makes at wide spaces, are put together."""
    joined: list[list[Word]] = []
    last: Box | None = None
    for line in lines:
        if last is not None and same_row(last, line.box) and -OVERLAPPING <= _gap(last, line.box) <= JOIN:
            joined[-1] += line.words
        else:
            joined.append(list(line.words))
        last = line.box
    return joined


def _gap(left: Box, right: Box) -> float:
    """The space between two boxes, in heights of the right one; negative if they overlap."""
    return (right[0] - left[2]) / (right[3] - right[1] + 1e-9)


def _levelled(box: Box, direction: int) -> Box:
    """The box in an image that was turned so that lines of this direction (1 or -1) are level."""
    left, top, right, bottom = box
    return (-bottom, left, -top, right) if direction > 0 else (top, -right, bottom, -left)


def _unit(box: Box, width: int, height: int) -> Box:
    x0, y0, x1, y1 = (min(max(v / n, 0.0), 1.0) for v, n in zip(box, (width, height, width, height), strict=True))
    return (x0, y0, x1, y1)


def _pieces(image: Image) -> list[tuple[int, Image]]:
    """(top, piece): the image, or pieces of a very tall one, cut at the most even row of pixels."""
    import numpy as np

    width, height = image.size
    if height <= max(TALL * width, DETECT_SIDE):
        return [(0, image)]
    step = max(round(PIECE * width), DETECT_SIDE // 2)
    uneven = np.asarray(image.convert("L")).std(axis=1)  # (H,)
    cuts = [0]
    while height - cuts[-1] > LAST_PIECE * step:
        low, high = cuts[-1] + int(CUT_FROM * step), cuts[-1] + step
        cuts.append(low + int(np.argmin(uneven[low:high])))
    return [(a, image.crop((0, a, width, b))) for a, b in zip(cuts, [*cuts[1:], height], strict=True)]
