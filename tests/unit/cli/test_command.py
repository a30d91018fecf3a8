"""``airflow-ims`` as a person at a terminal and a program that reads its JSON use it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb  # noqa: TID253
import pytest
from airflow.cli.cli_config import GroupCommand

from airflow_provider_ims.cli.airflow_commands import commands, run
from airflow_provider_ims.cli.main import main
from airflow_provider_ims.tables.documents import DOCUMENT_COLUMNS

EXAMPLES = Path(__file__).parents[3] / "example_dags"
REQUEST = EXAMPLES / "ims_reset_sample.json"
ROWS = EXAMPLES / "ims_bulk_sample.csv"
RTIN = "27AAPFU0939F1ZV"


@pytest.fixture
def ims(capsys: pytest.CaptureFixture[str]) -> Any:
    def of(*words: object) -> tuple[int, dict[str, Any]]:
        code = main([*map(str, words), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return of


def changed(path: Path, *changes: tuple[str, str], source: Path = ROWS) -> Path:
    text = source.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text)
    return path


def test_a_right_request_is_told_with_its_totals(ims: Any):
    code, found = ims("check", REQUEST)
    assert (code, found["valid"], found["documents"]) == (0, True, 8)
    assert found["sections"]["b2ba"] == {
        **{"documents": 1, "txval": "1000.10", "iamt": "20.00"},
        **{"camt": "20.00", "samt": "20.00", "cess": "0.00"},
    }
    assert found["periods"] == ["012023"]


def test_every_fault_of_a_request_is_told_at_its_place(ims: Any, tmp_path: Path):
    request = changed(tmp_path / "r.json", ('"A"', '"X"'), ('"R1"', '"R9"'), source=REQUEST)
    code, found = ims("check", request, "--faults", "100")
    assert (code, found["valid"]) == (1, False)
    places = {fault["place"] for fault in found["faults"]}
    assert {"invdata.b2b[0].prev_status", "invdata.b2b[0].srcform"} <= places
    assert "documents" not in found


def test_a_request_above_what_the_service_takes_is_no_good(ims: Any, tmp_path: Path):
    request = json.loads(REQUEST.read_text())
    [document] = request["invdata"]["b2b"]
    request["invdata"]["b2b"] = [{**document, "inum": f"B{number}"} for number in range(21_000)]
    (tmp_path / "large.json").write_text(json.dumps(request))
    code, found = ims("check", tmp_path / "large.json")
    assert code == 1
    assert "make a plan" in found["faults"][0]["rule"]


def test_rows_are_checked_without_writing_anything(ims: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    code, found = ims("check", ROWS)
    assert (code, found["rows"], found["documents"], found["rejected"]) == (0, 16, 16, 0)
    assert [entry["rtin"] for entry in found["gstins"]] == ["20MAYAS0100J1ZX", "27MAYAS0100J1ZX"]
    assert found["sections"]["ecoma"]["documents"] == 2
    assert list(tmp_path.iterdir()) == []


def test_wrong_rows_are_told_with_their_lines_and_the_right_ones_counted(ims: Any, tmp_path: Path):
    rows = changed(tmp_path / "rows.csv", ("b1,23-01-2023", "b1,23/01/2023"))
    code, found = ims("check", rows)
    assert (code, found["valid"], found["rejected"], found["documents"]) == (1, False, 2, 14)
    assert found["faults"][0]["place"] == "rows.csv line 2: idt"
    assert found["faults"][0]["value"] == "23/01/2023"


def test_no_row_is_right(ims: Any, tmp_path: Path):
    rows = changed(tmp_path / "rows.csv", ("012023", "132023"))
    code, found = ims("check", rows, "--faults", "3")
    assert (code, found["valid"], found["documents"]) == (1, False, 0)
    assert len(found["faults"]) == 3
    assert found["more_faults"] == 13


def test_columns_are_named_one_by_one_or_in_a_file(ims: Any, tmp_path: Path):
    rows = changed(tmp_path / "rows.csv", ("rtin,section", "Our GSTIN,section"), ("prev_status", "Status"))
    assert ims("check", rows)[0] == 2
    assert ims("check", rows, "--column", "Our GSTIN=rtin", "--column", "Status=prev_status")[0] == 0
    (tmp_path / "columns.json").write_text('{"Our GSTIN": "rtin", "Status": null}')
    columns = ("--columns", tmp_path / "columns.json")
    code, found = ims("check", rows, *columns)
    assert code == 2
    assert "prev_status" in found["error"]
    assert ims("check", rows, *columns, "--column", "Status=prev_status")[0] == 0


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [("empty.csv", "", "is empty"), ("rows.xyz", "a", "no format"), ("broken.json", "[{", "broken.json")],
)
def test_a_file_that_is_not_what_it_must_be_is_named(ims: Any, tmp_path: Path, name: str, content: str, says: str):
    (tmp_path / name).write_text(content)
    code, found = ims("check", tmp_path / name)
    assert (code, says in found["error"]) == (2, True)


def test_a_missing_file_is_named(ims: Any, tmp_path: Path):
    for name in ("gone.csv", "gone.json", "gone.parquet"):
        code, found = ims("check", tmp_path / name)
        assert code == 2
        assert name in found["error"]


def test_a_plan_is_what_the_operator_writes(ims: Any, tmp_path: Path):
    code, found = ims("plan", ROWS, "--output", tmp_path / "plan", "--max-documents", "5")
    assert code == 0
    plan = json.loads((tmp_path / "plan" / "plan.json").read_text())
    assert found["documents"] == plan["documents"] == 16
    assert [entry["requests"] for entry in found["gstins"]] == [2, 2]
    sent = [Path(chunk["path"]).read_bytes() for entry in plan["gstins"] for chunk in entry["chunks"]]
    assert [len(json.loads(body)["invdata"]) for body in sent] == [5, 3, 5, 3]


def test_a_plan_with_wrong_rows_fails_whole_or_skips_them(ims: Any, tmp_path: Path):
    rows = changed(tmp_path / "rows.csv", ("b1,23-01-2023", "b1,23/01/2023"))
    code, found = ims("plan", rows, "--output", tmp_path / "plan")
    assert (code, "2 of 16 rows are rejected" in found["error"]) == (1, True)
    assert not (tmp_path / "plan" / "plan.json").exists()
    code, found = ims("plan", rows, "--output", tmp_path / "plan", "--on-invalid", "skip")
    assert (code, found["documents"], found["rejected"]) == (1, 14, 2)
    assert (tmp_path / "plan" / "plan.json").exists()


def snapshot(folder: Path, *documents: dict[str, Any], gstin: str = RTIN) -> Path:
    folder.mkdir()
    (folder / "documents.jsonl").write_text("\n".join(map(json.dumps, documents)))
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in DOCUMENT_COLUMNS.items())
    with duckdb.connect() as database:
        database.execute(
            f"COPY (SELECT * FROM read_json('{folder}/documents.jsonl', format='newline_delimited',"
            f" columns={{{columns}}})) TO '{folder}/documents.parquet' (FORMAT parquet)"
        )
    head = {
        **{"snapshot": "s1", "gstin": gstin, "complete": True, "documents": len(documents), "counts": {}},
        **{"taken_at": "2026-10-16T09:00:00Z", "finished_at": "2026-10-16T09:01:00Z", "sections": []},
    }
    (folder / "snapshot.json").write_text(json.dumps(head))
    return folder


DOCUMENT = {
    **{"rtin": RTIN, "section": "b2b", "stin": "29AAACB1234C1Z5", "trade_name": "Supplier", "number": "INV/1"},
    **{"date": "2026-10-04", "inv_typ": "R", "pos": "27", "val": "1180.00", "txval": "1000.00", "iamt": "180.00"},
    **{"camt": "0.00", "samt": "0.00", "cess": "0.00", "srcform": "R1", "rtnprd": "102026", "action": "R"},
    **{"filed": True, "pending_blocked": False, "raw": "{}", "taken_at": "2026-10-16T09:00:00Z", "snapshot": "s1"},
}
BOOKS = (
    "rtin,stin,kind,number,date,txval,iamt,camt,samt,cess\n"
    f"{RTIN},29AAACB1234C1Z5,INV,inv-1,2026-10-04,1000,180,0,0,0\n"
)


def test_snapshots_are_matched_with_the_books_without_airflow(ims: Any, tmp_path: Path):
    taken = snapshot(tmp_path / "snapshot", DOCUMENT)
    (tmp_path / "books.csv").write_text(BOOKS)
    words = ("reconcile", "--snapshot", taken, "--books", tmp_path / "books.csv", "--output", tmp_path / "out")
    code, found = ims(*words)
    assert code == 2
    assert "old" in found["error"]
    code, found = ims(*words, "--max-age", "1000000")
    assert (code, found["decisions"], found["matches"]) == (0, {"reset": 1}, {"matched": 1})
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"resets.parquet", "reconciliation.json"}
    code, found = ims("check", tmp_path / "out" / "resets.parquet")
    assert (code, found["documents"]) == (0, 1)


def test_how_the_company_files_decides_what_is_said_of_the_due_date(
    ims: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 11, 19, 12, tzinfo=UTC)

    monkeypatch.setattr("airflow_provider_ims.cli._reconcile.datetime", Clock)
    (tmp_path / "books.csv").write_text(BOOKS)
    (tmp_path / "moved.json").write_text(
        '{"overrides": {"102026": {"draft_2b": "2026-11-20", "due_3b": "2026-11-25"}}}'
    )
    (tmp_path / "wrong.json").write_text('{"overrides": {"102026": {"due": "2026-11-25"}}}')
    taken = snapshot(tmp_path / "snapshot", DOCUMENT)
    words = ("reconcile", "--snapshot", taken, "--books", tmp_path / "books.csv", "--output", tmp_path / "out")
    words += ("--max-age", "1000000")
    _, found = ims(*words)
    assert "GSTR-3B of October 2026 is due tomorrow, on 20 November 2026" in found["notes"][0]
    _, found = ims(*words, "--filing", "quarterly")
    assert (found["decisions"], found["notes"]) == ({"reset": 1}, [])
    _, found = ims(*words, "--calendar", tmp_path / "moved.json")
    assert (found["decisions"], found["notes"]) == ({"reset": 1}, [])
    code, found = ims(*words, "--calendar", tmp_path / "moved.json", "--filing", "quarterly")
    assert (code, found["notes"]) == (0, [])
    code, found = ims(*words, "--calendar", tmp_path / "wrong.json")
    assert code == 2
    assert "wrong.json: 102026: 'due' is no date of a period" in found["error"]


def test_a_table_of_decisions_is_read_from_a_file(ims: Any, tmp_path: Path):
    taken = snapshot(tmp_path / "snapshot", DOCUMENT)
    (tmp_path / "books.csv").write_text(BOOKS)
    (tmp_path / "decisions.csv").write_text("\ufeffmatch,action,decision\nmatched,R,review\n", encoding="utf-8")
    words = ("reconcile", "--snapshot", taken, "--books", tmp_path / "books.csv", "--max-age", "1000000")
    code, found = ims(*words, "--output", tmp_path / "out", "--decisions", tmp_path / "decisions.csv")
    assert (code, found["decisions"]) == (0, {"review": 1})
    code, found = ims(*words, "--output", tmp_path / "out", "--decisions", tmp_path / "nowhere.csv")
    assert code == 2
    assert f"{tmp_path / 'nowhere.csv'} cannot be read: it is not there" in found["error"]


@pytest.mark.parametrize("words", [["--replay"], ["a", "--gstin", RTIN, "--yes", "--reset"]])
def test_a_file_of_the_doctor_that_is_not_there_is_named(ims: Any, tmp_path: Path, words: list[str]):
    code, found = ims("doctor", *words, tmp_path / "nowhere")
    assert code == 2
    assert f"{tmp_path / 'nowhere'} cannot be read: it is not there" in found["error"]


def test_what_a_person_sees_is_a_table_and_a_number_to_end_with(capsys: pytest.CaptureFixture[str]):
    assert main(["check", str(ROWS)]) == 0
    told = capsys.readouterr().out
    assert "14,201.00" in told
    assert "27MAYAS0100J1ZX" in told


def test_nothing_of_airflow_is_loaded_and_the_script_is_installed(tmp_path: Path):
    program = (
        "import sys; from airflow_provider_ims.cli.main import main;"
        f" code = main(['check', {str(ROWS)!r}]); code += main(['plan', {str(ROWS)!r}, '--output', {str(tmp_path)!r}]);"
        " print(code, 'airflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.splitlines()[-1] == "0 False"
    script = Path(sys.executable).with_name("airflow-ims")
    done = subprocess.run([script, "check", REQUEST, "--json"], capture_output=True, text=True, check=True)  # noqa: S603
    assert json.loads(done.stdout)["documents"] == 8


def test_airflows_own_command_line_has_the_same_commands(capsys: pytest.CaptureFixture[str]):
    [group] = commands()
    assert isinstance(group, GroupCommand)
    assert [command.name for command in group.subcommands] == ["check", "plan", "reconcile", "doctor"]
    parser = argparse.ArgumentParser()
    added = parser.add_subparsers(dest="subcommand").add_parser("check")
    for argument in next(iter(group.subcommands)).args:
        argument.add_to_parser(added)
    with pytest.raises(SystemExit) as ended:
        run(parser.parse_args(["check", str(REQUEST), "--json"]))
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["valid"] is True


def test_the_simulator_is_a_command_too(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    assert "airflow-ims simulate" in capsys.readouterr().out
