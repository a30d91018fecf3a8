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
from airflow_provider_ims.results.report import Report
from tests.unit.builders import STIN, document, numbered, payload

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

    def test_what_gstn_holds_at_no_action_after_all_has_no_code_any_more(self):
        found = Reconciliation(fingerprint=TWO.fingerprint(), already_reset="", sent=True)
        told = report(refusing("1", "2"), found=found)
        records = [{**document(inum="1"), "action": "N"}, {**document(inum="2"), "action": "A"}]
        hook: Any = SimpleNamespace(get_task_pages=lambda reference_id: [{"b2b": records}])
        told.reconcile(hook, ["d-1"])
        assert [row[5:8] for row in told.rows()] == [("reset", "", ""), ("refused", "IMSSAV0010", "edited")]
        assert told.summary()["found_at_no_action"] == 1
        assert told.outcome == "partial"

    def test_without_the_payload_there_are_none(self):
        assert list(report(refusing("1"), None).rows()) == []

    def test_a_refusal_has_the_date_of_its_document_if_that_is_known(self):
        assert [row.date for row in report(refusing("1", "777")).refused] == [DATE, ""]
        assert [row.date for row in report(refusing("1"), None).refused] == [""]


class TestCounts:
    @pytest.mark.parametrize(("request_", "processed"), [(TWO, 2), (None, 0)])
    def test_a_result_that_counts_nothing_is_counted_by_its_payload(self, request_: Any, processed: int):
        assert report({"status_cd": "P"}, request_).summary()["processed"] == processed

    def test_of_each_section_are_logged_without_those_that_are_zero(self, caplog: pytest.LogCaptureFixture):
        with caplog.at_level(logging.INFO):
            report(refusing("1")).tell(logging.getLogger("a task"))
        assert "b2b: 2 sent, 1 reset, 1 refused" in [record.getMessage() for record in caplog.records]


class TestTheError:
    def test_of_a_failed_reset_has_code_message_and_advice(self):
        error = report({"status_cd": "ER", "err_cd": "IMSSAV005", "err_msg": "schema"}).error()
        assert isinstance(error, GstnResetFailed)
        assert error.code == "IMSSAV005"
        assert "r-1 did not succeed (status_cd 'ER'): IMSSAV005 schema. " in str(error)
        assert "Correct the request" in str(error)

    def test_of_a_failed_reset_without_a_reason_leads_to_the_portal(self):
        text = str(report({"status_cd": "ER"}).error())
        assert "no reason given" in text
        assert "on the GST portal" in text

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

    def find_reconciliation(self, reference_id: str) -> None:
        return None

    def find_sent_request(self, reference_id: str) -> None:
        return None

    def get_task_result(self, reference_id: str, call: Any = None) -> ResetResult:
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
        with pytest.raises(GstnResetNotDone) as caught:
            fetch(error)
        assert caught.value.is_certain is is_certain
        assert caught.value.cause is error
        assert caught.value.code == error.code

    def test_a_result_that_says_that_nothing_was_done_names_the_cause(self):
        with pytest.raises(GstnResetNotDone, match="IMSSAV0015 busy") as caught:
            fetch({"status_cd": "ER", "err_cd": "IMSSAV0015", "err_msg": "busy"})
        assert isinstance(caught.value.cause, GstnBusy)
        assert caught.value.is_certain
