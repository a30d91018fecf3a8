"""Many triggers in one event loop, as in a triggerer."""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ims.hooks import _transport
from airflow_provider_ims.hooks._rate_limit import RateLimit
from airflow_provider_ims.simulator.errors import ServiceError
from airflow_provider_ims.triggers import ims
from airflow_provider_ims.triggers.ims import ImsTaskTrigger


async def event_of(reference_id: str) -> Any:
    now = time.time()
    trigger = ImsTaskTrigger(
        reference_id=reference_id, gstn_conn_id="many", poll_interval=10, start_time=now, end_time=now + 60
    )
    [event] = [event async for event in trigger.run()]
    return event.payload


async def test_twenty_triggers_log_in_once_and_keep_below_the_limit_together(simulator, submitted, hook, monkeypatch):
    hook.close()  # and with it goes the token that the process knows
    connection = simulator.server.connection
    connection["extra"]["max_requests_per_second"] = 5
    monkeypatch.setenv("AIRFLOW_CONN_MANY", json.dumps(connection))
    monkeypatch.setattr(ims, "SETTLING", 0.0)
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
    # Time stands still: so the pauses are exactly the turns.
    paced, pauses = RateLimit(5, clock=lambda: 0.0), []
    monkeypatch.setattr(_transport, "rate_limit_of", lambda settings: paced)

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(_transport, "asyncio", SimpleNamespace(sleep=note, to_thread=asyncio.to_thread))
    simulator.finish_tasks()
    before = {counter: simulator[counter] for counter in ("logins", "status_calls", "logouts")}
    events = await asyncio.gather(*(event_of(submitted) for _ in range(20)))
    assert {event["status"] for event in events} == {"completed"}
    made = {counter: simulator[counter] - count for counter, count in before.items()}
    assert made == {"logins": 1, "status_calls": 20, "logouts": 1}
    requests = 1 + 20 + 1
    assert sorted(pauses) == pytest.approx([0.2 * turn for turn in range(1, requests)])


class TestALoginThatFails:
    """While waits are in the triggerer: theodore is down, or the password was changed and nobody has told them."""

    @pytest.fixture(autouse=True)
    def polls_at_once(self, simulator, hook, submitted, monkeypatch):
        hook.close()
        monkeypatch.setattr(ims, "SETTLING", 0.0)
        monkeypatch.setattr(ims.ImsTaskTrigger, "next_wait", lambda trigger, remaining=None: 0.05)
        monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
        monkeypatch.setenv("AIRFLOW_CONN_MANY", json.dumps(simulator.server.connection))

    @pytest.fixture
    def logins(self, simulator, monkeypatch):
        """The passwords with which logins were asked for."""
        log_in, asked = simulator.gst.login, []

        def login(body: Any) -> Any:
            asked.append(body["password"])
            return log_in(body)

        monkeypatch.setattr(simulator.gst, "login", login)
        return asked

    def change(self, simulator, password: str) -> None:
        simulator.gst.change_options({"password": password})
        for token in simulator.gst._tokens.live():
            simulator.gst.expire_token(token.value)

    async def test_a_changed_password_is_looked_up_by_the_first_wait_that_is_refused_and_used_by_all(
        self, simulator, submitted, monkeypatch, logins
    ):
        waits = [asyncio.create_task(event_of(submitted)) for _ in range(20)]
        await asyncio.sleep(0.5)
        self.change(simulator, "a-new-password")
        monkeypatch.setenv("AIRFLOW_CONN_MANY", json.dumps(simulator.server.connection))
        await asyncio.sleep(1.0)
        simulator.finish_tasks()
        events = await asyncio.gather(*waits)
        assert {event["status"] for event in events} == {"completed"}
        # The first; the one that was refused; some more where a wait's call was on its way at that moment.
        assert logins.count("simulator-password") < 10
        assert logins.count("a-new-password") <= 2  # one more if the time that passed ended the token

    async def test_a_login_server_that_is_down_is_asked_once_for_all_that_wait_for_it(
        self, simulator, submitted, monkeypatch
    ):
        asked = []

        def down(body: Any) -> Any:
            asked.append(body)
            raise ServiceError(503, "err-down")

        monkeypatch.setattr(simulator.gst, "login", down)
        waits = asyncio.gather(*(event_of(submitted) for _ in range(20)), return_exceptions=True)
        await asyncio.sleep(0.5)
        waits.cancel()
        await asyncio.wait([waits])
        assert 1 <= len(asked) < 10

    async def test_a_changed_password_that_is_not_in_the_connection_ends_the_wait_with_a_plain_word(
        self, simulator, submitted, logins
    ):
        wait = asyncio.create_task(event_of(submitted))
        await asyncio.sleep(0.5)
        self.change(simulator, "a-new-password")
        event = await wait
        assert (event["status"], event["error"]) == ("error", "GstnLoginError")
        assert len(logins) == 2
