"""The user's own columns: beside the requests, in the order of their documents, and never in them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.planning import carried
from airflow_provider_ims.planning.errors import PlanError
from airflow_provider_ims.planning.output import Output
from airflow_provider_ims.planning.planner import Plan, Rules, make_plan
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.files import file_source
from airflow_provider_ims.tables.errors import FileUnusable
from tests.unit.builders import RTIN
from tests.unit.planning.builders import OTHER_RTIN, chunks, csv_file, everything, json_lines, plan_of, row, rows


def plan(output: Path, *files: Path, carry: Any, columns: Any = None, **rules: Any) -> Plan:
    sources = [file_source(ObjectStoragePath(str(path)), Columns(columns, carry)) for path in files]
    return make_plan(sources, Output(ObjectStoragePath(str(output))), Rules(**rules))


def beside(output: Path, request: str = f"{RTIN}/0001") -> carried.Carried:
    """What is carried with a request."""
    [entry] = [
        chunk
        for gstin in json.loads((output / "plan.json").read_text())["gstins"]
        for chunk in gstin["chunks"]
        if chunk["path"].endswith(f"{request}.json")
    ]
    found = carried.read((output / f"{request}.carried.jsonl").read_bytes(), entry["sha256"])
    assert found
    return found


def numbers(output: Path, request: str) -> list[str]:
    invdata = json.loads((output / f"{request}.json").read_bytes())["invdata"]
    return [document.get("inum") or document["nt_num"] for documents in invdata.values() for document in documents]


def test_the_requests_are_the_same_to_the_byte(tmp_path: Path):
    lines = [{**line, "Voucher": f"V-{n}", "Remarks": "x"} for n, line in enumerate(rows(20))]
    path = csv_file(tmp_path / "erp.csv", lines)
    plan_of(tmp_path / "without", path, columns={"Voucher": None, "Remarks": None}, max_documents=6)
    plan(tmp_path / "with", path, carry=["Voucher"], columns={"Remarks": None}, max_documents=6)
    assert chunks(tmp_path / "with") == chunks(tmp_path / "without")
    assert not list((tmp_path / "without").rglob("*.carried.jsonl"))


def test_each_document_keeps_its_own_whatever_is_dropped_between(tmp_path: Path):
    lines = [
        *rows(3, "b2bcn"),
        row(inum="bad", pos="7"),
        *rows(4),
        row(inum="b2b-1"),  # the same document again
        *rows(2, rtin=OTHER_RTIN),
    ]
    path = csv_file(tmp_path / "erp.csv", [{**line, "Voucher": f"V-{n}"} for n, line in enumerate(lines)])
    plan(tmp_path / "plan", path, carry="all", on_invalid="skip", max_documents=3)
    found = {}
    for request in (f"{RTIN}/0001", f"{RTIN}/0002", f"{RTIN}/0003", f"{OTHER_RTIN}/0001"):
        if (tmp_path / "plan" / f"{request}.json").exists():
            told = beside(tmp_path / "plan", request)
            assert told.columns == ["Voucher"]
            for number, (place, values) in zip(numbers(tmp_path / "plan", request), told.rows, strict=True):
                found[request[:15], number] = place, values["Voucher"]
    assert found == {
        **{(RTIN, f"b2bcn-{n}"): (f"erp.csv line {n + 2}", f"V-{n}") for n in range(3)},
        **{(RTIN, f"b2b-{n}"): (f"erp.csv line {n + 6}", f"V-{n + 4}") for n in range(4)},
        **{(OTHER_RTIN, f"b2b-{n}"): (f"erp.csv line {n + 11}", f"V-{n + 9}") for n in range(2)},
    }


def test_sources_with_other_columns_have_the_columns_of_all(tmp_path: Path):
    first = csv_file(tmp_path / "a.csv", [row(inum="1", **{"Cost centre": "0042", "Note\t1": 'a "b"\tc'})])
    second = json_lines(tmp_path / "b.jsonl", [row(inum="2", **{"Voucher": 7}), row(inum="3")])
    plan(tmp_path / "plan", first, second, carry="all")
    told = beside(tmp_path / "plan")
    assert told.columns == ["Cost centre", "Note\t1", "Voucher"]
    assert [values for _, values in told.rows] == [
        {"Cost centre": "0042", "Note\t1": 'a "b"\tc'},
        {"Voucher": 7},
        {},
    ]


def test_values_of_a_table_keep_their_digits(tmp_path: Path):
    import duckdb

    line = row()
    names = ", ".join(f"? AS {name}" for name in line)
    with duckdb.connect() as database:
        database.execute(
            f"COPY (SELECT {names}, 1234567890123.45::DECIMAL(15,2) AS paid, 12345678901234567.89::DECIMAL(19,2) AS"
            f" large, DATE '2026-11-01' AS booked) TO '{tmp_path / 'a.parquet'}' (FORMAT parquet)",
            [str(value) if isinstance(value, (int, float, Decimal)) else value for value in line.values()],
        )
    columns = Columns(None, "all")
    [(_, found)] = file_source(ObjectStoragePath(str(tmp_path / "a.parquet")), columns).rows()
    assert found.carried["booked"] == date(2026, 11, 1)
    text = carried.as_text(found.carried)
    [(_, values)] = carried.read(carried.written("s", ["paid"], [("place", text)]), "s").rows
    assert values == {"paid": Decimal("1234567890123.45"), "large": "12345678901234567.89", "booked": "2026-11-01"}


def test_what_pandas_writes_for_an_empty_cell_is_nothing_and_no_error(tmp_path: Path):
    discounts = (5.5, float("nan"), float("inf"))
    texts = [json.dumps({**row(inum=f"X{n}"), "Discount": value}) for n, value in enumerate(discounts)]
    texts.append(json.dumps({**row(inum="X3"), "Parts": [1, float("nan")]}))
    plan(tmp_path / "plan", json_lines(tmp_path / "a.jsonl", texts), carry="all")
    assert [values for _, values in beside(tmp_path / "plan").rows] == [
        {"Discount": Decimal("5.5")},
        {},
        {"Discount": "inf"},
        {"Parts": "[1, nan]"},
    ]


def test_what_a_reconciliation_writes_beside_the_fields_is_carried_unasked(tmp_path: Path):
    path = json_lines(tmp_path / "a.jsonl", [row(trade_name="Acme", book_Voucher="V-1")])
    plan(tmp_path / "plan", path, carry=None)
    assert beside(tmp_path / "plan").rows[0][1] == {"trade_name": "Acme", "book_Voucher": "V-1"}


def test_a_column_that_is_a_field_may_be_carried_too(tmp_path: Path):
    path = csv_file(tmp_path / "a.csv", [{"Bill" if name == "inum" else name: cell for name, cell in row().items()}])
    plan(tmp_path / "plan", path, columns={"bill": "inum"}, carry=["BILL"])
    assert beside(tmp_path / "plan").rows[0][1] == {"Bill": row()["inum"]}


def test_a_column_to_carry_that_is_not_there_is_named(tmp_path: Path):
    path = csv_file(tmp_path / "a.csv", [row()])
    with pytest.raises(FileUnusable, match="has no column Voucher, which carry names"):
        plan(tmp_path / "plan", path, carry=["Voucher"])


@pytest.mark.parametrize("carry", ["everything", [""]])
def test_carry_takes_names_or_all(carry: Any):
    with pytest.raises(PlanError, match="carry is"):
        Columns(None, carry)


def test_what_an_earlier_plan_carried_is_removed(tmp_path: Path):
    path = csv_file(tmp_path / "a.csv", [{**line, "Voucher": "1"} for line in rows(4)])
    plan(tmp_path / "plan", path, carry="all", max_documents=1)
    assert len(list((tmp_path / "plan").rglob("*.carried.jsonl"))) == 4
    plan_of(tmp_path / "plan", path, columns={"Voucher": None})
    assert everything(tmp_path / "plan") == {"plan.json", "rejects.csv", f"{RTIN}/0001.json"}


@pytest.mark.parametrize("content", [b"", b"{}\n", b'{"sha256": "s", "columns": []}\n[1]\n', b"\xff"])
def test_what_is_no_such_file_is_none(content: bytes):
    assert carried.read(content, "s") is None


def test_what_belongs_to_another_request_is_none():
    assert carried.read(carried.written("s", ["a"], [("x", '{"a":1}')]), "t") is None
