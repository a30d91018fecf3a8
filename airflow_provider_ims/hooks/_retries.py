"""How often and how patiently a read is repeated."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
)

from airflow_provider_ims.exceptions import (
    GstnError,
    GstnServiceUnavailable,
    GstnThrottled,
    GstnUnreadableReply,
)

FIRST_BOUND = 1.0
LONGEST_WAIT = 60.0

log = logging.getLogger(__name__)


_MAY_PASS = retry_if_exception_type((GstnServiceUnavailable, GstnThrottled, GstnUnreadableReply))


def reads(attempts: int) -> Retrying:
    """
    Return how a read is repeated: only after faults that may pass, with full jitter, honouring Retry-After.

    :param attempts: calls in all, at least 1
    """
    return Retrying(
        stop=stop_after_attempt(attempts),
        retry=_MAY_PASS,
        wait=_wait,
        before_sleep=before_sleep_log(log, logging.WARNING),
        reraise=True,
    )


def awaited_reads(attempts: int) -> AsyncRetrying:
    """Return how an awaited read is repeated; the twin of :func:`reads`."""
    return AsyncRetrying(
        stop=stop_after_attempt(attempts),
        retry=_MAY_PASS,
        wait=_wait,
        before_sleep=before_sleep_log(log, logging.WARNING),
        reraise=True,
    )


def until_ready(is_pending: Callable[[Any], bool], attempts: int = 5) -> Retrying:
    """
    Return how a read is repeated while its answer says "not yet"; then the last answer counts.

    :param is_pending: whether an answer says "not yet"
    :param attempts: calls in all, at least 1
    """
    return Retrying(
        stop=stop_after_attempt(attempts),
        retry=retry_if_result(is_pending),
        wait=_wait,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )


def backoff(failures: int, *, first: float = FIRST_BOUND, longest: float, error: GstnError | None) -> float:
    """
    Return how long to wait after a failure: full jitter below a bound that doubles, capped.

    :param failures: failures in a row so far, at least 1
    :param first: bound after the first failure, seconds
    :param longest: the bound's cap, seconds; also caps what the service asks for
    :param error: the last failure; its ``retry_after`` is the least that is waited
    """
    bound = min(longest, first * 2.0 ** min(failures - 1, 30))
    asked = (error.retry_after if error else None) or 0.0
    return max(random.uniform(0, bound), min(asked, longest))  # noqa: S311 - jitter, not a secret


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return backoff(state.attempt_number, longest=LONGEST_WAIT, error=error if isinstance(error, GstnError) else None)
