"""Rows of a query on any database that Python reaches in its usual way (DB-API 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from airflow_provider_ims.tables.errors import NOT_WRITTEN, FileUnavailable, FileUnusable

_BATCH = 2000


class Answer(NamedTuple):
    """
    What a database answers.

    :param columns: their names
    :param rows: in the order of the query
    """

    columns: list[str]
    rows: Iterator[Sequence[Any]]


@contextmanager
def answered(
    connect: Callable[[], Any],
    sql: str,
    parameters: Mapping[str, Any] | Sequence[Any] | None,
    then: str = NOT_WRITTEN,
) -> Iterator[Answer]:
    """
    Run a query; its rows are fetched a batch at a time.

    :param connect: opens the connection
    :param sql: one statement that returns rows
    :param parameters: values for the statement's placeholders
    :param then: what it means that the database does not answer as it should
    :raises FileUnusable: when the statement returns no rows
    :raises FileUnavailable: when the database does not answer as it should
    """

    def ask(what: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return what(*arguments)
        except Exception as error:  # each driver has exceptions of its own
            raise FileUnavailable(
                f"The query failed ({type(error).__name__}: {error}). {then[:-1]}; correct the query, or try again when"
                " the database answers."
            ) from error

    def rows() -> Iterator[Sequence[Any]]:
        while batch := ask(cursor.fetchmany, _BATCH):
            yield from batch

    with closing(ask(connect)) as connection, closing(connection.cursor()) as cursor:
        ask(cursor.execute, sql, *([parameters] if parameters else []))
        if not cursor.description:
            raise FileUnusable("query", "returns no rows at all; sql takes one SELECT")
        yield Answer([str(column[0]) for column in cursor.description], rows())
