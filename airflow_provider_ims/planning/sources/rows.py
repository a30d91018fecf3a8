"""What every source of rows has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, runtime_checkable

from airflow_provider_ims.planning.checks.checker import Checker, Valid
from airflow_provider_ims.planning.checks.in_sql import Column

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from airflow_provider_ims.planning.sources.columns import Columns


NOT_PLANNED: Final = "Nothing was planned."
"""What it means that a source cannot be read now."""


class Unreadable(NamedTuple):
    """
    A row that cannot even be read as fields and values.

    :param value: what stands there, or its beginning
    :param rule: what should stand there
    """

    value: object
    rule: str


class Row(dict[str, Any]):
    """
    A row under the API's field names, with what is carried beside it.

    :param fields: field -> value
    :param carried: the user's name of a column -> value
    """

    __slots__ = ("carried",)

    def __init__(self, fields: Mapping[str, Any], carried: dict[str, Any]) -> None:
        super().__init__(fields)
        self.carried = carried


NumberedRow = tuple[int, dict[str, Any] | Unreadable | Valid]


class Source(Protocol):
    """
    Where rows come from: a file or a query.

    :param name: the source, as its owner knows it
    :param unit: what its rows are counted in, for places such as ``documents.csv line 17``
    :param text_amounts: amounts stand as text, as in a CSV file
    :param columns: the names of its columns
    """

    name: str
    unit: str
    text_amounts: bool
    columns: Columns

    def rows(self, checker: Checker | None = None) -> Iterator[NumberedRow]:
        """
        Yield each row with its number, under the API's field names.

        :param checker: what it finds valid as it stands comes as such, and need not be taken apart
        :raises FileUnusable: when the source as a whole is not what it must be
        :raises FileUnavailable: when it cannot be read now
        """
        ...


class Table(NamedTuple):
    """
    A source that the database reads by itself.

    :param kind: what kind of file it is: ``Parquet``
    :param rows: SQL of its rows: ``place``, the number of a row, and its cells
    :param total: how many rows it has, however they are read
    :param cells: the names of the cells in SQL
    :param documents: SQL of the same rows: ``place``, and columns that are the API's fields
    :param columns: those columns
    :param as_rows: makes rows of the cells that were not taken by the database: the number of each row, and its cells
    """

    kind: str
    rows: str
    total: int
    cells: Sequence[str]
    documents: str
    columns: Sequence[Column]
    as_rows: Callable[[Iterable[tuple[int, Sequence[Any]]]], Iterator[NumberedRow]]


@runtime_checkable
class TableSource(Source, Protocol):
    """A source that the database may be able to read by itself."""

    def table(self, database: DuckDBPyConnection, copy: Path) -> Table | None:
        """
        Return the source as the database reads it, which takes half the time.

        :param database: the database
        :param copy: where a copy may be put, which the database may read
        :return: ``None`` when it cannot be read so and be the same, to the last row
        :raises FileUnusable: when the source as a whole is not what it must be
        :raises FileUnavailable: when it cannot be read now
        """
        ...
