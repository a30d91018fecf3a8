"""Waits on the worker, for those who do not defer."""

from __future__ import annotations

import random
import time
from typing import Any

from airflow_provider_ims._compat import AirflowSensorTimeout
from airflow_provider_ims.exceptions import GstnTransientError
from airflow_provider_ims.hooks.gstn import RESET, Call, GstnHook
from airflow_provider_ims.waits.limits import LONGEST_LOOK, LONGEST_POLL_INTERVAL
from airflow_provider_ims.waits.poll_interval import pause
from airflow_provider_ims.waits.steps import AwaitMoment, AwaitTasks
from airflow_provider_ims.waits.watch import TaskWatch, ask


def wait_here(hook: GstnHook, step: AwaitTasks | AwaitMoment, call: Call[Any, Any] = RESET) -> AwaitTasks | None:
    """
    Wait on the worker.

    :param call: that of the request
    :return: the tasks that were waited for and have ended, if any
    :raises AirflowSensorTimeout: when downloads take longer than :data:`LONGEST_LOOK`
    """
    if isinstance(step, AwaitMoment):
        time.sleep(max(0.0, step.moment - time.time()))
        return None
    watch, waited = TaskWatch(step.reference_ids, time.time(), call=step.call(call)), 0.0
    end = time.time() + LONGEST_LOOK if step.until is None else step.until
    while time.time() < end:
        seconds = pause(waited, LONGEST_POLL_INTERVAL, watch.remaining)
        waited += seconds  # without the jitter, which would grow with the pauses
        time.sleep(seconds * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, not a secret
        try:
            ask(watch, hook.get_task_status)
        except GstnTransientError:
            continue
        if watch.is_over():
            return step
    if step.kind == "request":
        return None  # whoever sent it knows what to say of it
    raise AirflowSensorTimeout(f"The downloads did not end within {LONGEST_LOOK:.0f} s.\nLast seen: {watch.last_seen}.")
