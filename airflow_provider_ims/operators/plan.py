"""Turns a company's rows into requests that can be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator

from airflow_provider_ims.exceptions import (
    GstnInvalidPayload,
    GstnInvalidRequest,
    GstnPermanentError,
    GstnStorageUnavailable,
    GstnTransientError,
    of_storage_error,
)
from airflow_provider_ims.models.faults import CountsDisagree
from airflow_provider_ims.models.payload import MAX_BODY_BYTES
from airflow_provider_ims.models.printable import counted
from airflow_provider_ims.operators._arguments import REPORT_FORMATS, check_formats, folder, instance_of, is_true
from airflow_provider_ims.operators._resets import is_returned, resets_to_plan
from airflow_provider_ims.operators._sources import files_of, sql_hook
from airflow_provider_ims.owner import FolderTaken
from airflow_provider_ims.planning.errors import PlanError, RowsRejected
from airflow_provider_ims.planning.output import Output
from airflow_provider_ims.planning.planner import MEMORY_LIMIT, OnInvalid, Plan, Rules, make_plan
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.files import file_source
from airflow_provider_ims.planning.sources.parquet_rows import ParquetFile
from airflow_provider_ims.planning.sources.rows import Source
from airflow_provider_ims.planning.sources.sql_rows import Query
from airflow_provider_ims.storage import StorageError, place
from airflow_provider_ims.tables.errors import FileUnavailable, FileUnusable, NoRoom

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["ImsPlanOperator"]

MAX_AGE: Final = timedelta(hours=48)
"""A snapshot of a day, and most of another day until a person answers."""


class ImsPlanOperator(BaseOperator):
    """
    Read documents, check each row, and write the requests that reset them, as full as the service takes them.

    A row is one document: ``rtin``, ``section`` and the API's fields of that section. Every row ends in exactly
    one request or among the rejects, and the same input gives the same requests.

    :param source: path or URI of a file with rows, as ``ObjectStoragePath`` takes it, or a list of them; ``*``
        stands for any part of a file's name. Or what :class:`ImsReconcileOperator` or :class:`ImsApprovalOperator`
        returned, or a list of it: then the resets are those of that reconciliation, or the ones that were approved, and
        a file that was written anew meanwhile is refused (templated)
    :param sql: instead of ``source``: a query that returns rows (templated, also from a ``.sql`` file)
    :param conn_id: the query's connection, of any type that Airflow can query (templated)
    :param parameters: values for the query's placeholders (templated)
    :param output_path: directory for this plan alone, as ``ObjectStoragePath`` takes it: requests as
        ``<rtin>/0001.json``, ``rejects.csv``, ``plan.json``. An earlier plan in it is removed, one of another task of
        the same run is an error (templated)
    :param columns: what your columns are: a name -> a field or ``None`` to leave the column out, words of a column,
        values for every row; see :class:`~airflow_provider_ims.models.columns.ColumnMap`. ``number``, ``date``,
        ``original_number`` and ``original_date`` stand for the field that the row's section has (templated)
    :param carry: columns that are no fields and are carried to the result (``result.csv``, ``result.xlsx``), so that a
        row can be joined with where it came from: a list of names, or ``all`` (templated)
    :param file_format: ``json``, ``jsonl``, ``csv`` or ``parquet``, when the file's name does not say (templated)
    :param delimiter: what stands between two cells of a CSV file
    :param on_invalid: when rows are rejected: ``fail`` with nothing planned, or ``skip`` them and warn
    :param max_bytes: largest size of a request as sent, in bytes
    :param max_documents: largest number of documents of a request; ``None``: as many as fit
    :param strict_gstin: reject GSTINs whose check digit is wrong
    :param allow_no_action: accept documents whose ``prev_status`` is ``N`` already
    :param allow_empty: a source without a row is no fault, such as the resets of a reconciliation that found none; the
        plan is an empty list then
    :param max_age: how old the snapshots may be from which the resets were made, when ``source`` is what a
        reconciliation or an approval returned; ``None``: any age
    :param report_formats: ``xlsx`` among them: the rejects are written as a workbook, too. ``csv`` is always written
    :param memory_limit: of the tables, such as ``512MB``; what is more goes to the worker's disk
    """

    template_fields: Sequence[str] = (
        "source",
        "sql",
        "conn_id",
        "parameters",
        "output_path",
        "columns",
        "carry",
        "file_format",
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql"}  # noqa: RUF012  Airflow's own spelling
    ui_color = "#e3e7f7"

    def __init__(
        self,
        *,
        output_path: str,
        source: str | Sequence[str] | Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        sql: str | None = None,
        conn_id: str | None = None,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        columns: Mapping[str, Any] | None = None,
        carry: Sequence[str] | str | None = None,
        file_format: str | None = None,
        delimiter: str = ",",
        on_invalid: OnInvalid = "fail",
        max_bytes: int = MAX_BODY_BYTES,
        max_documents: int | None = None,
        strict_gstin: bool = False,
        allow_no_action: bool = False,
        allow_empty: bool = False,
        max_age: timedelta | None = MAX_AGE,
        report_formats: Sequence[str] = REPORT_FORMATS,
        memory_limit: str = MEMORY_LIMIT,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (source is None) == (sql is None):
            raise ValueError("Give either source or sql")
        if (sql is None) != (conn_id is None):
            raise ValueError("sql and conn_id go together")
        # A wrong value is told when the DAG is read.
        Rules(on_invalid, max_bytes, max_documents, memory_limit=memory_limit)
        self.source = source
        self.sql = sql
        self.conn_id = conn_id
        self.parameters = parameters
        self.output_path = output_path
        self.columns = columns
        self.carry = carry
        self.report_formats = check_formats(report_formats)
        self.file_format = file_format
        self.delimiter = delimiter
        self.on_invalid = on_invalid
        self.max_bytes = max_bytes
        self.max_documents = max_documents
        self.strict_gstin = strict_gstin
        self.allow_no_action = allow_no_action
        self.allow_empty = allow_empty
        self.max_age = max_age
        self.memory_limit = memory_limit

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """
        Make the plan.

        :return: for each GSTIN, sorted: ``rtin``, ``documents``, ``bytes`` and ``chunks``, a list of ``path``,
            ``documents``, ``bytes``, ``sha256``
        :raises GstnInvalidPayload: when rows are rejected (and ``on_invalid`` is ``fail``, or none is left), or a
            source is not what it must be; nothing was planned
        :raises GstnInvalidRequest: when ``output_path`` is no place to write to, or an argument is wrong
        :raises AirflowSkipException: when all that was to be approved was rejected
        :raises GstnTransientError: when a source cannot be read now, or a file not be written now
        """
        output = Output(folder("output_path", self.output_path), instance_of(context))
        try:
            plan = make_plan(self._sources(), output, self._rules())
        except RowsRejected as error:
            raise GstnInvalidPayload(str(error), error.faults) from None
        except StorageError as error:
            raise of_storage_error(error, "The plan was not made; no request of it is to be sent.") from error
        except NoRoom as error:
            raise GstnStorageUnavailable(str(error)) from error
        except FileUnavailable as error:
            raise GstnTransientError(str(error)) from error
        except CountsDisagree as error:
            raise GstnPermanentError(str(error)) from error
        except FileUnusable as error:
            raise GstnInvalidPayload(str(error)) from None
        except (PlanError, FolderTaken) as error:
            raise GstnInvalidRequest(str(error)) from None
        self._tell(plan)
        return [gstin.model_dump(mode="json") for gstin in plan.gstins]

    def _rules(self) -> Rules:
        return Rules(
            self.on_invalid,
            self.max_bytes,
            self.max_documents,
            is_true("strict_gstin", self.strict_gstin),
            is_true("allow_no_action", self.allow_no_action),
            is_true("allow_empty", self.allow_empty),
            workbooks="xlsx" in self.report_formats,
            memory_limit=self.memory_limit,
        )

    def _sources(self) -> list[Source]:
        columns = Columns(self.columns, self.carry)
        if self.sql is not None:
            return [Query(sql_hook(str(self.conn_id)).get_conn, self.sql, columns, self.parameters)]
        if is_returned(self.source):
            resets = resets_to_plan(self.source, self.max_age, self.log)
            return [ParquetFile(place(each.path), columns, each.digest) for each in resets]
        return [file_source(path, columns, self.file_format, self.delimiter) for path in files_of(self.source)]

    def _tell(self, plan: Plan) -> None:
        for warning in plan.warnings:
            self.log.warning("%s", warning)
        for conversion, count in sorted(plan.conversions.items()):
            self.log.info("%d %s", count, conversion)
        if plan.rejected:
            self.log.warning("%d rows are rejected and will not be sent; they are in %s", plan.rejected, plan.rejects)
        self.log.info(
            "%s: %s in %s for %s, %d rejected.",
            counted(plan.rows, "row"),
            counted(plan.documents, "document"),
            counted(sum(len(gstin.chunks) for gstin in plan.gstins), "request"),
            counted(len(plan.gstins), "GSTIN"),
            plan.rejected,
        )
