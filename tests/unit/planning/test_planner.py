"""A plan: every row in exactly one place, requests as full as they may be, and never a part of one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.models.faults import CountsDisagree
from airflow_provider_ims.models.payload import MAX_BODY_BYTES
from airflow_provider_ims.planning import planner
from airflow_provider_ims.planning.errors import PlanError, RowsRejected
from airflow_provider_ims.planning.packing import Chunk, packed, size_alone
from airflow_provider_ims.planning.planner import Rules
from airflow_provider_ims.storage import CannotWrite
from airflow_provider_ims.tables import appender, database
from airflow_provider_ims.tables.errors import FileUnusable, NoRoom
from tests.unit.builders import RTIN, SECTIONS, document
from tests.unit.planning.builders import (
    OTHER_RTIN,
    chunks,
    csv_file,
    everything,
    json_lines,
    plan_of,
    reasons,
    rejects,
    row,
    rows,
)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "plan"


def sections_of(body: bytes) -> dict[str, int]:
    return ResetPayload.parse(body).counts()


# What is planned


def test_a_request_is_what_the_model_writes(tmp_path: Path, output: Path):
    plan = plan_of(output, json_lines(tmp_path / "a.jsonl", [row(section) for section in reversed(SECTIONS)]))
    [(path, body)] = chunks(output).items()
    assert path == f"{RTIN}/0001.json"
    assert ResetPayload.parse(body).body() == body
    assert list(json.loads(body)["invdata"]) == list(SECTIONS)
    [entry] = plan.gstins
    assert entry.model_dump(mode="json") == {
        "rtin": RTIN,
        "documents": 8,
        "bytes": len(body),
        "chunks": [
            {
                "path": str(output / path),
                "documents": 8,
                "bytes": len(body),
                "sha256": hashlib.sha256(body).hexdigest(),
            }
        ],
    }


def test_the_plan_on_disk_says_what_was_returned(tmp_path: Path, output: Path):
    plan = plan_of(output, json_lines(tmp_path / "a.jsonl", [row(), row(rtin=OTHER_RTIN, idt="2025-01-23")]))
    written = json.loads((output / "plan.json").read_text())
    assert written["gstins"] == [each.model_dump(mode="json") for each in plan.gstins]
    assert [entry.rtin for entry in plan.gstins] == [RTIN, OTHER_RTIN]
    assert (written["rows"], written["documents"], written["rejected"]) == (2, 2, 0)
    assert sum(written["conversions"].values()) == 1
    assert everything(output) == {"plan.json", "rejects.csv", f"{RTIN}/0001.json", f"{OTHER_RTIN}/0001.json"}


def test_several_files_make_one_plan_in_their_order(tmp_path: Path, output: Path):
    lines = json_lines(tmp_path / "a.jsonl", [row(inum="B")])
    table = csv_file(tmp_path / "b.csv", [row(inum="A"), row("ecom")])
    plan = plan_of(output, lines, table)
    body = json.loads(chunks(output)[f"{RTIN}/0001.json"])
    assert [entry["inum"] for entry in body["invdata"]["b2b"]] == ["B", "A"]
    assert plan.rows == plan.documents == 3


def test_a_request_is_filled_to_the_last_byte(tmp_path: Path, output: Path):
    source = json_lines(tmp_path / "a.jsonl", rows(20))
    three = len(ResetPayload.parse(_request(rows(3))).body())
    plan_of(output, source, max_bytes=three)
    assert [sections_of(body)["b2b"] for body in chunks(output).values()][:3] == [3, 3, 3]
    assert max(map(len, chunks(output).values())) == three
    plan_of(output, source, max_bytes=three - 1)
    assert {sections_of(body)["b2b"] for body in chunks(output).values()} == {2}


def _request(lines: list[dict[str, Any]]) -> dict[str, Any]:
    documents = [{name: value for name, value in line.items() if name not in {"rtin", "section"}} for line in lines]
    return {"rtin": RTIN, "reqtyp": "RESET", "invdata": {"b2b": documents}}


def test_a_request_has_no_more_documents_than_wanted(tmp_path: Path, output: Path):
    plan_of(output, json_lines(tmp_path / "a.jsonl", [*rows(5), *rows(2, "ecom")]), max_documents=3)
    assert [sections_of(body) for body in chunks(output).values()] == [{"b2b": 3}, {"b2b": 2, "ecom": 1}, {"ecom": 1}]


def test_the_service_s_limit_is_the_default_and_the_most():
    assert Rules().max_bytes == MAX_BODY_BYTES == 4_000_000
    for wrong in ({"max_bytes": MAX_BODY_BYTES + 1}, {"max_bytes": 0}, {"max_documents": 0}, {"on_invalid": "warn"}):
        with pytest.raises(PlanError):
            Rules(**wrong)  # type: ignore[arg-type]


many = st.lists(
    st.tuples(st.sampled_from(SECTIONS), st.sampled_from([RTIN, OTHER_RTIN]), st.integers(0, 8), st.booleans()),
    min_size=1,
    max_size=30,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(many, st.integers(220, 1500), st.one_of(st.none(), st.integers(1, 4)))
def test_every_row_ends_in_exactly_one_place(
    tmp_path: Path, picks: list[Any], max_bytes: int, max_documents: int | None
):
    """Rows of all kinds, some of them twice, some broken, some too large for the limit."""
    source = json_lines(
        tmp_path / "a.jsonl",
        [
            row(section, rtin, **{"inum" if "inum" in document(section) else "nt_num": f"X{number}"}, val=number)
            | ({"pos": "99"} if broken else {})
            for section, rtin, number, broken in picks
        ],
    )
    rules = {"on_invalid": "skip", "max_bytes": max_bytes, "max_documents": max_documents}
    first, second = tmp_path / "first", tmp_path / "second"
    try:
        plan = plan_of(first, source, **rules)
    except RowsRejected:
        assert {line["place"] for line in rejects(first)} == {f"a.jsonl line {n + 1}" for n in range(len(picks))}
        assert everything(first) == {"rejects.csv"}
        return
    bodies = chunks(first)
    assert all(ResetPayload.parse(body).body() == body for body in bodies.values())
    assert all(len(body) <= max_bytes for body in bodies.values())
    sent = sum(ResetPayload.parse(body).count() for body in bodies.values())
    rejected = {line["place"] for line in rejects(first)}
    assert max_documents is None or all(ResetPayload.parse(body).count() <= max_documents for body in bodies.values())
    assert sent == plan.documents == sum(entry.documents for entry in plan.gstins)
    assert sent + len(rejected) == plan.rows == len(picks)
    assert {str(first / path) for path in bodies} == {each.path for e in plan.gstins for each in e.chunks}
    plan_of(second, source, **rules)
    assert chunks(second) == bodies


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(SECTIONS), st.integers(1, 60)), min_size=1), st.integers(160, 600))
def test_the_next_document_would_not_have_fitted(sizes: list[tuple[str, int]], max_bytes: int):
    documents = sorted(((section, "x" * size) for section, size in sizes), key=lambda pair: SECTIONS.index(pair[0]))
    found = list(packed(RTIN, documents, max_bytes=max_bytes))
    assert sum(chunk.documents for chunk in found) == len(documents)
    begun = 0
    for chunk in found:
        here = documents[begun : begun + chunk.documents]
        begun += chunk.documents
        assert len(chunk.body) <= max_bytes
        if begun < len(documents):
            [more] = packed(RTIN, [*here, documents[begun]], max_bytes=10**9)
            assert len(more.body) > max_bytes


def test_the_size_of_a_document_alone_is_that_of_its_request():
    [chunk] = packed(RTIN, [("b2b", "x" * 50)], max_bytes=1000)
    assert size_alone("b2b", "x" * 50) == len(chunk.body)


# Memory: the same with little of it


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appender, "_HELD", 3)
    monkeypatch.setattr(database, "_BATCH", 2)


@pytest.mark.usefixtures("tight")
def test_what_does_not_fit_in_memory_makes_the_same_plan(tmp_path: Path, output: Path):
    lines = [*rows(10), *rows(10, rtin=OTHER_RTIN), *rows(7), *rows(5, "b2bcn"), row(inum="b2b-9", val=3)]
    plan = plan_of(output, json_lines(tmp_path / "a.jsonl", lines), on_invalid="skip")
    assert plan.documents == 10 + 9 + 5
    assert plan.rejected == 7 + 2


# Rejects


def test_by_default_one_bad_row_means_that_nothing_is_planned(tmp_path: Path, output: Path):
    source = json_lines(tmp_path / "a.jsonl", [row(), row(inum="2", pos="7", idt="1/2/2025")])
    with pytest.raises(RowsRejected) as caught:
        plan_of(output, source)
    assert everything(output) == {"rejects.csv"}
    assert str(caught.value).startswith("1 of 2 rows are rejected; nothing was planned.")
    assert str(output / "rejects.csv") in str(caught.value)
    assert "\na.jsonl line 2, b2b 2:\n  pos: 7 - a state code" in str(caught.value)
    assert [fault.place for fault in caught.value.faults] == ["a.jsonl line 2: pos", "a.jsonl line 2: idt"]
    assert rejects(output)[0] == {
        "place": "a.jsonl line 2",
        "rtin": RTIN,
        "section": "b2b",
        "number": "2",
        "date": "1/2/2025",
        "field": "pos",
        "column": "",
        "value": "7",
        "reason": "a state code of two digits as text: 01 to 38, 96 or 97. Did a spreadsheet drop the leading zero of"
        " 07? Format the column as text",
    }


def test_bad_rows_can_be_left_out(tmp_path: Path, output: Path):
    source = json_lines(tmp_path / "a.jsonl", [row(), row(inum="2", pos="7", idt="1/2/2025")])
    plan = plan_of(output, source, on_invalid="skip")
    assert (plan.rows, plan.documents, plan.rejected) == (2, 1, 1)
    assert reasons(output) == [("a.jsonl line 2", "pos"), ("a.jsonl line 2", "idt")]


def test_where_no_row_is_good_there_is_no_plan(tmp_path: Path, output: Path):
    with pytest.raises(RowsRejected, match="All 2 rows are rejected"):
        plan_of(output, json_lines(tmp_path / "a.jsonl", [row(pos="7"), row(pos="8")]), on_invalid="skip")
    assert everything(output) == {"rejects.csv"}


def test_rejects_stand_in_the_order_of_the_input(tmp_path: Path, output: Path):
    lines = [row(), row(inum="2", pos="x"), row(), row(inum="3", pos="y")]
    first, second = json_lines(tmp_path / "a.jsonl", lines), json_lines(tmp_path / "b.jsonl", [row(inum="4", pos="z")])
    plan_of(output, first, second, on_invalid="skip")
    assert [place for place, _ in reasons(output)] == [
        "a.jsonl line 2",
        "a.jsonl line 3",
        "a.jsonl line 4",
        "b.jsonl line 1",
    ]


def test_files_of_one_name_are_told_apart(tmp_path: Path, output: Path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        json_lines(tmp_path / folder / "a.jsonl", [row(inum=folder, pos="7" if folder == "y" else "07")])
    plan_of(output, tmp_path / "x" / "a.jsonl", tmp_path / "y" / "a.jsonl", on_invalid="skip")
    assert reasons(output) == [(f"{tmp_path}/y/a.jsonl line 1", "pos")]


def test_a_row_for_an_unknown_section_is_rejected(tmp_path: Path, output: Path):
    plan_of(output, json_lines(tmp_path / "a.jsonl", [row(), {**row(), "section": "impg"}]), on_invalid="skip")
    assert reasons(output) == [("a.jsonl line 2", "section")]


def test_one_gstin_in_two_spellings_is_rejected(tmp_path: Path, output: Path):
    lines = [row(), row(inum="2"), row(inum="3", rtin=RTIN[:-1] + RTIN[-1].lower())]
    plan = plan_of(output, json_lines(tmp_path / "a.jsonl", lines), on_invalid="skip")
    assert plan.documents == 2
    [line] = rejects(output)
    assert f"the same GSTIN is {RTIN} at a.jsonl line 1" in line["reason"]


def test_a_document_larger_than_a_request_may_be_is_rejected(tmp_path: Path, output: Path):
    fits = size_alone("b2b", "x" * len(ResetPayload.parse(_request([row()])).body())) - size_alone("b2b", "")
    source = json_lines(tmp_path / "a.jsonl", [row(inum="1"), row(inum="A-NUMBER-OF-16-C")])
    plan = plan_of(output, source, max_bytes=fits, on_invalid="skip")
    assert plan.documents == 1
    [line] = rejects(output)
    assert "above max_bytes" in line["reason"]
    assert line["number"] == "A-NUMBER-OF-16-C"


# Duplicates


def test_of_rows_that_are_alike_the_first_is_sent(tmp_path: Path, output: Path):
    lines = [row(inum="1"), row(inum="2"), row(inum="1"), row(inum="1")]
    plan = plan_of(output, json_lines(tmp_path / "a.jsonl", lines), on_invalid="skip")
    assert (plan.documents, plan.rejected) == (2, 2)
    assert [line["place"] for line in rejects(output)] == ["a.jsonl line 3", "a.jsonl line 4"]
    assert all("a.jsonl line 1, which is sent" in line["reason"] for line in rejects(output))
    assert [line["number"] for line in rejects(output)] == ["1", "1"]


def test_of_rows_that_differ_none_is_sent(tmp_path: Path, output: Path):
    lines = [row(inum="1"), row(inum="2"), row(inum="1", val=5, prev_status="R")]
    plan = plan_of(output, json_lines(tmp_path / "a.jsonl", lines), on_invalid="skip")
    assert (plan.documents, plan.rejected) == (1, 2)
    first, second = rejects(output)
    assert (first["place"], second["place"]) == ("a.jsonl line 1", "a.jsonl line 3")
    assert "a.jsonl line 3, with another val, prev_status. None of them is sent" in first["reason"]
    assert "a.jsonl line 1" in second["reason"]


def test_duplicates_are_found_across_files(tmp_path: Path, output: Path):
    plan = plan_of(
        output,
        json_lines(tmp_path / "a.jsonl", [row(val=100.5), row(inum="2")]),
        csv_file(tmp_path / "b.csv", [row(val="100.50")]),
        on_invalid="skip",
    )
    assert plan.documents == 2  # 100.5 and 100.50 are the same amount
    assert "a.jsonl line 1" in rejects(output)[0]["reason"]


def test_letter_case_does_not_tell_documents_apart(tmp_path: Path, output: Path):
    source = json_lines(tmp_path / "a.jsonl", [row(inum="inv-1"), row(inum="INV-1"), row(inum="2")])
    assert plan_of(output, source, on_invalid="skip").rejected == 2


def test_the_same_document_of_two_gstins_or_sections_is_no_duplicate(tmp_path: Path, output: Path):
    lines = [row(), row(rtin=OTHER_RTIN), row("b2ba"), row("ecom"), row("b2bdn"), row("b2bcn")]
    assert plan_of(output, json_lines(tmp_path / "a.jsonl", lines)).documents == 6


@pytest.mark.parametrize("section", ["b2b", "b2bcn"])
def test_documents_that_differ_in_their_date_alone_are_no_duplicates(tmp_path: Path, output: Path, section: str):
    date = "idt" if section == "b2b" else "nt_dt"
    days = ["20-03-2025", "05-04-2025", "20-03-2025"]
    lines = [row(section, rtnprd="042025", **{date: day}) for day in days]
    plan = plan_of(output, json_lines(tmp_path / "a.jsonl", lines), on_invalid="skip")
    assert (plan.documents, plan.rejected) == (2, 1)
    assert [line["place"] for line in rejects(output)] == ["a.jsonl line 3"]


def test_a_gstin_of_which_nothing_is_left_is_not_in_the_plan(tmp_path: Path, output: Path):
    lines = [row(), row(rtin=OTHER_RTIN), row(rtin=OTHER_RTIN, val=5)]
    plan = plan_of(output, json_lines(tmp_path / "a.jsonl", lines), on_invalid="skip")
    assert [entry.rtin for entry in plan.gstins] == [RTIN]
    assert not (output / OTHER_RTIN).exists()


# What was there before, and what goes wrong


def test_chunks_of_an_earlier_plan_are_never_mixed_in(tmp_path: Path, output: Path):
    plan_of(output, json_lines(tmp_path / "a.jsonl", [*rows(5), *rows(1, rtin=OTHER_RTIN)]), max_documents=1)
    (output / RTIN / "notes.txt").write_text("mine")
    (output / RTIN / ".0001.json.0a1b.part").write_text("left by a run that was killed")
    (output / "mine").mkdir()
    (output / "mine" / "0001.json").write_text("{}")
    plan_of(output, json_lines(tmp_path / "a.jsonl", rows(2)))
    assert everything(output) == {
        "plan.json",
        "rejects.csv",
        f"{RTIN}/0001.json",
        f"{RTIN}/notes.txt",
        "mine/0001.json",
    }


def test_a_plan_that_fails_leaves_nothing_of_the_earlier_one(tmp_path: Path, output: Path):
    plan_of(output, json_lines(tmp_path / "a.jsonl", rows(5)))
    with pytest.raises(RowsRejected):
        plan_of(output, json_lines(tmp_path / "a.jsonl", [row(pos="7"), *rows(2)]))
    assert everything(output) == {"rejects.csv"}
    plan_of(output, json_lines(tmp_path / "a.jsonl", rows(5)))
    with pytest.raises(FileUnusable):
        plan_of(output, tmp_path / "nowhere.jsonl")
    assert everything(output) == set()


@pytest.mark.parametrize("full_at", [1, 2, 4])
def test_a_full_disk_leaves_no_chunk(tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch, full_at: int):
    source = json_lines(tmp_path / "a.jsonl", rows(6))
    written = []
    flush = os.fsync

    def fill_up(handle: int) -> None:
        written.append(handle)
        if len(written) > 2 * (full_at - 1):  # each file is flushed, then its directory
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(handle)

    monkeypatch.setattr(os, "fsync", fill_up)
    with pytest.raises(CannotWrite) as caught:
        plan_of(output, source, max_documents=2)
    assert "No space left on device" in str(caught.value)
    assert str(output) in str(caught.value)
    assert not chunks(output)
    assert not (output / "plan.json").exists()
    assert not [path for path in everything(output) if path.endswith(".part")]
    monkeypatch.setattr(os, "fsync", flush)
    assert plan_of(output, source, max_documents=2).documents == 6


def test_a_full_temporary_directory_is_named(tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch):
    def full(self: appender.Appender) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(appender.Appender, "load", full)
    with pytest.raises(NoRoom) as caught:
        plan_of(output, json_lines(tmp_path / "a.jsonl", rows(2)))
    assert tempfile.gettempdir() in str(caught.value)
    assert "TMPDIR" in str(caught.value)
    assert everything(output) == set()


def test_a_row_that_gets_lost_is_noticed(tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch):
    def lossy(*arguments: Any, **options: Any) -> Any:
        for body, documents in packed(*arguments, **options):
            yield Chunk(body, documents - 1)

    monkeypatch.setattr(planner, "packed", lossy)
    with pytest.raises(CountsDisagree, match="3 rows were read, 2 are in requests and 0 are rejected"):
        plan_of(output, json_lines(tmp_path / "a.jsonl", rows(3)))
    assert everything(output) == {"rejects.csv"}


def test_the_temporary_files_are_removed(tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch):
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    plan_of(output, json_lines(tmp_path / "a.jsonl", rows(3)))
    assert list(room.iterdir()) == []


def test_no_rows_at_all_is_an_error(tmp_path: Path, output: Path):
    with pytest.raises(FileUnusable, match="no rows at all: is it the right source"):
        plan_of(output, json_lines(tmp_path / "a.jsonl", ["", " "]))


def test_a_file_without_rows_among_others_is_a_warning(tmp_path: Path, output: Path):
    source, empty = json_lines(tmp_path / "a.jsonl", rows(1)), csv_file(tmp_path / "b.csv", [], list(row()))
    assert plan_of(output, source, empty).warnings == [f"{empty} has no rows."]


def test_hundreds_of_gstins_need_few_open_files(tmp_path: Path, output: Path):
    gstins = [f"27AAPFU{number:04}F1ZV" for number in range(300)]
    plan = plan_of(output, json_lines(tmp_path / "a.jsonl", [row(rtin=gstin) for gstin in gstins]))
    assert [entry.rtin for entry in plan.gstins] == gstins


def test_a_rejected_value_that_a_spreadsheet_would_run_is_shown_as_text(tmp_path: Path, output: Path):
    formula = '=HYPERLINK("http://x")'
    plan_of(output, json_lines(tmp_path / "a.jsonl", [row(), row(inum=formula)]), on_invalid="skip")
    [line] = rejects(output)
    assert (line["number"], line["value"]) == (f"'{formula}", f"'{formula}")
