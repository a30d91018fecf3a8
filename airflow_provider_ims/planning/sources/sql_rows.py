"""Rows of a query."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from airflow_provider_ims.planning.errors import SourceUnavailable, SourceUnusable
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.rows import NumberedRow
from airflow_provider_ims.planning.sources.table_rows import table_rows

_BATCH = 2000


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

    def rows(self) -> Iterator[NumberedRow]:
        """Yield each row with its number, from 1, in the order of the query."""
        with closing(self._asked(self._connect)) as connection, closing(connection.cursor()) as cursor:
            if self._parameters:
                self._asked(cursor.execute, self._sql, self._parameters)
            else:
                self._asked(cursor.execute, self._sql)
            if not cursor.description:
                raise SourceUnusable(self.name, "returns no rows at all; sql takes one SELECT")
            names = [str(column[0]) for column in cursor.description]
            yield from table_rows(names, self._cells(cursor), columns=self.columns, name=self.name, nothing=None)

    def _cells(self, cursor: Any) -> Iterator[tuple[int, Sequence[Any]]]:
        number = 0
        while batch := self._asked(cursor.fetchmany, _BATCH):
            for row in batch:
                number += 1
                yield number, row

    @staticmethod
    def _asked(ask: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return ask(*arguments)
        except Exception as error:  # each driver has exceptions of its own
            raise SourceUnavailable(
                f"The query failed ({type(error).__name__}: {error}). Nothing was planned; correct the query, or try"
                " again when the database answers."
            ) from error
