"""What was sent, kept beside each planned request: read, written, removed, and what an unreachable store means."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims.exceptions import GstnError, GstnInvalidRequest, GstnStorageUnavailable
from airflow_provider_ims.storage import CannotRead, CannotWrite, StorageError
from airflow_provider_ims.submissions import sent_records
from airflow_provider_ims.submissions.sent_records import SentRecords

ENTRY = {"phase": "submitted", "at": 1_700_000_000.0, "reference_id": "r-1 \u20b9"}


@pytest.fixture
def records(tmp_path: Path) -> SentRecords:
    return SentRecords({"one": str(tmp_path / "0001.json"), "two": str(tmp_path / "0002.json")})


def test_a_record_lies_beside_its_request_and_is_read_back_by_whoever_meets_it(records: SentRecords, tmp_path: Path):
    assert records.get("one") is None
    records.set("one", ENTRY)
    records.set("two", {**ENTRY, "phase": "intent"})
    assert {path.name for path in tmp_path.iterdir()} == {"0001.sent.json", "0002.sent.json"}
    again = SentRecords({"of another task": str(tmp_path / "0001.json")})
    assert again.get("of another task") == {**ENTRY, "when": "2023-11-14T22:13:20+00:00"}


def test_a_person_can_read_it(records: SentRecords, tmp_path: Path):
    records.set("one", ENTRY)
    lines = (tmp_path / "0001.sent.json").read_text(encoding="utf-8").splitlines()
    assert ' "reference_id": "r-1 \u20b9",' in lines
    assert len(lines) == len(ENTRY) + 3


def test_one_that_is_removed_is_gone_and_the_others_stay(records: SentRecords, tmp_path: Path):
    records.set("one", ENTRY)
    records.set("two", ENTRY)
    records.delete("one")
    records.delete("one")
    assert records.get("one") is None
    assert [path.name for path in tmp_path.iterdir()] == ["0002.sent.json"]


def test_all_are_met_also_those_of_a_longer_plan_before_and_no_other_file(records: SentRecords, tmp_path: Path):
    records.set("one", ENTRY)
    SentRecords({"k": str(tmp_path / "12345.json")}).set("k", {**ENTRY, "phase": "ended"})
    for name in ("0001.json", "result.json", "12.sent.json", "0003.sent.json.part", "x0004.sent.json"):
        (tmp_path / name).write_text(json.dumps(ENTRY))
    assert sorted(record["phase"] for record in records.all()) == ["ended", "submitted"]


def test_of_a_folder_that_is_not_there_there_are_none(tmp_path: Path):
    assert list(SentRecords({"one": str(tmp_path / "gone" / "0001.json")}).all()) == []


def test_what_cannot_be_understood_is_not_taken_for_nothing(records: SentRecords, tmp_path: Path):
    (tmp_path / "0001.sent.json").write_text("{half")
    assert records.get("one") == {"unreadable": str(tmp_path / "0001.sent.json")}
    assert len(list(records.all())) == 1


def test_one_that_goes_while_all_are_read_is_passed_over(records: SentRecords, monkeypatch: pytest.MonkeyPatch):
    records.set("two", ENTRY)
    monkeypatch.setattr(sent_records, "names_in", lambda folder: ["0001.sent.json", "0002.sent.json"])
    assert [record["phase"] for record in records.all()] == ["submitted"]


def fails(error: StorageError) -> Callable[..., Any]:
    def fail(*arguments: Any) -> Any:
        raise error

    return fail


AWAY, FORBIDDEN = TimeoutError("no answer"), PermissionError("not yours")
KEPT = "What was sent of a planned request is kept beside it"


@pytest.mark.parametrize(("fault", "kind"), [(AWAY, GstnStorageUnavailable), (FORBIDDEN, GstnInvalidRequest)])
class TestAStoreThatIsAway:
    @pytest.mark.parametrize("name", ["read_whole", "names_in"])
    def test_is_not_taken_for_one_that_holds_nothing(
        self, records: SentRecords, monkeypatch: pytest.MonkeyPatch, fault: Exception, kind: type[GstnError], name: str
    ):
        records.set("one", ENTRY)
        monkeypatch.setattr(sent_records, name, fails(CannotRead("s3://b/0001.sent.json", fault)))
        with pytest.raises(kind, match=r"s3://b/0001\.sent\.json") as caught:
            list(records.all())
        assert str(caught.value).startswith(KEPT)
        if name == "read_whole":
            with pytest.raises(kind, match=r"s3://b/0001\.sent\.json") as caught:
                records.get("one")
            assert str(caught.value).startswith(KEPT)

    @pytest.mark.parametrize("name", ["write_whole", "remove"])
    def test_lets_nothing_be_sent_and_says_what_to_do_then(
        self, records: SentRecords, monkeypatch: pytest.MonkeyPatch, fault: Exception, kind: type[GstnError], name: str
    ):
        monkeypatch.setattr(sent_records, name, fails(CannotWrite("s3://b/0001.sent.json", fault)))
        with pytest.raises(kind, match=r"s3://b/0001\.sent\.json") as caught:
            records.set("one", ENTRY) if name == "write_whole" else records.delete("one")
        first, *_, last = str(caught.value).splitlines()
        assert first.startswith(KEPT)
        assert last == "Then clear this task; nothing was sent."


@pytest.mark.parametrize("path", [None, "None"])
def test_a_request_without_a_place_has_no_record_and_is_no_request_that_was_not_sent(
    path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    records = SentRecords({"one": path})
    for use in (lambda: records.set("one", ENTRY), lambda: records.get("one"), lambda: list(records.all())):
        with pytest.raises(GstnInvalidRequest, match="it names no file and no folder"):
            use()
    assert list(tmp_path.iterdir()) == []
