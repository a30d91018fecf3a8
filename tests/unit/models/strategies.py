"""Hypothesis strategies for valid documents and requests."""

from __future__ import annotations

import math
import string
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.unit.builders import FIELDS, NUMBER_FIELD, SECTIONS

VAL_MAX = Decimal("9999999999999.99")
TAX_MAX = Decimal("99999999999.99")


def paise(most: Decimal) -> st.SearchStrategy[Decimal]:
    """Amounts from 0 to ``most`` with exactly two decimals."""
    return st.integers(0, int(most * 100)).map(lambda count: Decimal(count).scaleb(-2))


def amounts(most: Decimal) -> st.SearchStrategy[int | float | Decimal]:
    """Amounts as users write them: whole rupees, floats, decimals of any precision up to two places."""
    return st.one_of(
        st.integers(0, int(most)),
        paise(most),
        paise(most).map(float),
        st.integers(0, int(most * 10)).map(lambda tenths: Decimal(tenths).scaleb(-1)),
    )


_GSTIN_ALPHABETS = (
    *[string.digits] * 2,
    *[string.ascii_uppercase] * 5,
    *[string.digits] * 4,
    string.ascii_uppercase,
    "123456789" + string.ascii_letters,
    "123456789ABCDEFGHIJZabcdefghijz",
    string.digits + string.ascii_letters,
)


def _gstin(number: int) -> str:
    characters = []
    for alphabet in _GSTIN_ALPHABETS:
        number, index = divmod(number, len(alphabet))
        characters.append(alphabet[index])
    return "".join(characters)


# One draw each, not one for each character: a whole request has dozens of them.
gstins = st.integers(0, math.prod(map(len, _GSTIN_ALPHABETS)) - 1).map(_gstin)
document_numbers = st.text(string.ascii_letters + string.digits + "/-", min_size=1, max_size=16).filter(
    lambda number: number.strip("0/-") != ""
)
dates = st.dates().map(lambda day: f"{day.day:02}-{day.month:02}-{day.year:04}")
periods = st.builds("{:02}{:04}".format, st.integers(1, 12), st.integers(1900, 2099))

FIELD_STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "stin": gstins,
    "rtnprd": periods,
    "srcform": st.sampled_from(["R1", "R1A", "IFF"]),
    "pos": st.one_of(st.integers(1, 38).map("{:02}".format), st.sampled_from(["96", "97"])),
    "val": amounts(VAL_MAX),
    **dict.fromkeys(["txval", "iamt", "camt", "samt", "cess"], amounts(TAX_MAX)),
    "prev_status": st.sampled_from("ARP"),
    **dict.fromkeys(["inum", "oinum", "nt_num", "ont_num"], document_numbers),
    **dict.fromkeys(["idt", "oidt", "nt_dt", "ont_dt"], dates),
    "inv_typ": st.sampled_from(["R", "DE", "SEWP", "SEWOP", "CBW"]),
}


def documents(section: str) -> st.SearchStrategy[dict[str, Any]]:
    """Valid documents of a section."""
    return st.fixed_dictionaries({field: FIELD_STRATEGIES[field] for field in FIELDS[section]})


def _identity(section: str) -> Any:
    number = NUMBER_FIELD[section]
    return lambda document: (document["stin"].upper(), document[number].upper(), document["rtnprd"])


requests = st.fixed_dictionaries(
    {
        "rtin": gstins,
        "reqtyp": st.just("RESET"),
        "invdata": st.fixed_dictionaries(
            {
                section: st.lists(documents(section), min_size=1, max_size=2, unique_by=_identity(section))
                for section in SECTIONS
            }
        ),
    }
)
"""Valid requests with documents in all eight sections."""
