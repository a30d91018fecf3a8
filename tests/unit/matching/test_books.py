"""What books may look like, what of them is rejected and why."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import duckdb  # noqa: TID253
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.matching import BookColumns, BookFile, BookQuery, MatchError, Options, RowsRejected, reconcile
from airflow_provider_ims.matching.sources import Books
from airflow_provider_ims.tables.errors import FileUnavailable, FileUnusable
from tests.unit.matching.builders import (
    BOOKS_HEADER,
    OTHER,
    RTIN,
    STIN,
    Result,
    booking,
    document,
    matched,
    write_books,
    write_documents,
)

ERP = {
    "Our GSTIN": "rtin",
    "Vendor GSTIN": "stin",
    "Type": {"kind": {"RE": "invoice", "KG": "credit note"}},
    "Bill No.": "number",
    "Bill Date": "date",
    "Taxable": "txval",
    "IGST": "iamt",
    "CGST": "camt",
    "SGST": "samt",
    "Cess": "cess",
    "Voucher": "id",
    "Internal": None,
}


def read_books(folder: Path, books: Books, columns: Any = None, **options: Any) -> Result:
    snapshot = write_documents(folder / "documents.parquet", [document()])
    out = ObjectStoragePath(str(folder / "out"))
    return Result(reconcile([snapshot], [books], out, columns=columns, options=Options(**options)), folder / "out")


def text_file(folder: Path, text: str | bytes, name: str = "books.csv", **options: Any) -> BookFile:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return BookFile(ObjectStoragePath(str(path)), **options)


def csv_text(*rows: dict[str, Any], delimiter: str = ",") -> str:
    return "\n".join(delimiter.join(map(str, row)) for row in [BOOKS_HEADER, *(list(row.values()) for row in rows)])


def test_an_erps_columns_words_and_spellings(tmp_path: Path):
    text = (
        "Our GSTIN;Vendor GSTIN;Type;Bill No.;Bill Date;Taxable;IGST;CGST;SGST;Cess;Voucher;Internal"
        ";Cost Centre;number\n"
        f"{RTIN.lower()}; {STIN} ;re;INV/1;13.10.2026;1,00,000.50;18,000.00;;-;0;V1;x;North;9\n"
        f"{RTIN};{STIN};KG;CN/1;04-Oct-2026;(1000.00);180.00-;;;;V2;x;South;9\n"
    )
    found = read_books(tmp_path, text_file(tmp_path, text), ERP)
    one, other = [row for row in found.rows if row["book_place"]]
    assert (one["book_kind"], one["book_number"], str(one["book_date"])) == ("invoice", "INV/1", "2026-10-13")
    assert [str(one[f"book_{name}"]) for name in ("txval", "iamt", "camt", "samt")] == [
        "100000.50",
        "18000.00",
        "0.00",
        "0.00",
    ]
    assert (other["book_kind"], str(other["book_txval"]), str(other["book_iamt"])) == (
        "credit note",
        "1000.00",
        "180.00",
    )
    assert (one["book_id"], one["book_place"], one["book_Cost Centre"]) == ("V1", "books.csv line 2", "North")
    assert one["book_number_2"] == "9"
    assert "book_Internal" not in one


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1180.5", "1180.50"),
        ("1,180.50", "1180.50"),
        ("1,00,00,000", "10000000.00"),
        ("₹ 1,180.50", "1180.50"),
        ("Rs.1180/-", "1180.00"),
        ("1180.005", "1180.01"),
        ("+5", "5.00"),
        (".5", "0.50"),
        ("-", "0.00"),
        ("1.4551915228366852e-11", "0.00"),
        ("1E+05", None),
        ("1e5", None),
        ("1_000", None),
        ("1180,50", None),
        ("12,34", None),
        ("99999999999999999", None),
        ("nan", None),
        ("abc", None),
    ],
)
def test_amounts(written: str, read: str | None, tmp_path: Path):
    found = matched(tmp_path, [document()], [booking("OK"), booking("INV/2", txval=written)], on_invalid="skip")
    amounts = [str(row["book_txval"]) for row in found.rows if row["book_number"] == "INV/2"]
    assert amounts == ([read] if read else [])
    assert [(row["place"], row["column"], row["value"]) for row in found.rejects] == (
        [] if read else [("books.csv line 3", "txval", written)]
    )


@pytest.mark.parametrize(
    ("dates", "read"),
    [
        (["2026-10-04", "04-10-2026", "4/10/2026", "13/10/2026"], ["2026-10-04"] * 3 + ["2026-10-13"]),
        (["04-Oct-2026", "4 October 26", "20261004", "2026-10-04 09:30:00"], ["2026-10-04"] * 4),
        (["10/13/2026", "10/04/2026"], ["2026-10-13", "2026-10-04"]),
        (["04.10.2026", "05/05/2026"], ["2026-10-04", "2026-05-05"]),
    ],
)
def test_dates_that_can_be_read_one_way(dates: list[str], read: list[str], tmp_path: Path):
    books = [booking(f"N{place}", date=day) for place, day in enumerate(dates)]
    found = matched(tmp_path, [document()], books)
    assert [str(row["book_date"]) for row in found.rows if row["book_place"]] == read


@pytest.mark.parametrize(
    ("day", "others", "words"),
    [
        ("04/10/2026", [], "one way only"),
        ("04/10/2026", ["13/10/2026", "10/13/2026"], "one way only"),
        ("31-02-2026", [], "a real date"),
        ("46299", [], "day number"),
        ("2016-10-04", [], "from 2017-07-01 on"),
        ("04-Okt-2026", [], "a real date"),
        ("", [], "a real date"),
    ],
)
def test_dates_that_cannot(day: str, others: list[str], words: str, tmp_path: Path):
    books = [booking("N", date=day), *(booking(f"N{other}", date=other) for other in others), booking("OK")]
    found = matched(tmp_path, [document()], books, on_invalid="skip")
    [reject] = found.rejects
    assert (reject["number"], reject["column"], reject["value"]) == ("N", "date", day)
    assert words in reject["reason"]


def test_the_user_says_which_comes_first(tmp_path: Path):
    for order, day in [("DMY", "2026-10-04"), ("MDY", "2026-04-10")]:
        found = matched(tmp_path, [document()], [booking("N", date="04/10/2026")], date_order=order)
        assert [str(row["book_date"]) for row in found.rows if row["book_place"]] == [day]


@pytest.mark.parametrize(
    ("fields", "column", "words"),
    [
        ({"rtin": OTHER}, "rtin", "a GSTIN of this snapshot"),
        ({"rtin": "27AAPF"}, "rtin", "15 characters"),
        ({"stin": ""}, "stin", "cannot be in IMS"),
        ({"kind": "journal"}, "kind", "credit note"),
        ({"kind": ""}, "kind", "credit note"),
        ({"number": ""}, "number", "as text"),
        ({"number": "1E+05"}, "number", "has lost it"),
        ({"txval": ""}, "txval", "empty"),
        ({"txval": "-5"}, "txval", "credit note"),
        ({"kind": "cn", "iamt": "-5"}, "txval", "one sign"),
    ],
)
def test_a_row_that_cannot_be_read_is_rejected_with_its_reason(
    fields: dict[str, str], column: str, words: str, tmp_path: Path
):
    found = matched(tmp_path, [document()], [booking("OK"), booking(**{"number": "BAD", **fields})], on_invalid="skip")
    [reject] = found.rejects
    assert (reject["place"], reject["column"]) == ("books.csv line 3", column)
    assert words in reject["reason"]
    assert found.summary["rejected"] == 1


def test_rejects_stop_everything_unless_the_user_says_otherwise(tmp_path: Path):
    with pytest.raises(RowsRejected, match="1 of 2 rows") as caught:
        matched(tmp_path, [document()], [booking("OK"), booking("BAD", txval="x")])
    assert caught.value.faults[0].place == "books.csv line 3: txval"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["rejects.csv"]
    with pytest.raises(RowsRejected, match="1 of 1 row of"):
        matched(tmp_path, [document()], [booking("BAD", txval="x")], on_invalid="skip")


def test_a_booking_that_is_taken_back_is_no_booking(tmp_path: Path):
    back = {"txval": "-1000.00", "iamt": "(180.00)"}
    books = [booking("INV/1", id="1"), booking("INV/2", id="2"), booking("inv/1", id="3", **back)]
    found = matched(tmp_path, [document("INV/1"), document("INV/2")], books, on_invalid="skip")
    assert [(row["number"], row["match"], row["decision"]) for row in found.rows] == [
        ("INV/1", "only_in_ims", "keep"),
        ("INV/2", "matched", "reset"),
    ]
    assert [row["place"] for row in found.rejects] == ["books.csv line 2", "books.csv line 4"]
    assert "another row has it with a negative amount" in found.rejects[0]["reason"]
    assert (found.summary["rejected"], found.summary["book_rows"]) == (2, 1)


def test_a_booking_that_another_file_takes_back(tmp_path: Path):
    snapshot = write_documents(tmp_path / "documents.parquet", [document()])
    sources = [
        text_file(tmp_path, csv_text(booking()), "april.csv"),
        text_file(tmp_path, csv_text(booking(txval="-1000.00", iamt="-180.00")), "may.csv"),
    ]
    with pytest.raises(RowsRejected, match="2 of 2 rows"):
        reconcile([snapshot], sources, ObjectStoragePath(str(tmp_path / "out")), options=Options(on_invalid="skip"))


def test_rows_of_other_gstins_are_left_out_if_the_user_says_so(tmp_path: Path):
    books = [booking(), booking("X", rtin=OTHER), booking("Y", rtin=OTHER, txval="unreadable")]
    found = matched(tmp_path, [document()], books, other_gstins="leave_out")
    assert (found.summary["left_out"], found.summary["rejected"], found.summary["book_rows"]) == (2, 0, 1)
    assert found.summary["warnings"] == ["2 rows of the books are of other GSTINs and were left out"]


def test_books_of_another_period_are_told_with_the_dates_of_both(tmp_path: Path):
    documents = [document("1"), document("2", date="2026-10-30")]
    [told] = matched(tmp_path, documents, [booking("1", date="2025-01-04")]).summary["warnings"]
    assert "documents are of 04-10-2026 to 30-10-2026, the books of 04-01-2025 to 04-01-2025" in told
    assert matched(tmp_path, documents, [booking("1")]).summary["warnings"] == []


def test_lines_that_are_no_rows_are_rejected_and_the_others_keep_their_numbers(tmp_path: Path):
    good = [booking(f"N{place}") for place in range(3)]
    lines = csv_text(*good).split("\n")
    lines[2:2] = ["too,few"]
    lines[4:4] = [lines[1] + ",too many"]
    found = read_books(tmp_path, text_file(tmp_path, "\n".join(lines)), on_invalid="skip")
    assert [row["place"] for row in found.rejects] == ["books.csv line 3", "books.csv line 5"]
    assert [row["book_place"] for row in found.rows if row["book_place"]] == [f"books.csv line {n}" for n in (2, 4, 6)]


def test_rows_in_which_no_cell_is_filled_are_none(tmp_path: Path):
    text = csv_text(*(booking(f"N{place}") for place in range(3)), booking("Wrong", date="x"))
    header, first, *others = text.split("\n")
    short, quoted = ",,", '"",""," "' + "," * 7
    lines = [header, "," * 9, first, " ,\t," + "," * 7, short, "\xa0", *others[:-1], quoted, others[-1], "," * 9, ""]
    found = read_books(tmp_path, text_file(tmp_path, "\n".join(lines)), on_invalid="skip")
    assert [row["place"] for row in found.rejects] == ["books.csv line 10"]
    assert [row["book_place"] for row in found.rows if row["book_place"]] == [f"books.csv line {n}" for n in (3, 7, 8)]
    assert (found.summary["book_rows"], found.summary["rejected"]) == (3, 1)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("number", ["N", '"N, quoted"'])
def test_empty_lines_are_counted_though_they_are_no_rows(end: str, number: str, tmp_path: Path):
    header, *rows = csv_text(*(booking(number.replace("N", f"N{place}")) for place in range(3))).split("\n")
    text = end.join([header, "", rows[0], "", "", rows[1], "too,few", "", rows[2], "", ""])
    found = read_books(tmp_path, text_file(tmp_path, text), on_invalid="skip")
    assert [row["place"] for row in found.rejects] == ["books.csv line 7"]
    assert [row["book_place"] for row in found.rows if row["book_place"]] == [f"books.csv line {n}" for n in (3, 6, 9)]


def test_an_empty_line_of_a_cell_with_several_stays_in_it(tmp_path: Path):
    text = csv_text(booking() | {"Narration": '"one\n\ntwo"'}, booking("X") | {"Narration": ""}).replace(
        "cess", "cess,Narration"
    )
    found = read_books(tmp_path, text_file(tmp_path, text + "\n\n"))
    assert found.of("INV/1")["book_Narration"] == "one\n\ntwo"


def test_nothing_in_any_cell_is_nothing_in_other_files_too(tmp_path: Path):
    full = booking() | {"txval": 1000.0, "note": None}
    nothing: list[dict[str, Any]] = [dict.fromkeys(full), dict.fromkeys(full, " "), {}]
    array = text_file(tmp_path, json.dumps([*nothing, full]), "books.json")
    parquet = tmp_path / "books.parquet"
    rows = text_file(tmp_path, json.dumps(full) + "\n" + json.dumps(nothing[0]), "books.jsonl")
    duckdb.execute(
        f"COPY (SELECT * REPLACE (coalesce(txval, 'nan'::DOUBLE) AS txval)"
        f" FROM '{rows.path}' ORDER BY number NULLS FIRST) TO '{parquet}'"
    )
    for source, place in (
        (array, "books.json item 4"),
        (BookFile(ObjectStoragePath(str(parquet))), "books.parquet row 2"),
    ):
        found = read_books(tmp_path, source)
        assert (found.of("INV/1")["book_place"], found.summary["rejected"]) == (place, 0)


@pytest.mark.parametrize("cell", ["x", "0"])
def test_a_row_of_the_books_with_one_filled_cell_is_one(cell: str, tmp_path: Path):
    text = csv_text(booking()) + "\n" + "," * 9 + cell
    assert read_books(tmp_path, text_file(tmp_path, text), on_invalid="skip").summary["rejected"] == 1


def test_books_of_rows_in_which_nothing_is_filled_are_empty(tmp_path: Path):
    with pytest.raises(FileUnusable, match="no rows"):
        read_books(tmp_path, text_file(tmp_path, csv_text() + "\n" + "," * 9))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding: str, tmp_path: Path):
    text = csv_text(booking() | {"Name": "Café"}).replace("cess", "cess,Name")
    found = read_books(tmp_path, text_file(tmp_path, text.encode(encoding)))
    assert found.of("INV/1")["book_Name"] == "Café"
    assert bool(found.summary["warnings"]) == (encoding == "cp1252")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(delimiter: str, tmp_path: Path):
    found = read_books(tmp_path, text_file(tmp_path, csv_text(booking(), delimiter=delimiter)))
    assert found.of("INV/1")["match"] == "matched"


def test_lines_that_several_programs_have_ended(tmp_path: Path):
    header, *rows = csv_text(*(booking(f"N{place}") for place in range(4))).split("\n")
    ends = ("\r\n", "\n", "\r\r\n", "\r\n", "\n")
    text = "".join(line + end for line, end in zip([header, *rows], ends, strict=True))
    found = read_books(tmp_path, text_file(tmp_path, text))
    assert sorted(row["book_number"] for row in found.rows if row["book_number"]) == ["N0", "N1", "N2", "N3"]
    assert [row["book_place"] for row in found.rows if row["book_number"] == "N3"] == ["books.csv line 5"]


def test_json_json_lines_gzip_and_parquet_give_the_same(tmp_path: Path):
    row: dict[str, Any] = booking() | {"txval": 1000.0, "iamt": 180, "note": {"a": 1}}
    files = [
        text_file(tmp_path, json.dumps([row, row | {"number": "X"}]), "books.json"),
        text_file(tmp_path, json.dumps(row) + "\n" + json.dumps(row | {"number": "X"}), "books.jsonl"),
        text_file(tmp_path, gzip.compress((json.dumps(row) + "\n").encode()), "packed.jsonl.gz"),
    ]
    path = tmp_path / "books.parquet"
    duckdb.execute(
        f"COPY (SELECT * REPLACE (date::DATE AS date, txval::DOUBLE AS txval, iamt::DECIMAL(18,2) AS iamt)"
        f" FROM '{tmp_path}/books.jsonl') TO '{path}'"
    )
    for source in [*files, BookFile(ObjectStoragePath(str(path)))]:
        row = read_books(tmp_path, source).of("INV/1")
        assert (row["match"], row["rule"]) == ("matched", "number_date_amounts"), source


def test_a_query(tmp_path: Path):
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:")
        connection.execute(f"CREATE TABLE books ({', '.join(BOOKS_HEADER)})")
        connection.execute(f"INSERT INTO books VALUES ({', '.join('?' * 10)})", list(booking(txval=1000.0).values()))
        return connection

    sql = "SELECT * FROM books WHERE rtin = ?"
    row = read_books(tmp_path, BookQuery(connect, sql, [RTIN])).of("INV/1")
    assert (row["match"], row["book_place"]) == ("matched", "query row 1")
    with pytest.raises(FileUnavailable, match="no such column"):
        read_books(tmp_path, BookQuery(connect, "SELECT wrong FROM books"))


def test_several_sources_with_different_columns(tmp_path: Path):
    first = BookFile(write_books(tmp_path / "a.csv", [booking("INV/1")]))
    second = BookFile(write_books(tmp_path / "b.csv", [booking("INV/1", Ledger="L")]))
    snapshot = write_documents(tmp_path / "documents.parquet", [document()])
    reconcile([snapshot], [first, second], ObjectStoragePath(str(tmp_path / "out")))
    found = Result({}, tmp_path / "out")
    assert {(row["book_place"], row["book_Ledger"]) for row in found.rows} == {
        (None, None),
        ("a.csv line 2", None),
        ("b.csv line 2", "L"),
    }


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "books.csv", "is empty"),
        (b"PK\x03\x04rest", "books.csv", "Excel workbook"),
        (b"<html><table>", "books.csv", "HTML"),
        (b"one column\nvalue\n", "books.csv", "delimiter"),
        (b"rtin,stin\na,b\n", "books.csv", "no column for kind"),
        (b"rtin,rtin,stin\na,b,c\n", "books.csv", "several columns for rtin"),
        (csv_text(booking()).replace("INV/1", '"INV/1').encode(), "books.csv", "never closed"),
        (b"[1, 2]", "books.json", "no objects"),
        (b'[{"a": 1}, ', "books.json", "not a whole file"),
        (b"no parquet", "books.parquet", "not a whole file"),
        (b"x", "books.xlsx", "no format that is known"),
        (csv_text().encode(), "books.csv", "no rows at all"),
    ],
)
def test_a_file_that_is_not_what_it_is_called_says_so(content: bytes, name: str, words: str, tmp_path: Path):
    with pytest.raises(FileUnusable, match=words):
        read_books(tmp_path, text_file(tmp_path, content, name))
    with pytest.raises(FileUnusable, match="no file that this worker can read"):
        read_books(tmp_path, BookFile(ObjectStoragePath(str(tmp_path / "none.csv"))))


def test_fixed_values_stand_for_columns_that_are_not_there(tmp_path: Path):
    row = {name: value for name, value in booking().items() if name not in {"rtin", "kind", "cess"}}
    columns = {"rtin": {"value": RTIN}, "kind": {"value": "Invoice"}, "cess": {"value": "0"}}
    found = matched(tmp_path, [document()], [row], columns=columns)
    assert found.of("INV/1")["match"] == "matched"


def test_all_that_is_wrong_with_the_columns_is_told_at_once():
    with pytest.raises(MatchError) as caught:
        BookColumns({"A": "stin", "B": "stin", "C": "gstin", "kind": {"kind": {"x": "journal"}}, "D": {"value": 1}})
    for words in ("several columns lead to stin", "'gstin'", "'journal'", "'D'"):
        assert words in str(caught.value)


def test_empty_books_are_taken_if_the_user_says_so(tmp_path: Path):
    found = read_books(tmp_path, text_file(tmp_path, csv_text()), allow_empty_books=True)
    assert found.summary["matches"] == {"only_in_ims": 1}


@pytest.mark.parametrize("columns", [None, {"Party GSTIN": "stin"}])
def test_a_file_of_which_no_column_is_known_says_what_to_do(columns: Any, tmp_path: Path):
    path = tmp_path / "books.csv"
    path.write_text("Purchase register,of,2026\n1,2,3\n")
    held = write_documents(tmp_path / "documents.parquet", [document()])
    books = BookFile(ObjectStoragePath(str(path)))
    with pytest.raises(FileUnusable, match="is the file's first line its heading") as told:
        reconcile([held], [books], ObjectStoragePath(str(tmp_path / "out")), columns=columns)
    assert "columns={" in str(told.value)
