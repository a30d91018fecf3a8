"""Reads arguments that a template may have turned into text."""

from __future__ import annotations

from datetime import timedelta

from airflow_provider_ims.exceptions import GstnInvalidRequest


def is_true(name: str, flag: bool | str | None) -> bool:
    """
    Read a flag.

    :param name: the argument's name, for the error
    :raises GstnInvalidRequest: when it is neither true nor false
    """
    word = str(flag).strip().lower()
    if word in {"true", "yes", "1"}:
        return True
    if word in {"false", "no", "0", "none", ""}:
        return False
    raise GstnInvalidRequest(f"{name} is {flag!r}; it takes true or false. Nothing was sent.")


def seconds(span: float | timedelta) -> float:
    """Return a span of time in seconds."""
    return span.total_seconds() if isinstance(span, timedelta) else float(span)
