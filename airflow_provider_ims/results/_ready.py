"""A result that GSTN is about to have, and how long a worker waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt

from airflow_provider_ims.backoff import backoff

_LONGEST_WAIT = 60.0


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


def _wait(state: RetryCallState) -> float:
    return backoff(state.attempt_number, longest=_LONGEST_WAIT, error=None)
