"""Checks rows by the rules of the models: by the fast path where a row fits it, by the model itself where not."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from airflow_provider_ims.models.documents import RULES, SECTIONS
from airflow_provider_ims.models.faults import Fault, InvalidPayload
from airflow_provider_ims.models.gstin import GSTIN_PATTERN, check_digit_fits
from airflow_provider_ims.models.payload import ResetPayload, document_json
from airflow_provider_ims.planning.checks.coercion import converted, with_advice
from airflow_provider_ims.planning.checks.fast_path import FastPath, fast_path_of, is_real_date, lines_of

_SECTION_RULE = f"one of {', '.join(SECTIONS)}"

_is_gstin = lru_cache(maxsize=8192)(re.compile(GSTIN_PATTERN).fullmatch)
_check_digit_fits = lru_cache(maxsize=8192)(check_digit_fits)


class Valid(NamedTuple):
    """
    A document as it will be sent.

    :param rtin: GSTIN of the recipient
    :param section: section of the request
    :param text: the document's JSON
    :param key: what tells it from the other documents of the same GSTIN and section
    """

    rtin: str
    section: str
    text: str
    key: str

    def row(self) -> dict[str, Any]:
        """Return the row that it was made of."""
        return {"rtin": self.rtin, "section": self.section, **json.loads(self.text, parse_float=Decimal)}


class Checker:
    """
    Says what a row is: a valid document, or what is wrong with it.

    :param text_amounts: amounts stand as text, as in a CSV file
    :param strict_gstin: refuse GSTINs whose check digit is wrong
    :param allow_no_action: accept documents whose ``prev_status`` is ``N`` already
    """

    def __init__(
        self, *, text_amounts: bool = False, strict_gstin: bool = False, allow_no_action: bool = False
    ) -> None:
        self.conversions: Counter[str] = Counter()
        self._text_amounts = text_amounts
        self._strict_gstin = strict_gstin
        self._allow_no_action = allow_no_action
        self._fast_paths = {
            section: fast_path_of(section, text_amounts=text_amounts, allow_no_action=allow_no_action)
            for section in SECTIONS
        }
        self._lines = lines_of(allow_no_action=allow_no_action)

    def check(self, row: Mapping[str, Any]) -> Valid | list[Fault]:
        """
        Check one row.

        :param row: ``rtin``, ``section`` and the fields of the document
        :return: the document, or every fault; a fault's place is the field
        """
        return self.check_fast(row) or self._in_full(row)

    def check_fast(self, row: Mapping[str, Any]) -> Valid | None:
        """Return the document if the row fits its section's fast path; ``None`` says nothing about the row."""
        try:
            rtin, section = row["rtin"], row["section"]
            fast = self._fast_paths[section]
            return self._fitting(rtin, section, fast, fast.pick(row)) if len(row) == fast.width else None
        except (KeyError, TypeError, ValueError):  # a field missing, a value of a strange type, a number without end
            return None

    def _fitting(self, rtin: str, section: str, fast: FastPath, values: tuple[Any, ...]) -> Valid | None:
        if tuple(map(type, values)) not in fast.types:
            return None
        text = fast.template % values
        if not fast.fits(text) or not _is_gstin(rtin):
            return None
        for index in fast.dates:
            if not is_real_date(values[index]):
                return None
        return self._valid(rtin, section, text, *fast.key(values))

    def _valid(
        self, rtin: str, section: str, text: str, stin: str, rtnprd: str, date: str, number: str
    ) -> Valid | None:
        if self._strict_gstin and not (_check_digit_fits(rtin) and _check_digit_fits(stin)):
            return None
        return Valid(rtin, section, text, _key(stin, rtnprd, date, number))

    def check_line(self, line: str) -> Valid | None:
        """Return the document if a line of JSON fits its section's fast path; ``None`` says nothing about the line."""
        decode, encode, paths = self._lines
        try:
            found = decode(line)
            section, (width, fits, begin, dates, key) = paths[type(found)]
            if line.count(":") != width:  # as many colons as keys: no key is there twice
                return None
            whole = encode(found).decode()
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        match = fits(whole)
        if not match:
            return None
        for group in dates:
            if not is_real_date(match[group]):
                return None
        return self._valid(whole[begin - 17 : begin - 2], section, "{" + whole[begin:], *match.group(*key))

    def cells_checker(self, header: Sequence[str | None], nothing: object) -> Callable[[Sequence[Any]], Valid | None]:
        """
        Return what does for the cells of a table what :meth:`check_fast` does for a row.

        :param header: the field of each column; ``None`` for one that is left out
        :param nothing: what stands in a cell without a value
        """
        width = len(header)
        kept = [place for place, field in enumerate(header) if field is not None]
        places = {str(header[place]): index for index, place in enumerate(kept)}
        if not {"rtin", "section"} <= places.keys():
            return lambda cells: None
        rtin_at, section_at = places["rtin"], places["section"]
        of_fields = itemgetter(*kept) if len(kept) < width else None
        picks = {
            section: (fast, itemgetter(*map(places.__getitem__, model.model_fields)), len(kept) - fast.width)
            for section, model in SECTIONS.items()
            if places.keys() >= model.model_fields.keys()
            for fast in [self._fast_paths[section]]
        }

        def check(cells: Sequence[Any]) -> Valid | None:
            try:
                if len(cells) != width:
                    return None
                if of_fields:
                    cells = of_fields(cells)
                section = cells[section_at]
                fast, pick, empty = picks[section]
                if cells.count(nothing) != empty:  # the fields of other sections, and no other
                    return None
                return self._fitting(cells[rtin_at], section, fast, pick(cells))
            except (AttributeError, KeyError, TypeError, ValueError):  # a driver's rows need not be tuples
                return None

        return check

    def _in_full(self, row: Mapping[str, Any]) -> Valid | list[Fault]:
        cells = converted(row, text_amounts=self._text_amounts)
        found: Valid | list[Fault] | None = None
        if not cells.faults:
            found = self.check_fast(cells.row)
        if found is None:
            found = self.by_the_model(cells.row, cells.faults)
        if isinstance(found, Valid):
            self.conversions.update(cells.conversions)
        return found

    def by_the_model(self, row: Mapping[str, Any], known: list[Fault]) -> Valid | list[Fault]:
        """
        Let :class:`ResetPayload` decide.

        :param row: the row, its values as the models take them
        :param known: faults that are known already; the model's words on the same fields are left out
        """
        fields = {name: value for name, value in row.items() if name not in {"rtin", "section"}}
        section = row.get("section")
        faults = list(known)
        if not isinstance(section, str) or section not in SECTIONS:
            rule = _SECTION_RULE if "section" in row else f"is required: {_SECTION_RULE}"
            faults.append(Fault("section", section, rule))
            if not isinstance(row.get("rtin"), str) or not re.fullmatch(GSTIN_PATTERN, row["rtin"]):
                rule = RULES["rtin"] if "rtin" in row else f"is required: {RULES['rtin']}"
                faults.append(Fault("rtin", row.get("rtin"), rule))
            return with_advice(faults)
        request = {"reqtyp": "RESET", "invdata": {section: [fields]}}
        if "rtin" in row:
            request["rtin"] = row["rtin"]
        try:
            payload = ResetPayload.parse(
                request, strict_gstin=self._strict_gstin, allow_no_action=self._allow_no_action
            )
        except InvalidPayload as error:
            places = {fault.place for fault in faults}
            faults += (fault for fault in _by_field(error, f"invdata.{section}[0].") if fault.place not in places)
        if faults:
            return with_advice(faults)
        [(key, document)] = payload.documents()
        return Valid(payload.rtin, section, document_json(document), _key(key.stin, key.rtnprd, key.date, key.number))


def _by_field(error: InvalidPayload, prefix: str) -> Iterator[Fault]:
    for fault in error.faults:
        yield fault._replace(place=fault.place.removeprefix(prefix))


def _key(stin: str, rtnprd: str, date: str, number: str) -> str:
    # As DocumentKey folds them; all but the number have fixed lengths, so no two keys run into each other.
    return f"{stin}{rtnprd}{date}{number}".upper()
