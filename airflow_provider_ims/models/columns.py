"""How a user names columns, and the words in them: one description for the rows of a plan and for books."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

VALUE: Final = "value"

Words = Callable[[str], str | None]
"""Returns what a word of the user's stands for, or ``None`` if it is no word of the field."""


def folded_name(name: object) -> str:
    """Return the name of a column without what headings differ in: case and blanks."""
    return "".join(str(name).replace("\ufeff", "").split()).casefold()


def folded_word(word: object) -> str:
    """Return a word without what people write differently: case, blanks, dots, dashes."""
    return re.sub(r"[\W_]+", "", str(word)).casefold()


def unique_names(names: Iterable[str], taken: Iterable[str]) -> list[str]:
    """
    Return names that tell columns apart whatever their case: a number comes after one that is taken.

    :param names: what the columns would be called, in their order
    :param taken: names of columns that are there already
    """
    seen = {name.lower() for name in taken}
    found = []
    for name in names:
        new, count = name, 1
        while new.lower() in seen:
            count += 1
            new = f"{name}_{count}"
        seen.add(new.lower())
        found.append(new)
    return found


def listed(names: Iterable[object]) -> str:
    """Return names for a person."""
    return ", ".join(map(str, names))


def say_which(field: str) -> str:
    """Return what to do about a field that has no column."""
    return (
        f'If it stands under another name, say so: columns={{"the name": "{field}"}}; if it is the same in every row:'
        f' columns={{"{field}": {{"value": ...}}}}'
    )


class ColumnsWrong(ValueError):
    """
    A description of columns does not make sense.

    :param problems: all that is wrong with it
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n  ".join(self.problems))


class ColumnMap(BaseModel):
    """
    What a user says of the columns of a file or a query.

    Made of a table of four kinds of entries, each of which may be left out:

    - ``{"Supplier GSTIN": "stin"}``: the column is this field
    - ``{"Remarks": None}``: the column is left out
    - ``{"Doc Type": {"section": {"Tax Invoice": "b2b"}}}``: the column is this field, and its words stand for these
      values; a word that is not listed stays as it is
    - ``{"srcform": {"value": "R1"}}``: there is no such column, and this field has this value in every row

    Names of columns are compared without regard to case and blanks, an equal one first.

    :param names: name of a column -> field, ``None`` for one that is left out
    :param words: field -> word, as written and folded, -> value
    :param fixed: field -> value of every row
    """

    model_config = ConfigDict(frozen=True)

    names: dict[str, str | None] = {}
    words: dict[str, dict[str, str]] = {}
    fixed: dict[str, str] = {}

    @classmethod
    def of(
        cls,
        columns: Mapping[str, Any] | None,
        fields: Collection[str],
        *,
        choices: Mapping[str, Words] | None = None,
        wordless: Collection[str] = (),
        unfixed: Collection[str] = (),
    ) -> ColumnMap:
        """
        Read a user's table.

        :param columns: see above
        :param fields: the fields that there are
        :param choices: field -> what says which values it takes
        :param wordless: fields whose values are no words
        :param unfixed: fields that cannot be the same in every row
        :raises ColumnsWrong: with all that is wrong with it
        """
        names: dict[str, str | None] = {}
        words: dict[str, dict[str, str]] = {}
        fixed: dict[str, str] = {}
        problems: list[str] = []
        known = listed(fields)
        if columns is not None and not isinstance(columns, Mapping):
            raise ColumnsWrong([f"it is {columns!r:.60}; it takes a table of your columns' names and our fields"])
        for name, meaning in (columns or {}).items():
            if meaning is None or (isinstance(meaning, str) and meaning in fields):
                names[name] = meaning
            elif not isinstance(meaning, Mapping):
                problems.append(f"{name!r} leads to {meaning!r}, which is none of {known}")
            elif set(meaning) == {VALUE}:
                if name not in fields or name in unfixed:
                    problems.append(f"{name!r} is given a value but is none of our fields ({known})")
                elif meaning[VALUE] is None or not str(meaning[VALUE]).strip():
                    problems.append(f"the value of {name} is empty")
                else:
                    fixed[name] = str(meaning[VALUE])
            elif len(meaning) == 1 and isinstance(table := next(iter(meaning.values())), Mapping):
                field = next(iter(meaning))
                if field not in fields or field in wordless:
                    problems.append(f"{name!r} has words for {field!r}, which is no field with words of its own")
                    continue
                names[name] = field
                words[field], wrong = _words(field, table, (choices or {}).get(field))
                problems += wrong
            else:
                problems.append(
                    f"{name!r} leads to {dict(meaning)!r:.200}; it takes a field's name, None,"
                    ' {"value": ...} for every row, or {"field": {"your word": "its value"}}'
                )
        given = [field for field in names.values() if field is not None]
        problems += [
            f"several columns lead to {field}; which one is meant?" for field in fields if given.count(field) > 1
        ]
        problems += [f"{field} has a column and a value; which one is meant?" for field in fixed if field in given]
        if problems:
            raise ColumnsWrong(problems)
        return cls(names=names, words=words, fixed=fixed)

    def is_named(self, name: str) -> bool:
        """Say whether a column is spoken of."""
        return name in self.names or folded_name(name) in self._by_folded

    def field_of(self, name: str) -> str | None:
        """Return the field of a column that is spoken of; ``None`` for one that is left out."""
        return self.names[name] if name in self.names else self._by_folded.get(folded_name(name))

    @cached_property
    def _by_folded(self) -> dict[str, str | None]:
        return {folded_name(name): field for name, field in self.names.items()}

    def absent(self, header: Iterable[str]) -> list[str]:
        """Return the columns that are spoken of and are not in a header."""
        there = {folded_name(name) for name in header}
        return [name for name, field in self.names.items() if field and folded_name(name) not in there]

    def value(self, field: str, cell: object) -> Any:
        """Return what a cell of a field with words stands for; an unknown word stays as it is."""
        words = self.words.get(field)
        if words is None or cell is None:
            return cell
        return words.get(str(cell).strip(), words.get(folded_word(cell), cell))


def _words(field: str, table: Mapping[Any, Any], choice: Words | None) -> tuple[dict[str, str], list[str]]:
    found: dict[str, str] = {}
    loose: dict[str, set[str]] = {}
    problems = []
    for word, said in table.items():
        value = choice(str(said)) if choice else str(said)
        if value is None:
            problems.append(f"the word {word!r} leads to {said!r}, which {field} does not take")
            continue
        found[str(word).strip()] = value
        loose.setdefault(folded_word(word), set()).add(value)
    for key, values in loose.items():
        if key and len(values) == 1:  # "+" and "-" are told apart as they are written
            found.setdefault(key, next(iter(values)))
    return found, problems
