"""Takes one request to the service: at most once, unless a look at GSTN's documents shows what is not done."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from airflow_provider_ims.exceptions import (
    GstnAmbiguousSubmission,
    GstnBusy,
    GstnError,
    GstnInvalidRequest,
    GstnNoDocuments,
    GstnResetFailed,
    GstnResetNotDone,
    GstnResultNotReady,
    GstnSessionExpired,
    GstnTaskNotFound,
    GstnTransientError,
)
from airflow_provider_ims.hooks.gstn import RESET, Call, GstnHook
from airflow_provider_ims.models.download import actions_of
from airflow_provider_ims.models.payload import ImsRequest
from airflow_provider_ims.models.reconciliation import Reconciliation, as_places, of_places
from airflow_provider_ims.models.task_status import is_gone
from airflow_provider_ims.results.reconciliations import Reconciliations
from airflow_provider_ims.results.report import Report, difference_of
from airflow_provider_ims.submissions.audit import NO_AUDIT, AuditTrail
from airflow_provider_ims.submissions.journal import Attempt, BulkPart, Entry, Journal
from airflow_provider_ims.submissions.policy import Policy
from airflow_provider_ims.waits.steps import KEY, AwaitMoment, AwaitTasks

MOST_SENDS = 3
"""How often a request goes out when its replies are lost, with ``on_ambiguous`` other than ``fail``. It is counted anew
when a person clears the task."""

SHORTEST_WAIT = 15.0
LONGEST_WAIT = 300.0
"""Seconds between two tries while GSTN is busy, and between two looks at its documents."""

log = logging.getLogger(__name__)


class Sent(NamedTuple):
    """The service has the request, under this reference id."""

    reference_id: str


Step = Sent | AwaitTasks | AwaitMoment


class Submission:
    """
    One request on its way to the service.

    Before the request goes out its intent is written to the journal, and its reference id right after it. So each
    later try knows whether it was sent, was not, or may have been. What a person wants who clears the task is decided
    once for each clear: where anything is open, GSTN's documents are looked at first.

    :param hook: speaks to the service
    :param journal: what earlier tries wrote
    :param payload: the request
    :param attempt: which try this is
    :param policy: what the user decided
    :param key: the journal's key
    :param bulk: in bulk, what its entries have beside what every one has
    :param audit: where a record is left
    :param call: which call it is
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        hook: GstnHook,
        journal: Journal,
        payload: ImsRequest,
        *,
        attempt: Attempt,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        key: str = KEY,
        bulk: BulkPart | None = None,
        audit: AuditTrail = NO_AUDIT,
        call: Call[bytes, Any] = RESET,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.call = call
        self.hook = hook
        self.payload = payload
        self.key = key
        self.clock = clock
        self._journal = journal
        self._attempt = attempt
        self._policy = policy
        self._audit = audit
        self._fingerprint = payload.fingerprint()
        self._bulk = bulk

    def advance(self, downloads: Sequence[str] = ()) -> Step:
        """
        Do what can be done now.

        :param downloads: the downloads that an :class:`AwaitTasks` of this try named, now ended
        :return: the reference id, or what has to be waited for before this is called again
        :raises GstnAmbiguousSubmission: when it may have been accepted, and ``on_ambiguous`` leaves it to a person
        :raises GstnBusy: when GSTN was busy for longer than ``busy_timeout``
        :raises GstnError: see :meth:`GstnHook.submit`; nothing was sent then
        """
        entry = self._known_entry()
        if entry is None:
            return self._send(None)
        if entry.must_reconcile:
            # What was downloaded for another request may lack sections of this one.
            return (
                self._send_the_rest(downloads, entry) if downloads and entry.reconciled_at else self._reconcile(entry)
            )
        match entry.phase:
            case "unsent":
                return self._send(entry)
            case "intent":
                return self._resolve(entry)
            case _:
                return self._attach(entry)

    def attach(self, reference_id: str) -> None:
        """
        Take a request that the service has already for this one, unless it is known what this one was sent as.

        :param reference_id: under which it was sent, as a log or an audit record says
        :raises GstnInvalidRequest: when what is kept tells of another request, or the service knows no such task;
            nothing was sent
        """
        known = self._journal.read(self.key)
        is_same = known is not None and known.fingerprint in {"", self._fingerprint}
        if known is not None and is_same and known.reference_id and known.phase != "unsent":
            log.info("What was sent is known; attach_to (%s) is not needed.", reference_id)
            return
        if known is not None and not is_same and known.phase == "intent":
            raise self._open_still(known)
        found = Reconciliations(self.hook.store).find(reference_id)
        self._refuse_if_another(reference_id, found)
        try:
            state = self.hook.get_task_status(reference_id).state
        except GstnTaskNotFound as error:
            raise GstnInvalidRequest(
                f"attach_to: the service knows no task {reference_id!r}. Nothing was sent.\n{error}\nGive the"
                f" reference id of the {self.call.noun}, or leave attach_to empty to send it."
            ) from None
        # What this task may have sent itself counts, too: GSTN refuses in the second what the first has done.
        sends = known.sends if known is not None and is_same else 0
        entry = Entry(
            **{"phase": "submitted", "fingerprint": self._fingerprint, "reference_id": reference_id},
            **{"at": self.clock(), "attempt": self._attempt, "sends": sends + 1, "sends_before": sends},
            **({"already_reset": found.already_reset, "sent": found.sent} if found else {}),
        )
        self._journal.write(self.key, entry)
        self._remember(entry)
        log.warning("Nothing is sent: this goes on with %s, which is %s.", reference_id, state)

    def _refuse_if_another(self, reference_id: str, found: Reconciliation | None) -> None:
        """Make sure that nothing that is kept of a reference id tells of another request."""
        sent = self.hook.find_sent_request(reference_id)
        difference = difference_of(self.payload, found, sent)
        if found is None or difference:  # else what was sent may be a part of the request, and its record tells of that
            self._audit.refuse_if_another(reference_id, self.payload)
        if difference:
            raise GstnInvalidRequest(
                f"attach_to: {reference_id!r} is another {self.call.noun} than the payload. Nothing was sent.\n"
                f"{difference}\nGive the payload that the task was given which sent it, unchanged, or leave attach_to"
                " empty to send this one."
            )

    @property
    def entry(self) -> Entry | None:
        """What the journal says of this request now; ``None`` if it is about another one."""
        entry = self._journal.read(self.key)
        return entry if entry is None or entry.fingerprint in {"", self._fingerprint} else None

    def fetch_report(self, entry: Entry) -> Report:
        """
        Fetch what came of what was sent.

        :raises GstnError: see :meth:`Report.fetch`
        """
        return Report.fetch(self.hook, entry.reference_id, self.payload, self._found(entry), self.call)

    def _found(self, entry: Entry) -> Reconciliation | None:
        """Return what a look at GSTN's documents told about the reset, for the one who reads its result."""
        if entry.sends == 1 and entry.sent and not entry.already_reset:
            return None
        return Reconciliation(fingerprint=self._fingerprint, already_reset=entry.already_reset, sent=entry.sent)

    def not_done(self, entry: Entry, error: GstnResetNotDone) -> AwaitMoment:
        """
        Go on after a result that says that nothing was done.

        :return: when to send it again
        :raises GstnSessionExpired: when a person has to open a session first; the task, cleared, goes on from there
        :raises GstnError: when GSTN was busy or down for longer than ``busy_timeout``
        """
        cause = error.cause or error
        changes = {"phase": "unsent", "sends_before": entry.sends, "in_flight_since": 0.0}
        unsent = self._of_now(entry, **changes, must_reconcile=not error.is_certain)
        summary = {"outcome": "nothing done", "processed": 0, "errors": 0, "status_cd": "", "code": error.code}
        self._audit.ended(entry.reference_id, summary, [], [])
        if isinstance(cause, GstnTransientError):
            return self._wait_for_gstn(unsent, cause)
        self._journal.keep(self.key, unsent)
        raise GstnSessionExpired(
            f"GSTIN {self.payload.rtin}: nothing of {self.call.noun} {entry.reference_id} was done, as GSTN had no"
            " session.\n"
            f"{cause}\nThen clear this task: it sends the request again.",
            code=error.code,
        ) from None

    def _known_entry(self) -> Entry | None:
        entry = self._journal.read(self.key)
        if entry is None:
            return None
        if entry.fingerprint not in {"", self._fingerprint}:
            return self._of_another_request(entry)
        if entry.is_of(self._attempt):
            return entry
        entry = self._after_a_clear(entry)
        self._journal.write(self.key, entry)
        return entry

    def _of_another_request(self, entry: Entry) -> Entry | None:
        forced = bool(self._policy.force) and not entry.is_of(self._attempt)
        if entry.phase == "intent" and not forced:
            raise self._open_still(entry)
        if forced or entry.phase in {"submitted", "ended"}:
            # Both may name the same documents: those that the one before has reset, GSTN would refuse now.
            log.warning("Looking at GSTN's documents before another request is sent. Before: %s.", _story(entry))
            return Entry(
                **{"phase": "intent", "fingerprint": self._fingerprint, "at": entry.at, "attempt": self._attempt},
                **{"sends": 1, "sends_before": 1, "in_flight_since": entry.in_flight_since, "must_reconcile": True},
                bulk=self._bulk,
            )
        return None

    def _open_still(self, entry: Entry) -> GstnInvalidRequest:
        return GstnInvalidRequest(
            f"The payload was changed while it is not known what became of the one before for GSTIN"
            f" {self.payload.rtin}.\nNothing was sent. The one before was {_story(entry)}.\nGive that payload back"
            " and clear this task: it looks at what GSTN holds and ends the matter. To send the new one all the"
            f" same, set force_resubmit and clear this task: it sends what GSTN does not hold {self.call.settled}."
        )

    def _after_a_clear(self, entry: Entry) -> Entry:
        """Decide what a person wants who cleared the task: a look, wherever it may be that something is not done."""
        now = self.clock()
        bulk = entry.bulk.model_copy(update={"failure": ""}) if entry.bulk else None
        entry = entry.model_copy(
            update={"cleared": self._attempt.max_tries, "cleared_at": now, "sends_before": entry.sends, "bulk": bulk}
        )
        changes: dict[str, object] = {}
        match entry.phase:
            case "unsent":
                must_reconcile = entry.must_reconcile or entry.sends > 0
            case "intent":
                must_reconcile = True
                if not entry.at:
                    changes = {"at": now, "in_flight_since": now}
            case "ended":
                must_reconcile, changes = self._policy.asks_again(*entry.came_to), {"in_flight_since": 0.0}
            case "submitted" if not entry.sent:
                must_reconcile = self._policy.force is True
            case _:
                must_reconcile, changes = self._standing(entry)
        if must_reconcile:
            log.warning("The task was cleared: looking at GSTN's documents first. Before: %s.", _story(entry))
        return entry.model_copy(update={**changes, "must_reconcile": must_reconcile})

    def _standing(self, entry: Entry) -> tuple[bool, dict[str, object]]:
        """Ask what came of the reset; return whether GSTN's documents have to be looked at, and what is new of it."""
        unknown = {"phase": "intent", "in_flight_since": 0.0}
        try:
            state = self.hook.get_task_status(entry.reference_id).state
        except GstnTaskNotFound:
            return (True, unknown) if is_gone(entry.at, self.clock()) else (False, {})
        if state == "failed":
            return True, unknown
        if state != "completed":
            return state == "unknown" and self._policy.force is True, {}
        try:
            outcome = self.fetch_report(entry).outcome
        except GstnResetNotDone as error:
            return True, {"phase": "unsent" if error.is_certain else "intent", "in_flight_since": 0.0}
        except GstnResultNotReady:
            return False, {}
        except GstnResetFailed:
            outcome = "failed"
        return self._policy.asks_again(outcome), {"outcome": outcome, "in_flight_since": 0.0}

    def _attach(self, entry: Entry) -> Sent:
        if entry.attempt != self._attempt:
            cleared = self._attempt.cleared_since(entry.attempt)
            log.warning(
                "This task was %s, but its %s is NOT sent again: %s. Going on with that one.%s",
                "cleared" if cleared else "tried again",
                self.call.noun,
                _story(entry),
                f" To send what GSTN does not hold {self.call.settled}, set force_resubmit and clear the task."
                if cleared
                else "",
            )
            self._remember(entry)
            if entry.sent:
                self._audit.attached(self._rest(entry), entry.reference_id)
        return Sent(entry.reference_id)

    def _rest(self, entry: Entry | None) -> ImsRequest:
        """Return the request without the documents that were found at "no action"."""
        if entry is None or not entry.already_reset:
            return self.payload
        keys = {key for key, _ in self.payload.documents()}
        return self.payload.only(keys - of_places(entry.already_reset, self.payload))

    def _send(self, earlier: Entry | None) -> Step:
        """
        Send what is not known to be at "no action".

        :param earlier: what is known of the same request
        """
        before = self._journal.read(self.key)
        payload = self._rest(earlier)
        entry = self._of_now(earlier, phase="intent", reference_id="", sent=True, must_reconcile=False)
        entry = entry.model_copy(update={"sends": entry.sends + 1, "in_flight_since": entry.at})
        # Then its record stays "unknown", whatever becomes of this one. A look at GSTN's documents settles it.
        may_be_accepted = earlier is not None and earlier.phase == "intent" and not earlier.must_reconcile

        def before_sending() -> None:
            self._audit.sending(payload)
            self._journal.write(self.key, entry)

        try:
            reference_id = self.hook.submit(self.call, payload, before_sending=before_sending)
        except GstnAmbiguousSubmission as error:
            return self._resolve(entry, error)
        except GstnError as error:
            if not may_be_accepted:
                self._audit.not_accepted(payload, error)
            if isinstance(error, GstnBusy):
                return self._wait_for_gstn(before, error)
            self._journal.restore(self.key, before)
            raise
        submitted = entry.model_copy(update={"phase": "submitted", "reference_id": reference_id, "at": self.clock()})
        # The reset is accepted: whatever stores and files do, its reference id must reach the caller.
        self._journal.keep(self.key, submitted)
        self._audit.accepted(payload, reference_id)
        try:
            self._remember(submitted)
        except Exception:
            # The task that reads the result will call unknown what was not sent: less than is known, but not wrong.
            log.exception("What was found %s could not be kept for the result of %s.", self.call.settled, reference_id)
        return Sent(reference_id)

    def _of_now(self, entry: Entry | None, **changes: object) -> Entry:
        now = self.clock()
        if entry is None:
            entry = Entry(phase="unsent", fingerprint=self._fingerprint, at=now, attempt=self._attempt)
        news = {"fingerprint": self._fingerprint, "at": now, "attempt": self._attempt, "cleared": None}
        return entry.model_copy(update={**news, "outcome": "", "bulk": self._bulk, **changes})

    def _resolve(self, entry: Entry, error: GstnAmbiguousSubmission | None = None) -> Step:
        """Decide about a request that may have been accepted or not."""
        what = str(error) if error else "The worker died while it was being sent."
        if self._policy.on_ambiguous == "fail" or entry.sends - entry.sends_before >= MOST_SENDS:
            raise GstnAmbiguousSubmission(self._for_a_person(entry, what), code=error.code if error else "")
        if self._policy.on_ambiguous == "resubmit":
            log.warning("Sending the %s again, as on_ambiguous says. %s", self.call.noun, what)
            return self._send(entry)
        log.warning("Looking at the documents that GSTN holds, as on_ambiguous says. %s", what)
        return self._reconcile(entry)

    def _reconcile(self, entry: Entry) -> Step:
        changes = {"must_reconcile": True, "reconciled_at": self.clock(), "fingerprint": self._fingerprint}
        entry = entry.model_copy(update=changes)
        self._journal.write(self.key, entry)
        downloads = []
        for section in self.payload.counts():
            try:
                downloads.append(self.hook.submit_download(self.payload.rtin, section))
            except GstnNoDocuments as error:
                log.info("GSTN lists nothing of section %s. %s", section, error)
        if not downloads:
            return self._send_the_rest((), entry)
        return AwaitTasks(downloads, kind="reconcile", key=self.key)

    def _send_the_rest(self, downloads: Sequence[str], entry: Entry) -> Step:
        actions = actions_of(page for reference_id in downloads for page in self.hook.get_task_pages(reference_id))
        keys = {key for key, _ in self.payload.documents()}
        done = {key for key in keys if actions.get(key) == self.call.settles_on}
        log.warning(
            "Of %d documents GSTN holds %d %s; it holds another action for %d and does not list %d.",
            len(keys),
            len(done),
            self.call.settled,
            len([key for key in keys - done if key in actions]),
            len([key for key in keys if key not in actions]),
        )
        entry = entry.model_copy(update={"already_reset": as_places(done, self.payload)})
        if done == keys:
            return self._nothing_left(downloads[0], entry)
        settled = entry.in_flight_since + self._policy.settle_time
        if entry.in_flight_since and entry.reconciled_at < settled:
            # The request may have been on its way then, or GSTN at work on it: what was not done may be done by now.
            now = self.clock()
            pause = min(LONGEST_WAIT, max(SHORTEST_WAIT, now - entry.in_flight_since)) * _jitter()
            return AwaitMoment(min(now + pause, max(now, settled)))
        return self._send(entry)

    def _nothing_left(self, download: str, entry: Entry) -> Sent:
        if entry.phase in {"submitted", "ended"} and entry.outcome == "processed":
            # All of it was done before, and still is: its result stays what it was.
            self._journal.keep(self.key, entry.model_copy(update={"must_reconcile": False}))
            return Sent(entry.reference_id)
        # The download is a task of the service's like any other: its reference id stands for this reset from here
        # on, and what is remembered under it says that every document is at no action.
        changes = {"phase": "submitted", "reference_id": download, "sent": False, "in_flight_since": 0.0}
        found = self._of_now(entry, **changes, must_reconcile=False)
        self._remember(found)
        self._journal.keep(self.key, found)
        self._audit.found_settled(self.payload, download)
        return Sent(download)

    def _remember(self, entry: Entry) -> None:
        """Tell the task that reads the result what it cannot see there."""
        if found := self._found(entry):
            Reconciliations(self.hook.store).remember(entry.reference_id, found)

    def _wait_for_gstn(self, before: Entry | None, error: GstnTransientError) -> AwaitMoment:
        """
        Wait while GSTN is busy or down, and nothing of this request is done.

        :param before: what is true of the request while it waits
        """
        now = self.clock()
        since = before.busy_since if before and before.busy_for == self._attempt else now
        waited = now - since
        if waited >= self._policy.busy_timeout:
            self._journal.restore(self.key, before)
            raise error
        entry = before or self._of_now(None)
        self._journal.keep(self.key, entry.model_copy(update={"busy_since": since, "busy_for": self._attempt}))
        # As long again as it has taken so far, and not in step with other tasks.
        pause = min(LONGEST_WAIT, max(SHORTEST_WAIT, waited, error.retry_after or 0.0))
        pause = min(pause * _jitter(), max(1.0, self._policy.busy_timeout - waited))
        log.info(
            "Nothing was done. Trying again in %.0f s, for %.0f s at most. %s", pause, self._policy.busy_timeout, error
        )
        return AwaitMoment(now + pause)

    def _for_a_person(self, entry: Entry, what: str) -> str:
        first = next(document for _, document in self.payload.documents())
        counts = ", ".join(f"{count} {section}" for section, count in self.payload.counts().items())
        sender = _sender(entry)
        lines = [
            f"It is not known whether the {self.call.noun} of {self.payload.count()} documents of GSTIN"
            f" {self.payload.rtin} was done.",
            f"It was {_story(entry)}.",
            *([f"Sent by: {sender}"] if sender else []),
            what,
            f"Documents: {counts}, such as {first.number} of supplier {first.stin}.",
            "Clear this task: it looks at the documents that GSTN holds, which is free, and sends only those that are"
            f" not {self.call.settled}.",
            "With on_ambiguous='reconcile' it does so by itself.",
        ]
        return "\n".join(lines)


def _jitter() -> float:
    return random.uniform(0.9, 1.1)  # noqa: S311 - no secret


def _sender(entry: Entry) -> str:
    return " ".join(str(entry.who[name]) for name in ("dag_id", "run_id", "task_id") if name in (entry.who or {}))


def _story(entry: Entry) -> str:
    if not entry.at:
        return "kept in a form that cannot be read, so that its fate is not known"
    at = datetime.fromtimestamp(entry.at, UTC).isoformat(" ", "seconds")
    by = f"by try {entry.attempt.try_number} at {at}"
    match entry.phase:
        case "submitted" | "ended":
            return f"sent {by} under the reference id {entry.reference_id}"
        case "intent":
            return f"sent or about to be sent {by}, and its fate is not known"
        case _:
            return f"not sent {by}, since GSTN did not take it"
