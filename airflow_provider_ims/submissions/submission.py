"""Takes one reset to the service: at most once, unless somebody asked for more."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from airflow_provider_ims.exceptions import GstnAmbiguousSubmission, GstnBusy, GstnError
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.models.download import actions_of
from airflow_provider_ims.models.payload import ResetPayload
from airflow_provider_ims.models.reconciliation import Reconciliation, as_places, of_places
from airflow_provider_ims.submissions.audit import AuditTrail
from airflow_provider_ims.submissions.journal import Attempt, Entry, Journal
from airflow_provider_ims.submissions.policy import Policy

MOST_SENDS = 3
"""How often a request goes out in all when its replies are lost, with ``on_ambiguous`` other than ``fail``."""

SHORTEST_WAIT = 15.0
LONGEST_WAIT = 300.0
"""Seconds between two tries while GSTN is busy, and between two looks at its documents."""

log = logging.getLogger(__name__)


class Sent(NamedTuple):
    """The service has the reset, under this reference id."""

    reference_id: str


class AwaitTasks(NamedTuple):
    """
    These tasks of the service have to end before it can go on.

    :param until: how long to wait at most, seconds since the epoch; ``None`` for as long as a download may take
    """

    reference_ids: list[str]
    until: float | None = None


class AwaitMoment(NamedTuple):
    """Nothing can be done before this time, seconds since the epoch."""

    moment: float


Step = Sent | AwaitTasks | AwaitMoment


class Submission:
    """
    One reset on its way to the service.

    Before the request goes out its intent is written to the journal, and its reference id right after it. So each
    later try knows whether it was sent, was not, or may have been.

    :param hook: speaks to the service
    :param journal: what earlier tries wrote
    :param payload: the request
    :param attempt: which try this is
    :param policy: what the user decided
    :param key: the journal's key
    :param sha256: in bulk, of the planned request
    :param audit: where a record is left, if anywhere
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        hook: GstnHook,
        journal: Journal,
        payload: ResetPayload,
        *,
        attempt: Attempt,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        key: str = "ims_reset",
        sha256: str = "",
        audit: AuditTrail | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hook = hook
        self._journal = journal
        self._payload = payload
        self._attempt = attempt
        self._policy = policy
        self._key = key
        self._audit = audit
        self._clock = clock
        self._fingerprint = payload.fingerprint()
        self._sha256 = sha256

    def go_on(self, downloads: Sequence[str] = ()) -> Step:
        """
        Do what can be done now.

        :param downloads: the tasks that an :class:`AwaitTasks` of this try named, now ended
        :return: the reference id, or what has to be waited for before this is called again
        :raises GstnAmbiguousSubmission: when it may have been accepted, and ``on_ambiguous`` leaves it to a person
        :raises GstnBusy: when GSTN was busy for longer than ``busy_timeout``
        :raises GstnError: see :meth:`GstnHook.submit_reset`; nothing was sent then
        """
        entry = self._known_entry()
        if entry is None or entry.phase == "busy":
            return self._send(self._payload, entry)
        if entry.phase in {"submitted", "ended"}:
            return self._attach(entry)
        if downloads:
            return self._send_the_rest(downloads, entry)
        return self._resolve(entry)

    def _known_entry(self) -> Entry | None:
        entry = self._journal.read(self._key)
        if entry is None:
            return None
        if entry.fingerprint != self._fingerprint:
            log.warning(
                "An earlier try of this task had another request (%s). This one is sent as a new one.", _story(entry)
            )
            return None
        if self._policy.force and entry.attempt.clears != self._attempt.clears and entry.phase != "busy":
            log.warning("Sending the reset again, since force_resubmit is set. Before: %s.", _story(entry))
            return None
        return entry

    def _attach(self, entry: Entry) -> Sent:
        if entry.attempt != self._attempt:
            cleared = entry.attempt.clears != self._attempt.clears
            log.warning(
                "This task was %s, but its reset is NOT sent again: %s. Going on with that one.%s",
                "cleared" if cleared else "tried again",
                _story(entry),
                " To send it once more, set force_resubmit and clear the task." if cleared else "",
            )
            self._remember(entry)
            if self._audit and entry.sent:
                not_sent = of_places(entry.already_reset, self._payload)
                keys = {key for key, _ in self._payload.documents()}
                self._audit.attached(self._payload.only(keys - not_sent), entry.reference_id)
        return Sent(entry.reference_id)

    def _send(self, payload: ResetPayload, earlier: Entry | None, already_reset: str | None = None) -> Step:
        entry = Entry(
            phase="intent",
            fingerprint=self._fingerprint,
            at=self._clock(),
            attempt=self._attempt,
            sends=1 + (earlier.sends if earlier else 0),
            already_reset=already_reset or "",
            sha256=self._sha256,
        )
        before = self._journal.read(self._key)
        # Then its record stays "unknown", whatever becomes of this one. A look at GSTN's documents settles it.
        may_be_accepted = earlier is not None and earlier.phase == "intent" and already_reset is None

        def before_sending() -> None:
            if self._audit:
                self._audit.sending(payload)
            self._journal.write(self._key, entry)

        try:
            reference_id = self._hook.submit_reset(payload, before_sending=before_sending)
        except GstnAmbiguousSubmission as error:
            return self._resolve(entry, error)
        except GstnError as error:
            if self._audit and not may_be_accepted:
                self._audit.not_accepted(payload, error)
            if isinstance(error, GstnBusy):
                return self._wait_for_others(before, error)
            self._journal.restore(self._key, before)
            raise
        submitted = entry.model_copy(update={"phase": "submitted", "reference_id": reference_id, "at": self._clock()})
        try:
            self._journal.write(self._key, submitted)
        except Exception:
            # The reset is accepted: whatever Airflow's store does, its reference id must reach the caller.
            log.exception("The reference id %s could not be kept for a retry of this task.", reference_id)
        if self._audit:
            self._audit.accepted(payload, reference_id)
        try:
            self._remember(submitted)
        except Exception:
            # The task that reads the result will call unknown what was not sent: less than is known, but not wrong.
            log.exception("What was found at no action could not be kept for the result of %s.", reference_id)
        return Sent(reference_id)

    def _resolve(self, entry: Entry, error: GstnAmbiguousSubmission | None = None) -> Step:
        """Decide about a request that may have been accepted or not."""
        what = str(error) if error else "The worker died while it was being sent."
        if self._policy.on_ambiguous == "fail" or entry.sends >= MOST_SENDS:
            raise GstnAmbiguousSubmission(self._for_a_person(entry, what), code=error.code if error else "")
        if self._policy.on_ambiguous == "resubmit":
            log.warning("Sending the reset again, as on_ambiguous says. %s", what)
            return self._send(self._payload, entry)
        log.warning("Looking at the documents that GSTN holds, as on_ambiguous says. %s", what)
        self._journal.write(self._key, entry.model_copy(update={"looked_at": self._clock()}))
        rtin = self._payload.rtin
        return AwaitTasks([self._hook.submit_download(rtin, section) for section in self._payload.counts()])

    def _send_the_rest(self, downloads: Sequence[str], entry: Entry) -> Step:
        actions = actions_of(page for reference_id in downloads for page in self._hook.get_task_pages(reference_id))
        keys = {key for key, _ in self._payload.documents()}
        done = {key for key in keys if actions.get(key) == "N"}
        places = as_places(done, self._payload)
        log.warning(
            "Of %d documents GSTN holds %d at no action; it holds another action for %d and does not list %d.",
            len(keys),
            len(done),
            len([key for key in keys - done if key in actions]),
            len([key for key in keys if key not in actions]),
        )
        if done == keys:
            return self._nothing_left(downloads[0], places, entry)
        settled = entry.at + self._policy.settle_time
        if entry.looked_at < settled:
            # The request may have been on its way then, or GSTN at work on it: what was not done may be done by now.
            now = self._clock()
            pause = min(LONGEST_WAIT, max(SHORTEST_WAIT, now - entry.at)) * _jitter()
            return AwaitMoment(min(now + pause, max(now, settled)))
        return self._send(self._payload.only(keys - done), entry, places)

    def _nothing_left(self, download: str, places: str, entry: Entry) -> Sent:
        # The download is a task of the service's like any other: its reference id stands for this reset from here
        # on, and what is remembered under it says that every document is at no action.
        changes = {"phase": "submitted", "reference_id": download, "already_reset": places, "sent": False}
        found = entry.model_copy(update={**changes, "at": self._clock()})
        self._remember(found)
        self._journal.write(self._key, found)
        if self._audit:
            self._audit.found_reset(self._payload, download)
        return Sent(download)

    def _remember(self, entry: Entry) -> None:
        """Tell the task that reads the result what it cannot see there."""
        if entry.sends > 1 or not entry.sent:
            found = Reconciliation(fingerprint=self._fingerprint, already_reset=entry.already_reset, sent=entry.sent)
            self._hook.remember_reconciliation(entry.reference_id, found.model_dump_json())

    def _wait_for_others(self, before: Entry | None, error: GstnBusy) -> AwaitMoment:
        now = self._clock()
        since = before.busy_since if before and before.busy_for == self._attempt else now
        waited = now - since
        if waited >= self._policy.busy_timeout:
            self._journal.restore(self._key, before)
            raise error
        entry = before or Entry(phase="busy", fingerprint=self._fingerprint, at=now, attempt=self._attempt)
        self._journal.write(self._key, entry.model_copy(update={"busy_since": since, "busy_for": self._attempt}))
        # As long again as it has taken so far, and not in step with other tasks.
        pause = min(LONGEST_WAIT, max(SHORTEST_WAIT, waited, error.retry_after or 0.0))
        pause = min(pause * _jitter(), max(1.0, self._policy.busy_timeout - waited))
        log.info(
            "Nothing was sent. Trying again in %.0f s, for %.0f s at most. %s", pause, self._policy.busy_timeout, error
        )
        return AwaitMoment(now + pause)

    def _for_a_person(self, entry: Entry, what: str) -> str:
        first = next(document for _, document in self._payload.documents())
        counts = ", ".join(f"{count} {section}" for section, count in self._payload.counts().items())
        return (
            f"It is not known whether the reset of {self._payload.count()} documents ({counts}) of GSTIN"
            f" {self._payload.rtin} was done; {_story(entry)}. {what} On the GST portal look at IMS for this GSTIN,"
            f" such as document {first.number} of supplier {first.stin}: if they are at no action, it was done. If not,"
            " set force_resubmit and clear this task, which sends it again. With on_ambiguous='reconcile' this task"
            " looks by itself and sends only what is not done."
        )


def _jitter() -> float:
    return random.uniform(0.9, 1.1)  # noqa: S311 - no secret


def _story(entry: Entry) -> str:
    at = datetime.fromtimestamp(entry.at, UTC).isoformat(" ", "seconds")
    by = f"by try {entry.attempt.try_number} at {at}"
    match entry.phase:
        case "submitted" | "ended":
            return f"sent {by} under the reference id {entry.reference_id}"
        case "intent":
            return f"about to be sent {by}, and no reply was read"
        case _:
            return f"not sent {by}, since GSTN was busy"
