"""Rows of a query."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_ims.planning.checks.checker import Checker
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.rows import NOT_PLANNED, NumberedRow
from airflow_provider_ims.planning.sources.table_rows import table_rows
from airflow_provider_ims.tables.queries import answered


class Query:
    """
    A query on a database that Python reaches in its usual way (DB-API 2).

    :param connect: opens the connection
    :param sql: one statement that returns rows
    :param parameters: values for the statement's placeholders
    :param columns: the names of its columns
    """

    name = "query"
    unit = "row"
    text_amounts = False

    def __init__(
        self,
        connect: Callable[[], Any],
        sql: str,
        columns: Columns,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
    ) -> None:
        self._connect = connect
        self._sql = sql
        self.columns = columns
        self._parameters = parameters

    def rows(self, checker: Checker | None = None) -> Iterator[NumberedRow]:
        """Yield each row with its number, from 1, in the order of the query."""
        with answered(self._connect, self._sql, self._parameters, NOT_PLANNED) as (names, rows):
            cells = enumerate(rows, 1)
            yield from table_rows(names, cells, columns=self.columns, name=self.name, nothing=None, checker=checker)
