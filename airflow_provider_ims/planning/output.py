"""The directory that a plan is written to."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.models.plan import PlannedRequest
from airflow_provider_ims.owner import FolderTaken, Owner
from airflow_provider_ims.planning import carried
from airflow_provider_ims.planning.packing import Chunk
from airflow_provider_ims.storage import PART_SUFFIX, copy_whole, names_in, remove, write_whole

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

PLAN = "plan.json"
REJECTS = "rejects.csv"
REJECTS_BOOK = "rejects.xlsx"

_CHUNK = re.compile(rf"(?P<part>\.)?[0-9]{{4,}}(\.json|\.carried\.jsonl)(?(part)\.[0-9a-f]+{re.escape(PART_SUFFIX)})")


class Output:
    """
    Chunks as ``<rtin>/0001.json``, the rejected rows as ``rejects.csv``, and ``plan.json``, which is written last.

    What is carried with the documents of a chunk is in ``<rtin>/0001.carried.jsonl``. Where there is a ``plan.json``,
    everything that it names is there and whole, and no other chunk is.

    :param path: the directory, for this plan alone
    :param by: names the task instance that plans; ``None``: nobody asks
    """

    def __init__(self, path: ObjectStoragePath, by: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self._owner = Owner(path, "plan", by)

    def clear(self) -> None:
        """
        Remove an earlier plan, its ``plan.json`` first; other files are left alone.

        :raises FolderTaken: when it is of another task of the same run
        :raises StorageError: when something of it cannot be found or removed
        """
        self._owner.take()
        self._remove()
        remove(self.path / REJECTS)
        remove(self.path / REJECTS_BOOK)

    def withdraw(self) -> None:
        """
        Remove a plan and its chunks, and leave the rejects, which may say why; another task's plan is left alone.

        :raises StorageError: when something of it cannot be found or removed
        """
        with suppress(FolderTaken):
            self._owner.check()
            self._remove()

    def _remove(self) -> None:
        remove(self.path / PLAN)
        for path in self._chunks():
            remove(path)

    def _chunks(self) -> Iterator[ObjectStoragePath]:
        for rtin in names_in(self.path):
            if re.fullmatch(GSTIN_PATTERN, rtin):
                folder = self.path / rtin
                yield from (folder / name for name in names_in(folder) if _CHUNK.fullmatch(name))

    def write_chunk(self, rtin: str, number: int, chunk: Chunk) -> PlannedRequest:
        """
        Write a chunk.

        :param rtin: GSTIN of the recipient
        :param number: number of the chunk among those of the GSTIN, from 1
        :return: what the plan says of it
        :raises CannotWrite: when it cannot be written
        """
        path = self.path / rtin / f"{number:04}.json"
        write_whole(path, chunk.body)
        return PlannedRequest(
            path=str(path),
            documents=chunk.documents,
            bytes=len(chunk.body),
            sha256=hashlib.sha256(chunk.body).hexdigest(),
        )

    def write_carried(self, chunk: PlannedRequest, columns: Sequence[str], rows: Iterable[tuple[str, str]]) -> None:
        """
        Write what is carried with the documents of a chunk, beside it.

        :param chunk: what the plan says of it
        :param columns: the names of the columns
        :param rows: for each of its documents where its row stands, and its values as JSON
        :raises CannotWrite: when it cannot be written
        """
        *_, rtin, name = chunk.path.split("/")
        path = self.path / rtin / (name.removesuffix(".json") + carried.SUFFIX)
        write_whole(path, carried.written(chunk.sha256, columns, rows))

    def write_rejects(self, source: Path) -> str:
        """Write the rejected rows from a local file (CSV or a workbook), and return the path."""
        path = self.path / source.name
        copy_whole(source, path)
        return str(path)

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """
        Write the plan; from now on it holds.

        :raises FolderTaken: when another task has taken the directory meanwhile
        """
        self._owner.check()
        write_whole(self.path / PLAN, json.dumps(plan, indent=1).encode())
