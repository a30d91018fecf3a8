"""The files of one result: all of it as JSON, and what GSTN refused as a table that people open."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_ims.exceptions import of_storage_error
from airflow_provider_ims.file_names import file_name
from airflow_provider_ims.results.report import RefusedRow, Report
from airflow_provider_ims.spreadsheets import SheetWriter
from airflow_provider_ims.storage import CannotWrite, as_json, shown, write_whole

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


def write_result(folder: ObjectStoragePath, report: Report, summary: Mapping[str, Any]) -> dict[str, str]:
    """
    Write ``<reference_id>.result.json`` and ``<reference_id>.refused.csv``.

    :param folder: where to; it is made
    :param summary: of the report
    :return: ``result_path`` and ``refused_path``
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
    try:
        write_whole(result_path, as_json(full, indent=2))
        write_whole(refused_path, table.getvalue().encode())
    except CannotWrite as error:
        raise of_storage_error(
            error,
            f"The result of {report.reference_id} was not written to output_path {shown(str(folder))!r}.",
            "Then clear this task, unless Airflow tries it again; the service keeps the result for 7 days.",
        ) from error
    return {"result_path": str(result_path), "refused_path": str(refused_path)}
