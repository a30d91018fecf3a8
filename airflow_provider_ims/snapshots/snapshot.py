"""``snapshot.json``: what a snapshot holds, and the one sign that it is whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from os import PathLike
from typing import TYPE_CHECKING, Final, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from airflow_provider_ims.models.documents import SECTIONS
from airflow_provider_ims.snapshots.errors import SnapshotUnavailable, SnapshotUnusable
from airflow_provider_ims.storage import StorageError, place, read_whole, shown

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

SNAPSHOT_FILE: Final = "snapshot.json"
DOCUMENTS_FILE: Final = "documents.parquet"

MAX_AGE: Final = timedelta(hours=24)
"""How old a snapshot may be, unless the user says otherwise."""


class Snapshot(BaseModel):
    """
    The content of ``snapshot.json``.

    :param snapshot: the snapshot's name, which its documents bear too
    :param gstin: the taxpayer
    :param taken_at: when the downloads were asked for: what is there is at least as new
    :param finished_at: when the last page was read
    :param complete: whether it holds every document: all sections, whatever the action
    :param sections: the sections that were asked for
    :param status: the action that was asked for; empty for all
    :param documents: number of documents
    :param repeated: records that came more than once, each the same: only one of them is a document
    :param counts: section -> action -> number of documents
    :param reference_ids: section -> the download's task; empty if GSTN said at once that there is nothing
    :param warnings: what is not wrong but worth a look
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    snapshot: str
    gstin: str
    taken_at: AwareDatetime
    finished_at: AwareDatetime
    complete: bool
    sections: list[str]
    status: str = ""
    documents: int
    repeated: int = 0
    counts: dict[str, dict[str, int]]
    reference_ids: dict[str, str] = {}
    warnings: list[str] = []

    @property
    def missing(self) -> str:
        """What it does not hold, in words; empty if it is complete."""
        if self.complete:
            return ""
        absent = [section for section in SECTIONS if section not in self.sections]
        parts = [f"sections {', '.join(absent)}"] if absent else []
        if self.status:
            parts.append(f"documents whose action is not {self.status}")
        return " and ".join(parts) or "some of its documents"


class FoundSnapshot:
    """
    A snapshot that is there.

    :param head: its ``snapshot.json``
    :param folder: where it is
    """

    def __init__(self, head: Snapshot, folder: ObjectStoragePath) -> None:
        self.head = head
        self.documents = folder / DOCUMENTS_FILE

    @classmethod
    def at(cls, source: object) -> Self:
        """
        Find a snapshot.

        :param source: what ``ImsDownloadOperator`` returned, or the path or URI of the snapshot's folder or of one of
            its files
        :raises SnapshotUnusable: when there is none, or it is not whole
        :raises SnapshotUnavailable: when it cannot be read now
        """
        named = source.get("path") if isinstance(source, Mapping) else source
        if not isinstance(named, (str, PathLike)) or not str(named).strip() or str(named) == "None":
            raise SnapshotUnusable(
                f"snapshot is {source!r:.200}; it takes what ImsDownloadOperator returns, or the path of a snapshot."
            )
        try:
            path = place(named)
            folder = path.parent if path.name in {SNAPSHOT_FILE, DOCUMENTS_FILE} else path
            content = read_whole(folder / SNAPSHOT_FILE)
        except StorageError as error:
            if error.passes:
                raise SnapshotUnavailable(str(error)) from error
            raise SnapshotUnusable(
                f"{shown(named)} is no whole snapshot: it has no {SNAPSHOT_FILE} that this worker can read.\n"
                f"{error.why}\n{error.advice} Or take the snapshot again."
            ) from None
        try:
            head = Snapshot.model_validate_json(content)
        except ValidationError as error:
            where = ", ".join(sorted({".".join(map(str, fault["loc"])) or "JSON" for fault in error.errors()}))
            raise SnapshotUnusable(
                f"{shown(folder / SNAPSHOT_FILE)} is not what ImsDownloadOperator writes; wrong or missing: {where}."
                "\nTake the snapshot again."
            ) from None
        if isinstance(source, Mapping) and source.get("snapshot") not in (None, head.snapshot):
            raise SnapshotUnusable(
                f"{shown(folder)} holds another snapshot by now: {head.snapshot}, not {source['snapshot']}."
                "\nGive each snapshot a folder of its own, such as one for each run."
            )
        return cls(head, folder)


def several(source: object) -> list[object]:
    """Return sources as a list, from one or from several, such as the output of a mapped task."""
    if isinstance(source, Iterable) and not isinstance(source, (str, bytes, Mapping, PathLike)):
        return [each for each in source if each is not None]
    return [source]


def usable(
    sources: Sequence[object],
    *,
    max_age: timedelta | None = MAX_AGE,
    allow_incomplete: bool = False,
    now: datetime | None = None,
) -> list[FoundSnapshot]:
    """
    Find snapshots that can be worked on, at most one for each GSTIN.

    :param sources: see :meth:`FoundSnapshot.at`; of several that were returned for one place the newest counts
    :param max_age: how old a snapshot may be; ``None``: any age
    :param allow_incomplete: take snapshots of some sections or of one action
    :param now: the time
    :raises SnapshotUnusable: with all that is wrong with them
    :raises SnapshotUnavailable: when one cannot be read now
    """
    found: list[FoundSnapshot] = []
    problems: list[str] = []
    for source in newest_of_each_place(sources):
        try:
            found.append(FoundSnapshot.at(source))
        except SnapshotUnusable as error:
            problems.append(str(error))
    if not sources:
        problems.append("There is no snapshot: an empty list was given.")
    of_gstin: dict[str, list[str]] = {}
    for each in found:
        of_gstin.setdefault(each.head.gstin, []).append(each.head.snapshot)
        age = (now or datetime.now(UTC)) - each.head.taken_at
        if max_age is not None and age > max_age:
            problems.append(
                f"The snapshot {each.head.snapshot} of GSTIN {each.head.gstin} is {in_hours(age)} old, and at most"
                f" {in_hours(max_age)} is allowed (max_age): suppliers may have changed documents since."
                "\nTake the snapshot again."
            )
        if each.head.missing and not allow_incomplete:
            problems.append(
                f"The snapshot {each.head.snapshot} of GSTIN {each.head.gstin} is incomplete: it does not hold"
                f" {each.head.missing}.\nTake it without sections and status, or set allow_incomplete=True."
            )
    for gstin, names in of_gstin.items():
        if len(names) > 1:
            problems.append(
                f"There are {len(names)} snapshots of GSTIN {gstin}, and nobody knows which of them counts:"
                f" {', '.join(sorted(names))}.\nGive the newest snapshot of each GSTIN."
            )
    if problems:
        raise SnapshotUnusable("\n".join(problems))
    return found


def newest_of_each_place(sources: Sequence[object]) -> list[object]:
    """
    Leave out what was returned of a snapshot in whose place another one of the sources is.

    Airflow keeps what a mapped task returned also when the run was cleared and fewer are mapped than before.

    :param sources: see :meth:`FoundSnapshot.at`
    """
    kept: dict[object, object] = {}
    for number, source in enumerate(sources):
        key = str(source["path"]) if isinstance(source, Mapping) and "path" in source else number
        if key not in kept or _finished_at(source) > _finished_at(kept[key]):
            kept[key] = source
    return list(kept.values())


def _finished_at(source: object) -> datetime:
    said = source.get("finished_at") if isinstance(source, Mapping) else None
    try:
        return datetime.fromisoformat(str(said)).astimezone(UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def in_hours(span: timedelta) -> str:
    """Return a span of time in words: ``20.0 hours``, ``3.5 days``."""
    hours = span.total_seconds() / 3600
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"
