"""
The rules of a document as one regular expression, read from the models.

A row that fits is valid and its text is what the model would write. A row that does not fit may still be valid:
then the model decides. A line of JSON is put into that text without making Python objects of its values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache, lru_cache
from itertools import product
from operator import itemgetter
from typing import Any, Final, NamedTuple, Union, get_args

import msgspec
from pydantic import AfterValidator, BeforeValidator, StringConstraints
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from airflow_provider_ims.models.amounts import Limit
from airflow_provider_ims.models.documents import SECTIONS, Document, real_date

_NO_ACTION = "N"
_GSTIN_LENGTH: Final = 15
# Days that are real whatever the year.
_DAY: Final = (
    "(?:(?:0[1-9]|1[0-9]|2[0-8])-(?:0[1-9]|1[0-2])|(?:29|30)-(?:0[13-9]|1[0-2])|31-(?:0[13578]|1[02]))-[1-9][0-9]{3}"
)


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


class LinePath(NamedTuple):
    """
    How the lines of a section's documents look, once their keys stand in the order in which they are sent.

    :param width: number of colons in a line in which each key stands once
    :param fits: matches a line
    :param begin: where the document's own fields begin, after section and ``rtin``
    :param dates: groups of the match that are dates
    :param key: groups of the match that are supplier, period, date and number
    """

    width: int
    fits: Callable[[str], re.Match[str] | None]
    begin: int
    dates: tuple[int, ...]
    key: tuple[int, int, int, int]


class Lines(NamedTuple):
    """
    Reads lines of JSON.

    :param decode: returns a line as an object of its section; raises what ``msgspec`` raises when it is none
    :param encode: returns such an object as JSON, its keys in the order in which they are sent
    :param paths: the class of an object -> the section's name and path
    """

    decode: Callable[[str], msgspec.Struct]
    encode: Callable[[msgspec.Struct], bytes]
    paths: dict[type[msgspec.Struct], tuple[str, LinePath]]


def amount_limit(field: FieldInfo) -> Decimal | None:
    """Return the largest amount that a field takes, or ``None`` if it holds no amount."""
    return next((item.most for item in field.metadata if isinstance(item, Limit)), None)


def longest(field: FieldInfo) -> int | None:
    """Return the largest length that a text field says, or ``None`` if it says none."""
    return next((item.max_length for item in field.metadata if isinstance(item, StringConstraints)), None)


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
        template="{" + ",".join(in_json(name, "%s", quoted=name not in amounts) for name in fields) + "}",
        fits=re.compile(r"\{" + _fields_pattern(model, allow_no_action=allow_no_action)).fullmatch,
        dates=tuple(dates),
        key=itemgetter(*map(list(fields).index, ("stin", "rtnprd", model.date_field, model.number_field))),
    )


@cache
def lines_of(*, allow_no_action: bool) -> Lines:
    """
    Derive from the models how lines of JSON are read.

    :param allow_no_action: ``prev_status`` may be ``N``
    """
    # Values stay the bytes that they are: nothing is lost of a number, and an escape in a text fits no pattern.
    classes = {
        msgspec.defstruct(
            section,
            [(name, msgspec.Raw) for name in ("rtin", *model.model_fields)],
            tag_field="section",
            tag=section,
            forbid_unknown_fields=True,
        ): section
        for section, model in SECTIONS.items()
    }
    return Lines(
        decode=msgspec.json.Decoder(Union[tuple(classes)]).decode,  # noqa: UP007  the classes are known at run time only
        encode=msgspec.json.Encoder().encode,
        paths={
            each: (section, _line_path(section, allow_no_action=allow_no_action)) for each, section in classes.items()
        },
    )


def _line_path(section: str, *, allow_no_action: bool) -> LinePath:
    model = SECTIONS[section]
    before = f'{{"section":"{section}","rtin":"'
    rtin = _pattern("stin", model.model_fields["stin"], allow_no_action=allow_no_action)
    fields = _fields_pattern(model, allow_no_action=allow_no_action)
    pattern = re.compile(f'{re.escape(before)}{rtin}",{fields}')
    group = pattern.groupindex
    return LinePath(
        width=len(model.model_fields) + 2,
        fits=pattern.fullmatch,
        begin=len(before) + _GSTIN_LENGTH + len('",'),
        dates=tuple(group[name] for name, field in model.model_fields.items() if is_date(field)),
        key=(group["stin"], group["rtnprd"], group[model.date_field], group[model.number_field]),
    )


def _fields_pattern(model: type[Document], *, allow_no_action: bool) -> str:
    """Return the pattern of a document's JSON after its first bracket, with groups for its identity and its dates."""
    named = {"stin", "rtnprd", model.number_field}
    fields = []
    for name, field in model.model_fields.items():
        pattern = _pattern(name, field, allow_no_action=allow_no_action)
        if name in named or is_date(field):
            pattern = f"(?P<{name}>{pattern})"
        fields.append(in_json(name, pattern, quoted=amount_limit(field) is None))
    return ",".join(fields) + r"\}"


def plain_pattern(model: type[Document], *, allow_no_action: bool) -> str:
    """
    Return the pattern of a document's JSON for an engine that knows neither groups by name nor looks ahead (RE2).

    It leaves open how long a number is, and takes no 29th of February, which not every year has.
    """
    fields = []
    for name, field in model.model_fields.items():
        pattern = _DAY if is_date(field) else _pattern(name, field, allow_no_action=allow_no_action, lengths=False)
        fields.append(in_json(name, pattern, quoted=amount_limit(field) is None))
    return r"\{" + ",".join(fields) + r"\}"


def in_json(name: str, value: str, *, quoted: bool) -> str:
    """Return a field of a document's JSON."""
    return f'"{name}":"{value}"' if quoted else f'"{name}":{value}'


def _pattern(name: str, field: FieldInfo, *, allow_no_action: bool, lengths: bool = True) -> str:
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
            most_letters = longest(field)
            length = f'(?=[^"]{{0,{most_letters}}}")' if most_letters and lengths else ""
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
