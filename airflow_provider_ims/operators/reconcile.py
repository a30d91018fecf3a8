"""Finds out which documents are to be reset, and afterwards whether they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

from airflow.sdk import BaseOperator

from airflow_provider_ims.exceptions import (
    GstnInvalidPayload,
    GstnInvalidRequest,
    GstnPermanentError,
    GstnStorageUnavailable,
    GstnTransientError,
    of_storage_error,
)
from airflow_provider_ims.matching import (
    BookColumns,
    BookFile,
    BookQuery,
    CountsDisagree,
    Decisions,
    MatchError,
    MatchRules,
    Options,
    RowsRejected,
    reconcile,
)
from airflow_provider_ims.matching.books import DateOrder, OtherGstins
from airflow_provider_ims.matching.engine import OnInvalid
from airflow_provider_ims.matching.sources import Books
from airflow_provider_ims.models.calendar import Calendar, OnWindow
from airflow_provider_ims.operators.arguments import folder, is_true
from airflow_provider_ims.operators.sources import files_of, sql_hook
from airflow_provider_ims.snapshots.errors import SnapshotUnavailable, SnapshotUnusable
from airflow_provider_ims.snapshots.snapshot import MAX_AGE, several, usable
from airflow_provider_ims.storage import StorageError, read_whole
from airflow_provider_ims.tables.database import MEMORY_LIMIT, checked_memory_limit
from airflow_provider_ims.tables.errors import FileUnavailable, FileUnusable, NoRoom, TableError

if TYPE_CHECKING:
    from airflow.sdk import Context


class ImsReconcileOperator(BaseOperator):
    """
    Match the documents of snapshots with the books, and decide what is to be done with each. Nothing is sent.

    Every document and every row of the books is in ``reconciliation.parquet`` exactly once, with ``match``, ``rule``,
    ``reason``, ``candidates`` and ``decision``. ``resets.parquet`` has the documents to reset, as
    :class:`ImsPlanOperator` takes them; ``review.csv`` what a person has to look at, the largest tax first;
    ``rejects.csv`` the rows of the books that cannot be read; ``reconciliation.json`` the counts. Each file is whole or
    not there.

    :param snapshot: what :class:`ImsDownloadOperator` returned, or the path of a snapshot, or a list of either, at most
        one for each GSTIN (templated)
    :param books: path or URI of a file of books, or a list of them; ``*`` stands for any part of a file's name
        (templated)
    :param sql: instead of ``books``: a query that returns rows (templated, also from a ``.sql`` file)
    :param conn_id: the query's connection, of any type that Airflow can query (templated)
    :param parameters: values for the query's placeholders (templated)
    :param output_path: directory for this reconciliation alone; an earlier one in it is removed (templated)
    :param columns: the books' name of a column -> field; see :class:`~airflow_provider_ims.matching.BookColumns`
        (templated)
    :param file_format: ``csv``, ``json``, ``jsonl`` or ``parquet``, when the file's name does not say
    :param delimiter: what stands between two cells of a CSV file; ``None``: what its heading shows
    :param encoding: of a text file; ``None``: UTF-8, UTF-16 by its mark, else Windows' cp1252 with a warning
    :param rules: how much the two may differ: :class:`~airflow_provider_ims.matching.MatchRules` or its arguments
    :param decisions: what is to be done: :class:`~airflow_provider_ims.matching.Decisions`, its table, or the path of a
        CSV file with ``match,action,decision`` (a path is templated)
    :param on_invalid: when rows of the books cannot be read: ``fail`` with nothing matched, or ``skip`` them and warn
    :param other_gstins: rows of the books for a GSTIN without a snapshot: ``reject``, or ``leave_out``
    :param date_order: ``DMY`` or ``MDY`` for dates such as 04/10/2026; ``None``: what other dates of the file show
    :param allow_empty_books: books without a row are no fault
    :param allow_incomplete: take snapshots of some sections or of one action
    :param max_age: how old a snapshot may be; ``None``: any age
    :param on_window: when GSTR-3B is due shortly or was due, and there is something to reset: ``warn``, ``fail``, or
        ``ignore``
    :param calendar: how the company files: :class:`~airflow_provider_ims.models.calendar.Calendar` or its arguments
    :param memory_limit: of the tables, such as ``1GB``; what is more goes to the worker's disk
    """

    template_fields: Sequence[str] = ("snapshot", "books", "sql", "conn_id", "parameters", "output_path", "columns")
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql"}  # noqa: RUF012  Airflow's own spelling
    ui_color = "#e3e7f7"

    def __init__(
        self,
        *,
        snapshot: Any,
        output_path: str,
        books: str | Sequence[str] | None = None,
        sql: str | None = None,
        conn_id: str | None = None,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        columns: Mapping[str, Any] | None = None,
        file_format: str | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
        rules: MatchRules | Mapping[str, Any] | None = None,
        decisions: Decisions | Mapping[str, Any] | str | None = None,
        on_invalid: OnInvalid = "fail",
        other_gstins: OtherGstins = "reject",
        date_order: DateOrder | None = None,
        allow_empty_books: bool = False,
        allow_incomplete: bool = False,
        max_age: timedelta | None = MAX_AGE,
        on_window: OnWindow = "warn",
        calendar: Calendar | Mapping[str, Any] | None = None,
        memory_limit: str = MEMORY_LIMIT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (books is None) == (sql is None):
            raise ValueError("Give either books or sql")
        if (sql is None) != (conn_id is None):
            raise ValueError("sql and conn_id go together")
        if on_window not in get_args(OnWindow):
            raise ValueError(f"on_window is {on_window!r}; it takes {', '.join(get_args(OnWindow))}")
        # A wrong value is told when the DAG is read.
        Options(on_invalid=on_invalid)
        checked_memory_limit(memory_limit)
        self.calendar = Calendar.of(calendar)
        self.rules = rules if isinstance(rules, MatchRules) else MatchRules(**(rules or {}))
        self.decisions = Decisions(decisions) if isinstance(decisions, Mapping) else decisions
        self.snapshot = snapshot
        self.output_path = output_path
        self.books = books
        self.sql = sql
        self.conn_id = conn_id
        self.parameters = parameters
        self.columns = columns
        self.file_format = file_format
        self.delimiter = delimiter
        self.encoding = encoding
        self.on_invalid = on_invalid
        self.other_gstins = other_gstins
        self.date_order = date_order
        self.allow_empty_books = allow_empty_books
        self.allow_incomplete = allow_incomplete
        self.max_age = max_age
        self.on_window = on_window
        self.memory_limit = memory_limit

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Match and decide.

        :return: the content of ``reconciliation.json`` (see :func:`~airflow_provider_ims.matching.reconcile`) with
            ``path``, ``resets_path``, ``review_path``, and ``notes``: what a person should know of the calendar
        :raises GstnInvalidPayload: when rows of the books are rejected, or a file is not what it must be
        :raises GstnInvalidRequest: when a snapshot cannot be worked on, an argument is wrong, or ``on_window`` is
            ``fail``
        :raises GstnTransientError: when a file cannot be read or written now
        """
        output = folder("output_path", self.output_path)
        with told_to_airflow("Nothing was matched."):
            decisions = self._decisions(context)
            found = usable(
                several(self.snapshot),
                max_age=self.max_age,
                allow_incomplete=is_true("allow_incomplete", self.allow_incomplete),
            )
            summary = reconcile(
                [each.documents for each in found if each.head.documents],
                self._sources(),
                output,
                columns=BookColumns(self.columns),
                rules=self.rules,
                decisions=decisions,
                options=Options(
                    on_invalid=self.on_invalid,
                    other_gstins=self.other_gstins,
                    date_order=self.date_order,
                    allow_empty_books=is_true("allow_empty_books", self.allow_empty_books),
                    memory_limit=self.memory_limit,
                ),
                rtins=[each.head.gstin for each in found],
                expected={(each.head.gstin, each.head.snapshot): each.head.documents for each in found},
            )
        warnings = [text for each in found for text in each.head.warnings]
        for warning in [*warnings, *summary["warnings"]]:
            self.log.warning("%s", warning)
        notes = self._look_at_the_calendar(summary)
        self.log.info("%s", ", ".join(f"{name} {count:,}" for name, count in sorted(summary["matches"].items())))
        self.log.info("Decided: %s", ", ".join(f"{name} {count:,}" for name, count in summary["decisions"].items()))
        paths = {"path": "reconciliation.json", "resets_path": "resets.parquet", "review_path": "review.csv"}
        return {**{key: str(output / name) for key, name in paths.items()}, **summary, "notes": notes}

    def _look_at_the_calendar(self, summary: Mapping[str, Any]) -> list[str]:
        if not summary["decisions"].get("reset") or self.on_window == "ignore":
            return []
        now = datetime.now(UTC)
        notes = self.calendar.notes(summary["rtins"], now)
        warnings = self.calendar.warnings(summary["rtins"], now)
        if warnings and self.on_window == "fail":
            raise GstnInvalidRequest(
                "\n".join([*warnings, 'Nothing was sent, and with on_window="fail" nothing will be.'])
            )
        for text in [*warnings, *notes]:
            self.log.warning("%s", text)
        return [*warnings, *notes]

    def _decisions(self, context: Context) -> Decisions | None:
        if not isinstance(self.decisions, str):
            return self.decisions
        path = str(self.render_template(self.decisions, context))
        return Decisions.of_csv(read_whole(path).decode("utf-8-sig", "replace"))

    def _sources(self) -> list[Books]:
        if self.sql is not None:
            return [BookQuery(sql_hook(str(self.conn_id)).get_conn, self.sql, self.parameters)]
        return [BookFile(path, self.file_format, self.delimiter, self.encoding) for path in files_of(self.books)]


@contextmanager
def told_to_airflow(then: str) -> Iterator[None]:
    """
    Raise what tables, snapshots and matching say as what Airflow retries or does not.

    :param then: what that means for the person who must act
    """
    try:
        yield
    except RowsRejected as error:
        raise GstnInvalidPayload(str(error), error.faults) from None
    except CountsDisagree as error:
        raise GstnPermanentError(str(error)) from error
    except StorageError as error:
        raise of_storage_error(error, then) from error
    except NoRoom as error:
        raise GstnStorageUnavailable(str(error)) from error
    except (FileUnavailable, SnapshotUnavailable) as error:
        raise GstnTransientError(f"{error}\n{then}") from error
    except FileUnusable as error:
        raise GstnInvalidPayload(f"{error}\n{then}") from None
    except (MatchError, TableError, SnapshotUnusable) as error:
        raise GstnInvalidRequest(f"{error}\n{then}") from None
