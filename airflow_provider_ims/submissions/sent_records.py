"""
What was sent of a request, in a file of its own.

Of each request of a plan it is beside the request: ``0001.sent.json`` for ``0001.json``. The journal of a task instance
is lost to others: a GSTIN that moves to another mapped task, a new run, a plan that was cleared. The files are met by
all of them.

Of a single request it is below ``audit_path``, under a name made from the task instance. Airflow's task state goes with
its run, and below Airflow 3.3 there is none; the file stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Self

from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.exceptions import of_storage_error
from airflow_provider_ims.file_names import file_name
from airflow_provider_ims.storage import (
    StorageError,
    Trouble,
    as_json,
    names_in,
    place,
    read_whole,
    remove,
    shown,
    write_whole,
)
from airflow_provider_ims.submissions.journal import INSTANCE

SUFFIX = ".sent.json"
FOLDER = "sent"
"""Below ``audit_path``."""

_WHAT = "What was sent of a planned request is kept beside it, and nothing is sent without that."
_THEN = "Then clear this task; nothing was sent."

_RECORD = re.compile(rf"[0-9]{{4,}}{re.escape(SUFFIX)}")


class SentRecords:
    """
    Keeps the journal's entries in files.

    :param paths: the journal's key -> path or URI of the request
    :param why: what to say of a file that cannot be read or written
    """

    def __init__(self, paths: Mapping[str, str], *, why: str = _WHAT) -> None:
        self._paths = dict(paths)
        self._why = why

    @classmethod
    def below(cls, folder: str, key: str, who: Mapping[str, Any]) -> Self:
        """
        Return the records of one task instance, in a folder for many.

        :param folder: path or URI of the folder, as ``audit_path`` says
        :param key: the journal's key
        :param who: names the task instance, as :attr:`Journal.who`
        """
        name = file_name(json.dumps([who.get(each) for each in INSTANCE]))
        why = f"audit_path {shown(folder)!r} keeps what was sent, and nothing is sent without it. Nothing was sent."
        return cls({key: f"{str(folder).rstrip('/')}/{FOLDER}/{name}.json"}, why=why)

    def get(self, key: str) -> Any:
        """
        Return what is recorded, or ``None`` if there is no record.

        :raises GstnError: when it cannot be read whether there is one
        """
        try:
            return _read(self._path(key))
        except StorageError as error:
            raise of_storage_error(error, self._why) from None

    def set(self, key: str, value: Mapping[str, Any]) -> None:
        """
        Write a record, whole.

        :raises GstnError: when it is not written
        """
        record = {**value, "when": datetime.fromtimestamp(value["at"], UTC).isoformat(timespec="seconds")}
        try:
            write_whole(self._path(key), as_json(record, indent=1) + b"\n")
        except StorageError as error:
            raise of_storage_error(error, self._why, _THEN) from None

    def delete(self, key: str) -> None:
        """
        Remove a record.

        :raises GstnError: when it may still be there
        """
        try:
            remove(self._path(key))
        except StorageError as error:
            raise of_storage_error(error, self._why, _THEN) from None

    def all(self) -> Iterator[Any]:
        """
        Yield every record beside the requests, also those of an earlier plan that had more of them.

        :raises GstnError: when they cannot be read
        """
        try:
            for parent in {str(place(path).parent) for path in self._paths.values()}:
                folder = place(parent)
                for name in names_in(folder):
                    if _RECORD.fullmatch(name) and (record := _read(folder / name)) is not None:
                        yield record
        except StorageError as error:
            raise of_storage_error(error, self._why) from None

    def _path(self, key: str) -> ObjectStoragePath:
        path = place(self._paths[key])
        return path.with_name(path.stem + SUFFIX)


def _read(path: ObjectStoragePath) -> Any:
    try:
        content = read_whole(path)
    except StorageError as error:
        if error.trouble is Trouble.MISSING:
            return None
        raise
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        record = None
    # Something was recorded, and the journal says what that means.
    return {"unreadable": str(path)} if record is None else record
