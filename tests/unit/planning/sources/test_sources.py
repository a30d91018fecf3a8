"""What is read from each kind of file, and what is said of a broken one."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sqlite3
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.planning.errors import PlanError, RowsRejected
from airflow_provider_ims.planning.sources import json_rows, text_lines
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.files import file_source
from airflow_provider_ims.planning.sources.rows import Unreadable
from airflow_provider_ims.planning.sources.sql_rows import Query
from airflow_provider_ims.tables.errors import FileUnavailable, FileUnusable
from tests.unit.builders import RTIN, SECTIONS
from tests.unit.planning.builders import chunks, csv_file, json_lines, plan_of, reasons, rejects, row, rows


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "plan"


def read(path: Path, columns: dict[str, str | None] | None = None, file_format: str | None = None) -> list[Any]:
    return list(file_source(ObjectStoragePath(str(path)), Columns(columns), file_format).rows())


def problem(path: Path, columns: dict[str, str | None] | None = None, file_format: str | None = None) -> str:
    with pytest.raises(FileUnusable) as caught:
        read(path, columns, file_format)
    assert str(path) in str(caught.value)
    return str(caught.value)


def parquet_file(path: Path, lines: list[dict[str, Any]], **options: Any) -> Path:
    import pyarrow
    from pyarrow import parquet

    names = list(dict.fromkeys(name for line in lines for name in line))
    parquet.write_table(pyarrow.table({name: [line.get(name) for line in lines] for name in names}), path, **options)
    return path


def mixed() -> list[dict[str, Any]]:
    """A row of each section, amounts as decimals of two places."""
    return [{**row(section), "val": Decimal("1180.50"), "txval": Decimal("1000.00")} for section in SECTIONS]


def as_json(line: dict[str, Any]) -> str:
    return json.dumps(line, default=float).replace("1180.5", "1180.50").replace("1000.0,", "1000.00,")


def test_every_kind_of_source_gives_the_same_request(tmp_path: Path, output: Path):
    texts = [as_json(line) for line in mixed()]
    (tmp_path / "a.json").write_text(f"[{', '.join(texts)}]")
    (tmp_path / "b.jsonl").write_text("\n".join(texts))
    csv_file(tmp_path / "c.csv", mixed())
    decimals = [
        {name: Decimal(value) if isinstance(value, int) else value for name, value in line.items()} for line in mixed()
    ]
    parquet_file(tmp_path / "d.parquet", [{**line, "iamt": Decimal(180)} for line in decimals])
    (tmp_path / "e.csv.gz").write_bytes(gzip.compress((tmp_path / "c.csv").read_bytes()))
    bodies = set()
    for path in sorted(tmp_path.glob("?.*")):
        plan_of(output, path)
        bodies |= {ResetPayload.parse(body).body().replace(b".00,", b",") for body in chunks(output).values()}
    assert len(bodies) == 1


def test_a_format_can_be_named(tmp_path: Path):
    json_lines(tmp_path / "documents.txt", [row()])
    assert read(tmp_path / "documents.txt", file_format="jsonl") == [(1, row())]
    assert "give file_format as one of json, jsonl" in problem(tmp_path / "documents.txt")


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv", "a.parquet"])
def test_a_file_of_no_bytes_is_an_error(tmp_path: Path, name: str):
    (tmp_path / name).touch()
    assert "is empty, not even a heading" in problem(tmp_path / name)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv", "a.parquet", "a.csv.gz"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str):
    assert "is no file that this worker can read: it is not there (FileNotFoundError" in problem(tmp_path / name)


def test_a_scheme_that_nothing_can_read_is_named():
    with pytest.raises((FileUnusable, ValueError), match="ftpx|read"):
        list(file_source(ObjectStoragePath("ftpx://x/a.csv"), Columns()).rows())


def test_storage_that_fails_is_worth_another_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: Any, **options: Any) -> Any:
        raise TimeoutError("the storage does not answer")

    source = file_source(ObjectStoragePath(str(json_lines(tmp_path / "a.jsonl", [row()]))), Columns())
    monkeypatch.setattr(AbstractFileSystem, "open", fail)
    with pytest.raises(FileUnavailable, match="Try again later"):
        list(source.rows())


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.json", "a.csv.gz", "a.parquet"])
def test_a_store_that_goes_away_while_it_is_read_is_worth_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    class ReadTimeoutError(Exception):
        """As botocore's, which is no OSError."""

    class Away(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            raise ReadTimeoutError("no answer")

    monkeypatch.setattr(AbstractFileSystem, "open", lambda *arguments, **options: Away())
    told = rf"(?s){name} cannot be read now: .*ReadTimeoutError.*Nothing was planned"
    with pytest.raises(FileUnavailable, match=told):
        list(file_source(ObjectStoragePath(str(tmp_path / name)), Columns()).rows())


def test_half_a_gzip_file_is_named(tmp_path: Path):
    data = gzip.compress(json.dumps(row()).encode() * 50)
    for broken in (data[:-20], b"no gzip"):
        (tmp_path / "a.jsonl.gz").write_bytes(broken)
        assert "is not a whole gzip file" in problem(tmp_path / "a.jsonl.gz")


# JSON lines


def test_json_lines_are_numbered_as_an_editor_does(tmp_path: Path, output: Path):
    json_lines(tmp_path / "a.jsonl", ["\ufeff" + json.dumps(row()), "", "  " + json.dumps(row(inum="2")), "{", "[1]"])
    plan_of(output, tmp_path / "a.jsonl", on_invalid="skip")
    assert reasons(output) == [("a.jsonl line 4", ""), ("a.jsonl line 5", "")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"rtin": ', "one JSON object a line"),
        (json.dumps(row()) + "]", "Extra data"),
        ("17", "a JSON object with fields"),
        ('"text"', "a JSON object with fields"),
        ("null", "a JSON object with fields"),
        (json.dumps(row())[:-1] + ', "pos": "24"}', "each key once"),
        (json.dumps(row()).replace("1180", "1" * 5000), "one JSON object a line"),
        ("[" * 100_000, "one JSON object a line"),
    ],
)
def test_a_broken_json_line_is_rejected(tmp_path: Path, line: str, said: str):
    [(_, good), (number, found)] = read(json_lines(tmp_path / "a.jsonl", [row(), line]))
    assert good == row()
    assert number == 2
    assert isinstance(found, Unreadable)
    assert said in found.rule


def test_an_array_that_is_called_lines_is_told_at_once(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text(json.dumps([row()], indent=1))
    assert 'file_format="json"' in problem(tmp_path / "a.jsonl")


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_byte_that_is_not_utf8_rejects_its_line(tmp_path: Path, output: Path, end: bytes):
    lines = [json.dumps(line).encode() for line in rows(4)]
    lines[2] = lines[2].replace(b"b2b-2", b"caf\xe9")
    (tmp_path / "a.jsonl").write_bytes(end.join(lines))
    assert plan_of(output, tmp_path / "a.jsonl", on_invalid="skip").documents == 3
    [line] = rejects(output)
    assert line["place"] == "a.jsonl line 3"
    assert f"byte {lines[2].index(0xE9) + 1} of the line is 0xe9" in line["reason"]


def test_lines_do_not_depend_on_the_blocks_in_which_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = json_lines(tmp_path / "a.jsonl", [*rows(5), "", *rows(5, "ecom")])
    expected = read(path)
    for size in (1, 2, 7, 100, 1000):
        monkeypatch.setattr(text_lines, "_BLOCK", size)
        assert read(path) == expected


def test_a_line_without_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text_lines, "_BLOCK", 100)
    monkeypatch.setattr(text_lines, "_LONGEST", 1000)
    assert "a line of more than 1,000 bytes" in problem(json_lines(tmp_path / "a.jsonl", ["x" * 5000]))


# JSON array


def test_a_json_array_is_read_a_piece_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    items = [*rows(3), 17, -2.5, "text", None, True, [], row("ecom", inum="ä")]
    (tmp_path / "a.json").write_text("\ufeff " + json.dumps(items, indent=2, ensure_ascii=False) + "\n")
    expected = read(tmp_path / "a.json")
    assert [number for number, _ in expected] == list(range(1, 11))
    assert [isinstance(found, Unreadable) for _, found in expected] == [not isinstance(item, dict) for item in items]
    for size in (1, 2, 3, 50, 700):
        monkeypatch.setattr(json_rows, "_BLOCK", size)
        assert read(tmp_path / "a.json") == expected


def test_amounts_of_a_json_file_stay_as_they_are_written(tmp_path: Path):
    (tmp_path / "a.json").write_text(f"[{json.dumps(row(val=0.25)).replace('0.25', '1000.50')}]")
    [(_, found)] = read(tmp_path / "a.json")
    assert found["val"].as_tuple() == Decimal("1000.50").as_tuple()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "is not a JSON array of rows"),
        (json.dumps(row()), 'file_format="jsonl"'),
        ("[", "in item 1"),
        ("[{}", "after item 1"),
        ("[{} {}]", "after item 1"),
        ("[{},]", "in item 2"),
        ('[{"a": ]', "in item 1"),
        ("[] []", "after the end of the array"),
        ('[{"a": "never closed}]', "in item 1"),
        ("   ", "is empty"),
    ],
)
def test_a_broken_json_array_is_an_error(tmp_path: Path, text: str, said: str):
    (tmp_path / "a.json").write_text(text)
    assert said in problem(tmp_path / "a.json", columns={"a": None})


@pytest.mark.parametrize(
    "text", ["root:s3cret", "[root:s3cret]", '[{"a": root:s3cret}]', "[{} root:s3cret]", "[] s3cret"]
)
def test_an_error_about_a_broken_json_array_never_quotes_the_file(tmp_path: Path, text: str):
    (tmp_path / "a.json").write_text(text)
    assert "s3cret" not in problem(tmp_path / "a.json")


def test_a_repeated_key_in_an_array_rejects_its_item(tmp_path: Path, output: Path):
    twice = json.dumps(row(inum="9"))[:-1] + ', "pos": "24"}'
    (tmp_path / "a.json").write_text(f"[{json.dumps(row())}, {twice}]")
    plan_of(output, tmp_path / "a.json", on_invalid="skip")
    assert reasons(output) == [("a.json item 2", "")]


def test_an_array_that_is_not_utf8_is_an_error(tmp_path: Path):
    (tmp_path / "a.json").write_bytes(json.dumps([row()]).encode("utf-16"))
    assert "is not UTF-8 text" in problem(tmp_path / "a.json")


def test_an_item_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(json_rows, "_LARGEST_ITEM", 1000)
    monkeypatch.setattr(json_rows, "_BLOCK", 100)
    (tmp_path / "a.json").write_text('[{"a": "' + "x" * 100_000)
    assert "in item 1" in problem(tmp_path / "a.json")


# CSV


def test_cells_of_a_csv_file_are_text_and_empty_ones_are_nothing(tmp_path: Path):
    path = csv_file(tmp_path / "a.csv", [row("b2ba"), row("ecom")])
    [(first, amended), (second, ecom)] = read(path)
    assert (first, second) == (2, 3)
    assert amended == {name: str(value) for name, value in row("b2ba").items()}
    assert ecom == {name: str(value) for name, value in row("ecom").items()}


def test_a_mark_before_the_header_and_windows_line_ends_are_no_fault(tmp_path: Path):
    path = csv_file(tmp_path / "a.csv", [row()])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    assert len(read(path)) == 1


def test_a_missing_column_is_one_error_and_not_a_million_rejects(tmp_path: Path):
    lines = [{name: value for name, value in line.items() if name != "rtin"} for line in rows(3)]
    said = problem(csv_file(tmp_path / "a.csv", lines))
    assert "has no column for rtin, which every row needs" in said
    assert 'columns={"the name": "rtin"}' in said


def test_a_column_that_the_first_row_s_section_needs_is_one_error(tmp_path: Path):
    lines = [{name: value for name, value in line.items() if name != "inv_typ"} for line in rows(3)]
    assert "has no column for inv_typ, which section b2b needs" in problem(csv_file(tmp_path / "a.csv", lines))


def test_a_column_that_only_a_later_row_s_section_needs_rejects_that_row(tmp_path: Path, output: Path):
    header = list(row())
    path = csv_file(tmp_path / "a.csv", [row(), {**row(inum="2"), "section": "b2ba"}], header)
    plan_of(output, path, on_invalid="skip")
    assert reasons(output) == [("a.csv line 3", "oinum"), ("a.csv line 3", "oidt")]


def test_an_unknown_column_is_an_error_with_its_remedy(tmp_path: Path):
    path = csv_file(tmp_path / "a.csv", [row(**{"hash": "x", "Vendor Name": "y"})])
    said = problem(path)
    assert "hash, Vendor Name" in said
    assert 'columns={"hash": None}' in said
    assert len(read(path, {"hash": None, "Vendor Name": None})) == 1


def test_columns_give_the_user_s_names(tmp_path: Path):
    names: dict[str, str | None] = {"Supplier GSTIN": "stin", "Doc No": "inum", "Note": None}
    given = {next((name for name, field in names.items() if field == key), key): value for key, value in row().items()}
    expected = {name: str(value) for name, value in row().items()}
    [(_, found)] = read(csv_file(tmp_path / "a.csv", [{**given, "Note": "x"}]), names)
    assert found == expected
    [(_, found)] = read(json_lines(tmp_path / "a.jsonl", [{**given, "Note": "x"}]), names)
    assert found == row()


def test_columns_that_lead_nowhere_are_an_error(tmp_path: Path):
    with pytest.raises(PlanError, match="columns: 'Supplier' leads to 'gstin'"):
        Columns({"Supplier": "gstin"})
    with pytest.raises(PlanError, match="several columns lead to stin"):
        Columns({"A": "stin", "B": "stin"})
    said = problem(csv_file(tmp_path / "a.csv", [row()]), {"Supplier": "stin"})
    assert "has no column Supplier, which columns names" in said


def test_two_columns_for_one_field_are_an_error(tmp_path: Path):
    path = csv_file(tmp_path / "a.csv", [row(Supplier="x")])
    assert "has several columns for stin" in problem(path, {"Supplier": "stin"})
    [(_, found)] = read(json_lines(tmp_path / "a.jsonl", [row(Supplier="x")]), {"Supplier": "stin"})
    assert isinstance(found, Unreadable)


def test_an_unknown_key_of_the_first_json_row_is_an_error(tmp_path: Path, output: Path):
    assert 'columns={"hash": None}' in problem(json_lines(tmp_path / "a.jsonl", [row(hash="x")]))
    plan_of(output, json_lines(tmp_path / "a.jsonl", [row(), row(inum="2", hash="x")]), on_invalid="skip")
    assert reasons(output) == [("a.jsonl line 2", "hash")]


@pytest.mark.parametrize("cells", [["x"], [*map(str, row().values()), "more"]])
def test_a_row_with_too_few_or_too_many_cells_is_rejected(tmp_path: Path, output: Path, cells: list[str]):
    with csv_file(tmp_path / "a.csv", [row()]).open("a", newline="") as file:
        csv.writer(file).writerow(cells)
    plan_of(output, tmp_path / "a.csv", on_invalid="skip")
    [line] = rejects(output)
    assert line["place"] == "a.csv line 3"
    assert "as many cells as the header has columns: 16" in line["reason"]


def test_a_byte_that_is_not_utf8_rejects_its_row_of_a_csv_file(tmp_path: Path, output: Path):
    path = csv_file(tmp_path / "a.csv", [line | {"Note": f"note {line['inum']}"} for line in rows(3)])
    path.write_bytes(path.read_bytes().replace(b"note b2b-1", b"caf\xe9"))
    assert plan_of(output, path, columns={"Note": None}, on_invalid="skip").documents == 2
    [line] = rejects(output)
    assert line["place"] == "a.csv line 3"
    assert "0xe9" in line["reason"]


def test_a_header_that_is_not_utf8_is_an_error(tmp_path: Path):
    path = csv_file(tmp_path / "a.csv", rows(2))
    path.write_bytes(path.read_text().encode("utf-16"))
    assert "the header: UTF-8 text; byte 1 of the line is 0xff" in problem(path)


def test_a_quoted_cell_over_several_lines_is_rejected_with_all_its_lines(tmp_path: Path, output: Path):
    path = csv_file(tmp_path / "a.csv", [line | {"Note": ""} for line in rows(4)])
    lines = path.read_text().splitlines()
    lines[2] += '"oops'
    lines[3] += '"'
    path.write_text("\n".join(lines))
    plan_of(output, path, columns={"Note": None}, on_invalid="skip")
    [line] = rejects(output)
    assert line["place"] == "a.csv line 3"
    assert "a quoted cell runs from line 3 to line 4" in line["reason"]


def test_a_quote_that_is_never_closed_is_an_error(tmp_path: Path):
    path = csv_file(tmp_path / "a.csv", rows(3))
    text = path.read_text().splitlines()
    text[2] = '"' + text[2].replace('"', "")
    path.write_text("\n".join(text))
    assert "line 3: a row begins here that is not valid CSV" in problem(path)


def test_blank_lines_of_a_csv_file_are_no_rows(tmp_path: Path):
    path = csv_file(tmp_path / "a.csv", rows(1))
    path.write_text(path.read_text() + "\n\n")
    assert len(read(path)) == 1


def without_a_filled_cell(folder: Path) -> list[Any]:
    """Sources with three rows, of which the second is the only one with a filled cell."""
    full, names = row(), list(row())
    nothing: list[Any] = [dict.fromkeys(names), dict.fromkeys(names, " \t\xa0"), {}]
    csv_path = csv_file(folder / "quoted.csv", [{}, full, {}], names)
    csv_path.write_text(csv_path.read_text() + '"","  ",\n')  # and a line that is short
    array = folder / "array.json"
    array.write_text(json.dumps([*nothing, full, {name: float("nan") for name in names}]))
    database = folder / "rows.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"CREATE TABLE documents ({', '.join(names)})")
        marks = ", ".join("?" * len(names))
        for each in (nothing[0], nothing[1], full):
            connection.execute(f"INSERT INTO documents VALUES ({marks})", list(each.values()))
        connection.commit()
    return [
        *(file_source(ObjectStoragePath(str(path)), Columns()) for path in (csv_path, array)),
        file_source(ObjectStoragePath(str(json_lines(folder / "a.jsonl", [*nothing, full]))), Columns()),
        Query(lambda: sqlite3.connect(database), "SELECT * FROM documents", Columns()),
    ]


@pytest.mark.parametrize(("which", "number"), [(0, 3), (1, 4), (2, 4), (3, 3)])
def test_a_row_in_which_no_cell_is_filled_is_none(tmp_path: Path, which: int, number: int):
    [(found, fields)] = without_a_filled_cell(tmp_path)[which].rows()
    assert (found, fields["inum"]) == (number, row()["inum"])


def test_a_row_of_which_any_cell_is_filled_is_one(tmp_path: Path, output: Path):
    lines = [*rows(1), {"cess": "0"}, {"trade_name": "x"}]
    plan_of(output, csv_file(tmp_path / "a.csv", lines), on_invalid="skip")
    assert {place for place, _ in reasons(output)} == {"a.csv line 3", "a.csv line 4"}


def test_a_csv_file_may_have_another_delimiter(tmp_path: Path):
    path = csv_file(tmp_path / "a.csv", rows(1))
    path.write_text(path.read_text().replace(",", ";"))
    [(_, found)] = file_source(ObjectStoragePath(str(path)), Columns(), None, ";").rows()
    assert found["section"] == "b2b"


# Parquet


def test_types_of_a_parquet_file_are_taken_as_they_are(tmp_path: Path, output: Path):
    lines = [
        {**row("b2b"), "idt": date(2025, 1, 23), "val": 1180.5, "txval": 1000},
        {**row("b2ba"), "idt": date(2025, 1, 24), "val": 0.1 + 0.2, "txval": 1},
    ]
    plan = plan_of(output, parquet_file(tmp_path / "a.parquet", lines))
    body = chunks(output)[f"{RTIN}/0001.json"]
    assert b'"val":1180.5,"txval":1000,' in body
    assert b'"val":0.30,' in body
    assert b'"idt":"23-01-2025"' in body
    assert plan.conversions == {"dates written as DD-MM-YYYY": 2}


@pytest.mark.parametrize(
    ("field", "value"),
    [("inum", 123), ("pos", 7), ("rtnprd", 112024), ("val", "1180"), ("idt", datetime(2025, 1, 23, 9, 0))],  # noqa: DTZ001
)
def test_a_mixed_up_type_of_a_parquet_file_is_rejected(tmp_path: Path, output: Path, field: str, value: Any):
    with pytest.raises(RowsRejected):
        plan_of(output, parquet_file(tmp_path / "a.parquet", [row(**{field: value})]))
    assert reasons(output) == [("a.parquet row 1", field)]


def test_a_parquet_file_is_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = parquet_file(tmp_path / "a.parquet", rows(50), row_group_size=7)
    monkeypatch.setattr("airflow_provider_ims.tables.database._BATCH", 4)
    assert [number for number, _ in read(path)] == list(range(1, 51))


def test_a_broken_parquet_file_is_named(tmp_path: Path):
    path = parquet_file(tmp_path / "a.parquet", rows(1000))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "is not a whole Parquet file" in problem(path)
    path.write_bytes(data[:4] + bytes(len(data) // 3) + data[len(data) // 3 + 4 :])
    assert "is not a whole Parquet file" in problem(path)


def test_an_error_about_a_parquet_file_never_quotes_it(tmp_path: Path):
    import pyarrow
    from pyarrow import parquet

    latin = pyarrow.array([b"s3cret caf\xe9"], pyarrow.binary()).view(pyarrow.string())
    parquet.write_table(
        pyarrow.table({name: [value] for name, value in row().items()} | {"Note": latin}), tmp_path / "a.parquet"
    )
    said = problem(tmp_path / "a.parquet", columns={"Note": None})
    assert "is not a whole Parquet file" in said
    assert "s3cret" not in said


def test_parquet_needs_no_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = parquet_file(tmp_path / "a.parquet", [row()])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert read(path) == [(1, row())]


# Queries


def database(path: Path, lines: list[dict[str, Any]]) -> Path:
    names = list(dict.fromkeys(name for line in lines for name in line))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE documents ({', '.join(names)})")
        connection.executemany(
            f"INSERT INTO documents VALUES ({', '.join('?' * len(names))})",
            [[line.get(name) for name in names] for line in lines],
        )
        connection.commit()
    return path


def query(path: Path, sql: str, parameters: Any = None, columns: dict[str, str | None] | None = None) -> Query:
    return Query(lambda: sqlite3.connect(path), sql, Columns(columns), parameters)


def test_rows_of_a_query_are_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = database(tmp_path / "x.db", rows(10))
    monkeypatch.setattr("airflow_provider_ims.tables.queries._BATCH", 3)
    found = list(query(path, "SELECT * FROM documents WHERE inum <> ?", ["b2b-3"]).rows())
    assert [number for number, _ in found] == list(range(1, 10))
    assert found[0][1] == row(inum="b2b-0")


def test_columns_of_a_query_in_capitals_are_what_the_database_made_of_them(tmp_path: Path):
    path = database(tmp_path / "x.db", [row()])
    names = ", ".join(f"{name} AS {name.upper()}" for name in row())
    [(_, found)] = query(path, f"SELECT {names} FROM documents").rows()
    assert found == row()


def test_a_query_that_fails_says_why(tmp_path: Path):
    path = database(tmp_path / "x.db", [row()])
    with pytest.raises(FileUnavailable, match="no such table: invoices"):
        list(query(path, "SELECT * FROM invoices").rows())
    with pytest.raises(FileUnusable, match="takes one SELECT"):
        list(query(path, "DELETE FROM documents").rows())


def test_a_query_without_a_column_that_is_needed_says_so(tmp_path: Path):
    with pytest.raises(FileUnusable, match="query: has no column for section, stin"):
        list(query(database(tmp_path / "x.db", [row()]), "SELECT rtin FROM documents").rows())
