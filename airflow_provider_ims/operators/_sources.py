"""Finds what rows are read from: files by their names or patterns, and the hook of a connection for SQL."""

from __future__ import annotations

from fnmatch import fnmatchcase
from os import PathLike
from typing import Any

from airflow.sdk import BaseHook, ObjectStoragePath

from airflow_provider_ims.exceptions import GstnInvalidPayload, GstnInvalidRequest, GstnTransientError
from airflow_provider_ims.storage import StorageError, names_in, place, shown


def files_of(source: Any) -> list[ObjectStoragePath]:
    """
    Return the files that a user names.

    :param source: path or URI, or several; ``*`` stands for any part of a file's name
    :raises GstnInvalidPayload: when there is no such file
    :raises GstnTransientError: when nobody knows now
    """
    one = isinstance(source, (str, PathLike, ObjectStoragePath))
    return [path for name in ([source] if one else source or ()) for path in _matching(str(name))]


def _matching(name: str) -> list[ObjectStoragePath]:
    try:
        path = place(name)
        if "*" not in path.name:
            return [path]
        found = [path.with_name(each) for each in names_in(path.parent) if fnmatchcase(each, path.name)]
    except StorageError as error:
        if error.passes:
            raise GstnTransientError(f"{error}\nNothing was read.") from error
        raise GstnInvalidPayload(f"{shown(name)}: {error.no_file}") from None
    if not found:
        raise GstnInvalidPayload(f"{shown(name)}: no file fits this pattern")
    return found


def sql_hook(conn_id: str) -> Any:
    """
    Return the hook of a connection that runs queries.

    :param conn_id: of any type that Airflow can query
    :raises GstnInvalidRequest: when it is of another type
    """
    hook = BaseHook.get_hook(conn_id)
    # Duck typing: DbApiHook is in a provider that not every Airflow has, nor is it the base of every SQL hook.
    if not hasattr(hook, "get_conn") or not hasattr(hook, "get_records"):
        raise GstnInvalidRequest(f"The connection {conn_id} is not one for SQL: {type(hook).__name__} runs no queries")
    return hook
