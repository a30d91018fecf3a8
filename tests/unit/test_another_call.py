"""A call that is not the reset, as docs/adding-a-call.md has it added: nothing of it is told as a reset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, ClassVar, Literal

import pytest

from airflow_provider_ims._compat import AirflowSkipException
from airflow_provider_ims.exceptions import GstnInvalidRequest
from airflow_provider_ims.hooks.gstn import RESET, Call
from airflow_provider_ims.models import InvalidPayload, ResetResult
from airflow_provider_ims.models.payload import ImsRequest
from airflow_provider_ims.models.sent_request import SentRequest
from airflow_provider_ims.operators import ims
from airflow_provider_ims.operators._assets import AssetEvents
from airflow_provider_ims.operators.ims import ImsResetOperator, ImsResultOperator
from airflow_provider_ims.results.report import Report
from airflow_provider_ims.results.several import summary_over
from airflow_provider_ims.sessions.store import MemorySessionStore
from tests.unit.builders import RTIN, document, numbered, request

ACCEPT: Call[bytes, ResetResult] = dataclasses.replace(
    RESET, name="accept", noun="acceptance", settles_on="A", settled="at accepted", done="accepted"
)


class AcceptancePayload(ImsRequest):
    """A request of such a call."""

    nothing_to_do: ClassVar[Mapping[str, str]] = {"A": "accepted already"}

    reqtyp: Literal["SAVE"]


def faults_of(*, allowed: bool = False, **changes: Any) -> list[tuple[str, str]]:
    try:
        AcceptancePayload.parse(request(reqtyp="SAVE", b2b=[document(**changes)]), allow_no_action=allowed)
    except InvalidPayload as error:
        return [(fault.place, fault.rule) for fault in error.faults]
    return []


def test_a_request_says_for_which_documents_there_is_nothing_to_do():
    assert faults_of(prev_status="N") == []
    assert faults_of(prev_status="A") == [("invdata.b2b[0].prev_status", "accepted already")]
    assert faults_of(prev_status="A", allowed=True) == []


def test_a_request_says_itself_what_it_asks_for():
    with pytest.raises(InvalidPayload) as caught:
        AcceptancePayload.parse(request(reqtyp="RESET", b2b=[document()]), allow_no_action=True)
    assert str(caught.value).splitlines() == [
        "The request has 1 fault; nothing was sent:",
        "  reqtyp: 'RESET' - the text SAVE",
    ]


TWO = AcceptancePayload.parse(request(reqtyp="SAVE", b2b=numbered("b2b", "1", "2", prev_status="N")))


class ImsAcceptOperator(ImsResetOperator):
    """Sends it."""

    call = ACCEPT
    request = AcceptancePayload


class ImsAcceptResultOperator(ImsResultOperator):
    """Reads it."""

    call = ACCEPT
    request = AcceptancePayload


class TestWhatIsCounted:
    def test_of_documents_whose_request_is_not_given_is_counted_under_the_word_of_the_call(self):
        result = ResetResult.parse({"status_cd": "PE", "proc_cnt": "7", "err_cnt": "1"})
        report = Report("r-1", result, sent=SentRequest.of(TWO), call=ACCEPT)
        assert report.as_extra()["counts"] == {"accepted": 7, "refused": 1}

    def test_over_several_is_what_each_was_found_to_be(self):
        one = {"outcome": "processed", "reference_id": "r", "processed": 1, "errors": 0, "status_cd": "P", "code": ""}
        summary = summary_over([{**one, "found_at_accepted": 2}, {**one, "found_at_accepted": 3}], ACCEPT)
        assert summary["found_at_accepted"] == 5
        assert "found_at_no_action" not in summary


class Hook:
    """Reaches the service, and has one result of two documents."""

    is_simulator = False
    store = MemorySessionStore()

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def test_connection(self) -> tuple[bool, str]:
        return True, "It answers."

    def find_session(self, gstin: str) -> None:
        return None

    def find_sent_request(self, reference_id: str) -> SentRequest:
        return SentRequest.of(TWO)

    def get_task_result(self, reference_id: str, call: object) -> ResetResult:
        return ResetResult.parse({"status_cd": "P", "proc_cnt": "2"})


@pytest.fixture(autouse=True)
def _hook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ims, "GstnHook", lambda conn_id, gstin=None: Hook())


@pytest.fixture
def ti() -> Any:
    pushed: dict[str, Any] = {}
    return SimpleNamespace(
        try_number=1, max_tries=0, pushed=pushed, xcom_push=lambda key, value: pushed.update({key: value})
    )


class TestTheOperators:
    def test_say_in_a_dry_run_what_the_documents_would_be(self, ti):
        task = ImsAcceptOperator(task_id="t", payload=TWO, allow_no_action=True, dry_run=True)
        with pytest.raises(AirflowSkipException, match=f"2 documents of GSTIN {RTIN} would be accepted. Nothing was"):
            task.execute({"ti": ti})
        assert ti.pushed["return_value"]["accepted"] == 0
        assert "reset" not in ti.pushed["return_value"]

    def test_tell_assets_of_the_call(self, ti, monkeypatch):
        told = []
        monkeypatch.setattr(AssetEvents, "ims", lambda self, word, events, *, succeeds: told.append((word, *events)))
        ImsAcceptResultOperator(task_id="t", reference_id="r-1").execute({"ti": ti})
        [(word, event)] = told
        assert (word, event["gstin"], event["counts"]) == ("accept", RTIN, {"accepted": 2, "refused": 0})

    @pytest.mark.parametrize("reference_id", [[], ["r-1", "r-1"]])
    def test_say_what_they_read(self, reference_id):
        with pytest.raises(GstnInvalidRequest, match="acceptance") as caught:
            ImsAcceptResultOperator(task_id="t", reference_id=reference_id)._each()
        assert "reset" not in str(caught.value)
