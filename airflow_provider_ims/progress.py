"""Tells how far something long is: a line every few seconds, with a rate."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

EVERY = 10.0
"""Seconds between two lines."""


class ProgressLog:
    """
    How far something is that is counted.

    :param log: where it is told
    :param what: what is counted, with what it belongs to: ``rows of erp.csv``
    :param clock: seconds, rising
    """

    def __init__(self, log: Any, what: str, clock: Callable[[], float] | None = None) -> None:
        self._log = log
        self._what = what
        self._clock = clock or time.monotonic
        self._begun = self._told = self._clock()

    def reached(self, count: int) -> None:
        """
        Take note of a count, and tell it when the last line is some seconds ago.

        :param count: how many there are so far
        """
        now = self._clock()
        if now - self._told < EVERY:
            return
        self._told = now
        self._log.info("%s %s so far, %s a second.", f"{count:,}", self._what, f"{count / (now - self._begun):,.0f}")


def span(seconds: float) -> str:
    """Return a time in words: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
