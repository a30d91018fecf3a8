"""Workbooks are read back by another library, as a spreadsheet would."""

from __future__ import annotations

import errno
import re
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from airflow_provider_ims.workbooks import writer
from airflow_provider_ims.workbooks.columns import Column, Kind, column_of, columns_of
from airflow_provider_ims.workbooks.writer import Workbook


def written(folder: Path, columns: list[Column], *rows: list[Any], name: str = "Documents") -> Any:
    path = folder / "book.xlsx"
    with Workbook(path) as book:
        sheet = book.sheet(name, columns)
        for row in rows:
            sheet.write(row)
    return openpyxl.load_workbook(path)


def one(folder: Path, kind: Kind, cell: Any) -> Any:
    """The cell as it is read back."""
    return written(folder, [Column("x", kind)], [cell])["Documents"]["A2"]


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.WORDS, Kind.OUTCOME, Kind.ANY])
@pytest.mark.parametrize(
    "text",
    [
        "007",
        "012023",
        "1E5",
        "2-11",
        "12345678901234567890",
        "TRUE",
        " edge ",
        "https://example.test/x",
        "line\ntwo",
        "\u20b9 \U0001f4c4 \u0939\u093f\u0928\u094d\u0926\u0940",
    ],
)
def test_text_stays_what_it_is(tmp_path: Path, kind: Kind, text: str):
    cell = one(tmp_path, kind, text)
    assert (cell.value, cell.data_type, cell.hyperlink) == (text, "s", None)


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x","look")', "+1", "-1", "@SUM(A1)", "\t=1", "{=1}"])
def test_nothing_is_a_formula(tmp_path: Path, text: str):
    cell = one(tmp_path, Kind.ANY, text)
    assert (cell.value, cell.data_type) == (text, "s")
    assert cell.quotePrefix is not text.startswith("{")


def test_text_that_the_writer_takes_for_its_own_xml_is_text(tmp_path: Path):
    assert one(tmp_path, Kind.TEXT, "<r><t>x</t></r></is></c><c><f>1+1</f></c></r>").data_type == "s"
    assert one(tmp_path, Kind.TEXT, "<r>a & b</r>").value == " <r>a & b</r>"


@pytest.mark.parametrize(
    "amount", ["0", "0.10", "18000.00", "9999999999999.99", "1234567890123.45", "9007199254740.99", "-250.05"]
)
def test_an_amount_is_a_number_to_the_paisa(tmp_path: Path, amount: str):
    cell = one(tmp_path, Kind.AMOUNT, Decimal(amount))
    assert cell.data_type == "n"
    assert cell.number_format.endswith("0.00")
    assert Decimal(str(cell.value)).quantize(Decimal("0.01")) == Decimal(amount)
    with zipfile.ZipFile(tmp_path / "book.xlsx") as book:
        [digits] = re.findall(r"<v>([^<]*)</v>", book.read("xl/worksheets/sheet1.xml").decode())
    assert Decimal(digits) == Decimal(amount)


def test_an_amount_as_text_is_a_number_too(tmp_path: Path):
    assert one(tmp_path, Kind.AMOUNT, "118000.50").value == 118000.5


@pytest.mark.parametrize("amount", ["12345678901234.56", "99999999999999.99", "about 5", "NaN", "1,000"])
def test_an_amount_that_a_spreadsheet_cannot_keep_is_text(tmp_path: Path, amount: str):
    cell = one(tmp_path, Kind.AMOUNT, amount)
    assert (cell.value, cell.data_type) == (amount, "s")


@pytest.mark.parametrize("given", ["23-01-2025", date(2025, 1, 23), datetime(2025, 1, 23, tzinfo=UTC)])
def test_a_date_is_a_date(tmp_path: Path, given: Any):
    cell = one(tmp_path, Kind.DATE, given)
    assert cell.is_date
    assert cell.value.isoformat() == "2025-01-23T00:00:00"
    assert cell.number_format == "dd-mm-yyyy"


@pytest.mark.parametrize("given", ["31-02-2025", "soon", "01-01-1850"])
def test_what_is_no_date_of_a_spreadsheet_is_text(tmp_path: Path, given: str):
    assert one(tmp_path, Kind.DATE, given).value == given


@pytest.mark.parametrize(
    ("given", "expected"),
    [(41, 41), (Decimal("1.5"), 1.5), (12345678901234567, "12345678901234567"), (True, "yes"), ("41", "41")],
)
def test_a_column_of_the_user_keeps_its_types(tmp_path: Path, given: Any, expected: Any):
    assert one(tmp_path, Kind.ANY, given).value == expected


def test_the_heading_stays_in_sight_and_filters_all_rows(tmp_path: Path):
    columns = columns_of(["stin", "number", "outcome", "message"])
    rows = [[f"27AAPFU0939F1Z{n}", f"INV-{n}", "reset", "x" * 500] for n in range(3)]
    [sheet] = written(tmp_path, columns, *rows).worksheets
    assert [cell.value for cell in sheet[1]] == [
        "Supplier GSTIN (stin)",
        "Document number (inum, nt_num)",
        "Outcome",
        "Why (error_msg)",
    ]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:D4"
    widths = [sheet.column_dimensions[letter].width for letter in "ABD"]
    assert 17 < widths[0] < 25
    assert widths[2] < 70


def test_a_row_is_as_high_as_its_sentences(tmp_path: Path):
    columns = [Column("Why", Kind.WORDS), Column("x")]
    sheet = written(tmp_path, columns, ["short", "y" * 300], ["word " * 30, ""], [None, ""], ["a\nb", ""])["Documents"]
    assert [sheet.row_dimensions[row].height for row in range(2, 6)] == [None, 45, None, 30]


def test_outcomes_are_coloured_and_told_apart(tmp_path: Path):
    words = ["reset", "refused", "unknown", "not sent", "verified"]
    sheet = written(tmp_path, [Column("Outcome", Kind.OUTCOME)], *([word] for word in words))["Documents"]
    colours = [sheet.cell(row, 1).fill.fgColor.rgb for row in range(2, 7)]
    assert len(set(colours[:4])) == 4
    assert colours[0] == colours[4]


def test_a_full_sheet_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writer, "MOST_ROWS", 3)
    book = written(tmp_path, [Column("n", Kind.COUNT)], *([n] for n in range(7)))
    assert book.sheetnames == ["Documents", "Documents (2)", "Documents (3)"]
    assert [[row[0] for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets] == [
        ["n", 0, 1, 2],
        ["n", 3, 4, 5],
        ["n", 6],
    ]
    assert [sheet.auto_filter.ref for sheet in book.worksheets] == ["A1:A4", "A1:A4", "A1:A2"]


def test_the_limit_is_that_of_a_spreadsheet():
    assert writer.MOST_ROWS == 2**20 - 1


def test_sheets_are_written_side_by_side(tmp_path: Path):
    with Workbook(tmp_path / "book.xlsx") as book:
        first, second = (book.sheet(name, [Column("x")]) for name in ("One", "Two"))
        for n in range(4):
            (first if n % 2 else second).write([str(n)])
    read = openpyxl.load_workbook(tmp_path / "book.xlsx")
    assert [cell.value for cell in read["One"]["A"]] == ["x", "1", "3"]
    assert [cell.value for cell in read["Two"]["A"]] == ["x", "0", "2"]


def test_a_failure_leaves_no_workbook(tmp_path: Path):
    def fails() -> None:
        with Workbook(tmp_path / "book.xlsx") as book:
            book.sheet("One", [Column("x")]).write(["1"])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert not (tmp_path / "book.xlsx").exists()


def test_a_disk_that_is_full_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*arguments: Any, **named: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile, "ZipFile", full)
    monkeypatch.setattr("xlsxwriter.workbook.ZipFile", full)
    with pytest.raises(OSError, match="No space") as caught:
        written(tmp_path, [Column("x")], ["1"])
    assert caught.value.errno == errno.ENOSPC


def test_a_column_of_an_amount_then_and_now_says_both():
    assert column_of("iamt_sent") == Column("Integrated tax, as sent (iamt)", Kind.AMOUNT)
    assert column_of("iamt_now") == Column("Integrated tax, at GSTN now (iamt)", Kind.AMOUNT)
    assert column_of("book_txval") == Column("Books: Taxable value", Kind.AMOUNT)
    assert column_of("Cost centre") == Column("Cost centre", Kind.ANY)
