"""What a tax person opens: the workbook of a GSTIN, and the one over all of them."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.bulk.outcomes import ChunkOutcome, Outcomes
from airflow_provider_ims.bulk.plan_entry import folder_of, load_request, plan_of
from airflow_provider_ims.exceptions import GstnInvalidRequest, GstnResetPartial
from airflow_provider_ims.models import ResetResult
from airflow_provider_ims.models.plan import GstinPlan
from airflow_provider_ims.operators.summary import ImsBulkSummaryOperator
from airflow_provider_ims.planning.output import Output
from airflow_provider_ims.planning.planner import Rules, make_plan
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.files import file_source
from airflow_provider_ims.results.report import Report
from tests.unit.builders import RTIN, STIN
from tests.unit.planning.builders import OTHER_RTIN, csv_file, row

COLUMNS = ("Voucher", "Outcome", "trade_name")


class Ti:
    def __init__(self) -> None:
        self.xcom: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcom[key] = value


@pytest.fixture
def plans(tmp_path: Path) -> list[dict[str, Any]]:
    """Two GSTINs: three requests of two documents, and one of one."""
    lines = [
        row(inum=f"00{n}", val="118000.10", **dict(zip(COLUMNS, (f"=V{n}", f"mine {n}", "Acme & Co"), strict=True)))
        for n in range(1, 7)
    ]
    lines.append(row(rtin=OTHER_RTIN, inum="7", Voucher="V7"))
    path = csv_file(tmp_path / "erp.csv", lines)
    output = Output(ObjectStoragePath(str(tmp_path / "plan")))
    plan = make_plan([file_source(ObjectStoragePath(str(path)), Columns(None, "all"))], output, Rules(max_documents=2))
    return [each.model_dump(mode="json") for each in plan.gstins]


def told_of(plan: GstinPlan) -> dict[str, Any]:
    """What the task of the first GSTIN returns: one document reset, one refused, two unknown, two not sent."""
    outcomes = Outcomes(plan, workbooks=True)
    inv = [{"inum": "002", "rtnprd": "012023"}]
    refusal = {"stin": STIN, "error_cd": "IMSSAV0010", "error_msg": "edited", "inv": inv}
    result = ResetResult.parse({"status_cd": "PE", "proc_cnt": "1", "err_cnt": "1", "error_report": {"b2b": [refusal]}})
    report = Report("r-1", result, load_request(plan.chunks[0], RTIN))
    outcomes.keep(plan.chunks[0], report)
    done = [
        ChunkOutcome(plan.chunks[0], "ended", "r-1", {"outcome": "partial", **report.counts()}),
        ChunkOutcome(plan.chunks[1], "unknown", "r-2", failure="The reply was lost."),
        ChunkOutcome(plan.chunks[2], "not sent"),
    ]
    return outcomes.gather(done, "The reply was lost.")


def sheet_of(path: str, name: str) -> list[dict[str, Any]]:
    rows = openpyxl.load_workbook(path)[name].iter_rows(values_only=True)
    header = next(rows)
    return [dict(zip(header, each, strict=True)) for each in rows]


def test_the_workbook_of_a_gstin_says_everything_of_each_document(plans: list[dict[str, Any]]):
    summary = told_of(plan_of(plans[0]))
    rows = sheet_of(summary["xlsx_path"], "Documents")
    assert [(each["Document number (inum, nt_num)"], each["Outcome"]) for each in rows] == [
        ("001", "reset"),
        ("002", "refused"),
        ("003", "unknown"),
        ("004", "unknown"),
        ("005", "not sent"),
        ("006", "not sent"),
    ]
    for each in rows[1:]:
        assert each["Why (error_msg)"]
        assert each["What to do"]
    assert rows[0]["Why (error_msg)"] is None
    assert "this came before: The reply was lost." in rows[4]["Why (error_msg)"]
    assert "Clear the task" in rows[4]["What to do"]
    first = rows[0]
    assert first["Supplier's return period (rtnprd)"] == "012023"
    assert first["Document value (val)"] == 118000.1
    assert first["Supplier's trade name (trade_name)"] == "Acme & Co"
    assert first["Document date (idt, nt_dt)"].isoformat().startswith("2023-01-23")
    assert [each["Voucher"] for each in rows] == [f"=V{n}" for n in range(1, 7)]
    assert [each["Row in your data"] for each in rows] == [f"erp.csv line {n}" for n in range(2, 8)]
    assert [each["Outcome_2"] for each in rows] == [f"mine {n}" for n in range(1, 7)]


def test_the_csv_has_the_same_columns_for_whoever_joins_it(plans: list[dict[str, Any]]):
    summary = told_of(plan_of(plans[0]))
    with Path(summary["csv_path"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [each["Voucher"] for each in rows] == [f"'=V{n}" for n in range(1, 7)]
    assert {(each["val"], each["trade_name"]) for each in rows} == {("118000.10", "Acme & Co")}
    assert rows[0]["place"] == "erp.csv line 2"


def test_what_is_told_of_a_gstin_has_the_tax_of_every_outcome(plans: list[dict[str, Any]]):
    plan = plan_of(plans[0])
    outcomes = Outcomes(plan)
    done = [ChunkOutcome(chunk, "not sent") for chunk in plan.chunks[1:]]
    for _ in range(2):  # gathered again, nothing is counted twice
        outcomes.gather([ChunkOutcome(plan.chunks[0], "unknown", "r-1"), *done])
    each = sum(Decimal(str(row()[name])) for name in ("iamt", "camt", "samt", "cess"))
    assert outcomes.sums.counts == {"unknown": 2, "not_sent": 4}
    assert outcomes.sums.as_extra()["tax"] == {"unknown": f"{2 * each:.2f}", "not_sent": f"{4 * each:.2f}"}


def test_without_workbooks_there_is_none(plans: list[dict[str, Any]]):
    plan = plan_of(plans[0])
    summary = Outcomes(plan).gather([ChunkOutcome(chunk, "not sent") for chunk in plan.chunks])
    assert "xlsx_path" not in summary
    assert not list(Path(str(folder_of(plan))).glob("*.xlsx"))


def test_what_belongs_to_another_request_is_left_out(plans: list[dict[str, Any]], caplog: pytest.LogCaptureFixture):
    plan = plan_of(plans[0])
    beside = Path(plan.chunks[0].path.replace(".json", ".carried.jsonl"))
    lines = beside.read_text().splitlines()
    beside.write_text("\n".join([json.dumps({"sha256": "0" * 64, "columns": ["Voucher"]}), *lines[1:]]))
    rows = sheet_of(told_of(plan)["xlsx_path"], "Documents")
    assert [each["Voucher"] for each in rows][:3] == [None, None, "=V3"]


def test_the_amounts_of_a_request_that_was_changed_are_left_out(plans: list[dict[str, Any]]):
    plan = plan_of(plans[0])
    done = [ChunkOutcome(chunk, "not sent") for chunk in plan.chunks]
    Path(plan.chunks[1].path).write_text("{}")
    rows = sheet_of(Outcomes(plan, workbooks=True).gather(done)["xlsx_path"], "Documents")
    assert [each["Document value (val)"] for each in rows] == [118000.1, 118000.1, None, 118000.1, 118000.1]
    assert "is not the file that was planned" in rows[2]["Why (error_msg)"]


@pytest.fixture
def run(plans: list[dict[str, Any]]) -> tuple[Ti, GstnResetPartial]:
    """The summary of a run in which the second GSTIN's task died."""
    ti = Ti()
    operator = ImsBulkSummaryOperator(task_id="t", plan=plans, results=[told_of(plan_of(plans[0])), None])
    with pytest.raises(GstnResetPartial) as caught:
        operator.execute({"ti": ti})  # type: ignore[arg-type]
    return ti, caught.value


def test_the_summary_counts_every_document_of_every_gstin(run: Any, tmp_path: Path):
    ti, error = run
    path = str(tmp_path / "plan" / "summary.xlsx")
    assert ti.xcom["return_value"] == {
        **{"documents": 7, "gstins": 2, "reset": 1, "refused": 1, "unknown": 3, "not_sent": 2},
        "xlsx_path": path,
    }
    assert str(error).splitlines()[0] == (
        "Not all of 7 documents are reset: 1 reset, 1 refused, 3 unknown, 2 not sent."
    )
    assert (error.code, [each.number for each in error.refused]) == ("IMSSAV0010", ["002"])
    assert path in error.advice
    assert openpyxl.load_workbook(path).sheetnames == ["Totals", "Per GSTIN", "Refused", "Unknown", "Not sent"]
    totals = {each["Outcome"]: each for each in sheet_of(path, "Totals")}
    assert {said: each["Documents"] for said, each in totals.items()} == {
        **{"reset": 1, "refused": 1, "unknown": 3, "not sent": 2},
        "all": 7,
    }
    assert totals["not sent"]["Integrated tax (iamt)"] == 2 * float(row()["iamt"])
    assert [(each["Your GSTIN (rtin)"], each["Outcome"], each["Unknown"]) for each in sheet_of(path, "Per GSTIN")] == [
        (RTIN, "incomplete", 2),
        (OTHER_RTIN, "unknown", 1),
    ]


def test_the_summary_names_what_is_not_reset_with_a_way_back_to_the_erp(run: Any, tmp_path: Path):
    path = str(tmp_path / "plan" / "summary.xlsx")
    for name, vouchers in (("Refused", ["=V2"]), ("Unknown", ["=V3", "=V4", None]), ("Not sent", ["=V5", "=V6"])):
        rows = sheet_of(path, name)
        assert [each["Voucher"] for each in rows] == vouchers
        assert all(each["Why (error_msg)"] and each["What to do"] for each in rows)
    last = sheet_of(path, "Unknown")[-1]
    assert (last["Your GSTIN (rtin)"], last["Document number (inum, nt_num)"]) == (OTHER_RTIN, "7")


def test_a_run_that_is_all_reset_ends_well(plans: list[dict[str, Any]], tmp_path: Path):
    plan = plan_of(plans[1])
    outcomes = Outcomes(plan)
    report = Report(
        "r-1", ResetResult.parse({"status_cd": "P", "proc_cnt": "1"}), load_request(plan.chunks[0], OTHER_RTIN)
    )
    outcomes.keep(plan.chunks[0], report)
    told = outcomes.gather([ChunkOutcome(plan.chunks[0], "ended", "r-1", report.counts())])
    operator = ImsBulkSummaryOperator(
        task_id="t", plan=[plans[1]], results=[told], output_path=str(tmp_path / "here"), report_formats=("csv", "xlsx")
    )
    summary = operator.execute({"ti": Ti()})  # type: ignore[typeddict-item]
    assert summary["reset"] == 1
    assert (tmp_path / "here" / "summary.xlsx").exists()


def test_a_dry_run_is_no_failure(plans: list[dict[str, Any]]):
    results = [{"rtin": each["rtin"], "outcome": "dry_run"} for each in plans]
    summary = ImsBulkSummaryOperator(task_id="t", plan=plans, results=results).execute({"ti": Ti()})
    assert summary["not_sent"] == 7


def test_what_a_mapped_task_returned_before_a_clear_does_not_count(plans: list[dict[str, Any]]):
    now = [{"rtin": each["rtin"], "outcome": "dry_run"} for each in plans]
    before = {**now[0], "outcome": "incomplete", "reset": 5}
    summary = ImsBulkSummaryOperator(task_id="t", plan=plans, results=[*now, before]).execute({"ti": Ti()})
    assert summary["not_sent"] == 7


def test_a_plan_that_failed_is_no_success():
    with pytest.raises(GstnInvalidRequest, match="There is no plan"):
        ImsBulkSummaryOperator(task_id="t", plan=None, results=None).execute({"ti": Ti()})


def test_nothing_to_send_is_nothing_to_tell():
    summary = ImsBulkSummaryOperator(task_id="t", plan=[], results=[]).execute({"ti": Ti()})
    assert summary == {"documents": 0, "gstins": 0, "reset": 0, "refused": 0, "unknown": 0, "not_sent": 0}


@pytest.mark.parametrize("formats", ["xlsx", ("xlsx",), ("csv", "pdf"), ()])
def test_report_formats_are_checked(formats: Any):
    with pytest.raises(ValueError, match="report_formats"):
        ImsBulkSummaryOperator(task_id="t", plan=[], results=[], report_formats=formats)
