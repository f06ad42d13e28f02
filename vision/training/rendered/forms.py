"""Forms, cards and certificates: named fields with a value each."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from vision.training.rendered import values
from vision.training.rendered.fact import Fact, Rendered
from vision.training.rendered.sheet import FACES, Sheet

LETTER = 0.65  # width of a letter, in sizes of the font: what a form reckons with before it is written
MARKS = ("", ":", ":")  # after a field's name
Field = tuple[tuple[str, ...], Callable[[random.Random], str], tuple[str, ...]]

# (names of a field, what makes its value, questions other than those that its name makes)
FIELDS: tuple[Field, ...] = (
    (
        ("Name", "Full name", "Applicant", "Patient", "Member"), values.person,
        ("Who is this about?", "Who filled this in?", "Whose form is this?"),
    ),
    (("Date of birth", "Born", "DOB"), values.date, ("When was the person born?", "birthday")),
    (("Address", "Street"), values.street, ("Where does the person live?",)),
    (("Town", "City"), lambda rng: rng.choice(values.TOWNS), ("Which town is given?",)),
    (("Telephone", "Phone", "Mobile", "Tel."), values.phone, ("What number can be called?",)),
    (("E-mail", "Email"), values.email, ("What address can be written to?",)),
    (
        (
            "Policy number", "Account number", "Customer no.", "Reference", "Case no.", "Order number", "Serial number",
            "Licence no.",
        ),
        values.number, (),
    ),
    (("Issued on", "Date of issue", "Issued"), values.date, ("When was it issued?", "issue date")),
    (("Valid until", "Expires", "Expiry date"), values.date, ("When does it expire?", "How long is it valid?")),
    (("Due date", "Payable by", "Next due"), values.date, ("When is it due?", "By when must it be paid?")),
    (("Signed by", "Approved by", "Checked by", "Inspector", "Teacher", "Doctor"), values.person, ("Who signed?",)),
    (("Employer", "Supplier", "Manufacturer", "Bank", "Landlord"), values.company, ()),
    (
        ("Amount", "Fee", "Rent", "Premium", "Deposit", "Balance"),
        lambda rng: values.money(rng.uniform(5, 3000), rng.choice(values.SIGNS)), ("How much is to be paid?",),
    ),
    (("Appointment", "Time", "Arrival", "Departure"), values.time, ()),
    (("Weight",), lambda rng: f"{rng.uniform(0.2, 95):.1f} kg", ("How heavy is it?", "How much does it weigh?")),
    (
        ("Height", "Length", "Width", "Depth"),
        lambda rng: f"{rng.randint(2, 240)} {rng.choice(('cm', 'mm', 'm', 'in'))}", (),
    ),
    (("Blood group",), lambda rng: rng.choice(("A", "B", "AB", "O")) + rng.choice("+-"), ()),
    (("Temperature", "Set to"), lambda rng: f"{rng.randint(-20, 240)} °C", ("How hot?",)),
    (("Seat",), lambda rng: f"{rng.randint(1, 40)}{rng.choice('ABCDEF')}", ("Which seat is booked?",)),
    (("Gate", "Platform", "Room", "Table"), lambda rng: f"{rng.choice(('', 'A', 'B', 'C'))}{rng.randint(1, 60)}", ()),
    (("Pages", "Copies", "Guests", "Hours", "Quantity"), lambda rng: str(rng.randint(1, 400)), ()),
    (("Colour",), lambda rng: rng.choice(COLOURS), ("What colour is it?",)),
)  # fmt: skip
COLOURS = ("red", "blue", "green", "black", "white", "grey", "silver", "yellow", "brown")
TITLES = (
    "REGISTRATION FORM", "Membership card", "INSPECTION CARD", "Certificate", "Application", "Order form", "Work order",
    "Service record", "Boarding pass", "Insurance card", "Delivery note", "Rental agreement", "Patient record",
    "Permit", "Warranty card", "Report card", "Ticket", "Bill",
)  # fmt: skip
NOTES = (
    "Please keep this card.", "For office use only", "Write in block letters.", "See the back for terms.",
    "Bring this with you.", "Not transferable",
)  # fmt: skip


def form(filled: Sequence[tuple[str, str]], title: str, rng: random.Random) -> Rendered:
    """A form, its fields beside, below or behind their names. filled: (name, value) of its fields.

    Without `filled`, fields are drawn from FIELDS and the title from TITLES.
    """
    if filled:
        fields = [(name, text, ()) for name, text in filled]
    else:
        drawn = rng.sample(FIELDS, rng.randint(3, 10))
        fields = [(rng.choice(names), make(rng), asked) for names, make, asked in drawn]
        title = rng.choice(TITLES)
    size = rng.randint(15, 24)
    pitch, margin = round(size * rng.uniform(1.5, 2.4)), rng.randint(20, 70)
    layout = rng.choice(("beside", "beside", "above", "one run"))
    columns = 2 if layout == "above" and len(fields) > 3 and rng.random() < 0.5 else 1
    side = round(max(len(name) for name, _, _ in fields) * size * LETTER) + 2 * size
    longest = max(len(text) for _, text, _ in fields) * size * LETTER
    cell = max(longest, side) + size if layout == "above" else side + longest
    width, step = round(2 * margin + columns * cell), (2.2 if layout == "above" else 1) * pitch
    height = 2 * margin + step * -(-len(fields) // columns) + 5 * pitch
    sheet = Sheet(width, round(height), rng.choice(tuple(FACES)))
    y = margin
    if title:
        sheet.write(title, margin, y, round(size * rng.uniform(1, 1.5)), bold=rng.random() < 0.7)
        y += 2 * pitch
    mark, facts = rng.choice(MARKS), []
    for at, (name, text, asked) in enumerate(fields):
        x, top = margin + at % columns * cell, y + at // columns * step
        small = round(size * 0.8) if layout == "above" else size
        label = sheet.write(name + mark, x, top, small, bold=rng.random() < 0.3)
        if layout == "beside":
            value = sheet.write(text, margin + side, top, size)
        elif layout == "above":
            value = sheet.write(text, x, top + pitch, size)
        else:
            value = sheet.write(text, x + (len(name) + 2) * size * LETTER, top, size)
        facts.append(Fact(name, value, (label, value), questions=tuple(asked) if rng.random() < 0.4 else ()))
    if rng.random() < 0.3:
        sheet.write(rng.choice(NOTES), margin, sheet.height - margin - pitch, size)
    file = rng.choice((title.casefold() or "form", "scan", f"IMG {rng.randint(1000, 9999)}"))
    return Rendered(file, sheet.fit(margin), tuple(facts))
