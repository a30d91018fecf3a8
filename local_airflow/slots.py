"""What tasks take of Airflow while something runs: worker slots, and how fast its API server answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Self

import requests

from local_airflow.api import AirflowApi


class Slots:
    """
    Adds up the seconds of worker slots that are taken, and times the API server's answers, while the block runs.

    :param url: Airflow's
    :param every: seconds between two looks
    :param counted: which of the pool's counts are taken slots
    """

    def __init__(
        self, url: str, *, every: float = 0.1, counted: Sequence[str] = ("running_slots", "queued_slots")
    ) -> None:
        self._api = AirflowApi(url)
        self._every = every
        self._counted = counted
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._count)
        self.seconds = 0.0
        self.answers: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._api.close()

    def _count(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(self._every):
            began = time.monotonic()
            try:
                pool = self._api.get("pools/default_pool")
            except requests.RequestException:
                continue  # a host died, or the machine is busy; the next look counts the time
            now = time.monotonic()
            self.answers.append(now - began)
            self.seconds += sum(pool[name] for name in self._counted) * (now - last)
            last = now
