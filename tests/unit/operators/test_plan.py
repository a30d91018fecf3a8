"""What the plan operator does with its arguments, and what a user sees of a plan."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.sdk import BaseHook, ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_ims._compat import AirflowFailException
from airflow_provider_ims.exceptions import (
    GstnInvalidPayload,
    GstnInvalidRequest,
    GstnPermanentError,
    GstnStorageUnavailable,
    GstnTransientError,
)
from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.operators.ims import load_payload
from airflow_provider_ims.operators.plan import ImsPlanOperator
from airflow_provider_ims.planning import planner
from airflow_provider_ims.planning.packing import Chunk, packed
from airflow_provider_ims.tables.appender import Appender
from tests.unit.builders import RTIN
from tests.unit.planning.builders import OTHER_RTIN, csv_file, json_lines, rejects, row, rows


def operator(source: Any = None, **options: Any) -> ImsPlanOperator:
    return ImsPlanOperator(task_id="plan", source=source, **options)


def run(source: Any = None, **options: Any) -> list[dict[str, Any]]:
    return operator(source, **options).execute({})


def test_each_gstin_has_one_small_entry(tmp_path: Path):
    source = json_lines(tmp_path / "a.jsonl", [*rows(5, rtin=OTHER_RTIN), *rows(3)])
    plan = run(str(source), output_path=str(tmp_path / "plan"), max_documents=2)
    assert [(entry["rtin"], entry["documents"], len(entry["chunks"])) for entry in plan] == [
        (RTIN, 3, 2),
        (OTHER_RTIN, 5, 3),
    ]
    for entry in plan:
        for chunk in entry["chunks"]:
            payload = load_payload(chunk["path"], ResetPayload)  # what ImsResetOperator takes
            assert payload.rtin == entry["rtin"]
            assert payload.count() == chunk["documents"]
            assert len(payload.body()) == chunk["bytes"]
    assert json.loads(json.dumps(plan)) == plan
    assert len(json.dumps(plan)) < 300 * 5


def test_several_sources_and_patterns(tmp_path: Path):
    json_lines(tmp_path / "a-2.jsonl", [row(inum="2")])
    json_lines(tmp_path / "a-1.jsonl", [row(inum="1")])
    csv_file(tmp_path / "b.csv", [row(inum="3")])
    [entry] = run([f"{tmp_path}/a-*.jsonl", str(tmp_path / "b.csv")], output_path=str(tmp_path / "plan"))
    body = json.loads(Path(entry["chunks"][0]["path"]).read_bytes())
    assert [document["inum"] for document in body["invdata"]["b2b"]] == ["1", "2", "3"]
    for one in (tmp_path / "a-1.jsonl", ObjectStoragePath(f"{tmp_path}/a-1.jsonl")):
        assert run(one, output_path=str(tmp_path / "plan"))[0]["documents"] == 1
    with pytest.raises(GstnInvalidPayload, match="no file fits this pattern"):
        run(f"{tmp_path}/c-*.jsonl", output_path=str(tmp_path / "plan"))


def test_an_object_store_holds_source_and_plan(tmp_path: Path):
    store = MemoryFileSystem()
    attach("memory", fs=store)
    store.pipe_file("/acme/in/a.jsonl", json.dumps(row()).encode())
    store.pipe_file(f"/acme/plan/{RTIN}/0007.json", b"of an earlier plan")
    store.pipe_file("/acme/plan/plan.json", b"{}")
    [entry] = run("memory://acme/in/a.jsonl", output_path="memory://acme/plan")
    [chunk] = entry["chunks"]
    assert chunk["path"] == str(ObjectStoragePath("memory://acme/plan") / RTIN / "0001.json")
    assert len(ObjectStoragePath(chunk["path"]).read_bytes()) == chunk["bytes"]
    assert sorted(path.rpartition("plan/")[2] for path in store.find("/acme/plan")) == [
        f"{RTIN}/0001.json",
        "plan.json",
        "rejects.csv",
        "rejects.xlsx",
    ]


class SqliteHook(DbApiHook):
    """A database as Airflow reaches it."""

    conn_name_attr = "conn_id"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def get_conn(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path)


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteHook]:
    hook = SqliteHook(tmp_path / "erp.db")
    with hook.get_conn() as connection:
        connection.execute(f"CREATE TABLE documents ({', '.join(row())})")
        connection.executemany(
            f"INSERT INTO documents VALUES ({', '.join('?' * len(row()))})",  # noqa: S608
            [list(line.values()) for line in rows(5)],
        )
    monkeypatch.setattr(BaseHook, "get_hook", lambda conn_id: {"erp": hook, "mail": object()}[conn_id])
    return hook  # type: ignore[return-value]


@pytest.mark.usefixtures("hook")
def test_rows_come_from_any_sql_connection(tmp_path: Path):
    sql = "SELECT * FROM documents WHERE inum <> :left_out ORDER BY inum DESC"
    [entry] = run(sql=sql, conn_id="erp", parameters={"left_out": "b2b-2"}, output_path=str(tmp_path / "plan"))
    body = json.loads(Path(entry["chunks"][0]["path"]).read_bytes())
    assert [document["inum"] for document in body["invdata"]["b2b"]] == ["b2b-4", "b2b-3", "b2b-1", "b2b-0"]


@pytest.mark.usefixtures("hook")
def test_the_place_of_a_row_of_a_query(tmp_path: Path):
    sql = "SELECT documents.*, NULL AS oinum FROM documents UNION SELECT documents.*, 'X' FROM documents LIMIT 6"
    with pytest.raises(GstnInvalidPayload):
        run(sql=sql, conn_id="erp", output_path=str(tmp_path / "plan"))
    assert {line["place"] for line in rejects(tmp_path / "plan")} == {"query row 2", "query row 4", "query row 6"}


@pytest.mark.usefixtures("hook")
def test_a_query_that_fails_may_be_tried_again(tmp_path: Path):
    with pytest.raises(GstnTransientError, match="no such table") as caught:
        run(sql="SELECT * FROM invoices", conn_id="erp", output_path=str(tmp_path / "plan"))
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.usefixtures("hook")
def test_a_connection_that_runs_no_queries_is_told(tmp_path: Path):
    with pytest.raises(GstnInvalidRequest, match="mail is not one for SQL: object runs no queries"):
        run(sql="SELECT 1", conn_id="mail", output_path=str(tmp_path / "plan"))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"source": "a.csv", "sql": "SELECT 1", "conn_id": "erp"},
        {"sql": "SELECT 1"},
        {"source": "a.csv", "conn_id": "erp"},
        {"source": "a.csv", "on_invalid": "warn"},
        {"source": "a.csv", "max_bytes": 5_000_000},
    ],
)
def test_arguments_that_contradict_each_other_are_told_when_the_dag_is_read(options: dict[str, Any]):
    with pytest.raises(ValueError, match=r"either|together|on_invalid|max_bytes"):
        operator(output_path="x", **options)


def test_every_argument_that_names_something_is_templated():
    task = operator(
        ["{{ ds }}/a.txt"],
        output_path="plan/{{ ds }}",
        columns={"Supplier": "{{ 'stin' }}", "Note": None},
        file_format="{{ 'csv' }}",
    )
    task.render_template_fields({"ds": "2025-01-31"})
    assert task.source == ["2025-01-31/a.txt"]
    assert task.output_path == "plan/2025-01-31"
    assert task.columns == {"Supplier": "stin", "Note": None}
    assert task.file_format == "csv"
    assert {"sql", "conn_id", "parameters"} <= set(task.template_fields)


def test_rejected_rows_fail_the_task_for_good(tmp_path: Path):
    with pytest.raises(GstnInvalidPayload) as caught:
        run(str(json_lines(tmp_path / "a.jsonl", [row(), row(inum="2", pos="7")])), output_path=str(tmp_path / "plan"))
    assert isinstance(caught.value, AirflowFailException)
    assert [fault.place for fault in caught.value.faults] == ["a.jsonl line 2: pos"]
    assert 'on_invalid="skip"' in str(caught.value)


def test_rejected_rows_can_be_left_out_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source = json_lines(tmp_path / "a.jsonl", [row(), row(inum="2", pos="7")])
    [entry] = run(str(source), output_path=str(tmp_path / "plan"), on_invalid="skip")
    assert entry["documents"] == 1
    told = capsys.readouterr().out
    assert "1 rows are rejected and will not be sent" in told
    assert "2 rows: 1 document in 1 request for 1 GSTIN, 1 rejected." in told


def test_what_was_converted_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lines = [row(idt="2025-01-23"), row(inum="2", idt="2025-01-24"), row(inum="3")]
    run(str(json_lines(tmp_path / "a.jsonl", lines)), output_path=str(tmp_path / "plan"))
    assert "2 dates as YYYY-MM-DD written as DD-MM-YYYY" in capsys.readouterr().out


def test_a_broken_source_fails_the_task_for_good(tmp_path: Path):
    with pytest.raises(GstnInvalidPayload, match=r"nowhere\.csv"):
        run(str(tmp_path / "nowhere.csv"), output_path=str(tmp_path / "plan"))
    with pytest.raises(GstnInvalidRequest, match="columns: 'Supplier' leads to 'gstin'"):
        run(str(tmp_path / "a.csv"), output_path=str(tmp_path / "plan"), columns={"Supplier": "gstin"})


def test_an_output_that_cannot_be_written_now_may_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(GstnStorageUnavailable, match="cannot be written now: there is no room left") as caught:
        run(str(json_lines(tmp_path / "a.jsonl", rows(1))), output_path=str(tmp_path / "plan"))
    assert not isinstance(caught.value, AirflowFailException)


def test_an_output_that_can_never_be_written_is_not_tried_again(tmp_path: Path):
    (tmp_path / "plan").touch()
    with pytest.raises(GstnInvalidRequest, match="no request of it is to be sent") as caught:
        run(str(json_lines(tmp_path / "a.jsonl", rows(1))), output_path=str(tmp_path / "plan"))
    assert isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize("path", ["no-such-scheme://bucket/plan", "", "None"])
def test_an_output_that_is_no_place_is_named(tmp_path: Path, path: str):
    with pytest.raises(GstnInvalidRequest, match="^output_path .*") as caught:
        run(str(json_lines(tmp_path / "a.jsonl", rows(1))), output_path=path)
    assert caught.value.place == "output_path"


@pytest.mark.parametrize("flag", ["strict_gstin", "allow_no_action"])
def test_a_mistyped_flag_is_not_taken_for_no(tmp_path: Path, flag: str):
    source = str(json_lines(tmp_path / "a.jsonl", rows(1)))
    with pytest.raises(GstnInvalidRequest, match=f"^{flag} is 'ture'; it takes true or false"):
        run(source, output_path=str(tmp_path / "plan"), **{flag: "ture"})
    assert run(source, output_path=str(tmp_path / "plan"), **{flag: "True"})


def test_a_full_temporary_directory_may_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(self: Appender) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Appender, "load", full)
    with pytest.raises(GstnTransientError, match="TMPDIR"):
        run(str(json_lines(tmp_path / "a.jsonl", rows(1))), output_path=str(tmp_path / "plan"))


def test_counts_that_do_not_add_up_are_never_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def lossy(*arguments: Any, **options: Any) -> Iterator[Chunk]:
        for body, documents in packed(*arguments, **options):
            yield Chunk(body, documents - 1)

    monkeypatch.setattr(planner, "packed", lossy)
    with pytest.raises(GstnPermanentError, match="please report it"):
        run(str(json_lines(tmp_path / "a.jsonl", rows(3))), output_path=str(tmp_path / "plan"))
    assert not (tmp_path / "plan" / "plan.json").exists()
