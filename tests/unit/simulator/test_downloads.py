from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from airflow_provider_ims.simulator.errors import ServiceError
from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.options import NextTask

Build = Callable[..., dict[str, Any]]
Run = Callable[[dict[str, Any]], dict[str, Any]]
STIN = "24MAYAS0100J1JD"
SECTIONS = {
    "B2B": "b2b",
    "B2BA": "b2ba",
    "DN": "b2bdn",
    "DNA": "b2bdna",
    "CN": "b2bcn",
    "CNA": "b2bcna",
    "ECOM": "ecom",
    "ECOMA": "ecoma",
}


@pytest.fixture
def gst(gst: Gst, rtin: str) -> Gst:
    gst.open_session(rtin)
    return gst


@pytest.fixture
def hold(gst: Gst, rtin: str) -> Callable[..., None]:
    def add(*numbers: str, **changes: Any) -> None:
        document = {"rtin": rtin, "section": "b2b", "stin": STIN, "rtnprd": "012023", "status": "A"} | changes
        gst.add_documents(document | {"number": number} for number in numbers)

    return add


@pytest.fixture
def submit(gst: Gst, rtin: str) -> Callable[..., str]:
    def call(section: str | None = "B2B", status: str | None = None) -> str:
        return gst.submit_download(gst.options.org_id, rtin, section, status)

    return call


@pytest.fixture
def download(gst: Gst, submit: Callable[..., str]) -> Callable[..., Any]:
    """Run a download to its end and return its pages."""

    def call(*wanted: str) -> list[dict[str, Any]]:
        task_id = submit(*wanted)
        gst.advance(gst.options.task_seconds)
        data, error = gst.task_result(gst.options.org_id, task_id)
        assert error is None
        assert data is not None
        assert list(data) == ["pages"]
        first = gst.options.first_page
        return [page(gst, task_id, first + number) for number in range(data["pages"])]

    return call


def page(gst: Gst, task_id: str, number: object) -> dict[str, Any]:
    return gst.task_page(gst.options.org_id, task_id, str(number))


def result(gst: Gst, task_id: str) -> Any:
    return gst.task_result(gst.options.org_id, task_id)


def refusal(call: Callable[..., Any], *args: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        call(*args)
    return caught.value


def actions(pages: list[dict[str, Any]]) -> dict[str, str]:
    return {record["inum"]: record["action"] for page in pages for record in page["b2b"]}


@pytest.mark.parametrize(("section", "key"), SECTIONS.items())
def test_each_section_shows_its_own_documents_under_the_key_of_a_request(
    hold: Any, download: Any, section: str, key: str
):
    for name in SECTIONS.values():
        hold(f"IN-{name}", section=name)
    [only] = download(section)
    assert list(only) == [key]
    assert [record.get("inum") or record.get("nt_num") for record in only[key]] == [f"IN-{key}"]


@pytest.mark.parametrize(
    ("section", "key"), [("B2B", "b2b"), ("DN", "dn"), ("DNA", "dna"), ("CN", "cn"), ("CNA", "cna"), ("ECOM", "ecom")]
)
def test_the_keys_may_be_gstns(gst: Gst, hold: Any, download: Any, section: str, key: str):
    gst.options.download_keys = "gstn"
    hold("X", section=SECTIONS[section])
    [only] = download(section)
    assert list(only) == [key]


def test_only_the_documents_of_the_gstin(hold: Any, download: Any):
    hold("MINE")
    hold("THEIRS", rtin="33MAYAS0100J1Z1")
    assert actions(download("B2B")) == {"MINE": "A"}


def test_a_status_picks_the_documents_of_one_action(hold: Any, download: Any):
    for status in "ARPN":
        hold(f"INV-{status}", status=status)
    assert actions(download("B2B")) == {f"INV-{status}": status for status in "ARPN"}
    for status in "ARPN":
        assert actions(download("B2B", status)) == {f"INV-{status}": status}


@pytest.mark.parametrize(
    ("wanted", "parameter"),
    [
        ((None,), "section"),
        (("b2b",), "section"),
        (("B2BDN",), "section"),
        (("B2B", "X"), "status"),
        (("B2B", ""), "status"),
    ],
)
def test_wrong_parameters_are_refused(gst: Gst, submit: Any, wanted: Any, parameter: str):
    refused = refusal(submit, *wanted)
    assert (refused.status, refused.code) == (400, "err-invalid-request-params")
    assert refused.details == {"parameter-name": parameter}
    assert gst.counters()["downloads"] == 0


def test_a_download_needs_a_gstin_and_a_session(gst: Gst, submit: Any):
    assert refusal(gst.submit_download, gst.options.org_id, None, "B2B", None).code == "err-invalid-gstin-format"
    gst.advance(6 * 3600)
    assert refusal(submit).details["gstn-err"]["code"] == "AUTH4033"
    gst.options.require_session = False
    submit()


def test_a_download_goes_in_pages(gst: Gst, hold: Any, download: Any):
    gst.options.page_documents = 2
    hold("A", "B", "C", "D", "E")
    assert [[record["inum"] for record in page["b2b"]] for page in download("B2B")] == [["A", "B"], ["C", "D"], ["E"]]


def test_a_page_has_a_thousand_documents_unless_told(hold: Any, download: Any):
    hold(*(f"INV-{number}" for number in range(1001)))
    assert [len(page["b2b"]) for page in download("B2B")] == [1000, 1]


@pytest.mark.parametrize("first", [0, 1])
def test_a_page_out_of_range_is_not_found(gst: Gst, hold: Any, submit: Any, first: int):
    gst.options.first_page = first
    gst.options.page_documents = 1
    hold("A", "B")
    task_id = submit()
    gst.advance(3)
    assert [page(gst, task_id, first + index)["b2b"][0]["inum"] for index in (0, 1)] == ["A", "B"]
    for wrong in (first - 1, first + 2, "one", f"0{first}"):
        refused = refusal(page, gst, task_id, wrong)
        assert (refused.status, refused.code) == (404, "err-resource-not-found")
        assert refused.details == {"task-id": task_id}


def test_pages_are_those_of_a_download_that_is_completed(gst: Gst, hold: Any, submit: Any, rtin: str):
    hold("A")
    task_id = submit()
    assert refusal(page, gst, task_id, 0).code == "err-task-not-completed"
    gst.advance(3)
    page(gst, task_id, 0)
    assert refusal(gst.task_page, "other-org", task_id, "0").status == 404
    reset = gst.submit_reset(gst.options.org_id, rtin, {"rtin": rtin})
    gst.advance(3)
    assert refusal(page, gst, reset, 0).status == 404


def test_no_documents_are_no_pages(download: Any):
    assert download("CN") == []


def test_no_documents_may_be_an_error(gst: Gst, hold: Any, submit: Any, download: Any):
    gst.options.empty_download = "error"
    hold("A")
    assert actions(download("B2B", "A")) == {"A": "A"}
    task_id = submit("B2B", "R")
    gst.advance(3)
    data, error = result(gst, task_id)
    assert data is None
    assert error["message"] == "err-gstn-returned"
    assert error["args"]["gstn-err"]["code"] == "RET11416"
    assert refusal(page, gst, task_id, 0).status == 404


def test_the_view_is_that_of_the_end_of_the_task(gst: Gst, hold: Any, submit: Any):
    hold("A", "B")
    task_id = submit()
    hold("A", status="R")
    hold("C")
    gst.advance(3)
    assert actions([page(gst, task_id, 0)]) == {"A": "R", "B": "A", "C": "A"}
    hold("B", status="P")
    hold("D")
    assert actions([page(gst, task_id, 0)]) == {"A": "R", "B": "A", "C": "A"}


def test_a_document_that_was_reset_shows_no_action(
    run: Run, submit: Any, gst: Gst, download: Any, hold: Any, record: Build, payload: Build
):
    hold("HELD", "OTHER")
    before = submit()
    gst.advance(3)
    assert run(payload(b2b=[record(number="HELD"), record(number="NEW")]))["status_cd"] == "P"
    assert actions(download("B2B")) == {"HELD": "N", "OTHER": "A", "NEW": "N"}
    assert actions(download("B2B", "N")) == {"HELD": "N", "NEW": "N"}
    assert actions([page(gst, before, 0)]) == {"HELD": "A", "OTHER": "A"}


def test_a_refused_reset_leaves_the_action(run: Run, download: Any, hold: Any, record: Build, payload: Build):
    hold("A", status="P")
    assert run(payload(b2b=[record(number="A", prev_status="R")]))["status_cd"] == "PE"
    assert actions(download("B2B")) == {"A": "P"}


def test_several_downloads_and_a_reset_run_at_once(
    gst: Gst, rtin: str, hold: Any, submit: Any, record: Build, payload: Build
):
    hold("A")
    gst.options.task_seconds = 2
    early = submit()
    gst.options.task_seconds = 3
    reset = gst.submit_reset(gst.options.org_id, rtin, payload(b2b=[record(number="A")]))
    gst.options.task_seconds = 4
    late = submit()
    assert [task["status"] for task in gst.state()["tasks"]] == ["processing"] * 3
    assert [task["kind"] for task in gst.state()["tasks"]] == ["download", "reset", "download"]
    gst.advance(10)
    assert result(gst, reset)[0]["status_cd"] == "P"
    assert actions([page(gst, early, 0)]) == {"A": "A"}
    assert actions([page(gst, late, 0)]) == {"A": "N"}


def test_a_plan_for_resets_is_not_used_up_by_a_download(gst: Gst, rtin: str, submit: Any, payload: Build):
    gst.add_next_task(NextTask(final_status="failed", task_seconds=0))
    gst.add_next_task(NextTask(kind="download", final_status="cancelled", task_seconds=0))
    gst.add_next_task(NextTask(kind="download", error={"message": "err-x"}, task_seconds=0))
    org = gst.options.org_id
    assert gst.task_status(org, submit())["status"] == "cancelled"
    assert gst.task_status(org, gst.submit_reset(org, rtin, payload()))["status"] == "failed"
    assert result(gst, submit()) == (None, {"message": "err-x"})
    assert gst.task_status(org, submit())["status"] == "processing"


@pytest.mark.parametrize("field", [{"status_cd": "ER"}, {"ip_results": 1}])
def test_a_download_has_no_status_cd_to_plan(field: dict[str, Any]):
    with pytest.raises(ValueError, match="those of a reset"):
        NextTask(kind="download", **field)


def test_a_gstn_logout_fails_a_download_too(gst: Gst, rtin: str, submit: Any):
    org = gst.options.org_id
    otp_id = gst.authenticate(org, "v0.2", "OTPREQUEST", {"gstin": rtin, "username": "u"})["otp-request-id"]
    session = gst.authenticate(org, "v0.2", "AUTHTOKEN", {"otp-request-id": otp_id, "otp": gst.last_otp(rtin)})
    task_id = submit()
    gst.authenticate(org, "v0.2", "LOGOUT", session)
    assert gst.task_status(org, task_id)["status"] == "failed"


@pytest.fixture
def lines(rtin: str, tmp_path: Path) -> Callable[..., Path]:
    def write(*documents: dict[str, Any]) -> Path:
        file = tmp_path / "held.jsonl"
        fields = {"rtin": rtin, "section": "b2b", "stin": STIN, "rtnprd": "012023", "status": "P"}
        file.write_text("\n".join(json.dumps(fields | document) + "\n" for document in documents))
        return file

    return write


def test_documents_of_a_file_are_shown_with_their_records(gst: Gst, lines, download):
    records = {
        str(number): {"tradenm": f"Acme {number}", "val": number + 0.5, "newKey": [number]} for number in range(5)
    }
    gst.add_document_lines(lines(*({"number": number, "record": record} for number, record in records.items())))
    gst.edit_document(gst.state()["documents"][0]["rtin"], "b2b", STIN, "3", {"val": 99})
    [page] = download()
    shown = {record["inum"]: {name: record[name] for name in ("tradenm", "val", "newKey")} for record in page["b2b"]}
    assert shown == records | {"3": {"tradenm": "Acme 3", "val": 99, "newKey": [3]}}
    assert [record["action"] for record in page["b2b"]] == ["P", "P", "P", "N", "P"]


def test_a_fault_in_one_line_adds_none(gst: Gst, lines):
    with pytest.raises(ValidationError):
        gst.add_document_lines(lines({"number": "1"}, {"number": "2", "status": "X"}))
    assert gst.state()["documents"] == []


def test_records_of_a_large_file_are_not_held_in_memory(gst: Gst, lines, submit):
    size = 1_000
    file = lines(*({"number": str(number), "record": {"note": "x" * 20_000}} for number in range(size)))
    tracemalloc.start()
    try:
        gst.add_document_lines(file)
        gst.options.page_documents = 10
        task_id = submit()
        gst.advance(gst.options.task_seconds)
        gst.task_result(gst.options.org_id, task_id)
        shown = sum(len(gst.task_page(gst.options.org_id, task_id, str(number))["b2b"]) for number in range(size // 10))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert shown == size
    assert peak < file.stat().st_size / 3
