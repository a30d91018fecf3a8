"""Reads arguments that a template may have turned into text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from os import PathLike
from typing import Any, TypeGuard

from airflow.sdk import ObjectStoragePath
from pydantic import BaseModel

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


def is_several(value: Any) -> TypeGuard[Iterable[Any]]:
    """Say whether an argument is a list of things, such as the output of a mapped task, and not one thing."""
    one = (str, bytes, Mapping, BaseModel, PathLike, ObjectStoragePath)
    return isinstance(value, Iterable) and not isinstance(value, one)
