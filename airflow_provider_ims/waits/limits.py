"""How long waits may take, and how often the service is asked meanwhile; all in seconds."""

from __future__ import annotations

from datetime import timedelta

LONGEST_BACKOFF = 300.0
"""Seconds; cap of the wait after failed polls, and of an exponential wait that was given no cap."""

LONGEST_POLL = 90.0
"""Seconds that the last poll may take, however near the deadline is."""

SETTLING = 5.0
"""Seconds before the first poll: Airflow's LocalExecutor fails a task that is resumed before the scheduler has heard
that the process which deferred it has ended."""

FRAMEWORK_SLACK = 60.0
"""Seconds, on top of two polls, that a trigger has to report its deadline before Airflow fails the task by its own."""

LONGEST_LOOK = 3600.0
"""Seconds that the downloads of a reconciliation may take."""

LONGEST_POLL_INTERVAL = 120.0
"""Seconds between two polls of downloads at most, where no ``poke_interval`` says it."""


def safety_net(remaining: float, poll_interval: float) -> timedelta:
    """
    Return after what time Airflow gives up a trigger by itself: one that keeps its own deadline has reported by then.

    :param remaining: seconds to the trigger's deadline
    :param poll_interval: longest time between two of its polls, seconds
    """
    return timedelta(seconds=max(0.0, remaining) + 2 * poll_interval + FRAMEWORK_SLACK)
