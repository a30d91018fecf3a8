"""Rows as JSON: one object a line, or one array of objects."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

import msgspec

from airflow_provider_ims.planning.checks.checker import Checker, Valid
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.rows import NOT_PLANNED, NumberedRow, Unreadable
from airflow_provider_ims.planning.sources.text_lines import BadLine, text_lines
from airflow_provider_ims.tables.blank_rows import is_blank
from airflow_provider_ims.tables.errors import FileUnusable
from airflow_provider_ims.tables.files import empty_file, opened

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_BLOCK = 256 * 1024
_LARGEST_ITEM = 1024 * 1024
_AFTER_ITEM = frozenset(",] \t\r\n")
_BLANKS = re.compile(r"[ \t\r\n]*")


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Unreadable:
    row = dict(pairs)
    if len(row) == len(pairs):
        return row
    names = [name for name, _ in pairs]
    repeated = next(name for name in names if names.count(name) > 1)
    return Unreadable(repeated, "each key once in an object; which of its values is meant?")


# Amounts stay as they were written: a float would drop the zero of 1000.50.
_DECODER = json.JSONDecoder(parse_float=Decimal, object_pairs_hook=_without_repeated_keys)
_QUICK_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def _decoded(line: str) -> Any:
    try:
        item = _QUICK_DECODER.decode(line)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        return _DECODER.decode(line)  # which says what is wrong, and takes a few things more, as Python does
    # As many colons as keys: no key is there twice. Looking at every pair of every line would take long.
    if type(item) is dict and line.count(":") == len(item):
        return item
    return _DECODER.decode(line)


class _JsonSource:
    unit: str
    text_amounts = False

    def __init__(self, path: ObjectStoragePath, columns: Columns) -> None:
        self.name = str(path)
        self._path = path
        self.columns = columns

    def rows(self, checker: Checker | None = None) -> Iterator[NumberedRow]:
        """Yield each row with its number; an object in which nothing is filled is none."""
        columns = self.columns
        plain = first = True
        if not columns.is_plain({}):
            checker = None
        with opened(self._path, NOT_PLANNED) as stream:
            for number, item in self._items(stream, checker):
                if type(item) is Valid:
                    if first:
                        columns.check_first({}, self.name)  # its keys are the API's
                        first = False
                    yield number, item
                    continue
                if not isinstance(item, dict):
                    row = item if isinstance(item, Unreadable) else Unreadable(item, "a JSON object with fields")
                    yield number, row
                    continue
                if is_blank(item.values()):
                    continue
                if first:
                    columns.check_first(item, self.name)
                    plain = columns.is_plain(item)
                    first = False
                yield number, item if plain else columns.of_row(item)

    def _items(self, stream: IO[bytes], checker: Checker | None) -> Iterator[tuple[int, Any]]:
        raise NotImplementedError


class JsonLines(_JsonSource):
    """
    A file with one JSON object a line; blank lines are passed over.

    :param path: the file
    :param columns: the names of its keys
    """

    unit = "line"

    def _items(self, stream: IO[bytes], checker: Checker | None) -> Iterator[tuple[int, Any]]:
        number = 0
        for number, line in enumerate(text_lines(stream, self.name), 1):
            if checker and type(line) is str and (document := checker.check_line(line)):
                yield number, document
                continue
            if number == 1 and line.lstrip().startswith("["):
                raise FileUnusable(
                    self.name,
                    'is a JSON array and not one object a line: it takes the suffix .json or file_format="json"',
                )
            if isinstance(line, BadLine):
                yield number, Unreadable(line[:200], line.fault())
                continue
            try:
                yield number, _decoded(line)
            except json.JSONDecodeError as error:
                if line.strip():
                    near = line[max(0, error.pos - 20) : error.pos + 20]
                    yield number, Unreadable(near, f"one JSON object a line ({error.msg}, column {error.colno})")
            except (ValueError, ArithmeticError, RecursionError) as error:  # numbers and nesting without end
                yield number, Unreadable(line[:200], f"one JSON object a line ({error})")
        if not number:
            raise empty_file(self.name)


class JsonArray(_JsonSource):
    """
    A file with one JSON array of objects, read a piece at a time.

    :param path: the file
    :param columns: the names of its keys
    """

    unit = "item"

    def _items(self, stream: IO[bytes], checker: Checker | None) -> Iterator[tuple[int, Any]]:
        text = _Buffer(stream, self.name)
        if not text.peek():
            raise empty_file(self.name)
        if not text.take("["):
            raise FileUnusable(
                self.name,
                "is not a JSON array of rows. A file with one object a line has the suffix .jsonl, or"
                ' file_format="jsonl"',
            )
        number = 0
        while not text.take("]"):
            if number and not text.take(","):
                raise text.broken(f"after item {number}, where a comma or the end of the array is expected")
            number += 1
            yield number, text.item(number)
        if text.peek():
            raise text.broken("after the end of the array")


class _Buffer:
    """The part of a JSON text that is being looked at."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """Return the next character that is no blank; empty at the end."""
        while True:
            blanks = _BLANKS.match(self._text, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._text) or not self._read():
                return self._text[self._at : self._at + 1]

    def take(self, character: str) -> bool:
        """Step over the next character if it is this one."""
        found = self.peek() == character
        self._at += found
        return found

    def item(self, number: int) -> Any:
        """Read one value."""
        start = self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
                # A bare number is over where something else begins; more of it may not have been read yet.
                if start in '{["' or self._text[end : end + 1] in _AFTER_ITEM or not self._read():
                    self._at = end
                    return value
            except json.JSONDecodeError as error:
                if not self._read():
                    raise self.broken(f"in item {number} ({error.msg})") from None
            except (ValueError, ArithmeticError, RecursionError) as error:  # numbers and nesting without end
                raise self.broken(f"in item {number} ({error})") from None
            if len(self._text) - self._at > _LARGEST_ITEM:
                raise self.broken(f"in item {number}, which has no end")

    def broken(self, where: str) -> FileUnusable:
        # Never with what stands there: the file may be one that who triggers the run should not see.
        return FileUnusable(self._name, f"is not valid JSON {where}. Write the file again, whole")

    def _read(self) -> bool:
        if self._ended:
            return False
        block = self._stream.read(_BLOCK)
        self._ended = not block
        try:
            more = self._decode(block, final=self._ended)
        except UnicodeDecodeError as error:
            raise FileUnusable(
                self._name, f"is not UTF-8 text (byte 0x{error.object[error.start]:02x}); save it as UTF-8"
            ) from None
        self._text = self._text[self._at :] + more
        self._at = 0
        return not self._ended or bool(more)
