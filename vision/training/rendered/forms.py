"""Forms, cards, certificates and labels: fields with a name and what is filled in."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from vision.training.rendered import values
from vision.training.rendered.fact import Fact, Rendered
from vision.training.rendered.sheet import FACES, Sheet

# (names of a field, what is filled in, questions beside those that its name makes)
FIELDS: tuple[tuple[tuple[str, ...], Callable[[random.Random], str], tuple[str, ...]], ...] = (
    (("Name", "Full name", "Applicant", "Patient", "Member"), values.person, ("Who is this about?", "Who filled this in?", "Whose form is this?")),
    (("Date of birth", "Born", "DOB"), values.date, ("When was the person born?", "birthday")),
    (("Address", "Street"), values.street, ("Where does the person live?",)),
    (("Town", "City"), lambda rng: rng.choice(values.TOWNS), ("Which town is given?",)),
    (("Telephone", "Phone", "Mobile", "Tel."), values.phone, ("What number can be called?",)),
    (("E-mail", "Email"), values.email, ("What address can be written to?",)),
    (("Policy number", "Account number", "Customer no.", "Reference", "Case no.", "Order number", "Serial number", "Licence no."), values.number, ()),
    (("Issued on", "Date of issue", "Issued"), values.date, ("When was it issued?", "issue date")),
    (("Valid until", "Expires", "Expiry date"), values.date, ("When does it expire?", "How long is it valid?")),
    (("Due date", "Payable by", "Next due"), values.date, ("When is it due?", "By when must it be paid?")),
    (("Signed by", "Approved by", "Checked by", "Inspector", "Teacher", "Doctor"), values.person, ("Who signed?",)),
    (("Employer", "Supplier", "Manufacturer", "Bank", "Landlord"), values.company, ()),
    (("Amount", "Fee", "Rent", "Premium", "Deposit", "Balance"), lambda rng: values.money(rng.uniform(5, 3000), rng.choice(values.SIGNS)), ("How much is to be paid?",)),
    (("Appointment", "Time", "Arrival", "Departure"), values.time, ()),
    (("Weight",), lambda rng: f"{rng.uniform(0.2, 95):.1f} kg", ("How heavy is it?", "How much does it weigh?")),
    (("Height", "Length", "Width", "Depth"), lambda rng: f"{rng.randint(2, 240)} {rng.choice(('cm', 'mm', 'm', 'in'))}", ()),
    (("Blood group",), lambda rng: rng.choice(("A", "B", "AB", "O")) + rng.choice("+-"), ()),
    (("Temperature", "Set to"), lambda rng: f"{rng.randint(-20, 240)} °C", ("How hot?",)),
    (("Seat",), lambda rng: f"{rng.randint(1, 40)}{rng.choice('ABCDEF')}", ("Which seat is booked?",)),
    (("Gate", "Platform", "Room", "Table"), lambda rng: f"{rng.choice(('', 'A', 'B', 'C'))}{rng.randint(1, 60)}", ()),
    (("Pages", "Copies", "Guests", "Hours", "Quantity"), lambda rng: str(rng.randint(1, 400)), ()),
    (("Colour",), lambda rng: rng.choice(["red", "blue", "green", "black", "white", "grey", "silver", "yellow", "brown"]), ("What colour is it?",)),
)  # fmt: skip
TITLES = ("REGISTRATION FORM", "Membership card", "INSPECTION CARD", "Certificate", "Application", "Order form", "Work order", "Service record", "Boarding pass", "Insurance card", "Delivery note", "Rental agreement", "Patient record", "Permit", "Warranty card", "Report card", "Ticket", "Bill")
NOTES = ("Please keep this card.", "For office use only", "Write in block letters.", "See the back for terms.", "Bring this with you.", "Not transferable")


def form(filled: Sequence[tuple[str, str]], title: str, rng: random.Random) -> Rendered:
    """filled: (name, text) of the fields; where there are none, fields are drawn from FIELDS."""
    if filled:
        fields = [(name, text, ()) for name, text in filled]
    else:
        fields = [(rng.choice(names), make(rng), asked) for names, make, asked in rng.sample(FIELDS, rng.randint(3, 10))]
        title = rng.choice(TITLES)
    size = rng.randint(15, 24)
    pitch, margin = round(size * rng.uniform(1.5, 2.4)), rng.randint(20, 70)
    layout = rng.choice(("beside", "beside", "above", "one run"))
    columns = 2 if layout == "above" and len(fields) > 3 and rng.random() < 0.5 else 1
    side = round(max(len(name) for name, _, _ in fields) * size * 0.65) + 2 * size
    longest = max(len(text) for _, text, _ in fields) * size * 0.65
    cell = max(longest, side) + size if layout == "above" else side + longest
    width, step = round(2 * margin + columns * cell), (2.2 if layout == "above" else 1) * pitch
    sheet = Sheet(width, round(2 * margin + step * -(-len(fields) // columns) + 5 * pitch), rng.choice(tuple(FACES)))
    y = margin
    if title:
        sheet.write(title, margin, y, round(size * rng.uniform(1, 1.5)), bold=rng.random() < 0.7)
        y += 2 * pitch
    mark, facts = rng.choice(("", ":", ":")), []
    for at, (name, text, asked) in enumerate(fields):
        x, top = margin + at % columns * cell, y + at // columns * step
        label = sheet.write(name + mark, x, top, size if layout != "above" else round(size * 0.8), bold=rng.random() < 0.3)
        if layout == "beside":
            value = sheet.write(text, margin + side, top, size)
        elif layout == "above":
            value = sheet.write(text, x, top + pitch, size)
        else:
            value = sheet.write(text, x + (len(name) + 2) * size * 0.65, top, size)
        facts.append(Fact(name, value, (label, value), questions=tuple(asked) if rng.random() < 0.4 else ()))
    if rng.random() < 0.3:
        sheet.write(rng.choice(NOTES), margin, sheet.height - margin - pitch, size)
    return Rendered(rng.choice((title.casefold() or "form", "scan", f"IMG {rng.randint(1000, 9999)}")), sheet.fit(margin), tuple(facts))
