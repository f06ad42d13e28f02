"""Words in a picture with boxes and confidence, by PP-OCR models that come inside the rapidocr package.

Detection finds lines, recognition reads each and says at which column every character was seen; word boxes are
interpolated from those columns along the line's quadrilateral. Lines that are written upwards or downwards are read; text turned upside down is not.
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

Word = tuple[str, Box, float]  # text without white space, box in 0..1 of the picture, confidence in 0..1

DETECT_SIDE = 1600  # longest side that detection sees; recognition sees the picture as it is
DETECT_SMALL = 736  # pictures with a shorter side than this are enlarged, as small text is else overlooked
MIN_SIDE = 8  # pixels; no letter is smaller
TALL = 2.5  # pictures more oblong than this (long screenshots) are read in pieces
MIN_CONFIDENCE = 0.5  # of a line
TURNED = 1.5  # from so many times as high as wide on a line may be written upwards or downwards,
LONE = 2.5  # and up to so many it may be a lone letter
JOIN = 1.2  # pieces of one line nearer than this many line heights are one line


@dataclass(frozen=True, slots=True)
class Line:
    """A piece of a line as it is detected."""

    words: list[Word]  # boxes in pixels
    box: Box
    turned: int  # 1 where it is written upwards, -1 downwards, 0 where it is level

    @classmethod
    def of(cls, words: list[Word], *, turned: int = 0) -> Line:
        left, top, right, bottom = zip(*(box for _, box, _ in words), strict=True)
        return cls(words, (min(left), min(top), max(right), max(bottom)), turned)


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to read a line: its pixels so turned; its upper and its lower edge, ((x, y), (x, y)) each from the first letter to the last."""

    crop: np.ndarray
    upper: tuple[np.ndarray, np.ndarray]
    lower: tuple[np.ndarray, np.ndarray]
    turned: int


def read_lines(image: Image) -> list[list[Word]]:
    """Lines of words in reading order, for an upright RGB picture. Empty where there is no text."""
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        return []
    return in_order([line for top, piece in _pieces(image) for line in _read(piece, top)], width, height)


def in_order(lines: list[Line], width: int, height: int) -> list[list[Word]]:
    """The words of a picture of this size, in reading order, boxes in 0..1. Lines that are not level come last."""
    level = [line for line in lines if not line.turned]
    ordered = _joined([level[i] for i in reading_order([line.box for line in level])])
    for way in (1, -1):
        turned = [replace(line, box=_levelled(line.box, way)) for line in lines if line.turned == way]
        ordered += _joined([turned[i] for i in reading_order([line.box for line in turned])])
    return [[(text, _unit(box, width, height), confidence) for text, box, confidence in line] for line in ordered]


@lru_cache(maxsize=1)
def _engine() -> Any:
    """The one engine of this process. Its models are files of the package: nothing is fetched."""
    from models.common.onnx_session import import_onnxruntime

    import_onnxruntime()  # first: rapidocr imports it too
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.use_preprocess_img": False,  # sizes are bounded here
            "Global.text_score": MIN_CONFIDENCE,
            "Det.limit_type": "max",
            "Det.limit_side_len": 4096,
            "EngineConfig.onnxruntime.intra_op_num_threads": os.cpu_count() or 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _read(image: Image, top: int) -> list[Line]:
    import numpy as np
    from rapidocr.utils.process_img import get_rotate_crop_image

    engine = _engine()
    pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])  # (H, W, 3) in BGR
    small, scale = _for_detection(image)
    found = engine(small, use_det=True, use_cls=False, use_rec=False)
    lines: list[Line] = []
    for quad in () if found.boxes is None else found.boxes:
        quad = (np.asarray(quad) * scale).astype(np.float32)  # (4, 2) from top left, clockwise
        crop = get_rotate_crop_image(pixels, quad.copy())
        if not crop.size:
            continue
        # One line at a time: batches are padded to their longest line, which on a CPU costs more than it saves.
        read = [(way, engine(way.crop, use_det=False, use_cls=False, use_rec=True, return_word_box=True)) for way in _ways(crop, quad)]
        way, best = max(read, key=lambda one: one[1].scores[0] if one[1].txts else 0.0)
        if best.txts and best.scores[0] >= MIN_CONFIDENCE and (words := _words(best.txts[0], best.word_results[0], way, top)):
            lines.append(Line.of(words, turned=way.turned))
    return lines


def _ways(crop: np.ndarray, quad: np.ndarray) -> list[_Way]:
    """crop: of quad (4, 2), from top left, clockwise; where it is far higher than wide it was turned, as if it were written downwards."""
    import numpy as np

    level, up = ((quad[0], quad[1]), (quad[3], quad[2])), ((quad[3], quad[0]), (quad[2], quad[1]))
    sides = [[int(np.linalg.norm(quad[a] - quad[b])) for a, b in pairs] for pairs in (((0, 1), (2, 3)), ((0, 3), (1, 2)))]
    width, height = map(max, sides)  # as rapidocr rounds them, which turned the crop or did not
    if height < TURNED * width:
        return [_Way(crop, *level, 0)]
    down = tuple(edge[::-1] for edge in up[::-1])
    ways = [_Way(crop, *down, -1), _Way(np.ascontiguousarray(crop[::-1, ::-1]), *up, 1)]
    return ways if height > LONE * width else [_Way(np.ascontiguousarray(np.rot90(crop, -1)), *level, 0), *ways]


def _for_detection(image: Image) -> tuple[np.ndarray, np.ndarray]:
    """The picture at the size that detection works best at, in BGR, and the factors (x, y) back to its own size."""
    import numpy as np

    width, height = image.size
    factor = max(1.0, DETECT_SMALL / min(width, height)) if max(width, height) < DETECT_SIDE else 1.0
    factor = min(factor, DETECT_SIDE / max(width, height))
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    small = image.resize(size) if size != image.size else image
    return np.ascontiguousarray(np.asarray(small)[:, :, ::-1]), np.array([width / size[0], height / size[1]])


def _words(text: str, info: Any, way: _Way, top: int) -> list[Word]:
    """Words of one recognised line. `info` holds, for each character that is no space, the column it was seen at."""
    import numpy as np

    columns = [column for word in info.word_cols for column in word]
    seen = [(char, at, conf) for char, at, conf in _aligned(text, columns, info.confs)]
    centres = [(at + 0.5) / max(info.line_txt_len, 1.0) for _, at, _ in seen if at is not None]
    if not centres:
        return []
    pitch = (centres[-1] - centres[0]) / max(len(text) - 1, 1) or 1.0 / max(len(text), 1)
    words: list[Word] = []
    for chunk in _split(seen):
        first, last = ((at + 0.5) / max(info.line_txt_len, 1.0) for at in (chunk[0][1], chunk[-1][1]))
        ends = np.clip([first - 0.55 * pitch, last + 0.55 * pitch], 0.0, 1.0)
        points = np.array([a + (b - a) * end for a, b in (way.upper, way.lower) for end in ends])  # (4, 2)
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        confidence = float(np.clip(np.mean([conf for _, _, conf in chunk]), 0.0, 1.0))
        words.append(
            (
                "".join(char for char, _, _ in chunk),
                (float(x0), float(y0) + top, float(x1), float(y1) + top),
                confidence,
            )
        )
    return words


def _aligned(text: str, columns: list[int], confidences: list[float]) -> list[tuple[str, int | None, float]]:
    left = iter(columns)
    return [(char, None if char.isspace() else next(left), conf) for char, conf in zip(text, confidences, strict=True)]


def _split(seen: list[tuple[str, int | None, float]]) -> list[list[tuple[str, int, float]]]:
    chunks: list[list] = [[]]
    for item in seen:
        if item[1] is None:
            chunks.append([])
        else:
            chunks[-1].append(item)
    return [chunk for chunk in chunks if chunk]


def _joined(lines: list[Line]) -> list[list[Word]]:
    """Pieces of one line, which detection parts at wide spaces, put together."""
    joined: list[list[Word]] = []
    last: Box | None = None
    for line in lines:
        near = (
            last is not None
            and same_row(last, line.box)
            and -0.5 <= (line.box[0] - last[2]) / (line.box[3] - line.box[1] + 1e-9) <= JOIN
        )
        if near:
            joined[-1] += line.words
        else:
            joined.append(list(line.words))
        last = line.box
    return joined


def _levelled(box: Box, turned: int) -> Box:
    """Where a box would stand if the picture were turned so that its line is level."""
    left, top, right, bottom = box
    return (-bottom, left, -top, right) if turned > 0 else (top, -right, bottom, -left)


def _unit(box: Box, width: int, height: int) -> Box:
    x0, y0, x1, y1 = (min(max(v / n, 0.0), 1.0) for v, n in zip(box, (width, height, width, height), strict=True))
    return (x0, y0, x1, y1)


def _pieces(image: Image) -> list[tuple[int, Image]]:
    """(top, piece): the picture, or pieces of a very tall one, cut where a row of pixels is most even."""
    import numpy as np

    width, height = image.size
    if height <= max(TALL * width, DETECT_SIDE):
        return [(0, image)]
    step = max(round(1.5 * width), DETECT_SIDE // 2)
    uneven = np.asarray(image.convert("L")).std(axis=1)  # (H,)
    cuts = [0]
    while height - cuts[-1] > 1.3 * step:
        low, high = cuts[-1] + int(0.8 * step), cuts[-1] + step
        cuts.append(low + int(np.argmin(uneven[low:high])))
    return [(a, image.crop((0, a, width, b))) for a, b in zip(cuts, [*cuts[1:], height], strict=True)]
