"""The operators of the GSTN session; the hook is scripted, and nobody is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from airflow_provider_ims._compat import (
    AirflowFailException,
    AirflowSkipException,
    TaskAwaitingInput,
    TaskDeferred,
)
from airflow_provider_ims.exceptions import (
    GstnBusy,
    GstnInvalidRequest,
    GstnOtpRefused,
    GstnServiceUnavailable,
    GstnSessionExpired,
)
from airflow_provider_ims.operators import session
from airflow_provider_ims.operators.session import (
    GstnLogoutOperator,
    GstnRefreshSessionOperator,
    GstnRequestOtpOperator,
    GstnVerifyOtpOperator,
)

GSTIN = "27AAPFU0939F1ZV"
CONTEXT = {"ti": SimpleNamespace(id="ti-1"), "task_instance": SimpleNamespace(id="ti-1")}
ENDS_AT = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)


class Hook:
    """Does what the test says and remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []
        self.known = None
        self.raises: dict[str, Exception] = {}

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def find_session(self, gstin: str):
        return self.known

    def _do(self, *call):
        self.calls.append(call)
        if call[0] in self.raises:
            raise self.raises[call[0]]
        return ENDS_AT

    def request_otp(self, gstin: str, username: str) -> str:
        self._do("request_otp", gstin, username)
        return "otp-request-1"

    def verify_otp(self, gstin: str, otp_request_id: str, otp: str) -> datetime:
        return self._do("verify_otp", gstin, otp_request_id, otp)

    def refresh_session(self, gstin: str, *min_age: timedelta) -> datetime:
        return self._do("refresh_session", gstin, *min_age)

    def logout(self, gstin: str, *, force: bool) -> None:
        self._do("logout", gstin, force)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Hook:
    hook = Hook()
    monkeypatch.setattr(session, "GstnHook", lambda conn_id: hook)
    return hook


class TestRequest:
    def request(self, **changes) -> str:
        operator = GstnRequestOtpOperator(task_id="request", gstin=GSTIN, username="portal.user", **changes)
        return operator.execute({})

    def test_asks_for_a_password_when_there_is_no_session(self, hook):
        assert self.request() == "otp-request-1"
        assert hook.calls == [("request_otp", GSTIN, "portal.user")]

    def test_extends_a_known_session_instead(self, hook):
        hook.known = object()
        with pytest.raises(AirflowSkipException, match=r"22-11-2026 18:30 UTC"):
            self.request()
        assert hook.calls == [("refresh_session", GSTIN)]

    def test_asks_when_the_known_session_cannot_be_extended(self, hook):
        hook.known = object()
        hook.raises["refresh_session"] = GstnSessionExpired("ended")
        assert self.request() == "otp-request-1"

    def test_an_outage_while_extending_sends_no_message_to_a_phone(self, hook):
        hook.known = object()
        hook.raises["refresh_session"] = GstnServiceUnavailable("503")
        with pytest.raises(GstnServiceUnavailable):
            self.request()
        assert hook.calls == [("refresh_session", GSTIN)]

    @pytest.mark.parametrize("no", [False, "false"])
    def test_can_be_told_to_ask_anyway(self, hook, no):
        hook.known = object()
        assert self.request(only_if_needed=no) == "otp-request-1"
        assert hook.calls == [("request_otp", GSTIN, "portal.user")]

    def test_a_mistyped_word_for_that_asks_nobody(self, hook):
        hook.known = object()
        with pytest.raises(GstnInvalidRequest, match="only_if_needed is 'nein'; it takes true or false"):
            self.request(only_if_needed="nein")
        assert hook.calls == []


class TestVerify:
    @pytest.fixture(autouse=True)
    def page(self, monkeypatch: pytest.MonkeyPatch) -> list[dict]:
        """What Airflow is asked to show, and when it is asked to forget an answer."""
        events: list[dict] = []
        monkeypatch.setattr(
            "airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **kwargs: events.append(kwargs)
        )
        monkeypatch.setattr(session, "erase_human_input", lambda ti_id: events.append({"erased": ti_id}))
        return events

    @pytest.fixture
    def labels(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What Airflow's pages are asked to show in the place of the map index."""
        shown: list[str] = []
        monkeypatch.setattr(session, "label_mapped_task", shown.append)
        return shown

    def verify(self, **changes) -> GstnVerifyOtpOperator:
        return GstnVerifyOtpOperator(task_id="verify", gstin=GSTIN, otp_request_id="otp-request-1", **changes)

    def answer(self, otp: str | None, **changes):
        event = {"chosen_options": ["OK"], "params_input": {} if otp is None else {"otp_token": otp}}
        return self.verify().execute_complete(CONTEXT, event, **changes)

    def test_waits_for_a_person_and_names_the_gstin(self, hook, page):
        with pytest.raises(TaskAwaitingInput) as parked:
            self.verify().execute(CONTEXT)
        [shown] = page
        assert GSTIN in shown["subject"]
        assert shown["defaults"] is None  # else a timeout would count as an answer
        assert shown["params"]["otp_token"]["schema"]["format"] == "password"
        if TaskAwaitingInput is TaskDeferred:  # below Airflow 3.3 the trigger watches the time
            limit = parked.value.trigger.timeout_datetime - datetime.now(UTC)
            assert timedelta(minutes=9) < limit <= timedelta(minutes=10)
        else:
            assert parked.value.timeout == timedelta(minutes=10)
        assert not hook.calls

    def test_opens_the_session_with_what_was_typed_and_returns_no_secret(self, hook):
        assert self.answer(" 918273 ") == {"gstin": GSTIN, "ends_at": "2026-11-22T18:30:00+00:00"}
        assert hook.calls == [("verify_otp", GSTIN, "otp-request-1", "918273")]

    def test_what_was_typed_is_erased_before_it_is_used(self, hook, page):
        hook.raises["verify_otp"] = GstnServiceUnavailable("503")
        with pytest.raises(GstnOtpRefused):
            self.answer("918273", attempt=3)
        assert page == [{"erased": "ti-1"}]

    def test_an_outage_is_survived_by_asking_again(self, hook):
        hook.raises["verify_otp"] = GstnServiceUnavailable("503")
        with pytest.raises(TaskAwaitingInput):
            self.answer("918273")

    def test_no_retry_keeps_what_was_typed_in_airflows_history(self):
        assert self.verify(retries=5).retries == 0

    @pytest.mark.parametrize("otp", ["000000", "", None])
    def test_a_refused_or_empty_password_is_asked_for_again(self, hook, otp):
        hook.raises["verify_otp"] = GstnOtpRefused("AUTH4034")
        with pytest.raises(TaskAwaitingInput) as parked:
            self.answer(otp)
        assert parked.value.kwargs == {"attempt": 2}

    @pytest.mark.parametrize(
        ("otp", "raises", "why"),
        [
            ("000000", GstnOtpRefused("AUTH4034"), "GSTN refused the last password (2 of 3)"),
            ("", GstnOtpRefused("AUTH4034"), "Nothing was typed (2 of 3)"),
            ("918273", GstnServiceUnavailable("503"), "GSTN could not be asked (2 of 3)"),
        ],
    )
    @pytest.mark.parametrize("subject", [None, "Type it, {{ gstin }}"])
    def test_the_next_question_says_why_it_is_asked(self, hook, page, labels, otp, raises, why, subject):
        hook.raises["verify_otp"] = raises
        operator = self.verify(subject=subject)
        with pytest.raises(TaskAwaitingInput):
            operator.execute_complete(CONTEXT, {"params_input": {"otp_token": otp}})
        asked = f"{why}: {subject or f'One-time password of GSTN for GSTIN {GSTIN}'}"
        assert page[-1]["subject"] == operator.subject == asked
        assert "asked again" in page[-1]["body"]
        assert not labels  # a task that is not mapped has none

    def test_so_does_the_label_of_a_mapped_task(self, hook, labels):
        hook.raises["verify_otp"] = GstnOtpRefused("AUTH4034")
        mapped = SimpleNamespace(id="ti-1", map_index=3)
        with pytest.raises(TaskAwaitingInput):
            self.verify().execute_complete(
                {"ti": mapped, "task_instance": mapped}, {"params_input": {"otp_token": "000000"}}, attempt=2
            )
        assert labels == [f"{GSTIN}: GSTN refused the last password (3 of 3)"]

    def test_a_body_of_ones_own_is_kept(self, hook, page):
        with pytest.raises(TaskAwaitingInput):
            self.verify(body="Ask the boss.").execute(CONTEXT)
        assert page[0]["body"] == "Ask the boss."

    def test_after_the_last_attempt_it_fails_without_a_retry(self, hook):
        hook.raises["verify_otp"] = GstnOtpRefused("AUTH4034")
        with pytest.raises(GstnOtpRefused) as caught:
            self.answer("000000", attempt=3)
        assert isinstance(caught.value, AirflowFailException)

    def test_an_ended_request_fails_and_says_so(self, hook):
        hook.raises["verify_otp"] = GstnSessionExpired("AUTH4033")
        with pytest.raises(GstnSessionExpired):
            self.answer("918273")

    def test_nobody_answering_is_a_failure_that_names_the_gstin(self, hook):
        event = {"error": "timed out", "error_type": "timeout"}
        with pytest.raises(GstnOtpRefused, match=GSTIN):
            self.verify().execute_complete(CONTEXT, event)
        assert not hook.calls


def test_refresh_says_until_when(hook):
    operator = GstnRefreshSessionOperator(task_id="refresh", gstin=GSTIN, min_age=timedelta(hours=3))
    assert operator.execute({}) == {"gstin": GSTIN, "ends_at": "2026-11-22T18:30:00+00:00"}
    assert hook.calls == [("refresh_session", GSTIN, timedelta(hours=3))]


@pytest.mark.parametrize(("force", "forced"), [(False, False), (True, True), ("True", True), ("false", False)])
def test_logout_is_forced_only_if_asked(hook, force, forced):
    GstnLogoutOperator(task_id="logout", gstin=GSTIN, force=force).execute({})
    assert hook.calls == [("logout", GSTIN, forced)]


def test_a_mistyped_force_ends_no_session(hook):
    with pytest.raises(GstnInvalidRequest, match="force is 'ture'"):
        GstnLogoutOperator(task_id="logout", gstin=GSTIN, force="ture").execute({})
    assert not hook.calls


def test_logout_refuses_while_tasks_run(hook):
    hook.raises["logout"] = GstnBusy("tasks run")
    with pytest.raises(GstnBusy):
        GstnLogoutOperator(task_id="logout", gstin=GSTIN).execute({})
