"""How long to wait after a failure, whoever tries again."""

from __future__ import annotations

import random

from airflow_provider_ims.exceptions import GstnError

FIRST_BOUND = 1.0


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
