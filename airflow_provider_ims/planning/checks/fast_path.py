"""
The rules of a document as one regular expression, read from the models.

A row that fits is valid and its text is what the model would write. A row that does not fit may still be valid:
then the model decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache, lru_cache
from itertools import product
from operator import itemgetter
from typing import Any, NamedTuple, get_args

from pydantic import AfterValidator, BeforeValidator, StringConstraints
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from airflow_provider_ims.models.amounts import Limit
from airflow_provider_ims.models.documents import SECTIONS, Document, real_date

_NO_ACTION = "N"


class FastPath(NamedTuple):
    """
    How the documents of a section look.

    :param pick: takes the values of the section's fields out of a row, in the order in which they are sent
    :param width: number of keys of a row: the fields, ``rtin`` and ``section``
    :param types: every combination of types that the values may have
    :param template: the document's JSON, with a ``%s`` for each value
    :param fits: matches the JSON of a valid document
    :param dates: indexes of the dates among the values
    :param key: takes supplier, period, date and number out of the values
    """

    pick: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    width: int
    types: frozenset[tuple[type, ...]]
    template: str
    fits: Callable[[str], re.Match[str] | None]
    dates: tuple[int, ...]
    key: Callable[[tuple[Any, ...]], tuple[str, str, str, str]]


def amount_limit(field: FieldInfo) -> Decimal | None:
    """Return the largest amount that a field takes, or ``None`` if it holds no amount."""
    return next((item.most for item in field.metadata if isinstance(item, Limit)), None)


def is_date(field: FieldInfo) -> bool:
    """Say whether a field holds a date."""
    return any(isinstance(item, AfterValidator) and item.func is real_date for item in field.metadata)


@lru_cache(maxsize=8192)
def is_real_date(text: str) -> bool:
    """Say whether the models take this for a date; a month has few, so the answers are kept."""
    try:
        real_date(text)
    except PydanticCustomError:
        return False
    return True


@cache
def fast_path_of(section: str, *, text_amounts: bool, allow_no_action: bool) -> FastPath:
    """
    Derive the fast path for a section's documents from their model.

    :param text_amounts: every value is text, amounts too, as in a CSV file
    :param allow_no_action: ``prev_status`` may be ``N``
    """
    model: type[Document] = SECTIONS[section]
    fields = model.model_fields
    amounts = {name for name, field in fields.items() if amount_limit(field) is not None}
    dates = [index for index, field in enumerate(fields.values()) if is_date(field)]
    return FastPath(
        pick=itemgetter(*fields),
        width=len(fields) + 2,
        types=frozenset(
            {(str,) * len(fields)}
            if text_amounts
            else product(*((int, float, Decimal) if name in amounts else (str,) for name in fields))
        ),
        template="{" + ",".join(_quoted(name, "%s", quoted=name not in amounts) for name in fields) + "}",
        fits=re.compile(
            r"\{"
            + ",".join(
                _quoted(name, _pattern(name, field, allow_no_action=allow_no_action), quoted=name not in amounts)
                for name, field in fields.items()
            )
            + r"\}"
        ).fullmatch,
        dates=tuple(dates),
        key=itemgetter(*map(list(fields).index, ("stin", "rtnprd", model.date_field, model.number_field))),
    )


def _quoted(name: str, value: str, *, quoted: bool) -> str:
    return f'"{name}":"{value}"' if quoted else f'"{name}":{value}'


def _pattern(name: str, field: FieldInfo, *, allow_no_action: bool) -> str:
    most = amount_limit(field)
    if not all(_is_known(rule, is_amount=most is not None) for rule in field.metadata):
        raise TypeError(f"{name} has a rule that is not known here; teach it to {__name__}.")
    if most is not None:
        return _amount_pattern(most)
    if is_date(field):
        return r"[0-9-]{10}"  # whether it is a real one, is_real_date says
    choices = [choice for choice in get_args(field.annotation) if allow_no_action or choice != _NO_ACTION]
    if choices:
        return f"(?:{'|'.join(map(re.escape, choices))})"
    for constraints in field.metadata:
        pattern = getattr(constraints, "pattern", None)
        if pattern:
            longest = constraints.max_length
            length = f'(?=[^"]{{0,{longest}}}")' if longest else ""
            return f"{length}(?:{pattern.removeprefix('^').removesuffix('$')})"
    raise TypeError(f"There is no pattern for {name}; teach it to {__name__}.")


def _is_known(rule: object, *, is_amount: bool) -> bool:
    if isinstance(rule, BeforeValidator):
        return is_amount
    if isinstance(rule, AfterValidator):
        return rule.func is real_date
    return isinstance(rule, (Limit, StringConstraints))


def _amount_pattern(most: Decimal) -> str:
    whole, _, paise = f"{most:f}".partition(".")
    if set(whole + paise) != {"9"} or len(paise) != 2:
        raise TypeError(f"A limit of {most} is more than a number of digits; teach it to {__name__}.")
    return rf"(?:0|[1-9][0-9]{{0,{len(whole) - 1}}})(?:\.[0-9]{{1,2}})?"
