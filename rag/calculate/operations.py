"""The operations of computed answers, over decimals. Pure.

In: an operation, which is a kind of question, and quantities of one unit, or of units that convert. Out: a quantity.
Raises CalculationError with one plain sentence for what cannot be computed. Units convert through pint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from models.common.errors import FolioError
from rag.calculate.quantities import Quantity
from rag.question_kind import Kind


class CalculationError(FolioError):
    """What was asked for cannot be computed: another unit, nothing to divide by."""


MEAN_PLACES = 1  # decimals of a mean beyond those of its operands
RATIO_PLACES = 2
CONVERTED_PLACES = 3  # decimals of a converted quantity beyond those that were written


def compute(operation: Kind, operands: Sequence[Quantity]) -> Quantity:
    """The result; start and end of it mean nothing. operation: of rag.question_kind.COMPUTED.

    DIFFERENCE is the second less the first, CHANGE that in percent of the first, RATIO the first by the second, SHARE
    that in percent; LARGEST and SMALLEST are one of the operands.
    """
    if operation is Kind.COUNT:
        return Quantity(Decimal(len(operands)), "", 0, 0)
    if not operands:
        raise CalculationError("there is nothing to compute with")
    first, *_ = operands = in_one_unit(operands)
    values, places = [one.value for one in operands], max(one.places for one in operands)
    if operation in (Kind.LARGEST, Kind.SMALLEST):
        return (max if operation is Kind.LARGEST else min)(operands, key=lambda one: one.value)
    if operation is Kind.SUM:
        return replace(first, value=sum(values, Decimal()), places=places)
    if operation is Kind.MEAN:
        return _rounded(sum(values, Decimal()) / len(values), first.unit, places + MEAN_PLACES)
    if len(values) != 2:
        raise CalculationError("two numbers are needed")
    one, other = values
    if operation is Kind.DIFFERENCE:
        return replace(first, value=other - one, places=places)
    divisor = one if operation is Kind.CHANGE else other
    if not divisor:
        raise CalculationError("a division by zero has no result")
    if operation is Kind.CHANGE:
        return _percent((other - one) / abs(one))
    if operation is Kind.SHARE:
        return _percent(one / other)
    return _rounded(one / other, "", RATIO_PLACES)


def in_one_unit(operands: Sequence[Quantity]) -> list[Quantity]:
    """The quantities in the unit of the first one. Raises CalculationError where they do not convert."""
    unit = next((one.unit for one in operands if one.unit), "")
    return [one if one.unit in (unit, "") else _converted(one, unit) for one in operands]


def alike(first: str, second: str) -> bool:
    """Whether two units measure the same."""
    return first == second or _factor(first, second) is not None


def _converted(one: Quantity, unit: str) -> Quantity:
    factor = _factor(one.unit, unit)
    if factor is None:
        raise CalculationError(f"{one.unit or 'a plain number'} and {unit or 'a plain number'} cannot be compared")
    found = _rounded(one.value * factor, unit, one.places + CONVERTED_PLACES)
    return replace(one, value=found.value, unit=unit, places=found.places)


@lru_cache(maxsize=256)
def _factor(unit: str, target: str) -> Decimal | None:
    """What a value in `unit` is multiplied by; None where pint knows no way."""
    import pint

    try:
        return Decimal(str(_registry().Quantity(1, unit).to(target).magnitude))
    except (pint.PintError, AttributeError, ValueError, TypeError, AssertionError):
        return None


@lru_cache(maxsize=1)
def _registry():
    import pint

    return pint.UnitRegistry(cache_folder=None, non_int_type=Decimal)


def _percent(share: Decimal) -> Quantity:
    """A share in percent, to three digits or so."""
    return _rounded(100 * share, "%", 1 if abs(share) >= Decimal("0.1") else 2)


def _rounded(value: Decimal, unit: str, places: int) -> Quantity:
    rounded = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    plain = rounded.normalize()
    return Quantity(plain, unit, 0, 0, max(0, -plain.as_tuple().exponent))
