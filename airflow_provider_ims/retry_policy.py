"""How long Airflow waits before it tries a task of this provider again (Airflow 3.3 and newer)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_ims._compat import retry_policies
from airflow_provider_ims.exceptions import (
    GstnBusy,
    GstnPermanentError,
    GstnResultNotReady,
    GstnServiceUnavailable,
    GstnThrottled,
    GstnTokenLimit,
    GstnTransientError,
)

if TYPE_CHECKING:
    from airflow.sdk import ExceptionRetryPolicy

__all__ = ["retry_policy"]


def retry_policy(
    *,
    busy: timedelta = timedelta(minutes=10),
    outage: timedelta = timedelta(minutes=5),
    throttled: timedelta = timedelta(minutes=2),
    not_ready: timedelta = timedelta(minutes=1),
) -> ExceptionRetryPolicy:
    """
    Return a policy for ``retry_policy=`` of a task or of a DAG's ``default_args``.

    It decides when the next try comes, never that there are more tries than the task's ``retries``. Without it the
    exceptions alone decide which faults are tried again, and ``retry_delay`` when.

    :param busy: pause while GSTN works on another request of the GSTIN, or the theodore user has too many sessions
    :param outage: pause while the service or GSTN is down, cannot be reached or answers nonsense
    :param throttled: pause when the service wants fewer requests
    :param not_ready: pause when a result was asked for too early
    :return: rules for this provider's exceptions; any other is left to the task's own settings
    :raises RuntimeError: below Airflow 3.3, which has no retry policies
    """
    policies = retry_policies()
    if policies is None:
        raise RuntimeError("Retry policies need Airflow 3.3 or newer. Leave retry_policy out and set retry_delay.")
    retry, fail = policies.RetryAction.RETRY, policies.RetryAction.FAIL
    rules = [
        policies.RetryRule(exception=[GstnPermanentError], action=fail, reason="Trying again cannot mend it"),
        policies.RetryRule(
            exception=[GstnBusy, GstnTokenLimit], action=retry, retry_delay=busy, reason="Busy with other requests"
        ),
        policies.RetryRule(exception=[GstnThrottled], action=retry, retry_delay=throttled, reason="Too many requests"),
        policies.RetryRule(exception=[GstnResultNotReady], action=retry, retry_delay=not_ready, reason="Not ready yet"),
        policies.RetryRule(
            exception=[GstnServiceUnavailable, GstnTransientError],
            action=retry,
            retry_delay=outage,
            reason="The service is down or cannot be reached",
        ),
    ]
    policy: ExceptionRetryPolicy = policies.ExceptionRetryPolicy(rules=rules)
    return policy
