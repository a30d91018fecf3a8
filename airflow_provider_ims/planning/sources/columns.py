"""From the user's column names, and words, to the API's field names and values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, get_args

from airflow_provider_ims.models.columns import ColumnMap, ColumnsWrong, Words, folded_name, listed, say_which
from airflow_provider_ims.models.documents import SECTIONS, Action, Document, InvoiceType, SourceForm
from airflow_provider_ims.planning.checks.coercion import AMOUNTS, DATES, ROW_FIELDS
from airflow_provider_ims.planning.errors import PlanError
from airflow_provider_ims.planning.sources.rows import Row, Unreadable
from airflow_provider_ims.tables.errors import FileUnusable

_EVERY_ROW = ("rtin", "section", *Document.model_fields)

OF_SECTION: Final[dict[str, dict[str, str]]] = {
    section: {
        "number": model.number_field,
        "date": model.date_field,
        **{
            name: field
            for name, fields in (("original_number", ("oinum", "ont_num")), ("original_date", ("oidt", "ont_dt")))
            for field in fields
            if field in model.model_fields
        },
    }
    for section, model in SECTIONS.items()
}
"""For each section, what its fields are called that each section calls otherwise."""

FOR_ALL: Final = ("number", "date", "original_number", "original_date")
"""Names of fields that each section calls otherwise; the row's section says which field is meant."""

_FIELDS: Final = (*sorted(ROW_FIELDS), *FOR_ALL)
_FOLDED: Final = {folded_name(field): field for field in _FIELDS}


def _one_of(values: Iterable[str]) -> Words:
    known = {folded_name(value): value for value in values}
    return lambda word: known.get(folded_name(word))


_CHOICES: Final = {
    "section": _one_of(SECTIONS),
    "prev_status": _one_of(get_args(Action)),
    "srcform": _one_of(get_args(SourceForm)),
    "inv_typ": _one_of(get_args(InvoiceType)),
}

_MOST_KEYS = 10_000
"""Keys of JSON objects that are remembered; a file that has more of them has values for keys."""

_CARRIED_ALWAYS = ("trade_name", "book_")
"""What :class:`ImsReconcileOperator` writes beside a document's fields."""


class Header(NamedTuple):
    """
    What the columns of one source are.

    :param fields: the field of each column, ``None`` for one that is no field
    :param carried: places and names of columns that are carried
    """

    fields: list[str | None]
    carried: list[tuple[int, str]]


class Columns:
    """
    Names the columns of a source.

    :param names: see :class:`~airflow_provider_ims.models.columns.ColumnMap`; a column that is not named and has a
        field's name is that field
    :param carry: columns that are no fields and are carried to the result; ``all`` takes every one that is not left out
    :raises PlanError: with all that is wrong with them
    """

    def __init__(self, names: Mapping[str, Any] | None = None, carry: Sequence[str] | str | None = None) -> None:
        try:
            self.map = ColumnMap.of(
                names, _FIELDS, choices=_CHOICES, wordless=(*AMOUNTS, *DATES), unfixed=("number", "inum", "nt_num")
            )
        except ColumnsWrong as error:
            raise PlanError(f"columns: {error}") from None
        if carry is not None and carry != "all" and (isinstance(carry, str) or not all(map(str, carry))):
            raise PlanError(f'carry is {carry!r}; it takes a list of your columns, or "all"')
        self._carry_all = carry == "all"
        self._carry = {} if carry is None or carry == "all" else {folded_name(name): str(name) for name in carry}
        self.carried: dict[str, None] = {}
        self._columns: dict[str, str] = {}
        self._of_key: dict[str, tuple[str | None, bool]] = {}

    @property
    def names(self) -> dict[str, str | None]:
        """The user's name -> field."""
        return self.map.names

    def column_of(self, field: str) -> str:
        """Return the user's name of a field's column, as the last source has it; empty if it is our own."""
        for name in (field, *(name for name, of in _GENERAL_NAMES.items() if field in of)):
            if name in self._columns:
                return self._columns[name]
        return ""

    def _field(self, name: str) -> str | None:
        """Return the field of a column, ``None`` if it is none."""
        if self.map.is_named(name):
            return self.map.field_of(name)
        return name if name in ROW_FIELDS else _FOLDED.get(folded_name(name))

    def _carries(self, name: str) -> bool:
        if folded_name(name) in self._carry:
            return True
        if self.map.is_named(name) or self._field(name) is not None:
            return False
        return self._carry_all or name.startswith(_CARRIED_ALWAYS)

    def _bind(self, name: str, field: str | None) -> None:
        if field is not None and name != field:
            self._columns[field] = name

    def of_header(self, header: Sequence[str], source: str) -> Header:
        """
        Say which column is what.

        :param header: the names of the columns, all of them
        :param source: the source, for the error
        :raises FileUnusable: when a column is missing, unknown or there twice
        """
        fields = [self._field(name) for name in header]
        carried = [(place, name) for place, name in enumerate(header) if self._carries(name)]
        problems = self._unknown(header)
        twice = sorted(field for field, count in Counter(fields).items() if field is not None and count > 1)
        if twice:
            problems.append(f"has several columns for {listed(twice)}; which one is meant?")
        if both := [field for field in self.map.fixed if field in fields]:
            problems.append(
                f"has a column for {listed(both)}, which columns gives a value for every row; which one is meant?"
            )
        there = {folded_name(name) for name in header}
        if lost := [name for key, name in self._carry.items() if key not in there]:
            problems.append(f"has no column {listed(lost)}, which carry names")
        if absent := self.map.absent(header):
            problems.append(f"has no column {listed(absent)}, which columns names")
        elif missing := [name for name in _EVERY_ROW if name not in fields and name not in self.map.fixed]:
            problems.append(f"has no column for {listed(missing)}, which every row needs. {say_which(missing[0])}")
        if problems:
            raise FileUnusable(source, "; ".join(problems) + f". Its columns are {listed(header)}")
        self._columns.clear()
        for name, field in zip(header, fields, strict=True):
            self._bind(name, field)
        self.carried.update(dict.fromkeys(name for _, name in carried))
        return Header(fields, carried)

    def check_first(self, row: Mapping[str, Any], source: str) -> None:
        """
        Look at the first row of a source without a header as if its keys were one.

        :raises FileUnusable: when it has keys that nobody knows: they would be in every row
        """
        if problems := self._unknown(list(row)):
            raise FileUnusable(source, "; ".join(problems))
        self._columns.clear()

    def is_plain(self, row: Mapping[str, Any]) -> bool:
        """Say whether rows with these keys are what the API takes, so that :meth:`of_row` changes nothing."""
        return not (self.map.names or self.map.fixed or self._carry or self._carry_all) and row.keys() <= ROW_FIELDS

    def of_row(self, row: Mapping[str, Any]) -> dict[str, Any] | Unreadable:
        """Return a row under the API's field names."""
        named = Row({}, {})
        for name, value in row.items():
            field, is_carried = self._of_key.get(name) or self._look_at(name)
            if field is not None:
                if field in named:
                    return Unreadable(name, f"one value for {field}; here it stands under several names")
                named[field] = value
                self._bind(name, field)
            if is_carried and value is not None:
                named.carried[name] = value
                self.carried[name] = None
        return self.finished(named)

    def _look_at(self, name: str) -> tuple[str | None, bool]:
        """Return the field of a key, itself if nobody knows it, and whether it is carried; once for all rows."""
        known = name in ROW_FIELDS or self.map.is_named(name) or folded_name(name) in _FOLDED
        is_carried = self._carries(name)
        found = self._field(name) if known or is_carried else name, is_carried
        if len(self._of_key) < _MOST_KEYS:
            self._of_key[name] = found
        return found

    def finished(self, row: dict[str, Any]) -> dict[str, Any] | Unreadable:
        """
        Put the user's words, what is the same in every row, and the section's names of number and date into a row.

        :param row: field -> value
        """
        for field in self.map.words:
            if field in row:
                row[field] = self.map.value(field, row[field])
        for field in ("rtin", "section"):
            if field in self.map.fixed:
                row.setdefault(field, self.map.fixed[field])
        section = row.get("section")
        names = OF_SECTION.get(section) if isinstance(section, str) else None
        if names is None:  # the section is what is wrong with it
            return row
        known = SECTIONS[str(section)].model_fields
        for field, value in self.map.fixed.items():
            own = names.get(field, field)
            if own in known:
                row.setdefault(own, value)
        for general in FOR_ALL:
            if general not in row:
                continue
            value = row.pop(general)
            field = names.get(general, "")
            if not field:  # a section without amendments has none
                continue
            if row.setdefault(field, value) != value:
                return Unreadable(value, f"one value for {field}; here {general} says another one than {field}")
        return row

    @property
    def changes(self) -> bool:
        """Whether :meth:`finished` has anything to do."""
        return bool(self.map.words or self.map.fixed)

    def _unknown(self, names: Iterable[str]) -> list[str]:
        unknown = [
            name
            for name in names
            if not self.map.is_named(name)
            and name not in ROW_FIELDS
            and folded_name(name) not in _FOLDED
            and not self._carries(name)
        ]
        if not unknown:
            return []
        return [
            f"has columns that no field is named after: {listed(unknown)}. Say which field each of them is, or"
            f' None to leave it out: columns={{"{unknown[0]}": None}}; or carry them to the result: carry="all"'
        ]


_GENERAL_NAMES: Final = {
    general: {names[general] for names in OF_SECTION.values() if general in names} for general in FOR_ALL
}


def lacking(fields: Iterable[str | None], section: object, fixed: Iterable[str] = ()) -> list[str]:
    """
    Return the fields of a section for which a source has no column.

    :param fields: the fields of its columns
    :param fixed: fields that are the same in every row
    """
    if not isinstance(section, str) or section not in SECTIONS:
        return []
    names = OF_SECTION[section]
    there = {names.get(field, field) for field in (*fields, *fixed) if field is not None}
    return [name for name in SECTIONS[section].model_fields if name not in there]
