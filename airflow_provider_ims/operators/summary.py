"""Adds up what became of all GSTINs of a bulk run."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.bulk.outcomes import COUNTED
from airflow_provider_ims.bulk.plan_entry import folder_of, plan_of
from airflow_provider_ims.bulk.summary import GstinResult, RunTotals, read_run
from airflow_provider_ims.exceptions import (
    GstnInvalidPayload,
    GstnInvalidRequest,
    GstnResetPartial,
    GstnTransientError,
    of_storage_error,
)
from airflow_provider_ims.models.choices import check_choice
from airflow_provider_ims.models.plan import GstinPlan
from airflow_provider_ims.operators._arguments import REPORT_FORMATS, check_formats, folder
from airflow_provider_ims.operators._ending import end_task
from airflow_provider_ims.operators._page_summary import SUMMARY, ShowsSummary
from airflow_provider_ims.results.text_tables import aligned
from airflow_provider_ims.storage import CannotWrite, StorageError, copy_whole, is_given, place
from airflow_provider_ims.tables.errors import FileUnavailable, FileUnusable
from airflow_provider_ims.tables.files import local_file

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["ImsBulkSummaryOperator"]

OnIncomplete = Literal["fail", "warn"]

_FILE = "summary.xlsx"
_NOT_WRITTEN = "The summary was not written; what each GSTIN's task wrote is there."


class ImsBulkSummaryOperator(ShowsSummary):
    """
    Add up what became of the documents of all GSTINs, and write one workbook over them: ``summary.xlsx``.

    It has the totals, a row for each GSTIN, and every document that is refused, unknown or not sent with why and what
    to do. It runs however the resets ended (``trigger_rule="all_done"``), and fails when a document is not reset, so
    that somebody looks. A GSTIN whose task said nothing is not a GSTIN whose documents are reset: they are unknown.

    :param plan: what :class:`ImsPlanOperator` returned, such as ``plan.output`` (templated)
    :param results: what the mapped :class:`ImsBulkResetOperator` returned, such as ``reset.output`` (templated)
    :param output_path: directory for ``summary.xlsx``, as ``ObjectStoragePath`` takes it; ``None``: that of the plan
        (templated)
    :param on_incomplete: when a document is not reset: ``fail`` or ``warn``
    :param report_formats: without ``xlsx`` among them no workbook is written
    """

    template_fields: Sequence[str] = ("plan", "results", "output_path", SUMMARY)
    ui_color = "#dff7d7"

    def __init__(
        self,
        *,
        plan: Any,
        results: Any,
        output_path: str | None = None,
        on_incomplete: OnIncomplete = "fail",
        report_formats: Sequence[str] = REPORT_FORMATS,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("trigger_rule", "all_done")
        super().__init__(**kwargs)
        check_choice("on_incomplete", on_incomplete, OnIncomplete)
        self.plan = plan
        self.results = results
        self.output_path = output_path
        self.on_incomplete = on_incomplete
        self.report_formats = check_formats(report_formats)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Add up.

        :return: ``documents``, ``reset``, ``refused``, ``unknown``, ``not_sent``, ``gstins``, and ``xlsx_path`` of the
            workbook. On failure it is pushed to XCom before the task fails
        :raises GstnResetPartial: when a document is not reset and ``on_incomplete`` is ``fail``; with the first refused
            ones in ``refused``. After a dry run it does not fail
        :raises GstnInvalidRequest: when there is no plan
        :raises GstnStorageUnavailable: when a file cannot be read or written now
        """
        if self.plan is None or isinstance(self.plan, (str, Mapping)):
            raise GstnInvalidRequest(
                "There is no plan to add up; nothing was sent.\nplan takes what ImsPlanOperator returned. If that task"
                " failed, its log says why."
            )
        plans = [plan_of(entry) for entry in self.plan]
        # Airflow keeps what a mapped task returned also when the run was cleared and fewer are mapped than before. What
        # those of now returned comes first.
        told: dict[str, Any] = {}
        for each in self.results or ():
            if each:
                told.setdefault(str(each["rtin"]), each)
        target = self._target(plans)
        with tempfile.TemporaryDirectory(prefix="ims-summary-") as name:
            results = [self._result(plan, told.get(plan.rtin), Path(name) / plan.rtin) for plan in plans]
            totals = self._read(results, Path(name) / _FILE, target)
        summary: dict[str, Any] = {"documents": sum(plan.documents for plan in plans), "gstins": len(plans)}
        summary |= {name: totals.documents[name.replace("_", " ")] for name in COUNTED}
        # What is in no file is known of nobody.
        summary["unknown"] += summary["documents"] - sum(summary[name] for name in COUNTED)
        if target is not None:
            summary["xlsx_path"] = str(target)
        self._tell(results, summary)
        self.show_summary(summary)
        return self._end(context, summary, totals, is_dry=_is_dry(told))

    def _target(self, plans: Sequence[GstinPlan]) -> ObjectStoragePath | None:
        if "xlsx" not in self.report_formats:
            return None
        if is_given(self.output_path):
            return folder("output_path", self.output_path) / _FILE
        return folder_of(plans[0]).parent / _FILE if plans else None

    @staticmethod
    def _result(plan: GstinPlan, told: Mapping[str, Any] | None, local: Path) -> GstinResult:
        path = str(told.get("csv_path") or "") if told else ""
        if not path:
            return GstinResult(plan, told, None)
        try:
            local.mkdir()
            return GstinResult(plan, told, local_file(place(path), local))
        except StorageError as error:
            raise of_storage_error(error, _NOT_WRITTEN) from error
        except FileUnavailable as error:
            raise GstnTransientError(f"{_NOT_WRITTEN}\n{error}") from error
        except FileUnusable as error:
            raise GstnInvalidPayload(f"{_NOT_WRITTEN}\n{error}") from None

    @staticmethod
    def _read(results: Sequence[GstinResult], local: Path, target: ObjectStoragePath | None) -> RunTotals:
        try:
            totals = read_run(results, local if target is not None else None)
            if target is not None:
                copy_whole(local, target)
        except CannotWrite as error:
            raise of_storage_error(error, _NOT_WRITTEN) from error
        except OSError as error:
            raise of_storage_error(CannotWrite(tempfile.gettempdir(), error), _NOT_WRITTEN) from error
        return totals

    def _tell(self, results: Sequence[GstinResult], summary: Mapping[str, Any]) -> None:
        header = ("GSTIN", "outcome", "documents", *COUNTED)
        rows = [
            (
                result.plan.rtin,
                str((result.told or {}).get("outcome", "unknown")),
                result.plan.documents,
                *(int((result.told or {}).get(name, 0)) for name in COUNTED),
            )
            for result in results
        ]
        self.log.info("%s", aligned(rows, header))
        if "xlsx_path" in summary:
            self.log.info("Every document that is not reset: %s", summary["xlsx_path"])

    def _end(self, context: Context, summary: dict[str, Any], totals: RunTotals, *, is_dry: bool) -> dict[str, Any]:
        if summary["reset"] == summary["documents"] or is_dry:
            return summary
        counts = ", ".join(
            f"{summary[name]:,} {name.replace('_', ' ')}" for name in COUNTED if summary[name] or name == "reset"
        )
        advice = "Why, and what to do about each" + (
            f", is in {summary['xlsx_path']}" if "xlsx_path" in summary else ", is in the result.csv of each GSTIN"
        )
        error = GstnResetPartial(
            f"Not all of {summary['documents']:,} documents are reset: {counts}.\n{advice}.",
            code=next((row.code for row in totals.refused if row.code), ""),
            advice=advice,
            refused=totals.refused,
        )
        return end_task(context, summary, error, self.on_incomplete, self.log)


def _is_dry(told: Mapping[str, Mapping[str, Any]]) -> bool:
    return bool(told) and all(each.get("outcome") == "dry_run" for each in told.values())
