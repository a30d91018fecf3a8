"""From the user's column names, and words, to ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from airflow_provider_ims.matching.errors import MatchError
from airflow_provider_ims.models.columns import (
    ColumnMap,
    ColumnsWrong,
    folded_name,
    folded_word,
    listed,
    say_which,
    unique_names,
)
from airflow_provider_ims.tables.documents import AMOUNTS
from airflow_provider_ims.tables.errors import FileUnusable
from airflow_provider_ims.tables.sql import literal

REQUIRED: Final = ("rtin", "stin", "kind", "number", "date", *AMOUNTS)
OPTIONAL: Final = ("val", "id")
FIELDS: Final = REQUIRED + OPTIONAL

WORDED: Final = ("rtin", "stin", "kind")
"""Fields whose values a user may have words of their own for."""

INVOICE, CREDIT_NOTE, DEBIT_NOTE = "invoice", "credit note", "debit note"

_WORDS: Final = {
    INVOICE: "i inv invoice invoices taxinvoice purchaseinvoice purchase bill taxbill b2b b2ba ecom ecoma",
    CREDIT_NOTE: "c cn cr crn crnote credit creditnote creditnotes creditmemo cna b2bcn b2bcna",
    DEBIT_NOTE: "d dn dr drn dbn drnote debit debitnote debitnotes debitmemo dna b2bdn b2bdna",
}
_KIND_OF_WORD: Final = {word: kind for kind, words in _WORDS.items() for word in words.split()}


class Header(NamedTuple):
    """
    What the columns of one source are.

    :param position: field -> place of its column
    :param carried: places and names of further columns
    """

    position: dict[str, int]
    carried: list[tuple[int, str]]


class BookColumns:
    """
    Names the columns of books.

    :param names: see :class:`~airflow_provider_ims.models.columns.ColumnMap`; fields are ``rtin stin kind number date
        txval iamt camt samt cess val id``. A column that is not named and has no name of ours is carried through. Words
        may be given for ``kind`` (``{"Doc Type": {"kind": {"RE": "invoice", "KG": "credit note"}}}``), ``rtin``
        and ``stin``
    :raises MatchError: with all that is wrong with it
    """

    def __init__(self, names: Mapping[str, Any] | None = None) -> None:
        try:
            self.map = ColumnMap.of(
                names,
                FIELDS,
                choices={"kind": lambda word: _KIND_OF_WORD.get(folded_word(word))},
                wordless=[field for field in FIELDS if field not in WORDED],
                unfixed=("id",),
            )
        except ColumnsWrong as error:
            raise MatchError(f"columns: {error}") from None

    @property
    def fixed(self) -> dict[str, str]:
        """Field -> value of every row."""
        return self.map.fixed

    def kind_of(self, word: object) -> str | None:
        """Return ``invoice``, ``credit note`` or ``debit note`` for a word of the books; ``None``: nobody knows it."""
        key = folded_word(word)
        words = self.map.words.get("kind", {})
        return words.get(str(word).strip()) or words.get(key) or _KIND_OF_WORD.get(key)

    def word_sql(self, field: str, text: str) -> str:
        """
        Return the SQL of a field's value, for the text in its column.

        :param field: a field other than ``kind``
        :param text: SQL of the text
        """
        if not (words := self.map.words.get(field)):
            return text
        cases = " ".join(f"WHEN {literal(_spaced(word))} THEN {literal(value)}" for word, value in words.items())
        return f"CASE lower(trim(regexp_replace({text}, '\\s+', ' ', 'g'))) {cases} ELSE {text} END"

    def of_header(self, header: Sequence[str], source: str) -> Header:
        """
        Say which column is what.

        :param header: the names of the columns, in their order
        :param source: the source, for the error
        :raises FileUnusable: when a column is missing or there twice
        """
        fields: list[str | None] = []
        carried: list[tuple[int, str]] = []
        for place, name in enumerate(header):
            if self.map.is_named(name):
                field = self.map.field_of(name)
            else:
                key = folded_name(name)
                field = (
                    key if key in FIELDS and key not in self.map.names.values() else ""
                )  # one that was named is first
            if field == "" or field in self.fixed:  # a column of our name, but every row is to have another value
                carried.append((place, name.strip() or f"column_{place + 1}"))
            fields.append(field or None)
        problems = [
            f"has several columns for {field}; which one is meant? Leave the other out: columns={{'its name': None}}"
            for field in FIELDS
            if fields.count(field) > 1
        ]
        if absent := self.map.absent(header):
            problems.append(f"has no column {listed(absent)}, which columns names")
        elif missing := [field for field in REQUIRED if field not in fields and field not in self.fixed]:
            problems.append(f"has no column for {listed(missing)}. {say_which(missing[0])}")
        if problems:
            shown = listed(header[:40]) + (" ..." if len(header) > 40 else "")
            advice = []
            if absent:
                advice.append(f"Give your own names: columns={{'your name': 'rtin', ...}}, for {listed(REQUIRED)}.")
            if not any(fields):
                advice.append("None of them is known: is the file's first line its heading? Remove what stands above.")
            raise FileUnusable(source, "\n".join(["; ".join(problems) + ".", f"Its columns are {shown}", *advice]))
        position = {field: place for place, field in enumerate(fields) if field is not None and field not in self.fixed}
        return Header(position, carried)


def _spaced(word: str) -> str:
    return " ".join(word.split()).lower()


def output_names(carried: Iterable[str], taken: Iterable[str]) -> list[str]:
    """
    Return the names under which carried columns are written: ``book_`` before them, and a number after them if taken.

    :param carried: names of the columns, in their order
    :param taken: names that are there already
    """
    return unique_names((f"book_{name}" for name in carried), taken)
