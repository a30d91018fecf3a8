"""Keeps the requests of a process below the rate that a connection allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from airflow_provider_ims.protocol.settings import Settings


class RateLimit:
    """
    Gives each request its turn, one after another at equal distances.

    :param per_second: how many requests a second; ``None`` for any number
    :param clock: seconds, never going back
    """

    def __init__(self, per_second: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._gap = 1.0 / per_second if per_second else 0.0
        self._clock = clock
        self._next = 0.0
        self._lock = threading.Lock()

    def turn(self) -> float:
        """Take the next turn; return the seconds until it comes, 0 for now."""
        if not self._gap:
            return 0.0
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._gap
            return turn - now


_LIMITS: dict[tuple[str, str, float | None], RateLimit] = {}


def rate_limit_of(settings: Settings) -> RateLimit:
    """Return the rate limit that all hooks of this process share for a service and user."""
    key = (settings.eas_url, settings.handle, settings.max_requests_per_second)
    return _LIMITS.setdefault(key, RateLimit(settings.max_requests_per_second))
