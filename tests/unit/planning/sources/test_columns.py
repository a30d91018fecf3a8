"""Columns as an ERP names them: words for values, what is the same in every row, one column for all sections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.planning.errors import PlanError
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.files import file_source
from airflow_provider_ims.tables.errors import FileUnusable
from tests.unit.builders import RTIN, STIN, document
from tests.unit.planning.builders import chunks, csv_file, json_lines, plan_of, rejects, row

ERP = {
    "Doc Type": {"section": {"Tax Invoice": "b2b", "Credit Note": "b2bcn", "Amended Invoice": "B2BA"}},
    "IMS Status": {"prev_status": {"Accepted": "A", "Rejected": "R"}},
    "Bill No": "number",
    "Bill Date": "date",
    "Old Bill No": "original_number",
    "Old Bill Date": "original_date",
    "Supplier GSTIN": "stin",
    "rtin": {"value": RTIN},
    "srcform": {"value": "R1"},
    "inv_typ": {"value": "R"},
}


def erp(kind: str, number: str, **changes: Any) -> dict[str, Any]:
    known = document("b2b")
    amounts = {name: known[name] for name in ("rtnprd", "pos", "val", "txval", "iamt", "camt", "samt", "cess")}
    line = {
        **{"Doc Type": kind, "IMS Status": "accepted", "Bill No": number, "Bill Date": "23-01-2025"},
        **{"Old Bill No": "", "Old Bill Date": "", "Supplier GSTIN": STIN},
    }
    return {**line, **amounts, **changes}


def read(path: Path, columns: Any) -> list[Any]:
    return [found for _, found in file_source(ObjectStoragePath(str(path)), Columns(columns)).rows()]


def test_an_export_of_invoices_and_notes_needs_no_change(tmp_path: Path):
    lines = [
        erp("Tax Invoice", "INV-1"),
        erp("CREDIT NOTE", "CN-1"),
        erp("Amended invoice", "INV-2", **{"Old Bill No": "INV-0", "Old Bill Date": "01-01-2025"}),
    ]
    plan_of(tmp_path / "plan", csv_file(tmp_path / "erp.csv", lines), columns=ERP)
    same = [
        row("b2b", inum="INV-1", idt="23-01-2025", prev_status="A", srcform="R1", inv_typ="R", stin=STIN),
        row("b2bcn", nt_num="CN-1", nt_dt="23-01-2025", prev_status="A", srcform="R1", inv_typ="R", stin=STIN),
        row(
            "b2ba",
            **{"inum": "INV-2", "idt": "23-01-2025", "oinum": "INV-0", "oidt": "01-01-2025"},
            **{"prev_status": "A", "srcform": "R1", "inv_typ": "R", "stin": STIN},
        ),
    ]
    common = {name: erp("", "")[name] for name in ("rtnprd", "pos", "val", "txval", "iamt", "camt", "samt", "cess")}
    same = [{**line, **common} for line in same]
    plan_of(tmp_path / "same", json_lines(tmp_path / "same.jsonl", same))
    assert chunks(tmp_path / "plan") == chunks(tmp_path / "same")


def test_json_lines_are_named_the_same_way(tmp_path: Path):
    lines = [erp("Tax Invoice", "INV-1"), erp("Credit Note", "CN-1")]
    plan_of(tmp_path / "json", json_lines(tmp_path / "erp.jsonl", lines), columns=ERP)
    plan_of(tmp_path / "csv", csv_file(tmp_path / "erp.csv", lines), columns=ERP)
    assert chunks(tmp_path / "json") == chunks(tmp_path / "csv")


@pytest.mark.parametrize("spelling", ["supplier gstin", " SUPPLIER\u00a0GSTIN ", "SupplierGSTIN"])
def test_headings_are_told_without_regard_to_case_and_blanks(tmp_path: Path, spelling: str):
    line = {spelling if name == "stin" else name.upper(): value for name, value in row().items()}
    [found] = read(csv_file(tmp_path / "a.csv", [line]), {"Supplier GSTIN": "stin"})
    assert found == {name: str(value) for name, value in row().items()}


def test_a_reject_names_the_users_column_and_the_documents_number(tmp_path: Path):
    lines = [erp("Credit Note", "CN/00017", **{"Bill Date": "1/2/2025"}), erp("Journal", "J-1")]
    with pytest.raises(ValueError, match="rows are rejected") as caught:
        plan_of(tmp_path / "plan", csv_file(tmp_path / "erp.csv", lines), columns=ERP, workbooks=True)
    first, second = rejects(tmp_path / "plan")
    assert (first["number"], first["field"], first["column"], first["value"]) == (
        "CN/00017",
        "nt_dt",
        "Bill Date",
        "1/2/2025",
    )
    assert (second["number"], second["field"], second["column"], second["value"]) == (
        "J-1",
        "section",
        "Doc Type",
        "Journal",
    )
    assert "erp.csv line 2, b2bcn CN/00017:\n  Bill Date (nt_dt): 1/2/2025 - a real date" in str(caught.value)
    sheet = openpyxl.load_workbook(tmp_path / "plan" / "rejects.xlsx")["Rejected rows"]
    assert [cell.value for cell in sheet["G"]] == ["Your column", "Bill Date", "Doc Type"]


def test_an_amount_is_told_as_it_is_written(tmp_path: Path):
    with pytest.raises(ValueError, match="rows are rejected") as caught:
        plan_of(tmp_path / "plan", json_lines(tmp_path / "a.jsonl", [row(val=18000.123)]))
    assert "\n  val: 18000.123 - at most 2 decimals" in str(caught.value)
    assert "Decimal" not in str(caught.value)


def test_a_section_without_amendments_has_no_original(tmp_path: Path):
    line = erp("Credit Note", "CN-1", **{"Old Bill No": "INV-9"})
    [found] = read(csv_file(tmp_path / "a.csv", [line]), ERP)
    assert not {"oinum", "ont_num", "original_number"} & set(found)


def test_two_numbers_that_differ_are_never_chosen_between(tmp_path: Path):
    path = csv_file(tmp_path / "a.csv", [row(inum="1", **{"Bill No": "2"}), row(inum="3", **{"Bill No": "3"})])
    plan_of(tmp_path / "plan", path, columns={"Bill No": "number"}, on_invalid="skip")
    [reject] = rejects(tmp_path / "plan")
    assert "number says another one than inum" in reject["reason"]
    assert len(chunks(tmp_path / "plan")) == 1


def test_a_word_that_is_not_listed_stays_and_is_judged(tmp_path: Path):
    [found] = read(csv_file(tmp_path / "a.csv", [erp("Debit Memo", "D-1")]), ERP)
    assert found["section"] == "Debit Memo"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"Doc Type": {"section": {"Tax Invoice": "b2c"}}}, "the word 'Tax Invoice' leads to 'b2c'"),
        ({"Status": {"prev_status": {"Accepted": "yes"}}}, "which prev_status does not take"),
        ({"Doc Type": {"type": {"x": "y"}}}, "has words for 'type'"),
        ({"Value": {"val": {"x": "1"}}}, "no field with words of its own"),
        ({"number": {"value": "1"}}, "'number' is given a value"),
        ({"rtin": {"value": " "}}, "the value of rtin is empty"),
        ({"A": "stin", "B": "stin"}, "several columns lead to stin"),
        ({"A": "rtin", "rtin": {"value": RTIN}}, "rtin has a column and a value"),
        ({"A": 5}, "'A' leads to 5"),
        ({"A": {"b": 1, "c": 2}}, "it takes a field's name"),
    ],
)
def test_a_description_that_makes_no_sense_is_told(columns: Any, said: str):
    with pytest.raises(PlanError, match="columns: ") as caught:
        Columns(columns)
    assert said in str(caught.value)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(PlanError) as caught:
        Columns({"A": "gstin", "B": {"section": {"x": "y"}}})
    assert "gstin" in str(caught.value)
    assert "'y'" in str(caught.value)


def test_a_value_for_every_row_beside_a_column_of_it_is_an_error(tmp_path: Path):
    path = csv_file(tmp_path / "a.csv", [row()])
    with pytest.raises(FileUnusable, match="has a column for srcform, which columns gives a value"):
        read(path, {"srcform": {"value": "R1"}})


def test_words_that_differ_in_signs_alone_are_told_apart():
    columns = Columns({"Sign": {"section": {"+": "b2bdn", "-": "b2bcn"}}})
    assert [columns.map.value("section", word) for word in ("+", "-", "*")] == ["b2bdn", "b2bcn", "*"]
