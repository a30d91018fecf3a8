"""How much documents and books may differ and still be the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Final

from airflow_provider_ims.matching.errors import MatchError
from airflow_provider_ims.tables.documents import AMOUNTS

Rupees = Decimal | int | str
"""An amount or a percentage; a float is refused, since it is never exact."""

TOTAL: Final = "total"


@dataclass(frozen=True)
class MatchRules:
    """
    How much documents and books may differ.

    An amount agrees within tolerance if the gap is at most the tolerance in rupees *or* the percentage of the
    document's amount, whichever allows more.

    :param tolerance: rupees by which each of ``txval``, ``iamt``, ``camt``, ``samt``, ``cess`` may differ; a mapping
        gives some of them, and ``total``, a tolerance of their own, the others keep 1 rupee. ``total`` is the sum of
        the five, and ``val`` where the books have it; without a tolerance of its own it may differ by what the amounts
        that are not 0 may differ together
    :param tolerance_percent: the same as a percentage; 0 by default
    :param date_days: the same number is the same document if both dates are of one financial year, in which a
        supplier uses a number once, or at most so many days apart
    :param near_days: days by which the dates may differ where the number agrees only as normalised and the amounts
        do not
    :param probable: look for numbers that agree only nearly at all
    """

    tolerance: Rupees | Mapping[str, Rupees] = Decimal(1)
    tolerance_percent: Rupees | Mapping[str, Rupees] = Decimal(0)
    date_days: int = 90
    near_days: int = 10
    probable: bool = True
    _rupees: dict[str, Decimal] = field(init=False, repr=False, compare=False)
    _percent: dict[str, Decimal] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rupees", _of_each("tolerance", self.tolerance, Decimal(1)))
        object.__setattr__(self, "_percent", _of_each("tolerance_percent", self.tolerance_percent, Decimal(0)))
        for name in ("date_days", "near_days"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 3660:
                raise MatchError(f"{name} is {value!r}; it takes a number of days from 0 to 3660")

    def rupees(self, amount: str) -> Decimal | None:
        """Return the tolerance of an amount or of ``total`` in rupees; ``None``: what its parts allow."""
        return self._rupees.get(amount)

    def percent(self, amount: str) -> Decimal:
        """Return the tolerance of an amount or of ``total`` in percent."""
        return self._percent.get(amount, Decimal(0))


def _of_each(name: str, given: Rupees | Mapping[str, Rupees], default: Decimal) -> dict[str, Decimal]:
    if not isinstance(given, Mapping):
        return dict.fromkeys(AMOUNTS, _number(name, given))
    if unknown := sorted(set(given) - {*AMOUNTS, TOTAL}):
        raise MatchError(f"{name} names {', '.join(unknown)}; it takes {', '.join((*AMOUNTS, TOTAL))}")
    return dict.fromkeys(AMOUNTS, default) | {amount: _number(name, value) for amount, value in given.items()}


def _number(name: str, given: object) -> Decimal:
    try:
        if isinstance(given, (bool, float)) or not isinstance(given, (Decimal, int, str)):
            raise InvalidOperation
        number = Decimal(given)
        if number.is_finite() and 0 <= number <= 10**11 and number == number.quantize(Decimal("0.0001")):
            return number
    except InvalidOperation:
        pass
    raise MatchError(
        f'{name} is {given!r}; it takes a number from 0 with at most 4 decimals, exact: Decimal("0.50"), 1 or "0.50"'
    )
