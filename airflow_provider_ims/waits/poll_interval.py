"""How long to wait between two polls of a task that nobody knows the duration of."""

from __future__ import annotations

from airflow_provider_ims.waits.limits import SETTLING

FIRST = SETTLING
"""Seconds from the start of a wait to its first poll, and the shortest pause there is."""

PATIENCE = 4.0
"""A pause is this part of the time that was waited so far: who polls so learns of the end a quarter late at most."""


def pause(waited: float, longest: float, remaining: float | None = None) -> float:
    """
    Return the seconds to the next poll: a few at first, and more as the wait goes on.

    It depends on the time alone, not on the polls so far, so that a wait that another process takes over goes on as
    before. Where the service tells how far its task is, it is asked half way to the end that can be expected, and at
    that end: no more often, and not later.

    :param waited: seconds since the wait began
    :param longest: seconds; no pause is longer, and if it is shorter than :data:`FIRST`, it is what is waited
    :param remaining: seconds that the tasks still need by their own progress; ``None`` when that is not known
    """
    seconds = max(0.0, waited) / PATIENCE
    if remaining is not None:
        seconds = min(remaining, max(seconds, remaining / 2))
    return min(max(FIRST, seconds), longest)
