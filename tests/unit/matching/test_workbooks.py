"""What a person has to look at after a match, as workbooks; the way back from a reset to the books."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.matching import BookColumns, BookFile, Options, reconcile
from airflow_provider_ims.matching.errors import MatchError
from airflow_provider_ims.tables.errors import NoRoom
from airflow_provider_ims.workbooks.writer import Workbook
from tests.unit.matching.builders import RTIN, booking, document, read, write_books, write_documents


def matched(folder: Path, books: list[dict[str, Any]], *documents: dict[str, Any], **options: Any) -> dict[str, Any]:
    return reconcile(
        [write_documents(folder / "documents.parquet", documents)],
        [BookFile(write_books(folder / "books.csv", books))],
        ObjectStoragePath(str(folder / "out")),
        columns=options.pop("columns", None),
        options=Options(workbooks=True, **options),
    )


def sheet_of(path: Path) -> list[dict[str, Any]]:
    [sheet] = openpyxl.load_workbook(path).worksheets
    rows = sheet.iter_rows(values_only=True)
    header = next(rows)
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_what_is_to_be_reviewed_is_a_workbook_too(tmp_path: Path):
    books = [booking("INV/1", txval="1500.00", Voucher="0042")]
    matched(tmp_path, books, document("INV/1"), document("=1+1", action="A", iamt="9999999999999.99"))
    first, second = sheet_of(tmp_path / "out" / "review.xlsx")
    assert (first["Document number (inum, nt_num)"], first["Integrated tax (iamt)"]) == ("=1+1", 9999999999999.99)
    assert (second["Match"], second["Books: Voucher"]) == ("mismatch", "0042")
    assert second["Books: Taxable value"] == 1500
    assert second["Books: Document date"].isoformat().startswith("2026-10-04")
    assert second["Why"]
    assert second["Filed by the supplier (filed)"] == "yes"


def test_rejected_rows_of_the_books_are_a_workbook_too(tmp_path: Path):
    matched(tmp_path, [booking("1"), booking("2", txval="about 5")], document("1"), on_invalid="skip")
    [row] = sheet_of(tmp_path / "out" / "rejects.xlsx")
    assert (row["Row in your data"], row["Your column"], row["What stands there"]) == (
        "books.csv line 3",
        "txval",
        "about 5",
    )


def test_a_reset_leads_back_to_the_row_of_the_books(tmp_path: Path):
    matched(tmp_path, [booking("INV/1", id="V-7", **{"Cost centre": "0042"})], document("INV/1"))
    [row] = read(tmp_path / "out" / "resets.parquet")
    found = {name: row[name] for name in ("trade_name", "book_place", "book_id", "book_Cost centre")}
    assert found == {
        "trade_name": "Supplier",
        "book_place": "books.csv line 2",
        "book_id": "V-7",
        "book_Cost centre": "0042",
    }


def test_a_later_match_removes_the_workbooks_of_an_earlier_one(tmp_path: Path):
    matched(tmp_path, [booking("1")], document("1"))
    with pytest.raises(MatchError):
        matched(tmp_path, [booking("1", txval="x")], document("1"))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"rejects.csv", "rejects.xlsx"}


def test_a_disk_without_room_for_a_workbook_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Workbook, "sheet", full)
    with pytest.raises(NoRoom):
        matched(tmp_path, [booking("1")], document("1"))


def test_words_of_a_column_may_stand_for_our_own_gstin(tmp_path: Path):
    books = [{("Plant" if name == "rtin" else name): value for name, value in booking("1").items()}]
    books[0]["Plant"] = " mumbai   PLANT"
    found = matched(tmp_path, books, document("1"), columns={" plant": {"rtin": {"Mumbai Plant": RTIN}}})
    assert found["matches"] == {"matched": 1}


def test_a_word_that_is_not_listed_is_rejected_as_it_stands(tmp_path: Path):
    books = [{("Plant" if name == "rtin" else name): value for name, value in booking("1").items()}]
    books[0]["Plant"] = "Pune"
    with pytest.raises(MatchError, match="Pune"):
        matched(tmp_path, books, document("1"), columns={"Plant": {"rtin": {"Mumbai": RTIN}}})


@pytest.mark.parametrize("field", ["txval", "date", "number", "id"])
def test_amounts_dates_and_numbers_have_no_words(field: str):
    with pytest.raises(MatchError, match="no field with words of its own"):
        BookColumns({"x": {field: {"a": "b"}}})
