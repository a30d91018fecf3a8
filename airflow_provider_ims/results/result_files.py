"""The files of one result: all of it as JSON, and what GSTN refused as a table that people open."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ims.exceptions import of_storage_error
from airflow_provider_ims.file_names import file_name
from airflow_provider_ims.models.document_key import DocumentKey
from airflow_provider_ims.results.report import RefusedRow, Report
from airflow_provider_ims.spreadsheets import SheetWriter
from airflow_provider_ims.storage import CannotWrite, as_json, copy_whole, shown, write_whole
from airflow_provider_ims.tables.documents import MONEY
from airflow_provider_ims.workbooks.columns import columns_of
from airflow_provider_ims.workbooks.writer import Workbook

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


def write_result(
    folder: ObjectStoragePath, report: Report, summary: Mapping[str, Any], *, workbooks: bool = False
) -> dict[str, str]:
    """
    Write ``<reference_id>.result.json``, ``<reference_id>.refused.csv`` and ``<reference_id>.refused.xlsx``.

    :param folder: where to; it is made
    :param summary: of the report
    :param workbooks: write the workbook, too
    :return: ``result_path``, ``refused_path``, and ``refused_xlsx_path`` of the workbook
    :raises GstnInvalidRequest: when they cannot be written
    :raises GstnStorageUnavailable: when they cannot be written now
    """
    full = {**summary, "result": report.result.raw}
    if report.account:
        full["documents"] = [{**key._asdict(), "outcome": said} for key, said in report.account.outcomes.items()]
    table = io.StringIO(newline="")
    sheet = SheetWriter(table, RefusedRow._fields)
    for row in report.refused:
        sheet.write(row)
    name = file_name(report.reference_id)
    result_path, refused_path = folder / f"{name}.result.json", folder / f"{name}.refused.csv"
    paths = {"result_path": str(result_path), "refused_path": str(refused_path)}
    try:
        write_whole(result_path, as_json(full, indent=2))
        write_whole(refused_path, table.getvalue().encode())
        if workbooks:
            refused_book = folder / f"{name}.refused.xlsx"
            _write_workbook(refused_book, report)
            paths["refused_xlsx_path"] = str(refused_book)
    except CannotWrite as error:
        raise of_storage_error(
            error,
            f"The result of {report.reference_id} was not written to output_path {shown(str(folder))!r}.",
            "Then clear this task, unless Airflow tries it again; the service keeps the result for 7 days.",
        ) from error
    return paths


def _write_workbook(path: ObjectStoragePath, report: Report) -> None:
    """Write the refused documents with their amounts, where the request is known."""
    try:
        with tempfile.TemporaryDirectory(prefix="ims-result-") as name:
            local = Path(name) / "refused.xlsx"
            with Workbook(local) as book:
                sheet = book.sheet("Refused", columns_of([*RefusedRow._fields, *MONEY]))
                for row in report.refused:
                    document = report.document(DocumentKey(*row[:5]))
                    sheet.write([*row, *(getattr(document, amount, None) for amount in MONEY)])
            copy_whole(local, path)
    except CannotWrite:
        raise
    except OSError as error:
        raise CannotWrite(tempfile.gettempdir(), error) from error
