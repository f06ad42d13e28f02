"""The sentence that says a computed result: the answer first, then what it was computed from. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rag.calculate.operands import Operands
from rag.calculate.quantities import CURRENCIES, Quantity
from rag.question_kind import Kind

SHOWN = 12  # operands that a sentence writes out


def sentence(operation: Kind, found: Operands, quantities: Sequence[Quantity], result: Quantity) -> str:
    """quantities: those of `found` in one unit."""
    said_so = _sentence(operation, found, quantities, result)
    return said_so[:1].upper() + said_so[1:]


def _sentence(operation: Kind, found: Operands, quantities: Sequence[Quantity], result: Quantity) -> str:
    answer, names = said(result), found.names
    if operation is Kind.COUNT:
        return f"{answer}: {_listed(names)}."
    if operation in (Kind.LARGEST, Kind.SMALLEST):
        return _extreme(operation, found, quantities, result)
    if operation in (Kind.SUM, Kind.MEAN):
        terms = " + ".join(map(number, quantities[:SHOWN])) + " + ..." * (len(quantities) > SHOWN)
        about = f"{found.of}, {len(names)} rows" if found.of else _listed(names)
        if operation is Kind.SUM:
            return f"{answer} in total ({about}: {terms})."
        return f"{answer} on average ({about}: ({terms}) / {len(quantities)})."
    first, second = (f"{said(one)} ({name})" for one, name in zip(quantities, names, strict=True))
    if operation is Kind.DIFFERENCE:
        size = said(_absolute(result))
        return f"{size}: {second} against {first}." if result.value >= 0 else f"{size} less: {second} against {first}."
    if operation is Kind.CHANGE:
        return f"{answer}: from {first} to {second}."
    return f"{answer}: {first} {'of' if operation is Kind.SHARE else 'to'} {second}."


def said(one: Quantity) -> str:
    """A quantity as an answer says it: "1,284,600", "£4,870", "57.6 %", "-3 kg"."""
    sign, amount = "-" * (one.value < 0), number(_absolute(one))
    if one.unit in CURRENCIES:
        return f"{sign}{one.unit}{amount}"
    return f"{sign}{amount}{' ' * bool(one.unit)}{one.unit}"


def number(one: Quantity) -> str:
    return f"{one.value:,.{one.places}f}"


def _extreme(operation: Kind, found: Operands, quantities: Sequence[Quantity], result: Quantity) -> str:
    word = "largest" if operation is Kind.LARGEST else "smallest"
    at = quantities.index(result)
    name, answer = found.names[at], said(result)
    if len(quantities) == 2:
        other, gap = quantities[1 - at], Quantity(abs(result.value - quantities[1 - at].value), result.unit, 0, 0)
        gap = said(Quantity(gap.value, gap.unit, 0, 0, max(result.places, other.places)))
        more = "more" if operation is Kind.LARGEST else "less"
        return f"{name}: {answer}, against {said(other)} ({found.names[1 - at]}), {gap} {more}."
    of = f" ({found.of})" if found.of else ""
    pairs = zip(found.names, quantities, strict=True)
    others = ", ".join(f"{other} {said(one)}" for other, one in pairs if other != name)
    rest = f": {others}" if len(quantities) <= SHOWN // 2 and not found.of else ""
    return f"{name}: {answer}, the {word} of {len(quantities)}{of}{rest}."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + ", ..." * (len(names) > SHOWN)


def _absolute(one: Quantity) -> Quantity:
    return Quantity(abs(one.value), one.unit, 0, 0, one.places)
