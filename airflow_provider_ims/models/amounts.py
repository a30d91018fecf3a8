"""Amounts in rupees: exact, never a binary float's tail."""

from __future__ import annotations

import math
import numbers
from decimal import Decimal
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

VAL_MAX = Decimal("9999999999999.99")
TAX_MAX = Decimal("99999999999.99")

_PAISA = Decimal("0.01")


def _exact(value: object) -> Decimal:
    """Return a number as the decimal that its author wrote."""
    if type(value) is int or isinstance(value, Decimal):  # the common cases first; a bool is neither
        return Decimal(value)
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return Decimal(int(value))
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return Decimal(repr(float(value)))  # repr is the shortest text that reads back as this float
    raise PydanticCustomError("amount", "a JSON number, not text")


def _without_float_tail(number: Decimal) -> Decimal:
    """
    Cut what binary arithmetic left behind (0.1 + 0.2) and refuse a real third decimal (0.125).

    A sum of paise in floats is off by a few units in the last place, far below a millionth of a rupee; a
    tax computed but not rounded is off by far more. Where floats are so coarse that the two cannot be told
    apart, the number is refused.
    """
    rounded = number.quantize(_PAISA)
    noise = min(0.0005, max(1e-6, 8 * math.ulp(float(number))))
    if abs(float(number - rounded)) > noise:
        raise PydanticCustomError("amount", "at most 2 decimals; round it to paise first")
    return rounded


def _amount(limit: Decimal) -> BeforeValidator:
    def validate(value: object) -> Decimal:
        number = _exact(value)
        if number.is_finite() and abs(number) <= limit + 1:
            exponent = number.as_tuple().exponent
            if isinstance(exponent, int) and exponent < -2:
                number = _without_float_tail(number)
            if 0 <= number <= limit:
                return abs(number)  # -0 is 0
        raise PydanticCustomError("amount", f"from 0 to {limit:,f}, positive also for credit notes")

    return BeforeValidator(validate)


class Limit(NamedTuple):
    """The largest amount that a field takes, for what reads the rules of a model instead of running them."""

    most: Decimal


# Limits: GSTN's JSON schema of the IMS reset request.
DocumentValue = Annotated[Decimal, _amount(VAL_MAX), Limit(VAL_MAX)]
TaxAmount = Annotated[Decimal, _amount(TAX_MAX), Limit(TAX_MAX)]


def as_json(number: Decimal) -> str:
    """Write an amount as a JSON number, without an exponent and with the decimals that were given."""
    return format(number, "f")
