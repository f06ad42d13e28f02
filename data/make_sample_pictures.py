"""The pictures of data/sample, drawn with Pillow and the DejaVu fonts that matplotlib carries; see make_sample.py.

Each function returns the bytes of one file, the same every time. The words in the pictures are facts that stand in
no other file of the sample, so that an answer can only have come from reading the picture.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@cache
def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONTS / f"DejaVu{name}.ttf"), size, layout_engine=ImageFont.Layout.BASIC)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def grain(image: Image.Image, sigma: float, seed: int) -> Image.Image:
    """Film grain: the same grey noise on every channel."""
    pixels = np.asarray(image, np.float32)
    noise = np.random.default_rng(seed).normal(0, sigma, pixels.shape[:2]).astype(np.float32)
    return Image.fromarray(np.clip(pixels + (noise if pixels.ndim == 2 else noise[..., None]), 0, 255).astype(np.uint8))


def scanned_letter(text: str) -> Image.Image:
    """A typed letter on A4 at 150 dots an inch: uneven ink, a fold, a slight turn, noise."""
    random = np.random.default_rng(1938)
    page = Image.new("L", (1240, 1754), 236)
    draw = ImageDraw.Draw(page)
    face = font("SansMono", 27)
    for line_number, line in enumerate(text.splitlines()):
        y = 120 + 38 * line_number
        for at, letter in enumerate(line):
            place = (150 + 17 * at + random.normal(0, 0.35), y + random.normal(0, 0.6))
            draw.text(place, letter, font=face, fill=int(random.integers(25, 75)))
    draw.line((0, 874, 1240, 880), fill=214, width=3)
    for _ in range(36):
        x, y, r = random.integers(0, 1240), random.integers(0, 1754), random.random() * 1.6
        draw.ellipse((x - r, y - r, x + r, y + r), fill=120)
    page = page.rotate(0.5, Image.Resampling.BICUBIC, fillcolor=205).filter(ImageFilter.GaussianBlur(0.6))
    return grain(page, 5, 17)


VISITORS = {"2019": 6214, "2020": 1377, "2021": 4905, "2022": 8842, "2023": 9316}


def visitors_png() -> bytes:
    image = Image.new("RGB", (1000, 680), "white")
    draw = ImageDraw.Draw(image)
    draw.text((60, 30), "Visitors to Wrackham Tide Mill, by year", font=font("Sans-Bold", 32), fill="#222")
    for level in range(0, 10001, 2000):
        y = 560 - level * 0.044
        draw.line((60, y, 960, y), fill="#dddddd", width=2)
    for at, (year, count) in enumerate(VISITORS.items()):
        x, y = 95 + 178 * at, 560 - count * 0.044
        draw.rectangle((x, y, x + 120, 560), fill="#9db7bf" if year == "2020" else "#1f4e5f")
        draw.text((x + 60, y - 8), f"{count:,}", font=font("Sans-Bold", 28), fill="#222", anchor="ms")
        draw.text((x + 60, 598), year, font=font("Sans", 28), fill="#222", anchor="ms")
    draw.text(
        (60, 625),
        "2019 counted from 11 May. In 2020 the mill opened on 64 days only.",
        font=font("Sans", 22),
        fill="#444",
    )
    return encoded(image.quantize(32), "PNG", optimize=True)


RECEIPT = (
    ("TULLY & SONS", ""),
    ("SHIP CHANDLERS", ""),
    ("Quay Street, Wrackham", ""),
    ("", ""),
    ("17 June 2023", "No 40836"),
    ("", ""),
    ("Stockholm tar 5 L x 2", "62.80"),
    ("Oakum 3 kg", "27.45"),
    ("Lanolin 1 kg", "14.20"),
    ("Hemp line 8 mm 30 m", "21.60"),
    ("", ""),
    ("TOTAL", "126.05"),
    ("Paid in cash", "130.00"),
    ("Change", "3.95"),
    ("", ""),
    ("Served by Dot", ""),
    ("No returns on tar", ""),
)


def receipt_jpeg() -> bytes:
    """A till receipt on a wooden desk, a little turned, under a lamp."""
    random = np.random.default_rng(40836)
    rings = np.cumsum(random.normal(0, 1, 1240))
    boards = np.tile((rings - rings.mean())[:, None], (1, 960))
    desk = np.clip(np.stack([118 + boards, 82 + boards * 0.8, 54 + boards * 0.6], -1), 20, 200).astype(np.uint8)
    photo = Image.fromarray(desk).filter(ImageFilter.GaussianBlur(1.5))

    paper = Image.new("RGBA", (720, 1060), (246, 243, 234, 255))
    draw = ImageDraw.Draw(paper)
    for at, (left, right) in enumerate(RECEIPT):
        y, bold = 50 + 57 * at, "SansMono-Bold" if left.isupper() else "SansMono"
        if at < 3:
            draw.text((360, y), left, font=font(bold, 42 if left.isupper() else 32), fill="#2b2b33", anchor="mt")
        else:
            draw.text((50, y), left, font=font(bold, 34), fill="#2b2b33")
            draw.text((670, y), right, font=font(bold, 34), fill="#2b2b33", anchor="ra")
    for y in (50 + 57 * 10 + 28, 50 + 57 * 5 + 28):
        draw.line((50, y, 670, y), fill="#77777f", width=2)
    turned = paper.rotate(1.6, Image.Resampling.BICUBIC, expand=True)
    shadow = Image.new("RGBA", turned.size, (0, 0, 0, 0))
    shadow.putalpha(turned.getchannel("A").point(lambda a: a * 0.55))
    canvas = photo.convert("RGBA")
    soft = Image.new("RGBA", canvas.size)
    soft.paste(shadow, (118, 92))
    canvas.alpha_composite(soft.filter(ImageFilter.GaussianBlur(12)))
    canvas.alpha_composite(turned, (104, 72))

    y, x = np.mgrid[0:1240, 0:960].astype(np.float32)
    lamp = 1.06 - 0.34 * (((x - 380) / 960) ** 2 + ((y - 430) / 1240) ** 2)
    lit = np.clip(np.asarray(canvas.convert("RGB"), np.float32) * lamp[..., None], 0, 255).astype(np.uint8)
    return encoded(grain(Image.fromarray(lit).filter(ImageFilter.GaussianBlur(0.7)), 4, 2023), "JPEG", quality=72)


def sign_webp() -> bytes:
    """An enamel sign screwed to tarred boards."""
    image = Image.new("RGB", (900, 640), "#2d2a27")
    draw = ImageDraw.Draw(image)
    for x in range(0, 900, 150):
        draw.rectangle((x + 3, 0, x + 146, 640), fill=("#3a3531", "#36322e", "#3e3833")[x // 150 % 3])
    draw.rounded_rectangle((70, 60, 830, 580), 26, fill="#14513a", outline="#e9efe6", width=8)
    for x, y in ((105, 95), (795, 95), (105, 545), (795, 545)):
        draw.ellipse((x - 11, y - 11, x + 11, y + 11), fill="#b9b9ae")
        draw.line((x - 7, y - 5, x + 7, y + 5), fill="#6a6a60", width=3)
    lines = (
        ("EEL PASS", 84, 150),
        ("KEEP CLEAR", 62, 248),
        ("Open 15 March to 15 October", 40, 340),
        ("Do not lift the brushes", 40, 410),
        ("To report a blockage: 01632 960417", 32, 490),
    )
    for text, size, y in lines:
        draw.text((450, y), text, font=font("Sans-Bold", size), fill="#f3f5ee", anchor="mm")
    return encoded(grain(image, 3, 31), "WEBP", quality=80, method=6)


CARD = (
    ("Pair", "French burr"),
    ("Lifted", "9 January 2023"),
    ("Dressed by", "Tobias Renn"),
    ("Harps", "10, of 4 furrows each"),
    ("Furrow depth", "6 mm at the eye"),
    ("Hammer hours", "31"),
    ("Steel used", "14 mill bills"),
    ("Next due", "January 2024"),
)


def card_tiff() -> bytes:
    """An index card from the drawer on the stone floor."""
    image = Image.new("L", (1000, 700), 232)
    draw = ImageDraw.Draw(image)
    draw.rectangle((12, 12, 987, 687), outline=120, width=3)
    draw.text((50, 40), "STONE DRESSING CARD", font=font("Serif-Bold", 42), fill=30)
    draw.line((12, 110, 987, 110), fill=90, width=4)
    for at, (label, value) in enumerate(CARD):
        y = 132 + 68 * at
        draw.text((50, y), label, font=font("Serif", 32), fill=70)
        draw.text((380, y), value, font=font("Serif-Italic", 34), fill=20)
        draw.line((40, y + 54, 960, y + 54), fill=175, width=2)
    return encoded(image, "TIFF", compression="tiff_deflate", dpi=(150, 150))


def map_gif() -> bytes:
    """A sketch map of the creek; soundings in metres at low water of a spring tide."""
    image = Image.new("RGB", (960, 680), "#efe6c8")
    draw = ImageDraw.Draw(image)
    draw.polygon([(0, 470), (300, 430), (560, 455), (960, 360), (960, 680), (0, 680)], fill="#a9cfe0")
    draw.polygon([(400, 470), (440, 300), (470, 262), (560, 262), (590, 300), (600, 470)], fill="#a9cfe0")
    draw.ellipse((280, 90, 760, 285), fill="#a9cfe0")
    draw.polygon([(120, 560), (300, 520), (420, 560), (260, 600)], fill="#d9c48f")
    draw.rectangle((455, 262, 585, 312), fill="#7a3b2e")
    draw.rectangle((215, 415, 262, 452), fill="#6b6b6b")
    draw.ellipse((783, 524, 805, 546), fill="#444444")
    labels = (
        (520, 185, "MILL POND", "Sans-Bold", 34),
        (688, 330, "TIDE MILL", "Sans-Bold", 28),
        (150, 395, "FERRY STEPS", "Sans-Bold", 26),
        (560, 520, "GANNET CREEK", "Sans-Bold", 32),
        (270, 640, "Mud bar dries 1.3 m", "Sans", 26),
        (770, 580, "Pilot Rock 0.6 m", "Sans", 26),
        (800, 450, "Deep pool 4.2 m", "Sans", 26),
        (150, 50, "Survey of 2021", "Sans", 26),
        (860, 240, "SALT MARSH", "Sans", 24),
    )
    for x, y, text, face, size in labels:
        draw.text((x, y), text, font=font(face, size), fill="#1c1c1c", anchor="mm")
    draw.line((60, 120, 220, 120), fill="#1c1c1c", width=4)
    draw.text((140, 145), "100 m", font=font("Sans", 22), fill="#1c1c1c", anchor="mm")
    draw.polygon([(880, 50), (862, 110), (880, 96), (898, 110)], fill="#1c1c1c")
    draw.text((880, 135), "N", font=font("Sans-Bold", 26), fill="#1c1c1c", anchor="mm")
    return encoded(image.quantize(16), "GIF")


def stamp_bmp() -> bytes:
    """The ink stamp on a flour sack, an eight-bit grey bitmap."""
    image = Image.new("L", (640, 400), 226)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((22, 22, 617, 377), 24, outline=45, width=7)
    lines = (
        ("WRACKHAM TIDE MILL", 42, 80),
        ("STONE GROUND WHOLEMEAL", 32, 145),
        ("BATCH 23-114", 42, 210),
        ("NET WEIGHT 16 KG", 36, 272),
        ("BEST BEFORE 02 MAR 2024", 34, 332),
    )
    for text, size, y in lines:
        draw.text((320, y), text, font=font("Sans-Bold", size), fill=45, anchor="mm")
    weave = np.asarray(image, np.int16) + np.where(np.indices((400, 640)).sum(0) % 6 < 2, -7, 0)
    return encoded(Image.fromarray(np.clip(weave, 0, 255).astype(np.uint8)), "BMP")


FILES: dict[str, Callable[[], bytes]] = {
    "visitors-by-year.png": visitors_png,
    "chandler-receipt.jpg": receipt_jpeg,
    "eel-pass-sign.webp": sign_webp,
    "stone-dressing-card.tiff": card_tiff,
    "creek-map.gif": map_gif,
    "sack-stamp.bmp": stamp_bmp,
}
