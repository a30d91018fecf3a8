"""Whose a folder of results is: two tasks of a run that share one would lose what the other has written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ims.storage import CannotRead, Trouble, as_json, read_whole, shown, write_whole

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

SUFFIX: Final = ".by.json"
"""What the name of the file ends with that names the task instance which has written a result, or writes it."""

_RUN: Final = ("dag_id", "run_id")


class FolderTaken(ValueError):
    """Another task writes to the same folder; the text is for the person who must act."""


class Owner:
    """
    A task that writes to a folder in which there is to be one result of its kind.

    What a former run has written there is its to replace; what another task of the same run has written is not.

    :param folder: the folder
    :param result: what is written: ``plan``
    :param by: names the task instance: ``dag_id``, ``run_id``, ``task_id``, ``map_index``; ``None``: nobody asks
    """

    def __init__(self, folder: ObjectStoragePath, result: str, by: Mapping[str, Any] | None = None) -> None:
        self._file = folder / f"{result}{SUFFIX}"
        self._by = dict(by or {})

    def take(self) -> None:
        """
        Make the folder this task's, before anything in it is changed.

        :raises FolderTaken: when another task of the same run has it
        :raises StorageError: when nobody knows, or it cannot be written
        """
        found = self._read()
        if found and found != self._by and all(found.get(name) == self._by.get(name) for name in _RUN):
            raise self._taken("Another task of this run writes", found)
        if self._by and found != self._by:
            write_whole(self._file, as_json(self._by))

    def check(self) -> None:
        """
        See whether the folder is still this task's.

        :raises FolderTaken: when another task has it, of this run or of another one
        :raises StorageError: when nobody knows
        """
        found = self._read()
        if found and found != self._by:
            raise self._taken("Another task has begun to write", found)

    def _read(self) -> dict[str, Any]:
        if not self._by:
            return {}
        try:
            found = json.loads(read_whole(self._file))
        except CannotRead as error:
            if error.trouble is Trouble.MISSING:
                return {}
            raise
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _taken(self, what: str, other: Mapping[str, Any]) -> FolderTaken:
        names = ("task_id", "map_index") if other.get("run_id") == self._by.get("run_id") else tuple(self._by)
        theirs, mine = (", ".join(f"{name} {by.get(name)}" for name in names) for by in (other, self._by))
        return FolderTaken(
            f"{what} to the same output_path: {theirs}.\nThis one is {mine}.\nIt is {shown(self._file.parent)}"
            "\nGive each task a folder of its own, such as one with the map index in its name, or let one task do all."
            f"\nThen clear both. If the other is gone since the run was cleared, remove {self._file.name} there."
        )
