"""The time the simulated services live in."""

from __future__ import annotations

import time


class Clock:
    """Real time plus whatever a test or the admin has skipped."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Return the simulated time in seconds since the epoch."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Skip ``seconds``; every expiry, task and retention follows."""
        self._ahead += seconds

    def reset(self) -> None:
        """Return to real time."""
        self._ahead = 0.0
