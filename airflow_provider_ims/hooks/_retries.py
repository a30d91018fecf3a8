"""How often and how patiently a read is repeated."""

from __future__ import annotations

import logging
from typing import Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_attempt,
)

from airflow_provider_ims.backoff import backoff
from airflow_provider_ims.exceptions import (
    GstnError,
    GstnServiceUnavailable,
    GstnThrottled,
    GstnUnreadableReply,
)

LONGEST_WAIT = 60.0

log = logging.getLogger(__name__)


_MAY_PASS = retry_if_exception_type((GstnServiceUnavailable, GstnThrottled, GstnUnreadableReply))


def reads(attempts: int) -> Retrying:
    """
    Return how a read is repeated: only after faults that may pass, with full jitter, honouring Retry-After.

    :param attempts: calls in all, at least 1
    """
    return Retrying(**_policy(attempts))


def awaited_reads(attempts: int) -> AsyncRetrying:
    """Return how an awaited read is repeated; the twin of :func:`reads`."""
    return AsyncRetrying(**_policy(attempts))


def _policy(attempts: int) -> dict[str, Any]:
    return {
        "stop": stop_after_attempt(attempts),
        "retry": _MAY_PASS,
        "wait": _wait,
        "before_sleep": before_sleep_log(log, logging.WARNING),
        "reraise": True,
    }


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return backoff(state.attempt_number, longest=LONGEST_WAIT, error=error if isinstance(error, GstnError) else None)
