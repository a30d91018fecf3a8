"""From the user's column names to the API's field names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_ims.models.documents import SECTIONS, Document
from airflow_provider_ims.planning.checks.coercion import ROW_FIELDS
from airflow_provider_ims.planning.errors import PlanError, SourceUnusable
from airflow_provider_ims.planning.sources.rows import Unreadable

_EVERY_ROW = ("rtin", "section", *Document.model_fields)


class Columns:
    """
    Names the columns of a source.

    :param names: the user's name -> the API's field name, or ``None`` to leave the column out; a column that is
        not named keeps its name
    :raises PlanError: when a name leads to no field, or two lead to one
    """

    def __init__(self, names: Mapping[str, str | None] | None = None) -> None:
        self.names = dict(names or {})
        wrong = sorted({str(field) for field in self.names.values() if field is not None and field not in ROW_FIELDS})
        if wrong:
            raise PlanError(f"columns leads to {_listed(wrong)}; fields are {_listed(sorted(ROW_FIELDS))}")
        twice = _repeated(field for field in self.names.values() if field is not None)
        if twice:
            raise PlanError(f"columns has several names for {_listed(twice)}; which one is meant?")

    def of_header(self, header: Sequence[str], source: str) -> list[str | None]:
        """
        Return the field of each column, ``None`` for a column that is left out.

        :param header: the names of the columns, all of them
        :param source: the source, for the error
        :raises SourceUnusable: when a column is missing, unknown or there twice
        """
        fields = [self.names.get(name, name) for name in header]
        problems = self._unknown(header)
        twice = _repeated(field for field in fields if field is not None)
        if twice:
            problems.append(f"has several columns for {_listed(twice)}; which one is meant?")
        absent = [name for name, field in self.names.items() if name not in header and field is not None]
        if absent:
            problems.append(f"has no column {_listed(absent)}, which columns names")
        elif missing := [name for name in _EVERY_ROW if name not in fields]:
            problems.append(
                f"has no column for {_listed(missing)}, which every row needs. If it stands under another name,"
                f' say so: columns={{"the name": "{missing[0]}"}}'
            )
        if problems:
            raise SourceUnusable(source, "; ".join(problems) + f". Its columns are {_listed(header)}")
        return fields

    def check_first(self, row: Mapping[str, Any], source: str) -> None:
        """
        Look at the first row of a source without a header as if its keys were one.

        :raises SourceUnusable: when it has keys that nobody knows: they would be in every row
        """
        if problems := self._unknown(list(row)):
            raise SourceUnusable(source, "; ".join(problems))

    def of_row(self, row: Mapping[str, Any]) -> dict[str, Any] | Unreadable:
        """Return a row under the API's field names."""
        named: dict[str, Any] = {}
        for name, value in row.items():
            field = self.names.get(name, name)
            if field in named:
                return Unreadable(name, f"one value for {field}; here it stands under several names")
            if field is not None:
                named[field] = value
        return named

    def _unknown(self, names: Iterable[str]) -> list[str]:
        unknown = [name for name in names if name not in self.names and name not in ROW_FIELDS]
        if not unknown:
            return []
        return [
            f"has columns that no field is named after: {_listed(unknown)}. Say which field each of them is, or"
            f' None to leave it out: columns={{"{unknown[0]}": None}}'
        ]


def lacking(fields: Iterable[str | None], section: object) -> list[str]:
    """Return the fields of a section for which a source has no column."""
    if not isinstance(section, str) or section not in SECTIONS:
        return []
    there = set(fields)
    return [name for name in SECTIONS[section].model_fields if name not in there]


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(str, names))
