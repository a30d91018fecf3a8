"""
Judges a day by what the service holds and was sent, not by what the package says of itself.

The rules stand one after another below; each violation is told in words.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_ims.exceptions import GstnSessionExpired
from airflow_provider_ims.submissions.submission import MOST_SENDS

from . import planning, sessions, snapshots
from .service import Doc, Put
from .storage import DayFileSystem

if TYPE_CHECKING:
    from .world import World

Outcomes = dict[Doc, str]

MOST_TOKENS = 10
"""Sessions that theodore allows a user."""


def judge_a_retry(world: World, instance: Any, error: BaseException) -> None:
    """Judge that a task is tried again by Airflow: below 3.3 a bulk task that has sent something must not be."""
    if world.airflow.keeps_state or instance.flow.plan.kind != "bulk" or not instance.raised:
        return
    began = (instance.try_number, instance.max_tries)
    if any(put.by is instance and put.attempt == began and put.reference_id for put in world.service.puts):
        world.violate(f"{instance.name} has sent a request, forgets it and is tried again: {str(error)[:200]}")


def judge_a_failure(world: World, instance: Any, error: BaseException) -> None:
    """Judge that a task gives up without using the tries that it has."""
    fired = world.mishaps.fired
    if sum(mishap.what == "token expires" for mishap in fired) > 1:
        return  # two in a row are no accident
    if sum(mishap.where == "PUT" for mishap in fired) >= MOST_SENDS:
        return  # it is not sent more often than that
    if instance.try_number > instance.max_tries or not fired or world.service.has_refused:
        return
    owner = world.service.owner_of(instance.flow.plan)
    if instance.flow.plan.opens_session and isinstance(error, GstnSessionExpired) and not world.service.is_open(*owner):
        return  # nobody has opened it yet
    if instance.task_id == "plan" and instance.flow.plan.bad_rows and instance.flow.plan.on_invalid == "fail":
        return  # as asked
    if all(_passes(mishap, instance.flow.plan) for mishap in fired):
        what = ", ".join(f"{mishap.where}: {mishap.what}" for mishap in fired)
        world.violate(f"{instance.name} gives up although what went wrong passes ({what}): {str(error)[:200]}")


_READS = {"status", "result", "download", "page", "login"}
_PASSES_BY_ITSELF = {
    *("not connected", "lost before", "lost after", "late before", "late after", "drips", "token expires"),
    *("HTTP 503", "HTTP 502 passed on", "HTTP 504 passed on", "HTTP 200", "HTTP 302", "HTTP 403", "HTTP 404"),
    *("dies before", "dies after", "dies with the reply"),
}


def _passes(mishap: Any, plan: Any) -> bool:
    """Say whether what went wrong is over by itself, so that trying again is right."""
    if mishap.what.startswith("dies") and plan.on_ambiguous == "fail":
        return False  # it may have been about to send
    if mishap.where in _READS:
        return mishap.what in _PASSES_BY_ITSELF
    if mishap.where == "PUT":
        if mishap.what in {"not connected", "token expires", "result not ready", "not there yet"}:
            return True
        if mishap.what in {"code", "result code"}:
            return mishap.detail in {"IMSSAV0015", "GEN4004", "GSPERR300:GSPGSTDOWN"}
        return plan.on_ambiguous != "fail" and mishap.what in _PASSES_BY_ITSELF - {"HTTP 403", "HTTP 404", "HTTP 302"}
    if mishap.where in {"connection get", "variable get", "variable set", "xcom set", "report", "state get"}:
        return True
    if mishap.where in {"file read", "file write"}:
        return not mishap.detail
    return mishap.what in {"triggerer dies", "token revoked"}


def judge(world: World, flows: list[Any]) -> None:
    """Judge what can be judged at any time."""
    for flow in flows:
        outcomes = reported(world, flow)
        if outcomes is not None:
            _what_is_said_is_true(world, flow, outcomes)
        if flow.plan.verify:
            snapshots.judge(world, flow)
        if flow.planner is not None:
            planning.judge(world, flow)
    for put in world.service.puts:
        _nothing_is_sent_again(world, put)


def judge_the_end(world: World, flows: list[Any]) -> None:
    """Judge what has to be so when all is over."""
    judge(world, flows)
    for flow in flows:
        for doc, said in (reported(world, flow) or {}).items():
            if said == "unknown" and not world.excuses.get(doc.rtin) and not _has_a_twin(doc, flow):
                world.violate(f"{doc.section} {doc.number} is reported as unknown, and every reply told the truth")
        if not is_settled(world, flow) and not flow.looked_up:
            states = ", ".join(f"{each.name} {each.state}" for each in flow.instances)
            error = next((str(each.error) for each in flow.instances if each.state == "failed"), "")
            world.violate(f"{flow.plan.run_id} comes to no end where every document is known ({states}): {error[:300]}")
        if flow.plan.verify:
            snapshots.judge_the_end(world, flow)
        if flow.planner is not None and flow.planner.state != "success":
            world.violate(f"{flow.planner.name} makes no plan: {str(flow.planner.error or '')[:300]}")
    sessions.judge_the_end(world)
    most = world.service.most_live_tokens
    if most > MOST_TOKENS or world.service.refused_logins:
        refused = world.service.refused_logins
        world.violate(f"{most} theodore sessions of a user lived at a time, and {refused} logins were one too many")
    _no_secret_is_shown(world, flows)


def _has_a_twin(doc: Doc, flow: Any) -> bool:
    """Say whether GSTN's error report, which names no date, may be about another document of this run."""
    return sum(other[:5] == doc[:5] for other in flow.docs) > 1


def judge_a_look(world: World, instance: Any, rtin: str) -> None:
    """Judge a download of a taxpayer's documents: there is nothing to learn where nothing was ever about to be sent."""
    if instance.task_id == "download":
        return  # it takes a snapshot
    if rtin in world.begun or world.excuses.get(rtin) or "airflow" in world.away or "storage" in world.away:
        return
    if any(mishap.where in {"state set", "file write", "file read"} for mishap in world.mishaps.fired):
        return  # what was to be sent may be noted although it was never sent
    world.violate(f"{instance.name} looks at the documents of {rtin}, for which nothing was ever about to be sent")


def is_settled(world: World, flow: Any) -> bool:
    """Say whether it is known of every document of a run what became of it."""
    outcomes = reported(world, flow)
    if outcomes is None or any(each.state in {None, "upstream_failed"} for each in flow.resets):
        return False
    return all(outcomes.get(doc) in {"reset", "refused"} for doc in flow.docs)


def is_accounted(world: World, flow: Any) -> bool:
    """Say whether the report has a word for every document, be it "unknown"."""
    outcomes = reported(world, flow)
    return outcomes is not None and all(outcomes.get(doc) in {"reset", "refused", "unknown"} for doc in flow.docs)


def reported(world: World, flow: Any) -> Outcomes | None:
    """Return what the run reported of each document, if it got as far as that."""
    last = flow.resets[-1]
    summary = world.airflow.xcom_of(last)
    if not isinstance(summary, dict):
        return None
    if flow.plan.kind == "bulk":
        text = _file(summary.get("csv_path"))
        if text is None:
            return None
        rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(text, newline="")))
    else:
        text = _file(summary.get("result_path"))
        rows = json.loads(text).get("documents", []) if text is not None else []
        if not rows:
            return None
    return _by_document(world, flow, rows)


def _by_document(world: World, flow: Any, rows: list[dict[str, Any]]) -> Outcomes:
    found: Outcomes = {}
    for row in rows:
        parts = tuple(_cell(row.get(name, "")) for name in ("section", "stin", "number", "rtnprd"))
        date = next((_cell(row[name]) for name in ("date", "idt", "document_date") if row.get(name)), "")
        left = [
            doc
            for doc in (*flow.docs, *flow.strangers)
            if doc[1:5] == parts and date in {"", doc.date} and doc not in found
        ]
        if not left:
            if flow.was_spoilt and not any(parts):
                continue  # a request that nobody can read is reported as one row
            world.violate(f"the report of {flow.plan.run_id} has a row too many: {parts}")
            continue
        found[left[0]] = str(row["outcome"])
    for doc in flow.docs:
        if doc not in found and not flow.was_spoilt and not flow.changed:
            world.violate(f"the report of {flow.plan.run_id} lacks {doc.section} {doc.number}")
    return found


def _cell(value: Any) -> str:
    return str(value).removeprefix("'")


def _file(path: str | None) -> str | None:
    if not path:
        return None
    held = DayFileSystem.files.get(DayFileSystem._strip_protocol(path))
    return None if held is None else held.decode()


def _what_is_said_is_true(world: World, flow: Any, outcomes: Outcomes) -> None:
    for doc, said in outcomes.items():
        changes = world.service.history[doc]
        if said == "reset":
            was_reset = [number for number, change in enumerate(changes) if change.status == "N"]
            stands = changes[-1].status == "N"
            if not stands and not (was_reset and not isinstance(changes[-1].by, Put)):
                world.violate(f"{doc.section} {doc.number} is reported as reset and stands at {changes[-1].status}")
        elif said in {"refused", "not sent", "not_sent"}:
            by = changes[-1].by
            if isinstance(by, Put) and by.flow is flow and not _was_forgotten(world, flow):
                world.violate(f"{doc.section} {doc.number} is reported as {said}, and this run reset it")
        elif said != "unknown":
            world.violate(f"{doc.section} {doc.number} is reported as {said!r}, which is no word of ours")


def _nothing_is_sent_again(world: World, put: Put) -> None:
    if put.flow is None:
        return
    flow = put.flow
    again = []
    for doc in put.at_no_action:
        earlier = [change for change in world.service.history[doc] if change.moment <= put.moment]
        by = earlier[-1].by if earlier else None
        if isinstance(by, Put) and by is not put and by.flow is flow:
            again.append((doc, by))
    if not again:
        return
    doc, first = again[0]
    if flow.plan.on_ambiguous == "resubmit" and (not first.heard or "death" in world.excuses.get(put.rtin, ())):
        return  # as asked
    if world.stale:
        return  # what GSTN showed was not so any more
    if first.done_at is not None and first.done_at - first.moment > flow.plan.settle_time - 120.0:
        return  # later than anybody waits for
    if _was_forgotten(world, flow):
        return
    world.violate(
        f"{doc.section} {doc.number} was sent again by {put.by.name} at {_clock(put.moment)} although the request of"
        f" {_clock(first.moment)} had reset it" + (" (forced)" if put.forced else "")
    )


def _was_forgotten(world: World, flow: Any) -> bool:
    """Say whether a task may have forgotten what it sent: below Airflow 3.3 nothing outlives a try (documented)."""
    return not world.airflow.keeps_state and any(each.try_number > 1 for each in flow.instances)


def _clock(moment: float) -> str:
    from .day import _clock as clock

    return clock(moment)


def _no_secret_is_shown(world: World, flows: list[Any]) -> None:
    places = {
        "a log": "\n".join(world.logs),
        "a deferral or an event": "\n".join(world.shown),
        "an XCom": "\n".join(world.database.xcoms.values()),
        "the task state": "\n".join(world.database.task_state.values()),
        "a file": "\n".join(content.decode(errors="replace") for content in DayFileSystem.files.values()),
        "an exception": "\n".join(str(each.error) for flow in flows for each in flow.instances),
    }
    for place, text in places.items():
        for secret in world.service.secrets:
            if secret and secret in text:
                world.violate(f"{place} shows a secret")
