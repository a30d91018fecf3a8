"""
What waits of other providers are known to get wrong, each with a test of its own.

Over real HTTP, on a clock that only the trigger's own sleeping moves.
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web  # noqa: TID253 - a test

from airflow_provider_ims._compat import AirflowSensorTimeout, TaskDeferred
from airflow_provider_ims.exceptions import GstnTaskFailed
from airflow_provider_ims.sensors.ims import ImsTaskSensor
from airflow_provider_ims.triggers import ims
from airflow_provider_ims.triggers._poll_loop import Poll
from airflow_provider_ims.triggers.ims import ImsTaskTrigger


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The trigger's pauses, which take no time; its clock goes on by each."""
    clock = SimpleNamespace(now=time.time())
    pauses: list[float] = []

    async def repeat(call: Poll, first: float) -> None:
        pause: float | None = first
        while pause is not None:
            clock.now += pause
            pauses.append(pause)
            pause = await call()

    monkeypatch.setattr(ims, "repeat", repeat)
    monkeypatch.setattr(ims, "time", SimpleNamespace(time=lambda: clock.now))
    return pauses


def deferral(reference_id: str, **arguments: Any) -> ImsTaskTrigger:
    """The trigger that a sensor hands its wait to, after a round trip through Airflow's database."""
    sensor = ImsTaskSensor(task_id="wait", reference_id=reference_id, deferrable=True, **arguments)
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute({"ti": SimpleNamespace(start_date=datetime.now(UTC))})
    _, kwargs = caught.value.trigger.serialize()
    return ImsTaskTrigger(**json.loads(json.dumps(kwargs)))


async def event_of(trigger: ImsTaskTrigger) -> dict[str, Any]:
    [event] = [event async for event in trigger.run()]
    payload: dict[str, Any] = event.payload
    return payload


@pytest.mark.parametrize("status", [401, 403, 503])
async def test_no_hot_loop_whatever_http_status_comes(simulator, submitted, pauses, status):
    trigger = deferral(submitted, timeout=600, poke_interval=10)
    simulator.fault("status", "http", status=status, times=1000)
    before = simulator["status_calls"]
    event = await event_of(trigger)
    polls = simulator["status_calls"] - before
    assert event["status"] in {"error", "timeout"}
    # A token that is refused is renewed once or twice within a poll; apart from that each poll has its pause.
    assert polls <= 3 * len(pauses)
    assert min(pauses) > 0
    assert polls < 100


async def test_no_blocked_loop(monkeypatch, simulator):
    # The service answers from the same event loop: a trigger that blocked it while it asks would never be answered.
    connection = simulator.server.connection
    asked = asyncio.Event()

    async def log_in(request: web.Request) -> web.Response:
        organisation = {"organisation": {"id": connection["extra"]["org_id"], "name": "Acme"}}
        expiry = (time.time() + 3600) * 1000
        return web.json_response({"data": {"token": "t", "expiry": expiry, "associatedOrgs": [organisation]}})

    async def status(request: web.Request) -> web.Response:
        asked.set()
        return web.json_response({"data": {"status": "completed"}})

    app = web.Application()
    app.router.add_post("/theodore/authtokens", log_in)
    app.router.add_get("/enriched/tasks/v1.0/status/r-1", status)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        connection["host"] = f"http://127.0.0.1:{port}"
        connection["extra"] |= {"auth_url": f"http://127.0.0.1:{port}/theodore", "timeout": 5}
        monkeypatch.setenv("AIRFLOW_CONN_SAME_LOOP", json.dumps(connection))
        monkeypatch.setattr(ims, "SETTLING", 0.0)
        monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
        trigger = ImsTaskTrigger(
            reference_id="r-1",
            gstn_conn_id="same_loop",
            poll_interval=1,
            start_time=time.time(),
            end_time=time.time() + 3600,
        )
        event = await asyncio.wait_for(event_of(trigger), timeout=30)
    finally:
        await runner.cleanup()
    assert asked.is_set()
    assert event["status"] == "completed"


async def test_no_unreachable_refresh_when_the_token_dies_while_waiting(simulator, submitted, pauses):
    trigger = deferral(submitted, timeout=600, poke_interval=10)
    logins = simulator["logins"]
    simulator.fault("status", "expire_token")
    simulator.finish_tasks()
    assert (await event_of(trigger))["status"] == "completed"
    assert simulator["logins"] == logins + 2  # its own, and the renewal


@pytest.mark.parametrize("interval", [7, 90])
async def test_no_poke_interval_is_ignored(simulator, submitted, pauses, interval):
    simulator.gst._tasks._tasks[submitted].ready_at = float("inf")
    trigger = deferral(submitted, timeout=600, poke_interval=interval)
    assert (await event_of(trigger))["status"] == "timeout"
    # A tenth more or less; the first pause may be shorter, and the last ends at the deadline.
    assert all(0.89 * interval <= pause <= 1.11 * interval for pause in pauses[1:-1])
    assert len(pauses) >= 600 // (1.11 * interval)


async def test_no_timeout_is_retried(simulator, submitted, pauses):
    simulator.gst._tasks._tasks[submitted].ready_at = float("inf")
    trigger = deferral(submitted, timeout=60, poke_interval=10)
    event = await event_of(trigger)
    sensor = ImsTaskSensor(task_id="wait", reference_id=submitted, deferrable=True, retries=3)
    # Airflow fails a task at this exception whatever its retries.
    with pytest.raises(AirflowSensorTimeout):
        sensor.resume_execution("execute_complete", {"event": event}, {})


@pytest.mark.parametrize("word", ["cancelled", "Canceled", "aborted"])
async def test_no_cancelled_task_is_a_success(simulator, hook, payload, pauses, word):
    simulator.gst.open_session(payload.rtin)
    simulator.next_task(final_status=word)
    reference_id = hook.submit_reset(payload)
    trigger = deferral(reference_id, timeout=600)
    simulator.finish_tasks()
    event = await event_of(trigger)
    sensor = ImsTaskSensor(task_id="wait", reference_id=reference_id, deferrable=True)
    with pytest.raises(GstnTaskFailed, match=word):
        sensor.resume_execution("execute_complete", {"event": event}, {})


async def test_no_execution_timeout_is_ignored(simulator, submitted, pauses):
    simulator.gst._tasks._tasks[submitted].ready_at = float("inf")
    trigger = deferral(submitted, timeout=3600, execution_timeout=timedelta(seconds=45), poke_interval=10)
    assert (await event_of(trigger))["status"] == "timeout"
    assert 40 < sum(pauses) <= 46


async def test_no_wait_starts_over_when_the_triggerer_is_replaced(simulator, submitted, pauses):
    simulator.gst._tasks._tasks[submitted].ready_at = float("inf")
    trigger = deferral(submitted, timeout=100, poke_interval=10)

    async def nothing() -> None:
        return None

    await ims.repeat(nothing, 60)  # the first triggerer dies, and the next one starts from what is kept
    assert (await event_of(trigger))["status"] == "timeout"
    assert 95 < sum(pauses) <= 101
