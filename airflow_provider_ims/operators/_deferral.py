"""How an operator defers: what the triggerer waits for, and what the process after it is told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_ims.hooks.gstn import RESET, Call
from airflow_provider_ims.submissions.journal import Journal
from airflow_provider_ims.triggers.ims import ImsTaskTrigger
from airflow_provider_ims.waits.events import read_event
from airflow_provider_ims.waits.limits import (
    LONGEST_LOOK,
    LONGEST_POLL_INTERVAL,
    SETTLING,
    safety_net,
)
from airflow_provider_ims.waits.steps import KEY, Awaited, AwaitMoment, AwaitTasks
from airflow_provider_ims.waits.watch import ids_of

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.triggers.base import BaseTrigger


def trigger_for(
    step: AwaitTasks | AwaitMoment,
    gstn_conn_id: str,
    poll_interval: float = LONGEST_POLL_INTERVAL,
    call: Call[Any, Any] = RESET,
) -> tuple[BaseTrigger, timedelta | None]:
    """
    Return the trigger that waits for a step, and after what time Airflow gives up on it.

    :param poll_interval: seconds between two polls, at most
    :param call: that of the request
    """
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger

    now = time.time()
    if isinstance(step, AwaitMoment):
        moment = datetime.fromtimestamp(max(step.moment, now + SETTLING), UTC)
        return DateTimeTrigger(moment=moment), None
    end = now + LONGEST_LOOK if step.until is None else step.until
    trigger = ImsTaskTrigger(
        reference_id=step.reference_ids,
        gstn_conn_id=gstn_conn_id,
        poll_interval=poll_interval,
        start_time=now,
        end_time=end,
        poll_early=True,
        call=step.call(call).name,
    )
    return trigger, safety_net(end - now, poll_interval)


def hand_over(
    operator: BaseOperator,
    step: AwaitTasks | AwaitMoment,
    journal: Journal,
    gstn_conn_id: str,
    *,
    method: str,
    poll_interval: float = LONGEST_POLL_INTERVAL,
    call: Call[Any, Any] = RESET,
) -> NoReturn:
    """
    Defer: the triggerer waits for a step, and ``method`` goes on after it.

    :param journal: is carried to the process that goes on, with what is waited for
    :param method: takes ``event`` and ``carried``
    :param poll_interval: seconds between two polls, at most
    :param call: that of the request
    """
    journal.await_(step.to_json() if isinstance(step, AwaitTasks) else None)
    trigger, timeout = trigger_for(step, gstn_conn_id, poll_interval, call)
    operator.defer(trigger=trigger, method_name=method, kwargs={"carried": journal.carried}, timeout=timeout)


def ended_of(journal: Journal, event: Mapping[str, Any] | None, kind: Awaited) -> AwaitTasks | None:
    """
    Return what was waited for, now that it has ended; nothing if it was a moment.

    Whether a request has ended is asked of the service again, whatever the event says.

    :param kind: what it was, if the arguments of the deferral were lost (``dag.test`` of Airflow 3.3 does that)
    :raises GstnError: when downloads failed, or the event is about something else
    :raises AirflowSensorTimeout: when downloads did not end in time
    """
    if journal.awaited is not None:
        step = AwaitTasks(**journal.awaited)
    elif not journal.carried and event is not None and "reference_id" in event:
        step = AwaitTasks(ids_of(event["reference_id"]), kind=kind, key=KEY)
    else:
        return None
    if step.kind != "request":
        read_event(event, step.reference_ids, step.call())
    return step
