"""Receipts: who sold what, when, for how much."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from vision.training.rendered import values
from vision.training.rendered.fact import Fact, Rendered
from vision.training.rendered.sheet import FACES, Sheet

LETTER = 0.7  # width of a letter, in sizes of the font: what a receipt reckons with before it is written
TOTALS = ("TOTAL", "Total", "Total due", "AMOUNT DUE", "Grand total", "BALANCE DUE", "Total to pay", "To pay")
TAXES = ("VAT 20%", "Tax", "Sales tax", "VAT", "GST 5%", "MwSt 19%")
PAID = ("Cash", "Paid in cash", "Card", "VISA", "Debit card", "Tendered")
QUESTIONS = {
    "total": (
        "What is the total?", "total", "How much was paid in total?", "What did it come to?",
        "What is the total on the receipt from {shop}?", "total at {shop}", "How much was spent at {shop}?",
        "What is the total of the receipt of {date}?", "How much is due?",
    ),
    "date": (
        "What is the date on the receipt?", "When was this bought?", "date", "When was the purchase at {shop}?",
        "What day is the receipt from {shop}?", "date of the {shop} receipt",
    ),
    "shop": (
        "Which shop is the receipt from?", "Who sold this?", "What is the name of the shop?",
        "Where was the {item} bought?",
    ),
    "phone": ("What is the phone number of {shop}?", "telephone", "What is the shop's phone number?"),
    "receipt number": (
        "What is the receipt number?", "receipt no", "What number does the receipt from {shop} have?",
    ),
    "tax": (
        "How much tax was paid?", "What is the tax?", "tax", "How much VAT is on the receipt from {shop}?",
    ),
    "subtotal": ("What is the subtotal?", "subtotal", "What is the sum before tax?"),
    "paid": ("How much was handed over?", "What amount was tendered?", "How much was paid?"),
    "change": (
        "How much change was given?", "change", "What was the change?", "How much change did the customer get?",
    ),
    "server": ("Who served the customer?", "Who was the cashier?", "cashier", "Who served at {shop}?"),
}  # fmt: skip
PRICE = (
    "How much was the {item}?", "What did the {item} cost?", "price of {item}", "{item} price",
    "What is the price of the {item}?", "How much did {item} cost?",
)  # fmt: skip
DATES = ("Date", "Date:", "Sold")
NUMBERS = ("No", "Receipt no", "Receipt", "Invoice no", "Ticket", "Bill no")
SUBTOTALS = ("Subtotal", "SUBTOTAL", "Net", "Sub-total")
CHANGES = ("Change", "CHANGE", "Change due")
SERVERS = ("Served by", "Cashier", "You were served by", "Operator")
GREETINGS = (
    "Thank you for your visit", "THANK YOU", "Please keep this receipt", "No refunds without receipt", "See you soon!",
    "All prices include tax",
)  # fmt: skip


@dataclass(slots=True)
class _Writer:
    """Writes a receipt line by line from `y` down, and collects its facts."""

    rng: random.Random
    sheet: Sheet
    size: int  # pixels, as all that follow
    pitch: int
    margin: int
    y: int
    centred: bool  # lines without a value
    shop: str
    date: str
    sold: list[str]
    facts: list[Fact] = field(default_factory=list)

    def line(self, text: str, *, bold: bool = False, scale: float = 1.0) -> int:
        """A line of text; the number of its run."""
        x, align = (self.sheet.width / 2, "middle") if self.centred else (self.margin, "left")
        run = self.sheet.write(text, x, self.y, round(self.size * scale), bold=bold, align=align)
        self.y += round(self.pitch * scale)
        return run

    def pair(self, label: str, value: str, *, bold: bool = False) -> tuple[int, int]:
        """A label at the left margin and its value at the right one; the numbers of both runs."""
        left = self.sheet.write(label, self.margin, self.y, self.size, bold=bold)
        right = self.sheet.write(value, self.sheet.width - self.margin, self.y, self.size, bold=bold, align="right")
        self.y += self.pitch
        return left, right

    def labelled(self, asked: str, labels: Sequence[str], value: str) -> None:
        """A fact with its label directly before its value."""
        label = self.rng.choice(labels)
        left = self.sheet.write(label, self.margin, self.y, self.size)
        right = self.sheet.write(value, self.margin + (len(label) + 2) * self.size * LETTER, self.y, self.size)
        self.y += self.pitch
        self.fact(asked, left, right)

    def fact(self, asked: str, *own: int) -> None:
        """The fact that the last of the runs `own` holds."""
        about = {"shop": self.shop, "date": self.date, "item": self.rng.choice(self.sold)}
        questions = tuple(text.format(**about) for text in QUESTIONS[asked])
        self.facts.append(Fact(asked, own[-1], own, questions=questions))

    def amount(self, asked: str, labels: Sequence[str], value: str) -> None:
        """A fact whose value stands at the right margin."""
        self.fact(asked, *self.pair(self.rng.choice(labels), value))

    def space(self) -> None:
        self.y += self.pitch // 2


def receipt(goods: Sequence[str], rng: random.Random) -> Rendered:
    """A receipt for some of the goods, with the questions of QUESTIONS and PRICE that it answers."""
    size = rng.randint(16, 22)
    pitch, margin = round(size * rng.uniform(1.35, 1.9)), rng.randint(14, 60)
    width = rng.randint(23, 36) * size
    sold = rng.sample(goods, rng.randint(1, 7))
    sheet = Sheet(width, pitch * (len(sold) + 18) + 2 * margin, rng.choice(tuple(FACES)))
    shop, day, sign = values.company(rng), values.date(rng), rng.choice(values.SIGNS)
    if rng.random() < 0.3:
        shop = shop.upper()
    writer = _Writer(rng, sheet, size, pitch, margin, margin, rng.random() < 0.6, shop, day, sold)
    _write_head(writer)
    _write_totals(writer, _write_items(writer, sign), sign)
    _write_foot(writer)
    scan, photo = f"scan {rng.randint(1, 999)}", f"IMG {rng.randint(1000, 9999)}"
    file = rng.choice((shop.casefold() + " receipt", "receipt", scan, photo, "receipt " + day.replace("/", " ")))
    return Rendered(file, sheet.fit(margin), tuple(writer.facts))


def _write_head(writer: _Writer) -> None:
    rng = writer.rng
    writer.fact("shop", writer.line(writer.shop, bold=True, scale=rng.uniform(1.0, 1.6)))
    if rng.random() < 0.7:
        writer.line(values.street(rng))
        writer.line(rng.choice(values.TOWNS))
    if rng.random() < 0.5:
        writer.fact("phone", writer.line(values.phone(rng)))
    writer.space()
    if rng.random() < 0.5:
        writer.fact("date", writer.line(writer.date))
    else:
        writer.labelled("date", DATES, writer.date)
    if rng.random() < 0.6:
        writer.labelled("receipt number", NUMBERS, values.number(rng))
    writer.space()


def _write_items(writer: _Writer, sign: str) -> float:
    """The sum of what was sold."""
    rng, total = writer.rng, 0.0
    for item in writer.sold:
        count = rng.choice((1, 1, 1, 1, 2, 3))
        price = round(rng.choice((rng.uniform(0.5, 9), rng.uniform(2, 60), rng.uniform(20, 900))), 2)
        total += price * count
        name = item.upper() if rng.random() < 0.2 else item
        if count > 1:
            name = f"{count} x {name}" if rng.random() < 0.5 else f"{name} x {count}"
        own = writer.pair(name, values.money(price * count, sign))
        questions = tuple(text.format(item=item) for text in PRICE)
        writer.facts.append(Fact("price", own[1], own, questions=questions))
    return total


def _write_totals(writer: _Writer, total: float, sign: str) -> None:
    writer.space()
    rng, due = writer.rng, total
    if rng.random() < 0.5:
        tax = round(total * rng.choice((0.05, 0.08, 0.2)), 2)
        writer.amount("subtotal", SUBTOTALS, values.money(total, sign))
        writer.amount("tax", TAXES, values.money(tax, sign))
        due += tax
    writer.fact("total", *writer.pair(rng.choice(TOTALS), values.money(due, sign), bold=rng.random() < 0.6))
    if rng.random() < 0.5:
        paid = due + rng.uniform(0.05, 20)
        writer.amount("paid", PAID, values.money(paid, sign))
        writer.amount("change", CHANGES, values.money(paid - due, sign))


def _write_foot(writer: _Writer) -> None:
    rng = writer.rng
    writer.space()
    if rng.random() < 0.4:
        writer.labelled("server", SERVERS, rng.choice((values.person(rng), rng.choice(values.FIRST))))
    if rng.random() < 0.5:
        writer.line(rng.choice(GREETINGS))
