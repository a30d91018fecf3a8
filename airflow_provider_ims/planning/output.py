"""The directory that a plan is written to."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.planning.packing import Chunk
from airflow_provider_ims.storage import PART_SUFFIX, copy_whole, names_in, remove, write_whole

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

PLAN = "plan.json"
REJECTS = "rejects.csv"

_CHUNK = re.compile(rf"[0-9]{{4,}}\.json|\.[0-9]{{4,}}\.json\.[0-9a-f]+{re.escape(PART_SUFFIX)}")


class Output:
    """
    Chunks as ``<rtin>/0001.json``, the rejected rows as ``rejects.csv``, and ``plan.json``, which is written last.

    Where there is a ``plan.json``, everything that it names is there and whole, and no other chunk is.

    :param path: the directory, for this plan alone
    """

    def __init__(self, path: ObjectStoragePath) -> None:
        self.path = path

    def clear(self) -> None:
        """
        Remove an earlier plan, its ``plan.json`` first; other files are left alone.

        :raises StorageError: when something of it cannot be found or removed
        """
        self.withdraw()
        remove(self.path / REJECTS)

    def withdraw(self) -> None:
        """
        Remove a plan and its chunks, and leave the rejects, which may say why.

        :raises StorageError: when something of it cannot be found or removed
        """
        remove(self.path / PLAN)
        for path in self._chunks():
            remove(path)

    def _chunks(self) -> Iterator[ObjectStoragePath]:
        for rtin in names_in(self.path):
            if re.fullmatch(GSTIN_PATTERN, rtin):
                folder = self.path / rtin
                yield from (folder / name for name in names_in(folder) if _CHUNK.fullmatch(name))

    def write_chunk(self, rtin: str, number: int, chunk: Chunk) -> dict[str, Any]:
        """
        Write a chunk.

        :param rtin: GSTIN of the recipient
        :param number: number of the chunk among those of the GSTIN, from 1
        :return: what the plan says of it: path, documents, bytes, sha256
        :raises CannotWrite: when it cannot be written
        """
        path = self.path / rtin / f"{number:04}.json"
        write_whole(path, chunk.body)
        return {
            "path": str(path),
            "documents": chunk.documents,
            "bytes": len(chunk.body),
            "sha256": hashlib.sha256(chunk.body).hexdigest(),
        }

    def write_rejects(self, source: Path) -> str:
        """Write the rejected rows from a local file, and return the path."""
        path = self.path / REJECTS
        copy_whole(source, path)
        return str(path)

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Write the plan; from now on it holds."""
        write_whole(self.path / PLAN, json.dumps(plan, indent=1).encode())
