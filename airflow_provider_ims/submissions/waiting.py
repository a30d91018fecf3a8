"""How a submission waits: in the triggerer, or on the worker."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_ims._compat import AirflowSensorTimeout
from airflow_provider_ims.exceptions import GstnError, GstnTransientError
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.sensors.ims import FRAMEWORK_SLACK
from airflow_provider_ims.submissions.submission import AwaitMoment, AwaitTasks
from airflow_provider_ims.triggers.ims import SETTLING, ImsTaskTrigger, TaskWatch

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

LONGEST_LOOK = 3600.0
"""Seconds that the downloads of a reconciliation may take."""

POLL_INTERVAL = 10.0
LONGEST_POLL_INTERVAL = 120.0


def trigger_for(
    step: AwaitTasks | AwaitMoment, gstn_conn_id: str, poll_interval: float = POLL_INTERVAL
) -> tuple[BaseTrigger, timedelta | None]:
    """
    Return the trigger that waits for a step, and after what time Airflow gives up on it.

    :param poll_interval: seconds between two polls, at first
    """
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger

    now = time.time()
    if isinstance(step, AwaitMoment):
        moment = datetime.fromtimestamp(max(step.moment, now + SETTLING), UTC)
        return DateTimeTrigger(moment=moment), None
    end = now + LONGEST_LOOK if step.until is None else step.until
    longest = max(LONGEST_POLL_INTERVAL, poll_interval)
    trigger = ImsTaskTrigger(
        reference_id=step.reference_ids,
        gstn_conn_id=gstn_conn_id,
        poll_interval=poll_interval,
        start_time=now,
        end_time=end,
        exponential_backoff=True,
        max_wait=longest,
    )
    return trigger, timedelta(seconds=max(0.0, end - now) + 2 * longest + FRAMEWORK_SLACK)


def wait_here(hook: GstnHook, step: AwaitTasks | AwaitMoment) -> Sequence[str]:
    """
    Wait on the worker.

    :return: the tasks that were waited for, if any
    :raises AirflowSensorTimeout: when the tasks take longer than :data:`LONGEST_LOOK`
    """
    if isinstance(step, AwaitMoment):
        time.sleep(max(0.0, step.moment - time.time()))
        return ()
    watch = TaskWatch(step.reference_ids, time.time())
    end = time.time() + LONGEST_LOOK
    pause = POLL_INTERVAL / 4
    while time.time() < end:
        time.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, not a secret
        pause = min(LONGEST_POLL_INTERVAL, pause * 2)
        try:
            for reference_id in list(watch.pending):
                try:
                    watch.tell(hook.get_task_status(reference_id))
                except GstnError as error:
                    watch.miss(reference_id, error)
        except GstnTransientError:
            continue
        if watch.is_over():
            return step.reference_ids
    raise AirflowSensorTimeout(f"The downloads did not end within {LONGEST_LOOK:.0f} s: {watch.last_seen}.")
