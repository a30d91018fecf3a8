"""What is told of one reset: row by row, in counts, and as an error."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ims.exceptions import (
    GstnBusy,
    GstnError,
    GstnInvalidRequest,
    GstnResetFailed,
    GstnResetNotDone,
    GstnServiceUnavailable,
)
from airflow_provider_ims.models import ResetPayload, ResetResult
from airflow_provider_ims.models.reconciliation import Reconciliation
from airflow_provider_ims.models.sent_request import SentRequest
from airflow_provider_ims.results.report import Report
from airflow_provider_ims.sessions.store import MemorySessionStore
from tests.unit.builders import RTIN, STIN, document, numbered, payload

DATE, PERIOD = "23-01-2023", "012023"
TWO = payload(b2b=numbered("b2b", "1", "2"))


def refusing(*numbers: str, **more: Any) -> dict[str, Any]:
    """A result that refuses invoices of one supplier."""
    inv = [{"inum": number, "rtnprd": PERIOD} for number in numbers]
    entry = {"stin": STIN, "error_cd": "IMSSAV0010", "error_msg": "edited", "inv": inv}
    return {"status_cd": "PE", "err_cnt": str(len(numbers)), "error_report": {"b2b": [entry]}, **more}


def report(data: dict[str, Any], request: ResetPayload | None = TWO, **more: Any) -> Report:
    return Report("r-1", ResetResult.parse(data), request, **more)


class TestRows:
    def test_a_refused_document_has_its_code_and_remedy_and_a_reset_one_has_none(self):
        first, second = report(refusing("1")).rows()
        assert first[:8] == ("b2b", STIN, "1", DATE, PERIOD, "refused", "IMSSAV0010", "edited")
        assert "Download the document" in first.remedy
        assert second == ("b2b", STIN, "2", DATE, PERIOD, "reset", "", "", "", "r-1")
        assert first.reference_id == "r-1"

    def test_of_a_request_that_failed_as_a_whole_every_document_has_its_code(self):
        rows = list(report({"status_cd": "ER", "err_cd": "IMSSAV005", "err_msg": "schema"}).rows())
        assert {row[5:8] for row in rows} == {("refused", "IMSSAV005", "schema")}
        assert "schema refused" in rows[0].remedy

    def test_what_is_unknown_has_no_code_unless_a_refusal_may_be_about_it(self):
        twins = payload(b2b=[document(inum="1"), document(inum="1", idt="24-01-2023"), document(inum="2")])
        rows = [row[5:7] for row in report(refusing("1", err_cnt="2"), twins).rows()]
        assert rows == [("unknown", "IMSSAV0010"), ("unknown", "IMSSAV0010"), ("unknown", "")]
        *_, last = report(refusing("1", err_cnt="2"), twins).rows()
        assert last[6:9] == ("", "", "")
        assert [row.date for row in report(refusing("1", err_cnt="2"), twins).refused] == [""]

    def test_what_gstn_holds_at_no_action_after_all_has_no_code_any_more(self):
        found = Reconciliation(fingerprint=TWO.fingerprint(), already_reset="", sent=True)
        told = report(refusing("1", "2"), found=found)
        records = [{**document(inum="1"), "action": "N"}, {**document(inum="2"), "action": "A"}]
        pages = {"d-1": [{"b2b": records}]}
        hook: Any = SimpleNamespace(get_task_pages=pages.__getitem__)
        told.reconcile(hook, ["d-1"])
        assert "b2b 2 of" in str(told.error())
        assert "b2b 1 of" not in str(told.error())
        assert [row[5:8] for row in told.rows()] == [("reset", "", ""), ("refused", "IMSSAV0010", "edited")]
        assert told.summary()["found_at_no_action"] == 1
        assert told.outcome == "partial"

    def test_without_the_payload_there_are_none(self):
        assert list(report(refusing("1"), None).rows()) == []

    def test_a_refusal_has_the_date_of_its_document_if_that_is_known(self):
        assert [row.date for row in report(refusing("1", "777")).refused] == [DATE, ""]
        assert [row.date for row in report(refusing("1"), None).refused] == [""]


class TestCounts:
    def test_are_of_the_documents_and_none_without_the_payload(self):
        assert report(refusing("1")).counts() == {"reset": 1, "refused": 1, "unknown": 0}
        assert report({"status_cd": "REC"}).counts() == {"reset": 0, "refused": 0, "unknown": 2}
        assert report(refusing("1"), None).counts() == {"reset": 0, "refused": 0, "unknown": 0}

    def test_say_nothing_of_a_simulator_where_there_is_none(self):
        assert "simulator" not in report({"status_cd": "P"}).summary()

    @pytest.mark.parametrize(
        ("proc_cnt", "found", "outcome"),
        [("2", None, "processed"), ("1", None, "partial"), ("1", True, "partial"), ("1", False, "processed")],
    )
    def test_are_held_against_what_was_sent_if_something_was(self, proc_cnt: str, found: bool | None, outcome: str):
        kept = None if found is None else Reconciliation(fingerprint="f", already_reset="0", sent=found)
        told = report({"status_cd": "P", "proc_cnt": proc_cnt}, None, found=kept, sent=SentRequest.of(TWO))
        assert told.outcome == outcome

    @pytest.mark.parametrize(("request_", "processed"), [(TWO, 2), (None, 0)])
    def test_a_result_that_counts_nothing_is_counted_by_its_payload(self, request_: Any, processed: int):
        assert report({"status_cd": "P"}, request_).summary()["processed"] == processed

    def test_of_each_section_are_logged_as_a_table(self, caplog: pytest.LogCaptureFixture):
        with caplog.at_level(logging.INFO):
            report(refusing("1")).write_to(logging.getLogger("a task"))
        last = caplog.records[-1].getMessage().splitlines()
        assert last == [
            "Reset r-1",
            "  section  sent  reset  refused  unknown",
            "  b2b         2      1        1        0",
        ]


class TestTheError:
    @pytest.mark.parametrize(
        ("data", "request_", "first"),
        [
            (refusing("1"), TWO, "of 2 documents 1 refused by GSTN, 1 reset."),
            (refusing("1", err_cnt="2"), TWO, "of 2 documents 1 refused by GSTN, 1 not accounted for."),
            ({"status_cd": "P", "proc_cnt": "1"}, TWO, "of 2 documents 2 not accounted for."),
            (refusing("1"), None, "GSTN refused 1."),
            (
                refusing("1", err_cnt="3", proc_cnt="4"),
                None,
                "GSTN refused 3, and does not name 2 of them; it",
            ),
        ],
    )
    def test_claims_of_no_document_more_than_is_known(self, data: dict, request_: Any, first: str):
        assert str(report(data, request_).error()).splitlines()[0].startswith(f"Reset r-1: {first}")

    def test_quotes_gstn_only_if_it_says_something(self):
        assert str(report({"status_cd": "REC"}).error()).count("GSTN says") == 0
        assert "status_cd 'REC'.\nLook at the documents" in str(report({"status_cd": "REC"}).error())
        assert "GSTN says: soon." in str(report({"status_cd": "REC", "err_msg": "soon"}).error())

    def test_of_a_failed_reset_has_code_message_and_advice(self):
        error = report({"status_cd": "ER", "err_cd": "IMSSAV005", "err_msg": "schema"}).error()
        assert isinstance(error, GstnResetFailed)
        assert error.code == "IMSSAV005"
        assert "r-1 did not succeed (status_cd 'ER'):\nIMSSAV005 schema.\n" in str(error)
        assert "Correct the request" in str(error)

    @pytest.mark.parametrize("fake", ["[2026-01-01] INFO Done", "::group::Done"])
    def test_no_line_begins_with_words_of_the_service(self, fake: str):
        row = {"stin": fake, "inv": [{"inum": fake, "error_cd": fake}]}
        for data in (
            {"status_cd": "ER", "err_cd": fake, "err_msg": fake},
            {"status_cd": "ER", "err_msg": fake},
            {"status_cd": fake, "err_cd": fake, "err_msg": fake},
            {"status_cd": "PE", "err_cnt": "1", "error_report": {fake: [row], "b2b": [row]}},
        ):
            for request_ in (TWO, None):
                text = str(report(data, request_).error())
                assert fake in text
                assert not [line for line in text.splitlines() if line.startswith(fake)]

    def test_of_a_failed_reset_without_a_reason_leads_to_the_portal(self):
        text = str(report({"status_cd": "ER"}).error())
        assert "no reason given.\nLook at the documents on the GST portal." in text

    @pytest.mark.parametrize(
        ("data", "request_", "is_open"),
        [
            (refusing("1"), TWO, False),
            (refusing("1"), None, False),
            (refusing("1", err_cnt="2"), TWO, True),
            (refusing("1", err_cnt="2"), None, True),
        ],
    )
    def test_sends_to_the_portal_only_for_what_is_not_accounted_for(self, data: dict, request_: Any, is_open: bool):
        assert ("GST portal" in str(report(data, request_).error())) is is_open


class Hook:
    """Answers with one result or error."""

    def __init__(self, answer: dict[str, Any] | GstnError, *, is_simulator: bool = False) -> None:
        self.answer = answer
        self.is_simulator = is_simulator
        self.store = MemorySessionStore()
        self.downloads: list[tuple[str, str]] = []

    def find_sent_request(self, reference_id: str) -> None:
        assert reference_id == "r-1"

    def submit_download(self, gstin: str, section: str) -> str:
        self.downloads.append((gstin, section))
        return f"d-{section}"

    def get_task_result(self, reference_id: str, call: Any = None) -> ResetResult:
        assert reference_id == "r-1"
        if isinstance(self.answer, GstnError):
            raise self.answer
        return ResetResult.parse(self.answer)


def fetch(answer: dict[str, Any] | GstnError, **more: Any) -> Report:
    hook: Any = Hook(answer, **more)
    return Report.fetch(hook, "r-1", TWO)


class TestFetching:
    @pytest.mark.parametrize("is_simulator", [True, False])
    def test_says_whether_it_was_only_simulated(self, is_simulator: bool):
        summary = fetch({"status_cd": "P", "proc_cnt": "2"}, is_simulator=is_simulator).summary()
        assert summary.get("simulator", False) is is_simulator

    def test_another_error_is_told_as_it_is(self):
        with pytest.raises(GstnServiceUnavailable, match="the gateway"):
            fetch(GstnServiceUnavailable("the gateway is away", http_status=503))

    def test_of_a_reset_that_met_nothing_to_do_asks_the_service_nothing(self):
        hook: Any = Hook(GstnBusy("not to be asked"))
        kept = Reconciliation(fingerprint=TWO.fingerprint(), already_reset="0-1", sent=False)
        hook.store.kept["gstn_reconciled__r-1"] = kept.model_dump_json()
        told = Report.fetch(hook, "r-1", TWO)
        assert (told.outcome, told.summary()["processed"]) == ("processed", 2)
        assert told.result.raw == {"reconciliation": kept.model_dump()}
        assert told.start_reconciliation(hook) == []

    def test_of_a_reset_that_was_sent_again_asks_for_the_sections_that_are_open(self):
        hook: Any = Hook(refusing("1"))
        hook.store.kept["gstn_reconciled__r-1"] = Reconciliation(
            fingerprint=TWO.fingerprint(), already_reset="", sent=True
        ).model_dump_json()
        assert Report.fetch(hook, "r-1", TWO).start_reconciliation(hook) == ["d-b2b"]
        assert hook.downloads == [(RTIN, "b2b")]
        assert Report.fetch(hook, "r-1").start_reconciliation(hook) == []

    def test_an_error_that_is_all_that_came_of_it_is_a_failure_with_its_code(self):
        with pytest.raises(GstnResetFailed, match="r-1 ended in an error") as caught:
            fetch(GstnInvalidRequest("GSTN finds fault with it.", code="IMSSAV005"))
        assert caught.value.code == "IMSSAV005"

    @pytest.mark.parametrize(
        ("error", "is_certain"),
        [
            (GstnServiceUnavailable("down", code="GEN4004", http_status=502), False),
            (GstnServiceUnavailable("down", code="GEN4004", http_status=500), False),
            (GstnServiceUnavailable("down", code="GEN4004", http_status=200), True),
            (GstnServiceUnavailable("down", code="GEN4004"), True),
            (GstnBusy("busy", code="IMSSAV0015", http_status=502), True),
        ],
    )
    def test_a_gateway_may_say_of_itself_that_it_is_down(self, error: GstnError, is_certain: bool):
        with pytest.raises(GstnResetNotDone, match="reset r-1 ") as caught:
            fetch(error)
        assert caught.value.is_certain is is_certain
        assert caught.value.cause is error
        assert caught.value.code == error.code

    def test_a_result_that_says_that_nothing_was_done_names_the_cause(self):
        with pytest.raises(GstnResetNotDone, match=r"(?s)reset r-1 .*IMSSAV0015 busy") as caught:
            fetch({"status_cd": "ER", "err_cd": "IMSSAV0015", "err_msg": "busy"})
        assert isinstance(caught.value.cause, GstnBusy)
        assert caught.value.is_certain
