"""From the user's column names, and words, to ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from airflow_provider_ims.matching.errors import MatchError
from airflow_provider_ims.tables.errors import FileUnusable

REQUIRED: Final = ("rtin", "stin", "kind", "number", "date", "txval", "iamt", "camt", "samt", "cess")
OPTIONAL: Final = ("val", "id")
FIELDS: Final = REQUIRED + OPTIONAL

INVOICE, CREDIT_NOTE, DEBIT_NOTE = "invoice", "credit note", "debit note"

_WORDS: Final = {
    INVOICE: "i inv invoice invoices taxinvoice purchaseinvoice purchase bill taxbill b2b b2ba ecom ecoma",
    CREDIT_NOTE: "c cn cr crn crnote credit creditnote creditnotes creditmemo cna b2bcn b2bcna",
    DEBIT_NOTE: "d dn dr drn dbn drnote debit debitnote debitnotes debitmemo dna b2bdn b2bdna",
}
_KIND_OF_WORD: Final = {word: kind for kind, words in _WORDS.items() for word in words.split()}


def folded(word: object) -> str:
    """Return a word without what people write differently: case, blanks, dots, dashes."""
    return re.sub(r"[\W_]+", "", str(word)).lower()


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

    :param names: the user's name of a column -> one of ``rtin stin kind number date txval iamt camt samt cess val id``;
        ``None`` leaves the column out; a column that is not named and has no name of ours is carried through.
        ``{"kind": {"RE": "invoice", "KG": "credit note"}}`` names the column of the kind and the user's words
        in it. A field of ours -> ``{"value": ...}``: there is no such column, every row has this value
    :raises MatchError: with all that is wrong with it
    """

    def __init__(self, names: Mapping[str, Any] | None = None) -> None:
        self.names: dict[str, str | None] = {}
        self.fixed: dict[str, str] = {}
        self.words: dict[str, str] = {}
        problems: list[str] = []
        for name, meaning in (names or {}).items():
            if isinstance(meaning, Mapping):
                problems += self._read_mapping(name, meaning)
            elif meaning is None or meaning in FIELDS:
                self.names[name] = meaning
            else:
                problems.append(f"{name!r} leads to {meaning!r}, which is none of {', '.join(FIELDS)}")
        given = [field for field in self.names.values() if field is not None]
        problems += [
            f"several columns lead to {field}; which one is meant?" for field in FIELDS if given.count(field) > 1
        ]
        problems += [f"{field} has a column and a value; which one is meant?" for field in self.fixed if field in given]
        if problems:
            raise MatchError("columns: " + "\n  ".join(problems))

    def _read_mapping(self, name: str, meaning: Mapping[str, Any]) -> list[str]:
        if set(meaning) == {"value"}:
            if name not in FIELDS or name == "id":
                return [f"{name!r} is given a value but is none of our fields ({', '.join(FIELDS[:-1])})"]
            if meaning["value"] is None or not str(meaning["value"]).strip():
                return [f"the value of {name} is empty"]
            self.fixed[name] = str(meaning["value"])
            return []
        words = meaning.get("kind")
        if set(meaning) != {"kind"} or not isinstance(words, Mapping):
            return [
                f'{name!r} leads to {dict(meaning)!r}; it takes a field\'s name, None, {{"value": ...}}, or'
                ' {"kind": {"your word": "invoice" | "credit note" | "debit note"}}'
            ]
        self.names[name] = "kind"
        problems = []
        for word, kind in words.items():
            if _KIND_OF_WORD.get(folded(kind)) is None:
                problems.append(f"the word {word!r} leads to {kind!r}, which is no invoice, credit note or debit note")
            else:
                self.words[folded(word)] = _KIND_OF_WORD[folded(kind)]
        return problems

    def kind_of(self, word: object) -> str | None:
        """Return ``invoice``, ``credit note`` or ``debit note`` for a word of the books; ``None``: nobody knows it."""
        key = folded(word)
        return self.words.get(key) or _KIND_OF_WORD.get(key)

    def of_header(self, header: Sequence[str], source: str) -> Header:
        """
        Say which column is what.

        :param header: the names of the columns, in their order
        :param source: the source, for the error
        :raises FileUnusable: when a column is missing or there twice
        """
        by_name = {name.strip().lower(): field for name, field in self.names.items()}
        fields: list[str | None] = []
        carried: list[tuple[int, str]] = []
        for place, name in enumerate(header):
            key = name.strip().lower()
            own = key if key in FIELDS and key not in self.names.values() else ""  # a column that was named comes first
            field = self.names[name] if name in self.names else by_name.get(key, own)
            if field == "" or field in self.fixed:  # a column of our name, but every row is to have another value
                carried.append((place, name.strip() or f"column_{place + 1}"))
            fields.append(field or None)
        problems = [
            f"has several columns for {field}; which one is meant? Leave the other out: columns={{'its name': None}}"
            for field in FIELDS
            if fields.count(field) > 1
        ]
        there = {name.strip().lower() for name in header}
        if absent := [name for name, field in self.names.items() if field and name.strip().lower() not in there]:
            problems.append(f"has no column {_listed(absent)}, which columns names")
        elif missing := [field for field in REQUIRED if field not in fields and field not in self.fixed]:
            problems.append(
                f"has no column for {_listed(missing)}. If it stands under another name, say so:"
                f' columns={{"the name": "{missing[0]}"}}; if it is the same for every row:'
                f' columns={{"{missing[0]}": {{"value": ...}}}}'
            )
        if problems:
            shown = _listed(header[:40]) + (" ..." if len(header) > 40 else "")
            raise FileUnusable(source, "; ".join(problems) + f".\nIts columns are {shown}")
        position = {field: place for place, field in enumerate(fields) if field is not None and field not in self.fixed}
        return Header(position, carried)


def output_names(carried: Iterable[str], taken: Iterable[str]) -> list[str]:
    """
    Return the names under which carried columns are written: ``book_`` before them, and a number after them if taken.

    :param carried: names of the columns, in their order
    :param taken: names that are there already
    """
    seen = {name.lower() for name in taken}
    names = []
    for name in carried:
        new, count = f"book_{name}", 1
        while new.lower() in seen:
            count += 1
            new = f"book_{name}_{count}"
        seen.add(new.lower())
        names.append(new)
    return names


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(str, names))
