"""
What 10,000 waiting tasks cost a triggerer's process: CPU, memory, and the longest time its event loop stands still.

    python -m bench.waits

The triggers are made from their serialized form and started one after another, as the triggerer does it, and poll
every 30 s over TLS on loopback; the service runs in another process. The start is measured by itself, up to the
time when each wait has polled once. Then comes even polling: a stretch in which the CPU time of the whole process is
read, user and system, with the log lines (formatted, and thrown away), and as long a stretch with a ticker, which
costs CPU itself.

The ticker sleeps 5 ms at a time and shows when the loop stands still: the time between two ticks beyond those 5 ms.
Other processes take the CPU away, too; so the loop's own CPU time between two ticks is told beside it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import ssl
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.apart import measured_apart
from bench.service import COUNT_PATH, service

TICK = 0.005


def measure(waits: int = 10_000, interval: float = 30.0, seconds: float = 45.0) -> dict[str, float]:
    """
    Measure in a process of its own, print a table and return the figures.

    :param waits: how many tasks are waited for
    :param interval: seconds between two polls of a task
    :param seconds: length of each stretch of even polling
    """
    with service() as address:
        figures = measured_apart("bench.waits", waits, interval, seconds, address.url, service=address)
    print(f"{waits:,} waits in one process, each polls every {interval:g} s, TLS on loopback, the service in another")
    for name, what, unit in _TABLE:
        print(f"  {what:<52} {figures[name]:10.3f} {unit}")
    return figures


_TABLE = (
    ("waits.core_fraction", "CPU while polling evenly", "of a core"),
    ("waits.polls", "polls meanwhile", ""),
    ("waits.mb", "memory of all waits", "MB"),
    ("waits.longest_block_ms", "longest time the loop stood still", "ms"),
    ("waits.longest_block_cpu_ms", "most CPU time of the loop between two ticks", "ms"),
    ("waits.p99_block_ms", "99 of 100 ticks were late by less than", "ms"),
    ("waits.longest_gc_ms", "longest garbage collection", "ms"),
    ("waits.start_core_fraction", "at the start: CPU, with the ticker", "of a core"),
    ("waits.start_longest_block_ms", "at the start: longest time the loop stood still", "ms"),
    ("waits.start_longest_block_cpu_ms", "at the start: most CPU time between two ticks", "ms"),
    ("waits.start_longest_gc_ms", "at the start: longest garbage collection", "ms"),
)


@dataclass
class _Ticker:
    """Notes how late each tick is, and how much CPU this thread used since the last one."""

    late: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            began, used = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK)
            self.late.append(time.perf_counter() - began - TICK)
            self.busy.append(time.thread_time() - used)


class _Collections:
    """Notes how long each garbage collection takes."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = 0.0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        """Do as ``gc.callbacks`` ask."""
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self.longest = max(self.longest, time.perf_counter() - self._began)


class _Stretch:
    """CPU, as a part of one core, since this was made."""

    def __init__(self) -> None:
        self._began, self._used = time.perf_counter(), time.process_time()

    @property
    def core_fraction(self) -> float:
        return (time.process_time() - self._used) / (time.perf_counter() - self._began)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began


async def _measure_here(waits: int, interval: float, seconds: float, url: str) -> dict[str, float]:
    collections, ticker = _Collections(), _Ticker()
    gc.callbacks.append(collections)
    first = _start("first", interval)
    await asyncio.sleep(8)  # what all share is there: HTTP library, connection, token
    gc.collect()
    idle = _resident_mb()
    ticking = asyncio.create_task(ticker.run())

    stretch = _Stretch()
    started = []
    for number in range(waits):
        await asyncio.sleep(0)
        started.append(_start(f"{number:032d}", interval))
    await asyncio.sleep(max(0.0, 1.1 * interval - stretch.seconds))
    figures = {
        "waits.start_core_fraction": stretch.core_fraction,
        "waits.start_longest_block_ms": 1000 * max(ticker.late),
        "waits.start_longest_block_cpu_ms": 1000 * max(ticker.busy),
        "waits.start_longest_gc_ms": 1000 * collections.longest,
    }

    ticking.cancel()
    polls = await asyncio.to_thread(_polls, url)
    stretch = _Stretch()
    await asyncio.sleep(seconds)
    figures |= {"waits.core_fraction": stretch.core_fraction}
    figures |= {"waits.polls": await asyncio.to_thread(_polls, url) - polls}

    collections.longest, ticker = 0.0, _Ticker()
    ticking = asyncio.create_task(ticker.run())
    await asyncio.sleep(seconds)
    figures |= {
        "waits.longest_block_ms": 1000 * max(ticker.late),
        "waits.longest_block_cpu_ms": 1000 * max(ticker.busy),
        "waits.p99_block_ms": 1000 * sorted(ticker.late)[len(ticker.late) * 99 // 100],
        "waits.longest_gc_ms": 1000 * collections.longest,
        "waits.mb": _resident_mb() - idle,
    }
    ended = [task for task in started if task.done()]
    for task in (ticking, first, *started):
        task.cancel()
    await asyncio.gather(ticking, first, *started, return_exceptions=True)
    if ended:
        raise RuntimeError(f"{len(ended)} waits ended, which none should: {ended[0]}")
    return figures


def _start(reference_id: str, interval: float) -> asyncio.Task[Any]:
    """Bring a trigger back from what is kept of it, and run it."""
    from airflow_provider_ims.triggers.ims import ImsTaskTrigger

    now = time.time()
    path, kept = ImsTaskTrigger(
        reference_id=reference_id,
        gstn_conn_id="gstn_default",
        poll_interval=interval,
        start_time=now,
        end_time=now + 86400,
    ).serialize()
    module, _, name = path.rpartition(".")
    trigger = getattr(import_module(module), name)(**json.loads(json.dumps(kept)))

    async def run() -> list[Any]:
        return [event async for event in trigger.run()]

    return asyncio.create_task(run(), name=reference_id)


def _polls(url: str) -> int:
    """Ask the service how many polls it has answered."""
    context = ssl.create_default_context()  # reads SSL_CERT_FILE
    with urllib.request.urlopen(f"{url}{COUNT_PATH}", context=context) as reply:  # noqa: S310 - our own service
        return int(json.load(reply)["data"])


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(json.dumps(measure(), indent=2))
    else:
        logging.basicConfig(level=logging.INFO, filename=os.devnull)
        number, interval, seconds, url = sys.argv[1:]
        print(json.dumps(asyncio.run(_measure_here(int(number), float(interval), float(seconds), url))))
