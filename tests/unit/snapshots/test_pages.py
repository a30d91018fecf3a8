"""Pages of a download become rows: nothing is lost, doubled or guessed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airflow_provider_ims.snapshots.errors import PageUnreadable
from airflow_provider_ims.snapshots.pages import DocumentsTable, Written
from airflow_provider_ims.tables.database import open_database
from airflow_provider_ims.tables.documents import DOCUMENT_COLUMNS
from tests.unit.matching.builders import RTIN, STIN, read

INVOICE = {
    "stin": STIN,
    "inum": "INV/1",
    "idt": "04-10-2026",
    "rtnprd": "102026",
    "srcform": "R1",
    "inv_typ": "R",
    "pos": "27",
    "val": 1180.1,
    "txval": 1000,
    "iamt": 180.1,
    "camt": 0,
    "samt": 0,
    "cess": 0,
    "action": "R",
    "srcfilstatus": "Filed",
    "ispendactblocked": "N",
    "hash": "h1",
}


class Taken:
    """What was taken of some pages, each a section as asked for and what is in the page."""

    def __init__(self, folder: Path, *pages: tuple[str, Any]) -> None:
        with open_database(folder, memory_limit="128MB", threads=1) as database:
            table = DocumentsTable(
                database, folder, gstin=RTIN, snapshot="s1", taken_at=datetime(2026, 11, 16, tzinfo=UTC)
            )
            self.records = 0
            for section, data in pages:
                text = data if isinstance(data, str) else json.dumps(data)
                values = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
                self.records += table.add(section, values, b'{"data":' + text.encode() + b"}")
            self.written: Written = table.write(folder / "documents.parquet")
        self.rows = read(folder / "documents.parquet")


def invoice(number: str = "INV/1", **fields: Any) -> dict[str, Any]:
    return {**INVOICE, "inum": number, **fields}


def test_a_row_has_every_column_and_the_record_as_it_came(tmp_path: Path):
    [row] = Taken(tmp_path, ("b2b", {"b2b": [invoice(tradenm="Acme", newKey={"a": [1, None]}, remarks="x")]})).rows
    assert list(row) == list(DOCUMENT_COLUMNS)
    assert json.loads(row["raw"]) == invoice(tradenm="Acme", newKey={"a": [1, None]}, remarks="x")
    assert (row["val"], row["iamt"], row["txval"]) == (Decimal("1180.10"), Decimal("180.10"), Decimal("1000.00"))
    assert (row["rtin"], row["section"], row["number"], str(row["date"])) == (RTIN, "b2b", "INV/1", "2026-10-04")


@pytest.mark.parametrize(
    "record",
    [
        '{"inum":"1","big":12345678901234567890123456789,"small":0.10000000000000000001,"far":1e30}',
        '{"inum":"1","text":"\\u00fc \\u20b9 \\"quoted\\" \\\\ / \\n","deep":{"a":{"b":[{},[],null,true]}}}',
        '{"inum":"1","Inum":"2","INUM":"3","":"empty","with space":0.10,"with.dot":1.50}',
    ],
)
def test_raw_keeps_every_field_exactly(record: str, tmp_path: Path):
    [row] = Taken(tmp_path, ("b2b", f'{{"b2b":[{record}]}}')).rows
    exact: dict[str, Any] = {"parse_float": Decimal, "parse_int": Decimal}
    assert json.loads(row["raw"], **exact) == json.loads(record, **exact)
    assert row["number"] == "1"


@pytest.mark.parametrize(
    ("section", "key"),
    [("b2b", "b2b"), ("b2b", "B2B"), ("b2bcn", "cn"), ("b2bcn", "b2bcn"), ("b2bdna", "DNA"), ("ecoma", "ecoma")],
)
def test_both_spellings_of_a_section_are_one(section: str, key: str, tmp_path: Path):
    taken = Taken(tmp_path, (section, {key: [invoice()]}), (section, {key: [invoice("INV/2")]}))
    assert {row["section"] for row in taken.rows} == {section}
    assert taken.written.counts == {section: {"R": 2}}


def test_two_spellings_one_page_after_the_other(tmp_path: Path):
    taken = Taken(tmp_path, ("b2bcn", {"cn": [invoice("1")]}), ("b2bcn", {"b2bcn": [invoice("2")]}))
    assert sorted(row["number"] for row in taken.rows) == ["1", "2"]


@pytest.mark.parametrize("number_field", ["nt_num", "inum"])
def test_a_note_has_its_number_under_either_name(number_field: str, tmp_path: Path):
    date_field = {"nt_num": "nt_dt", "inum": "idt"}[number_field]
    record = {"stin": STIN, number_field: "CN/1", date_field: "05-10-2026", "val": 1, "txval": 1, "action": "A"}
    [row] = Taken(tmp_path, ("b2bcn", {"b2bcn": [record]})).rows
    assert (row["number"], str(row["date"])) == ("CN/1", "2026-10-05")


@pytest.mark.parametrize(
    ("said", "read_as"),
    [
        *((word, True) for word in ("Filed", "F", "FILED", True, "Y")),
        *((word, False) for word in ("Not Filed", "SAVED", False, "N", "NF")),
        *((word, None) for word in ("perhaps", None, "")),
    ],
)
def test_filed_as_a_word_a_letter_or_a_boolean(said: Any, read_as: bool | None, tmp_path: Path):
    [row] = Taken(tmp_path, ("b2b", {"b2b": [invoice(srcfilstatus=said)]})).rows
    assert row["filed"] is read_as


@pytest.mark.parametrize(("said", "read_as"), [("Y", True), ("N", False), (True, True), (False, False), ("?", None)])
def test_whether_pending_is_blocked(said: Any, read_as: bool | None, tmp_path: Path):
    [row] = Taken(tmp_path, ("b2b", {"b2b": [invoice(ispendactblocked=said)]})).rows
    assert row["pending_blocked"] is read_as


@pytest.mark.parametrize("page", [{}, {"b2b": []}, {"b2b": None}, {"b2b": {}}, {"gstin": RTIN, "cnt": 0}])
def test_an_empty_section_is_no_rows(page: dict[str, Any], tmp_path: Path):
    taken = Taken(tmp_path, ("b2b", page))
    assert (taken.rows, taken.written) == ([], Written(0, {}, 0, []))


@pytest.mark.parametrize(
    "page",
    [{"b2bcn": [{"inum": "1"}]}, {"b2b": [1]}, {"b2b": "x"}, {"rows": [{"inum": "1"}]}, {"cn": [], "b2ba": [{}]}],
)
def test_a_page_that_may_lose_documents_is_refused(page: dict[str, Any], tmp_path: Path):
    with pytest.raises(PageUnreadable):
        Taken(tmp_path, ("b2b", page))


@pytest.mark.parametrize(
    "page",
    [
        {"gstin": "29AAPFU0939F1ZR", "b2b": [{"inum": "1"}]},
        {"rtin": "29AAPFU0939F1ZR", "b2b": []},
        {"b2b": [{"inum": "1", "rtin": "29AAPFU0939F1ZR"}]},
    ],
)
def test_a_page_of_another_taxpayer_is_refused(page: dict[str, Any], tmp_path: Path):
    with pytest.raises(PageUnreadable, match="is of GSTIN 29AAPFU0939F1ZR"):
        Taken(tmp_path, ("b2b", page))


@pytest.mark.parametrize("count", [5, "5"])
def test_a_page_that_counts_records_and_has_none_is_refused(count: Any, tmp_path: Path):
    with pytest.raises(PageUnreadable, match="holds no record, and its 'cnt' is '5'"):
        Taken(tmp_path, ("b2b", {"b2b": [], "cnt": count}))


@pytest.mark.parametrize("date", ["04-10-26", "04-10-202", "2026-10-04", "04/10/2026", "31-02-2026"])
def test_a_date_in_another_form_is_none(date: str, tmp_path: Path):
    taken = Taken(tmp_path, ("b2b", {"b2b": [invoice(idt=date)]}))
    assert taken.rows[0]["date"] is None
    assert taken.written.warnings[0].startswith("1 documents have a number, date or amount")


@pytest.mark.parametrize("second", ["[{}]", '[{"inum":"2"}]', '[{"inum":"2"},{"inum":"3"}]'])
def test_a_key_that_is_there_twice_is_not_read_by_halves(second: str, tmp_path: Path):
    with pytest.raises(PageUnreadable, match="twice"):
        Taken(tmp_path, ("b2b", f'{{"b2b":[{{"inum":"1"}}], "b2b":{second}}}'))


@pytest.mark.parametrize(
    "text",
    [
        *(b'[{"inum":"\xff"}]', b'[{"inum":"1"', b'[{"inum":1}] []', b'[{"inum":"1"},]', b'[{"inum":"1"},2]'),
        *(b'[{"inum":"\x00"}]', b'[{"inum":"\x01"}]', b'[{"inum":"\n"}]', b'[{"inum":\n"1"}]', b'[{"inum":NaN}]'),
        *(b'[{"inum":01}]', b'[{"inum":tru}]', b'[{"inum":"1"}{"inum":"2"}]', b'[{"inum":"\\ud800\\x"}]'),
    ],
)
def test_text_that_is_no_list_of_records_in_one_line_makes_no_rows(text: bytes, tmp_path: Path):
    with open_database(tmp_path, memory_limit="128MB", threads=1) as database:
        table = DocumentsTable(
            database, tmp_path, gstin=RTIN, snapshot="s1", taken_at=datetime(2026, 11, 16, tzinfo=UTC)
        )
        with pytest.raises(PageUnreadable, match="a page of section b2b"):
            add_and_write(table, text, tmp_path / "documents.parquet")
    assert not (tmp_path / "documents.parquet").exists()


def add_and_write(table: DocumentsTable, text: bytes, target: Path) -> None:
    table.add("b2b", {"b2b": msgspec.Raw(text)}, b"{}")
    table.write(target)


def test_a_section_that_is_named_elsewhere_in_the_page_is_read(tmp_path: Path):
    page = {"b2b": [invoice(note={"b2b": 1})], "cnt": {"b2b": 1, "data": "b2b"}}
    assert len(Taken(tmp_path, ("b2b", page)).rows) == 1


def test_pages_that_overlap_repeat_no_document(tmp_path: Path):
    pages = [[invoice(str(number)) for number in range(first, first + 3)] for first in (1, 3, 5)]
    taken = Taken(tmp_path, *(("b2b", {"b2b": page}) for page in pages))
    assert taken.records == 9
    assert sorted(row["number"] for row in taken.rows) == list("1234567")
    assert (taken.written.documents, taken.written.repeated) == (7, 2)
    assert taken.written.counts == {"b2b": {"R": 7}}
    assert taken.written.warnings == ["2 records came more than once, each the same; one of each was kept."]


def test_records_of_one_document_that_differ_are_both_kept_and_named(tmp_path: Path):
    pages = [("b2b", {"b2b": [invoice(), invoice("INV/2")]}), ("b2b", {"b2b": [invoice(action="A"), invoice()]})]
    taken = Taken(tmp_path, *pages)
    assert sorted((row["number"], row["action"]) for row in taken.rows) == [
        ("INV/1", "A"),
        ("INV/1", "R"),
        ("INV/2", "R"),
    ]
    assert taken.written.repeated == 1
    assert f"b2b INV/1 of {STIN}, 04-10-2026: 2 records at A, R" in taken.written.warnings[1]


@pytest.mark.parametrize(
    "other",
    [{"idt": "05-10-2026"}, {"rtnprd": "092026"}, {"stin": "24AAACB1234C1Z9"}, {"inum": "INV/01"}],
)
def test_what_differs_in_its_identity_is_another_document(other: dict[str, Any], tmp_path: Path):
    taken = Taken(tmp_path, ("b2b", {"b2b": [invoice(), invoice() | other]}))
    assert (taken.written.documents, taken.written.repeated, taken.written.warnings) == (2, 0, [])


def test_what_cannot_be_read_is_counted_and_kept(tmp_path: Path):
    records = [invoice("1", idt="31-02-2026"), invoice("2", val="much"), {**invoice("3"), "inum": None}, invoice("4")]
    taken = Taken(tmp_path, ("b2b", {"b2b": records}))
    assert len(taken.rows) == 4
    assert taken.written.warnings[0].startswith("3 documents have a number, date or amount that is missing")
    assert taken.rows[0]["date"] is None


def test_rows_and_records_stay_side_by_side_over_all_of_a_large_file(tmp_path: Path):
    pages = [
        ("b2b", {"b2b": [invoice(f"{page}/{place}", remarks="x" * (place * 900)) for place in range(1, 41)]})
        for page in range(10)
    ]
    rows = Taken(tmp_path, *pages).rows
    assert [json.loads(row["raw"])["inum"] for row in rows] == [row["number"] for row in rows]
    assert len(rows) == 400


@pytest.mark.parametrize("tax", ["much", ""])
def test_a_tax_that_is_there_and_cannot_be_read_is_told_and_one_that_is_not_there_is_none(tax: str, tmp_path: Path):
    without = {name: value for name, value in invoice("2").items() if name not in {"camt", "cess"}}
    taken = Taken(tmp_path, ("b2b", {"b2b": [invoice("1", camt=tax), without, invoice("3", iamt=None)]}))
    assert taken.written.warnings[0].startswith("1 documents have a number, date or amount that is missing")


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u2003"])
def test_blanks_around_a_text_are_none_of_it(blank: str, tmp_path: Path):
    taken = Taken(tmp_path, ("b2b", {"b2b": [invoice("1" + blank), invoice(blank + "2", hash=blank)]}))
    assert [(row["number"], row["hash"]) for row in taken.rows] == [("1", "h1"), ("2", None)]


def test_sections_one_after_the_other_make_one_table(tmp_path: Path):
    note = {"stin": STIN, "nt_num": "CN/1", "nt_dt": "05-10-2026", "val": 1, "txval": 1, "action": "A"}
    taken = Taken(
        tmp_path, ("b2b", {"b2b": [invoice("1")]}), ("b2bcn", {"cn": [note]}), ("b2b", {"b2b": [invoice("2")]})
    )
    assert sorted((row["section"], row["number"]) for row in taken.rows) == [
        ("b2b", "1"),
        ("b2b", "2"),
        ("b2bcn", "CN/1"),
    ]
