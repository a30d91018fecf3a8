"""Judges the snapshots of a day, and what a comparison with them says of each document."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from typing import TYPE_CHECKING, Any

from pyarrow import parquet  # noqa: TID253

from .service import Doc
from .storage import DayFileSystem

if TYPE_CHECKING:
    from .world import World


def judge(world: World, flow: Any) -> None:
    """Judge that a snapshot is whole or not there, and that what is called verified stood at "no action"."""
    head = _head(flow)
    if head is None:
        return
    name, rtin = head["snapshot"], flow.plan.rtin
    rows = _rows(flow)
    if rows is None:
        world.violate(f"the snapshot {name} of {rtin} has no documents beside it")
        return
    found = {Doc(rtin, *row[:5]): row[5] for row in rows}
    if {row[6] for row in rows} - {name}:
        world.violate(f"the documents beside the snapshot {name} are those of another one")
    counted = sum(sum(actions.values()) for actions in head["counts"].values())
    if not head["documents"] == len(rows) == len(found) == counted:
        world.violate(f"the snapshot {name} says {head['documents']} documents, counts {counted}, has {len(rows)}")
    begin, end = (dt.datetime.fromisoformat(head[each]).timestamp() for each in ("taken_at", "finished_at"))
    for doc, changes in world.service.history.items():
        if doc.rtin != rtin:
            continue
        if doc not in found and changes[0].moment < begin:
            world.violate(f"the snapshot {name} is called whole and lacks {doc.section} {doc.number}")
        held = _held(changes, begin, end)
        if doc in found and found[doc] not in held and not world.stale:
            world.violate(f"the snapshot {name} has {doc.number} at {found[doc]}, which stood at {' '.join(held)}")
    _what_is_verified_is_true(world, flow, begin, end)


def judge_a_head(world: World, flow: Any) -> None:
    """Judge, as soon as a snapshot's head is written, that its documents are beside it: a worker may die next."""
    head, rows = _head(flow), _rows(flow)
    if head is not None and (rows is None or {row[6] for row in rows} - {head["snapshot"]}):
        world.violate(f"the snapshot {head['snapshot']} is told before its documents are there")


def judge_the_end(world: World, flow: Any) -> None:
    """Judge that it is compared in the end wherever the bulk went well."""
    if flow.resets[-1].state != "success" or flow.resets[-1].marked:
        return
    for each in flow.checks:
        if each.state != "success" and not flow.checked and each.state != "skipped":
            world.violate(f"{each.name} comes to no end: {each.state} {str(each.error or '')[:300]}")
    differs = [
        doc for doc in flow.docs if any(change.by in {"taxpayer", "supplier"} for change in _changes(world, doc))
    ]
    if flow.checked and not differs and not world.stale:
        world.violate(f"{flow.plan.run_id} is said to differ, and nobody changed anything")


def _what_is_verified_is_true(world: World, flow: Any, begin: float, end: float) -> None:
    verify = flow.checks[-1]
    summary = world.airflow.xcom_of(verify)
    if verify.state != "success" or not isinstance(summary, dict):
        return
    content = _file(summary["path"])
    if content is None:
        world.violate(f"{verify.name} names a file that is not there")
        return
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    if len(rows) != summary["documents"]:
        world.violate(f"{verify.name} tells of {len(rows)} documents and counts {summary['documents']}")
    for row in rows:
        parts = [row[name].removeprefix("'") for name in ("section", "stin", "number", "rtnprd", "date")]
        doc = Doc(flow.plan.rtin, *parts)
        if row["verification"] == "verified" and "N" not in _held(_changes(world, doc), begin, end) and not world.stale:
            world.violate(f"{verify.name} calls {doc.number} verified, which did not stand at no action")
        was_there = bool(_changes(world, doc)) and _changes(world, doc)[0].moment < begin
        if row["verification"] == "gone" and was_there:
            world.violate(f"{verify.name} calls {doc.number} gone, which is there")
    told = {row["number"].removeprefix("'") for row in rows}
    for doc in flow.docs:
        if doc.number not in told and not flow.was_spoilt and not flow.changed:
            world.violate(f"{verify.name} says nothing of {doc.number}")


def _changes(world: World, doc: Doc) -> list[Any]:
    return world.service.history.get(doc, [])


def _held(changes: list[Any], begin: float, end: float) -> list[str]:
    """Return the actions that a document had between two times."""
    before = [change.status for change in changes if change.moment < begin]
    return before[-1:] + [change.status for change in changes if begin <= change.moment <= end + 1.0]


def _head(flow: Any) -> dict[str, Any] | None:
    content = _file(f"{flow.snapshots}/{flow.plan.rtin}/snapshot.json")
    head: dict[str, Any] | None = None if content is None else json.loads(content)
    return head


def _rows(flow: Any) -> list[tuple[Any, ...]] | None:
    content = _file(f"{flow.snapshots}/{flow.plan.rtin}/documents.parquet")
    if content is None:
        return None
    columns = ["section", "stin", "number", "rtnprd", "date", "action", "snapshot"]
    rows = parquet.read_table(io.BytesIO(content), columns=columns, use_threads=False).to_pylist()
    return [tuple(f"{each:%d-%m-%Y}" if isinstance(each, dt.date) else each for each in row.values()) for row in rows]


def _file(path: str) -> bytes | None:
    return DayFileSystem.files.get(DayFileSystem._strip_protocol(path))
