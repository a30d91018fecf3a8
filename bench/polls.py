"""
CPU per poll: our trigger beside ``HttpSensorTrigger`` and a bare ``aiohttp.ClientSession``, over TLS on loopback.

    python -m bench.polls

Fifty of each poll the same service, one poll right after the other: only the pause between polls is taken out.
What is counted is the CPU time of the polling process, all its threads, user and system, per poll; the service
runs in another process. Each contender has a process of its own with Airflow's triggers loaded, as in a triggerer,
since garbage collection costs more the more there is. They take turns, and the best stretch of each counts. No log
line is written, so that ``HttpSensorTrigger``'s warning at each poll is not held against it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from bench.apart import measured_apart
from bench.service import NOT_YET_PATH, STATUS_PATH, service

WAITS = 50
STRETCHES = 12

TRIGGER = "ImsTaskTrigger"
HTTP_SENSOR = "HttpSensorTrigger"
BARE_SESSION = "bare ClientSession"


def measure(rounds: int = 5, polls: int = 500) -> dict[str, float]:
    """
    Measure all three, print a table and return the figures.

    :param rounds: how often each has its turn
    :param polls: polls in each of the stretches of a turn; a fifth of it for ``HttpSensorTrigger``, which takes longer
    """
    taken: dict[str, list[float]] = {TRIGGER: [], BARE_SESSION: [], HTTP_SENSOR: []}
    with service() as address:
        for _ in range(rounds):
            for contender, best in taken.items():
                count = polls // 5 if contender == HTTP_SENSOR else polls
                figures = measured_apart("bench.polls", contender, count, address.url, service=address)
                best.append(figures["cpu_us"])
    cpu = {contender: min(best) for contender, best in taken.items()}
    print("CPU of the polling process per poll, TLS on loopback, the service in another process")
    for contender, best in cpu.items():
        print(f"  {contender:<20} {best:8.0f} us   {cpu[TRIGGER] / best:5.2f} x")
    return {
        "poll.cpu_us": cpu[TRIGGER],
        "poll.http_sensor_cpu_us": cpu[HTTP_SENSOR],
        "poll.bare_session_cpu_us": cpu[BARE_SESSION],
        "poll.less_cpu_than_http_sensor": cpu[HTTP_SENSOR] / cpu[TRIGGER],
        "poll.ratio_to_bare_session": cpu[TRIGGER] / cpu[BARE_SESSION],
    }


class _Stopwatch:
    """Stands in for the pause between two polls: it takes no time, and reads the CPU clock every so many polls."""

    def __init__(self, polls: int) -> None:
        self._polls = polls
        self._count = 0
        self._readings: list[float] = []
        self.is_over = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Let the others go on."""
        self.count()
        await asyncio.sleep(0)

    def count(self) -> None:
        """Count a poll."""
        self._count += 1
        # The first stretch is not counted: connections are opened in it, modules loaded.
        if self._count % self._polls == 0 and not self.is_over.is_set():
            self._readings.append(time.process_time())
            if len(self._readings) > STRETCHES:
                self.is_over.set()

    @property
    def best_us(self) -> float:
        """CPU per poll in the best stretch, microseconds."""
        ends = zip(self._readings, self._readings[1:], strict=False)
        return min(later - earlier for earlier, later in ends) / self._polls * 1e6


async def _measure_one(contender: str, polls: int, url: str) -> float:
    stopwatch = _Stopwatch(polls)
    wait = _CONTENDERS[contender](stopwatch, url)
    waits = [asyncio.create_task(wait(f"{number:032d}")) for number in range(WAITS)]
    ended = asyncio.create_task(stopwatch.is_over.wait())
    done, _ = await asyncio.wait([ended, *waits], return_when=asyncio.FIRST_COMPLETED)
    for task in (ended, *waits):
        task.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    if ended not in done:
        raise RuntimeError(f"a wait ended, which none should: {done}")
    return stopwatch.best_us


_Wait = Callable[[str], Awaitable[Any]]


def _trigger(stopwatch: _Stopwatch, url: str) -> _Wait:
    from airflow_provider_ims.triggers import ims

    def at_once(self: Any, delay: float) -> float:
        stopwatch.count()
        return -1.0  # due already

    ims._Wait.capped = at_once  # type: ignore[method-assign]
    now = time.time()

    async def wait(reference_id: str) -> Any:
        trigger = ims.ImsTaskTrigger(
            reference_id=reference_id,
            gstn_conn_id="gstn_default",
            poll_interval=30.0,
            start_time=now,
            end_time=now + 86400,
        )
        return [event async for event in trigger.run()]

    return wait


def _http_sensor(stopwatch: _Stopwatch, url: str) -> _Wait:
    from airflow.providers.http.triggers import http

    http.asyncio = SimpleNamespace(sleep=stopwatch.sleep)

    async def wait(reference_id: str) -> Any:
        trigger = http.HttpSensorTrigger(endpoint=f"{NOT_YET_PATH}{reference_id}", http_conn_id="http_default")
        return [event async for event in trigger.run()]

    return wait


def _bare_session(stopwatch: _Stopwatch, url: str) -> _Wait:
    import aiohttp
    import airflow.triggers.base  # noqa: F401 - it has to carry what the others carry

    headers = {
        "accept": "application/json",
        "X-FLYNN-N-ORG-ID": "org-1",
        "X-FLYNN-N-USER-TOKEN": "t" * 64,
    }
    # Reads SSL_CERT_FILE.
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=ssl.create_default_context()))

    async def wait(reference_id: str) -> None:
        while True:
            await stopwatch.sleep(0)
            async with session.get(f"{url}{STATUS_PATH}{reference_id}", headers=headers) as response:
                await response.read()

    return wait


_CONTENDERS: dict[str, Callable[[_Stopwatch, str], _Wait]] = {
    TRIGGER: _trigger,
    HTTP_SENSOR: _http_sensor,
    BARE_SESSION: _bare_session,
}


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(json.dumps(measure(), indent=2))
    else:
        logging.disable()
        contender, polls, url = sys.argv[1:]
        print(json.dumps({"cpu_us": asyncio.run(_measure_one(contender, int(polls), url))}))
