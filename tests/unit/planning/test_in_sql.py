"""What the database reads by itself makes the same plan, to the byte, as what Python reads row by row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb  # noqa: TID253
import pytest
from airflow.sdk import ObjectStoragePath
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_ims.models.faults import CountsDisagree
from airflow_provider_ims.planning.documents import Documents
from airflow_provider_ims.planning.errors import RowsRejected
from airflow_provider_ims.planning.output import Output
from airflow_provider_ims.planning.planner import Rules, make_plan
from airflow_provider_ims.planning.sources import csv_rows
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.csv_rows import CsvFile
from airflow_provider_ims.planning.sources.files import file_source
from airflow_provider_ims.planning.sources.parquet_rows import ParquetFile
from airflow_provider_ims.tables.appender import read_lines
from airflow_provider_ims.tables.errors import FileUnusable
from airflow_provider_ims.tables.sql import identifier, literal
from tests.unit.builders import NUMBER_FIELD, RTIN, SECTIONS
from tests.unit.planning.builders import OTHER_RTIN, chunks, csv_file, reasons, row, rows


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "plan"


# Values that somebody has, by mistake or not, beside the valid one of the builders.
ODD: dict[str, Sequence[str]] = {
    "rtin": (OTHER_RTIN, RTIN.lower(), f" {RTIN}", "27AAPFU0939F1Zv", "29aapfu0939f1zr", ""),
    "section": ("B2B", "impg", "", "b2bcn", "ecoma"),
    "stin": ("24AAQCA8719H1Z", "24AAQCA8719H1ZC ", "24aaqca8719h1zc", "24AAQCA8719H1Zc"),
    "rtnprd": ("132023", "12023", "011899", "122099"),
    "srcform": ("r1", "IFF", "R2", ""),
    "pos": ("7", "97", "00", "39"),
    "val": ("1180.5", "1180.50", "01180", "1,180", "1e3", "-1", "-0", "0.125", "9999999999999.99", "1e13", ".5"),
    "cess": ("0.10", "99999999999.99", "100000000000", "1.", "nan", "+5"),
    "prev_status": ("R", "P", "N", "a", ""),
    "number": ("A-1", "a-1", "000", "0-0/1", "A" * 16, "A" * 17, "ä", "A B", "A\tB", "1E+05", "'1", "x\\y"),
    "date": ("2023-01-23", "29-02-2023", "29-02-2024", "31-04-2023", "1-1-2023", "2023-02-30", "2023-01/23",
             "23/01/2023", "23-01-0000", "2024-02-29", "2023-01-23T00:00:00", "23-01-0999", "0023-01-01"),
    "inv_typ": ("DE", "sewp", "CBW", ""),
    "trade_name": ("", "M/s Rao & Co", "राव", "a\tb", "back\\slash", "'", "  ", "\u2028"),
    "book_amount": ("", "12.50", "0", "-3"),
}  # fmt: skip


def each_odd_value() -> list[dict[str, str]]:
    """For each odd value a row that has no other; GSTINs last, since the first row says how one is spelled."""
    lines = []
    for section in ("b2ba", "b2bdna"):
        for name in sorted(usual(section), key="rtin".__eq__):
            for value in ODD.get(kind_of(name), ODD["cess"]):
                lines.append(usual(section) | {NUMBER_FIELD[section]: f"D-{len(lines)}", name: value})
    return [blank(), *lines, blank("\t"), blank("\xa0")]


def blank(cell: str = "") -> dict[str, str]:
    """A row in which no cell is filled, as stands below those that a spreadsheet exports."""
    return {name: cell if name == "inum" else "" for name in ("rtin", "section", "inum", "trade_name")}


def usual(section: str) -> dict[str, str]:
    texts = {name: str(value) for name, value in row(section).items()}
    return texts | {"trade_name": "Rao", "book_amount": "1.5"}


def kind_of(name: str) -> str:
    return "number" if name.endswith("num") else "date" if name.endswith("dt") else name


DOC_TYPES = {f"Type {section}": section for section in SECTIONS} | {"b2b": "b2b", "CREDIT": "b2bcn"}
ERP: dict[str, Any] = {
    "Doc Type": {"section": DOC_TYPES},
    "Status": {"prev_status": {"Accepted": "A", "Rejected": "R", "Pending": "P"}},
    "Bill No": "number",
    "Bill Date": "date",
    "Old No": "original_number",
    "Old Date": "original_date",
    "Supplier": "stin",
    "srcform": {"value": "R1"},
    "Remarks": None,
}


def as_erp(line: Mapping[str, str]) -> dict[str, str]:
    """The same row as somebody's accounting system exports it; what that makes of odd values is odd, too."""
    if not line["section"] and not line.get("stin"):
        return dict.fromkeys(as_erp(usual("b2b")), " ")
    said = {"A": "Accepted", "R": "Rejected", "P": "pending"}
    fields = ("rtin", "rtnprd", "pos", "val", "txval", "iamt", "camt", "samt", "cess", "inv_typ", "book_amount")
    section = line["section"]
    return {
        "Doc Type": {"b2bcn": "CREDIT", "ecom": "type ECOM"}.get(
            section, section if section == "b2b" else f"Type {section}"
        ),
        "Status": said.get(line["prev_status"], line["prev_status"]),
        "Bill No": line.get("inum", line.get("nt_num", "")),
        "Bill Date": line.get("idt", line.get("nt_dt", "")),
        "Old No": line.get("oinum", line.get("ont_num", "whatever")),
        "Old Date": line.get("oidt", line.get("ont_dt", "")),
        "Supplier": line["stin"],
        "Remarks": "none",
        "trade_name": line["trade_name"],
        **{name: line.get(name, "") for name in fields},
    }


def odd_rows(draw: st.DrawFn) -> list[dict[str, str]]:
    lines = []
    for _ in range(draw(st.integers(1, 30))):
        if draw(st.integers(0, 4)) == 0:
            lines.append(blank(draw(st.sampled_from(["", " ", "\xa0\t"]))))
            continue
        section = draw(st.sampled_from(SECTIONS))
        line = usual(section)
        for name in draw(st.lists(st.sampled_from(sorted(line)), max_size=2)):
            line[name] = draw(st.sampled_from(ODD.get(kind_of(name), ODD["cess"])))
        if draw(st.integers(0, 9)) == 0:
            line[draw(st.sampled_from(["oinum", "nt_dt", "inv_typ"]))] = "X"  # of another section, maybe
        lines.append(line)
    return lines


def written(output: Path) -> dict[str, bytes]:
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*") if path.is_file()}


def plan_of(file: Path, output: Path, **columns: Any) -> tuple[dict[str, bytes], str]:
    """Everything that a plan writes, and how it fails if it does."""
    source = file_source(ObjectStoragePath(str(file)), Columns(**columns))
    try:
        make_plan([source], Output(ObjectStoragePath(str(output))), Rules(on_invalid="skip", workbooks=False))
    except (RowsRejected, FileUnusable) as error:
        return written(output), str(error)
    return written(output), ""


def both_ways(monkeypatch: pytest.MonkeyPatch, file: Path, output: Path, **columns: Any) -> None:
    """Plan a file in both ways, and compare."""
    in_sql = plan_of(file, output, **columns)
    for kind in (CsvFile, ParquetFile):
        monkeypatch.setattr(kind, "table", lambda *_: None)
    assert in_sql == plan_of(file, output, **columns)
    monkeypatch.undo()


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(each_odd_value(), "\n", False)
@given(st.composite(odd_rows)(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_a_csv_file_makes_the_same_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, str]], end: str, marked: bool
):
    names = list(dict.fromkeys(name for line in lines for name in line))
    cut = ";"
    text = end.join(cut.join(cells) for cells in [names, *([line.get(name, "") for name in names] for line in lines)])
    file = tmp_path / "a.csv"
    file.write_bytes((b"\xef\xbb\xbf" if marked else b"") + (text + end).encode())
    source = CsvFile(ObjectStoragePath(str(file)), Columns(), cut)
    with monkeypatch.context() as patch:
        patch.setattr("tests.unit.planning.test_in_sql.file_source", lambda *_: source)
        both_ways(patch, file, tmp_path / "plan")


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(each_odd_value(), False)
@example(each_odd_value(), True)
@given(st.composite(odd_rows)(), st.booleans())
def test_a_table_under_the_user_s_own_names_makes_the_same_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, str]], as_parquet: bool
):
    lines = [as_erp(line) for line in lines]
    if as_parquet:
        amounts = dict.fromkeys(("val", "txval", "iamt", "camt", "samt", "cess"), "DOUBLE")
        file = parquet_of(tmp_path / "a.parquet", lines, amounts | {"Bill Date": "DATE", "Old Date": "DATE"})
    else:
        file = csv_file(tmp_path / "a.csv", lines)
    both_ways(monkeypatch, file, tmp_path / "plan", names=ERP)


TYPES = {
    "val": ("DOUBLE", "DECIMAL(18,2)", "DECIMAL(15,4)", "VARCHAR"),
    "cess": ("DOUBLE", "FLOAT", "BIGINT", "DECIMAL(13,2)", "HUGEINT"),
    "idt": ("VARCHAR", "DATE", "TIMESTAMP"),
    "oidt": ("VARCHAR", "DATE"),
    "book_amount": ("VARCHAR", "DOUBLE", "DECIMAL(15,2)", "DECIMAL(38,10)", "INTEGER", "BOOLEAN", "DATE"),
    "trade_name": ("VARCHAR",),
}


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(each_odd_value(), {name: kinds[0] for name, kinds in TYPES.items()})
@example(each_odd_value(), {name: kinds[1 % len(kinds)] for name, kinds in TYPES.items()})
@example(each_odd_value(), {name: kinds[2 % len(kinds)] for name, kinds in TYPES.items()})
@given(st.composite(odd_rows)(), st.fixed_dictionaries({name: st.sampled_from(kinds) for name, kinds in TYPES.items()}))
def test_a_parquet_file_makes_the_same_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, str]], kinds: dict[str, str]
):
    file = parquet_of(tmp_path / "a.parquet", lines, dict.fromkeys(("txval", "iamt", "camt", "samt"), "DOUBLE") | kinds)
    both_ways(monkeypatch, file, tmp_path / "plan")


def parquet_of(path: Path, lines: Sequence[Mapping[str, str]], kinds: Mapping[str, str]) -> Path:
    """Write rows as a Parquet file with columns of these types; what a type does not take is null."""
    names = list(dict.fromkeys(name for line in lines for name in line))
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE t ({', '.join(f'{identifier(name)} VARCHAR' for name in names)})")
        marks = ", ".join("?" * len(names))
        database.executemany(f"INSERT INTO t VALUES ({marks})", [[line.get(name) for name in names] for line in lines])
        cells = (f"try_cast({identifier(name)} AS {kinds.get(name, 'VARCHAR')})" for name in names)
        listed = ", ".join(f"{cell} AS {identifier(name)}" for cell, name in zip(cells, names, strict=True))
        database.execute(f"COPY (SELECT {listed} FROM t) TO {literal(path)}")
    return path


# Which rows and files the database takes


def taken(monkeypatch: pytest.MonkeyPatch, file: Path, output: Path, **columns: Any) -> tuple[int | None, int]:
    """How many rows of a file the database read, and how many of them it left to the model."""
    counts: list[int | None] = []
    left: list[int] = []
    take, misfits = Documents.take, Documents.misfits

    def counting(*arguments: Any, **options: Any) -> int | None:
        counts.append(take(*arguments, **options))
        return counts[-1]

    def noting(*arguments: Any) -> Any:
        for found in misfits(*arguments):
            left.append(found[0])
            yield found

    monkeypatch.setattr(Documents, "take", counting)
    monkeypatch.setattr(Documents, "misfits", noting)
    plan_of(file, output, **columns)
    monkeypatch.undo()
    return (counts or [None])[0], len(left)


def all_sections() -> list[dict[str, Any]]:
    return [line for section in SECTIONS for line in rows(3, section)]


def test_rows_of_every_section_are_taken_from_a_csv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = csv_file(tmp_path / "a.csv", all_sections())
    assert taken(monkeypatch, file, tmp_path / "plan") == (24, 0)


def test_rows_of_every_section_are_taken_from_a_parquet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lines = [{name: str(value) for name, value in line.items()} for line in all_sections()]
    amounts = {"val": "DOUBLE", "txval": "DECIMAL(15,2)", "iamt": "BIGINT", "camt": "FLOAT", "samt": "INTEGER"}
    file = parquet_of(tmp_path / "a.parquet", lines, {**amounts, "cess": "DOUBLE", "idt": "VARCHAR"})
    assert taken(monkeypatch, file, tmp_path / "plan") == (24, 0)


def test_rows_without_a_filled_cell_are_none_and_count_as_none(tmp_path: Path, output: Path):
    lines = [blank(), *rows(1), blank(" "), row(pos="7"), blank()]
    names = list(dict.fromkeys(name for line in lines[1:] for name in line))
    kinds = dict.fromkeys(("val", "txval", "iamt", "camt", "samt", "cess"), "DOUBLE")
    texts = [{name: str(value) for name, value in line.items()} for line in lines[1:]]
    for file, first in (
        (csv_file(tmp_path / "a.csv", lines, names), 1),
        (parquet_of(tmp_path / "a.parquet", [texts[0], dict.fromkeys(names, " "), *texts[1:]], kinds), 0),
    ):
        plan_of(file, output)
        plan = json.loads((output / "plan.json").read_text())
        assert (plan["rows"], plan["documents"], plan["rejected"]) == (2, 1, 1)
        unit = "row" if first == 0 else "line"
        assert reasons(output) == [(f"{file.name} {unit} {4 + first}", "pos")]


def test_the_first_row_that_is_one_says_which_columns_are_needed(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
):
    without = [{name: value for name, value in line.items() if name != "inv_typ"} for line in rows(3)]
    file = csv_file(tmp_path / "a.csv", [blank(), blank(), *without], [*without[0], "trade_name"])
    assert "has no column for inv_typ, which section b2b needs (row 4)" in plan_of(file, output)[1]
    both_ways(monkeypatch, file, output)


def test_dates_in_another_form_are_taken_and_told(tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch):
    file = csv_file(tmp_path / "a.csv", [*rows(3, idt="2023-01-23"), row("b2ba", idt="2023-01-23", oidt="2022-12-31")])
    assert taken(monkeypatch, file, output) == (4, 0)
    assert json.loads((output / "plan.json").read_text())["conversions"] == {
        "dates as YYYY-MM-DD written as DD-MM-YYYY": 5
    }


def test_conversions_are_told_in_one_order(tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch):
    lines = [usual("b2bcn") | {"nt_dt": "2023-01-23"}, usual("b2b") | {"idt": "2023-01-23"}]
    amounts = dict.fromkeys(("val", "txval", "iamt", "camt", "samt", "cess"), "DOUBLE")
    file = parquet_of(tmp_path / "a.parquet", lines, amounts | {"nt_dt": "DATE"})
    both_ways(monkeypatch, file, output)
    assert len(json.loads((output / "plan.json").read_text())["conversions"]) == 2


def test_what_is_carried_is_taken_too(tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch):
    file = csv_file(tmp_path / "a.csv", [line | {"Voucher": f"V/{at}"} for at, line in enumerate(rows(3))])
    assert taken(monkeypatch, file, output, carry="all") == (3, 0)
    carried = (output / RTIN / "0001.carried.jsonl").read_text().splitlines()[1:]
    assert carried == [f'["a.csv line {at + 2}",{{"Voucher":"V/{at}"}}]' for at in range(3)]


def test_rows_under_the_user_s_own_names_are_taken(tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch):
    lines = [usual(section) | {NUMBER_FIELD[section]: section} for section in SECTIONS]
    file = csv_file(tmp_path / "a.csv", [as_erp(line) for line in lines])
    assert taken(monkeypatch, file, output, names=ERP) == (8, 1)  # "type ECOM" is no word that the user has listed so
    [body] = chunks(output).values()
    assert list(json.loads(body)["invdata"]) == list(SECTIONS)


def test_a_word_is_what_it_stands_for_however_it_is_written(tmp_path: Path, output: Path):
    file = csv_file(tmp_path / "a.csv", [row(inum="1"), row(inum="2", prev_status="accepted")])
    plan_of(file, output, names={"prev_status": {"prev_status": {"a": "R", "Accepted": "P"}}})
    [body] = chunks(output).values()
    assert [document["prev_status"] for document in json.loads(body)["invdata"]["b2b"]] == ["R", "P"]


def test_a_word_that_is_not_listed_is_a_value_where_a_section_has_no_such_field(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
):
    file = csv_file(tmp_path / "a.csv", [row(inv_typ="Regular"), row("ecom", inv_typ="Special"), row("ecom", inum="2")])
    names = {"inv_typ": {"inv_typ": {"Regular": "R"}}}
    both_ways(monkeypatch, file, output, names=names)
    assert reasons(output) == [("a.csv line 3", "inv_typ")]


@pytest.mark.parametrize("kind", ["INTEGER", "BOOLEAN"])
def test_words_for_a_column_of_another_type_are_no_broken_file(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    lines = [usual("ecom"), usual("ecom") | {"inum": "2", "inv_typ": "1"}]
    amounts = dict.fromkeys(("val", "txval", "iamt", "camt", "samt", "cess"), "DOUBLE")
    file = parquet_of(tmp_path / "a.parquet", lines, amounts | {"inv_typ": kind})
    both_ways(monkeypatch, file, output, names={"inv_typ": {"inv_typ": {"Regular": "R"}}})
    assert reasons(output) == [("a.parquet row 2", "inv_typ")]


def test_words_for_numbers_are_looked_up_row_by_row(tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch):
    lines = [usual("b2b") | {"prev_status": "1"}]
    amounts = dict.fromkeys(("val", "txval", "iamt", "camt", "samt", "cess"), "DOUBLE")
    file = parquet_of(tmp_path / "a.parquet", lines, amounts | {"prev_status": "INTEGER"})
    names = {"prev_status": {"prev_status": {"1": "A"}}}
    assert taken(monkeypatch, file, output, names=names) == (None, 0)
    assert len(chunks(output)) == 1


def test_a_value_that_a_section_does_not_have_is_a_fault_under_any_names(tmp_path: Path, output: Path):
    file = csv_file(tmp_path / "a.csv", [as_erp(usual("b2b")), as_erp(usual("ecom")) | {"inv_typ": "R"}])
    plan_of(file, output, names=ERP)
    assert reasons(output) == [("a.csv line 3", "inv_typ")]


def test_a_field_that_two_columns_may_be_is_decided_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = csv_file(tmp_path / "a.csv", [line | {"number": line["inum"]} for line in rows(3)])
    assert taken(monkeypatch, file, tmp_path / "plan") == (None, 0)


def test_two_columns_of_one_name_are_carried_as_python_does(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
):
    file = csv_file(tmp_path / "a.csv", [line | {"Note": "1", "note ": "2"} for line in rows(2)])
    file.write_bytes(file.read_bytes().replace(b"note ", b"Note"))
    assert taken(monkeypatch, file, output, carry="all") == (None, 0)
    assert '{"Note":"2"}' in (output / RTIN / "0001.carried.jsonl").read_text()


def test_a_row_that_does_not_fit_is_left_to_the_model_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = csv_file(tmp_path / "a.csv", [*rows(5), row(pos="7"), row(inum="leap", idt="29-02-2024")])
    assert taken(monkeypatch, file, tmp_path / "plan") == (7, 2)


def test_a_column_that_the_first_row_s_section_needs_is_one_error(tmp_path: Path, output: Path):
    without = [{name: value for name, value in line.items() if name != "inv_typ"} for line in rows(3)]
    assert "has no column for inv_typ" in plan_of(csv_file(tmp_path / "a.csv", without), output)[1]
    plan_of(csv_file(tmp_path / "b.csv", [*rows(1, "ecom"), *without]), output)
    assert [place for place, _ in reasons(output)] == [f"b.csv line {line}" for line in (3, 4, 5)]


def test_a_row_that_was_left_to_the_model_is_sent_where_it_stands(tmp_path: Path, output: Path):
    file = csv_file(tmp_path / "a.csv", [row(inum="1"), row(inum="2", idt="29-02-2024"), row(inum="3")])
    plan_of(file, output)
    [body] = chunks(output).values()
    assert [document["inum"] for document in json.loads(body)["invdata"]["b2b"]] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("b2b-1", '"b2b-1"'),
        ("b2b-1,", "b2b-1,,"),
        ("b2b-1", "b2b-1\n"),
        ("b2b-1", "b2b-\r1"),
        ("b2b-1", "b2b-\0001"),
        ("b2b-1", "b2b-\udce9"),
    ],
)
def test_a_file_that_may_be_read_in_several_ways_is_read_row_by_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str
):
    file = csv_file(tmp_path / "a.csv", rows(3))
    file.write_bytes(file.read_text().replace(before, after).encode(errors="surrogateescape"))
    assert taken(monkeypatch, file, tmp_path / "plan") == (None, 0)


def test_a_row_that_the_database_passes_over_is_noticed(tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch):
    file = csv_file(tmp_path / "a.csv", rows(3))
    monkeypatch.setattr(csv_rows, "read_lines", lambda *path, **how: f"(FROM {read_lines(*path, **how)} LIMIT 2)")
    with pytest.raises(CountsDisagree, match=r"a\.csv has 3 rows, and the database has read 2"):
        plan_of(file, output)
    assert not chunks(output)


def test_any_sign_may_stand_between_two_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for cut in "\t|;' \\%^~$@\x1f":
        names = list(row())
        file = tmp_path / "a.csv"
        file.write_text("".join(cut.join(map(str, cells)) + "\n" for cells in (names, row().values())))
        source = CsvFile(ObjectStoragePath(str(file)), Columns(), cut)
        with monkeypatch.context() as patch:
            patch.setattr("tests.unit.planning.test_in_sql.file_source", lambda *_, found=source: found)
            assert taken(patch, file, tmp_path / "plan") == (1, 0)


def test_lines_do_not_depend_on_the_blocks_in_which_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = csv_file(tmp_path / "a.csv", rows(5))
    expected = plan_of(file, tmp_path / "plan")
    for size in (1, 2, 7, 100):
        monkeypatch.setattr("airflow_provider_ims.planning.sources.plain_lines._BLOCK", size)
        assert plan_of(file, tmp_path / "plan") == expected
        assert chunks(tmp_path / "plan")


def test_the_check_digits_of_gstins_are_looked_at_by_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = csv_file(tmp_path / "a.csv", [row(), row(inum="2", rtin=f"{RTIN[:-1]}X")])
    plan = make_plan(
        [file_source(ObjectStoragePath(str(file)), Columns())],
        Output(ObjectStoragePath(str(tmp_path / "plan"))),
        Rules(on_invalid="skip", strict_gstin=True),
    )
    assert (plan.documents, plan.rejected) == (1, 1)
