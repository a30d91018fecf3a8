"""Reads arguments that a template may have turned into text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from airflow.sdk import ObjectStoragePath
from pydantic import BaseModel

from airflow_provider_ims.exceptions import GstnInvalidRequest, of_storage_error
from airflow_provider_ims.storage import StorageError, is_given, place, shown
from airflow_provider_ims.submissions.journal import INSTANCE
from airflow_provider_ims.submissions.policy import Force

if TYPE_CHECKING:
    from airflow.sdk import Context

REPORT_FORMATS: Final = ("csv", "xlsx")
"""The forms in which files for people are written."""


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """
    Return the argument ``report_formats``.

    :raises ValueError: when it names another form, or leaves out CSV, which later tasks read
    """
    if isinstance(formats, str) or not {"csv"} <= set(formats) <= set(REPORT_FORMATS):
        raise ValueError(f'report_formats is {formats!r}; it takes ("csv",) or ("csv", "xlsx")')
    return tuple(formats)


def force_of(flag: bool | str | None) -> Force:
    """
    Read ``force_resubmit``.

    :raises GstnInvalidRequest: when it is neither true nor false nor ``failed``
    """
    if str(flag).strip().lower() == "failed":
        return "failed"
    try:
        return is_true("force_resubmit", flag)
    except GstnInvalidRequest:
        raise GstnInvalidRequest(
            f"force_resubmit is {flag!r}; it takes true, false or failed. Nothing was sent."
        ) from None


def is_true(name: str, flag: bool | str | None) -> bool:
    """
    Read a flag: every one that a user can set, so that a mistyped word is never taken for "no".

    :param name: the argument's name, for the error
    :param flag: true or false, or a word for it
    :raises GstnInvalidRequest: when it is neither true nor false
    """
    word = str(flag).strip().lower()
    if word in {"true", "yes", "1"}:
        return True
    if word in {"false", "no", "0", "none", ""}:
        return False
    raise GstnInvalidRequest(f"{name} is {flag!r}; it takes true or false. Nothing was sent.", place=name)


def shortest(*limits: float | timedelta | None) -> float:
    """Return the shortest of some spans of time in seconds; one that is ``None`` limits nothing."""
    return min(seconds(limit) for limit in limits if limit is not None)


def seconds(span: float | timedelta) -> float:
    """Return a span of time in seconds."""
    return span.total_seconds() if isinstance(span, timedelta) else float(span)


def is_several(value: Any) -> TypeGuard[Iterable[Any]]:
    """Say whether an argument is a list of things, such as the output of a mapped task, and not one thing."""
    one = (str, bytes, Mapping, BaseModel, PathLike, ObjectStoragePath)
    return isinstance(value, Iterable) and not isinstance(value, one)


def instance_of(context: Context) -> dict[str, Any] | None:
    """Return what names the task instance that runs; ``None``: nothing does, outside of Airflow."""
    return {name: getattr(context["ti"], name, None) for name in INSTANCE} if "ti" in context else None


def folder(name: str, path: str) -> ObjectStoragePath:
    """
    Read the path or URI of a folder to write to, which need not be there yet.

    :param name: the argument's name, for the error
    :raises GstnInvalidRequest: when it names no place, or nothing here can write to one of its scheme
    :raises GstnStorageUnavailable: when its connection cannot be had now
    """
    if not is_given(path):
        raise GstnInvalidRequest(f"{name} is empty; it takes the path or URI of a folder.", place=name)
    try:
        return place(path)
    except StorageError as error:
        fault = of_storage_error(error, f"{name} {shown(path)!r} is no folder that can be written to.")
        fault.place = name
        raise fault from error
