"""Everything but the sending: what would be sent, whether it could be, and what the calendar says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from airflow_provider_ims._compat import AirflowSkipException
from airflow_provider_ims.exceptions import GstnPermanentError
from airflow_provider_ims.hooks.gstn import RESET, Call, GstnHook
from airflow_provider_ims.models.calendar import Calendar
from airflow_provider_ims.models.payload import ImsRequest
from airflow_provider_ims.models.printable import counted
from airflow_provider_ims.operators._ending import push_summary
from airflow_provider_ims.results.report import listed

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_ims.submissions.journal import Entry


class WouldSend(NamedTuple):
    """
    A request that would be sent.

    :param name: what a person knows it by
    :param payload: the request
    :param earlier: what the journal has of it
    :param attach_to: the reference id that a run goes on with instead
    """

    name: str
    payload: ImsRequest
    earlier: Entry | None
    attach_to: str = ""


def end_dry_run(
    context: Context,
    hook: GstnHook,
    requests: Iterable[WouldSend],
    log: Any,
    *,
    calendar: Calendar,
    call: Call[Any, Any] = RESET,
) -> NoReturn:
    """
    Say what would be sent, log in once to see that the service answers, and end the task without sending.

    :param hook: of the taxpayer; its connection is tried, the kept session is looked up, GSTN is asked nothing
    :param requests: one after another, so that only one is in memory
    :param log: of the task
    :param calendar: how the company files
    :param call: which call they would be sent with
    :raises AirflowSkipException: always, so that no task after it waits for what was not sent; the summary is in XCom
    :raises GstnPermanentError: when the service cannot be used
    """
    rtin, documents, size, sections = "", 0, 0, Counter[str]()
    lines = []
    count = 0
    for each in requests:
        rtin = each.payload.rtin
        count += 1
        documents += each.payload.count()
        size += len(each.payload.body())
        sections.update(each.payload.counts())
        if each.attach_to:
            lines.append(f"{each.name}: as attach_to says, a run sends nothing and goes on with {each.attach_to}")
        if told := _earlier(each.earlier):
            lines.append(f"{each.name}: {told}")
        for doubt in each.payload.doubtful_gstins():
            log.warning("%s", doubt)
    works, told = hook.test_connection()
    if not works:
        raise GstnPermanentError(
            f"Dry run of GSTIN {rtin}: the service cannot be used as the connection says. Nothing was sent.\n{told}"
        )
    session, until = _session(hook, rtin)
    now = datetime.now(UTC)
    notes = [*calendar.warnings([rtin], now), *calendar.notes([rtin], now)]
    summary = {
        **{"rtin": rtin, "outcome": "dry_run", "documents": documents, "requests": count, "bytes": size},
        **{call.done: 0, "refused": 0, "unknown": 0, "not_sent": documents},
        **{"sections": dict(sections), "session": session, "session_until": until, "notes": notes, "earlier": lines},
    }
    push_summary(context, summary, log)
    text = "\n".join(
        [
            f"Dry run: {counted(documents, 'document')} of GSTIN {rtin} would be {call.done}. Nothing was sent.",
            f"{counted(count, 'request')}, {size:,} bytes: {listed(dict(sections))}",
            told,
            _SESSIONS[session].format(until=until),
            *lines,
            *notes,
        ]
    )
    log.info("%s", text)
    raise AirflowSkipException(text.partition("\n")[0])


_SESSIONS = {
    "good": "The GSTN session is good until {until}.",
    "ended": "The GSTN session ended at {until}, unless it was extended elsewhere. Extend it, or open one, first.",
    "none": "This Airflow has opened no GSTN session for it: a person has to type a one-time password first.",
}


def _session(hook: GstnHook, rtin: str) -> tuple[str, str]:
    found = hook.find_session(rtin)
    if found is None:
        return "none", ""
    ends = datetime.fromtimestamp(found.ends_at, UTC)
    return "good" if ends > datetime.now(UTC) else "ended", ends.isoformat(timespec="minutes")


def _earlier(entry: Entry | None) -> str:
    if entry is None or not entry.sends:
        return ""
    if entry.phase == "ended":
        return f"was sent before as {entry.reference_id or 'an unknown reference id'}, and its result is kept"
    if entry.reference_id:
        return f"was sent before as {entry.reference_id}; a run goes on with that"
    return "may have been sent before; a run looks at GSTN's documents first"
