"""Receipts and invoices: who sold what, when, for how much."""

from __future__ import annotations

import random
from collections.abc import Sequence

from vision.training.rendered import values
from vision.training.rendered.fact import Fact, Rendered
from vision.training.rendered.sheet import FACES, Sheet

TOTALS = ("TOTAL", "Total", "Total due", "AMOUNT DUE", "Grand total", "BALANCE DUE", "Total to pay", "To pay")
TAXES = ("VAT 20%", "Tax", "Sales tax", "VAT", "GST 5%", "MwSt 19%")
PAID = ("Cash", "Paid in cash", "Card", "VISA", "Debit card", "Tendered")
ASKED = {
    "total": ("What is the total?", "total", "How much was paid in total?", "What did it come to?", "What is the total on the receipt from {shop}?", "total at {shop}", "How much was spent at {shop}?", "What is the total of the receipt of {date}?", "How much is due?"),
    "date": ("What is the date on the receipt?", "When was this bought?", "date", "When was the purchase at {shop}?", "What day is the receipt from {shop}?", "date of the {shop} receipt"),
    "shop": ("Which shop is the receipt from?", "Who sold this?", "What is the name of the shop?", "Where was the {item} bought?"),
    "phone": ("What is the phone number of {shop}?", "telephone", "What is the shop's phone number?"),
    "receipt number": ("What is the receipt number?", "receipt no", "What number does the receipt from {shop} have?"),
    "tax": ("How much tax was paid?", "What is the tax?", "tax", "How much VAT is on the receipt from {shop}?"),
    "subtotal": ("What is the subtotal?", "subtotal", "What is the sum before tax?"),
    "paid": ("How much was handed over?", "What amount was tendered?", "How much was paid?"),
    "change": ("How much change was given?", "change", "What was the change?", "How much change did the customer get?"),
    "server": ("Who served the customer?", "Who was the cashier?", "cashier", "Who served at {shop}?"),
}
PRICE = ("How much was the {item}?", "What did the {item} cost?", "price of {item}", "{item} price", "What is the price of the {item}?", "How much did {item} cost?")


def receipt(goods: Sequence[str], rng: random.Random) -> Rendered:
    """goods: names of things to be sold."""
    size = rng.randint(16, 22)
    pitch, margin = round(size * rng.uniform(1.35, 1.9)), rng.randint(14, 60)
    width = rng.randint(23, 36) * size
    sold = rng.sample(goods, rng.randint(1, 7))
    sheet = Sheet(width, pitch * (len(sold) + 18) + 2 * margin, rng.choice(tuple(FACES)))
    shop, day, sign = values.company(rng), values.date(rng), rng.choice(values.SIGNS)
    if rng.random() < 0.3:
        shop = shop.upper()
    facts: list[Fact] = []
    y, middle = margin, rng.random() < 0.6

    def line(text: str, *, bold: bool = False, big: float = 1.0) -> int:
        nonlocal y
        at = sheet.write(text, width / 2 if middle else margin, y, round(size * big), bold=bold, align="middle" if middle else "left")
        y += round(pitch * big)
        return at

    def pair(label: str, value: str, *, bold: bool = False) -> tuple[int, int]:
        nonlocal y
        left = sheet.write(label, margin, y, size, bold=bold)
        right = sheet.write(value, width - margin, y, size, bold=bold, align="right")
        y += pitch
        return left, right

    def fact(asked: str, value: int, own: tuple[int, ...]) -> None:
        about = {"shop": shop, "date": day, "item": rng.choice(sold)}
        facts.append(Fact(asked, value, own, questions=tuple(text.format(**about) for text in ASKED[asked])))

    def labelled(asked: str, labels: Sequence[str], value: str) -> None:
        """In one run, `label: value`, or in two."""
        nonlocal y
        label = rng.choice(labels)
        left = sheet.write(label, margin, y, size)
        right = sheet.write(value, margin + (len(label) + 2) * size * 0.7, y, size)
        y += pitch
        fact(asked, right, (left, right))

    fact("shop", at := line(shop, bold=True, big=rng.uniform(1.0, 1.6)), (at,))
    if rng.random() < 0.7:
        line(values.street(rng))
        line(rng.choice(values.TOWNS))
    if rng.random() < 0.5:
        fact("phone", at := line(values.phone(rng)), (at,))
    y += pitch // 2
    if rng.random() < 0.5:
        fact("date", at := line(day), (at,))
    else:
        labelled("date", ("Date", "Date:", "Sold"), day)
    if rng.random() < 0.6:
        labelled("receipt number", ("No", "Receipt no", "Receipt", "Invoice no", "Ticket", "Bill no"), values.number(rng))
    y += pitch // 2
    total = 0.0
    for item in sold:
        count = rng.choice((1, 1, 1, 1, 2, 3))
        price = round(rng.choice((rng.uniform(0.5, 9), rng.uniform(2, 60), rng.uniform(20, 900))), 2)
        total += price * count
        name = item.upper() if rng.random() < 0.2 else item
        own = pair(f"{count} x {name}" if count > 1 and rng.random() < 0.5 else f"{name} x {count}" if count > 1 else name, values.money(price * count, sign))
        facts.append(Fact("price", own[1], own, questions=tuple(text.format(item=item) for text in PRICE)))
    y += pitch // 2
    paid = total
    if rng.random() < 0.5:
        tax = round(total * rng.choice((0.05, 0.08, 0.2)), 2)
        fact("subtotal", (own := pair(rng.choice(("Subtotal", "SUBTOTAL", "Net", "Sub-total")), values.money(total, sign)))[1], own)
        fact("tax", (own := pair(rng.choice(TAXES), values.money(tax, sign)))[1], own)
        paid += tax
    fact("total", (own := pair(rng.choice(TOTALS), values.money(paid, sign), bold=rng.random() < 0.6))[1], own)
    if rng.random() < 0.5:
        handed = paid + rng.uniform(0.05, 20)
        fact("paid", (own := pair(rng.choice(PAID), values.money(handed, sign)))[1], own)
        fact("change", (own := pair(rng.choice(("Change", "CHANGE", "Change due")), values.money(handed - paid, sign)))[1], own)
    y += pitch // 2
    if rng.random() < 0.4:
        labelled("server", ("Served by", "Cashier", "You were served by", "Operator"), rng.choice((values.person(rng), rng.choice(values.FIRST))))
    if rng.random() < 0.5:
        line(rng.choice(("Thank you for your visit", "THANK YOU", "Please keep this receipt", "No refunds without receipt", "See you soon!", "All prices include tax")))
    title = rng.choice((shop.casefold() + " receipt", "receipt", f"scan {rng.randint(1, 999)}", f"IMG {rng.randint(1000, 9999)}", "receipt " + day.replace("/", " ")))
    return Rendered(title, sheet.fit(margin), tuple(facts))
