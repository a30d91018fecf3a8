"""What was done about a request, kept where every later try finds it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_ims._compat import NEVER_EXPIRE
from airflow_provider_ims._metadata import TaskState, task_state
from airflow_provider_ims.exceptions import GstnError, GstnTransientError
from airflow_provider_ims.hooks.gstn import RESET, Call

if TYPE_CHECKING:
    from airflow.sdk import Context

INSTANCE = ("dag_id", "run_id", "task_id", "map_index")
"""What names a task instance."""

_FAILURES = "failures"
_AWAITED = "awaited"

log = logging.getLogger(__name__)


class Attempt(NamedTuple):
    """
    Which run of a task instance this is.

    :param try_number: Airflow's count of tries, from 1
    :param max_tries: the last try that Airflow would make by itself; it grows when a person clears the task, and stays
        the same from one retry to the next
    """

    try_number: int
    max_tries: int

    @property
    def is_last(self) -> bool:
        """Whether Airflow makes no further try by itself."""
        return self.try_number > self.max_tries

    def cleared_since(self, other: Attempt) -> bool:
        """Say whether a person has cleared the task between another of its tries and this one."""
        return self.max_tries != other.max_tries

    @classmethod
    def of(cls, context: Context) -> Self:
        """Read it from a task's context; outside of Airflow it is the first."""
        instance: Any = context.get("ti")
        return cls(getattr(instance, "try_number", 1), getattr(instance, "max_tries", 0))


VERSION = 2
"""Of the form in which entries are kept. What has another one tells no more than that something was sent."""


class BulkPart(BaseModel):
    """
    What only a request of a plan has.

    :param sha256: of the planned request
    :param counts: number of documents by what became of them, once the result is kept
    :param failure: why the request failed
    """

    model_config = ConfigDict(frozen=True)

    sha256: str
    counts: dict[str, int] = {}
    failure: str = ""


class Entry(BaseModel):
    """
    How far one request got.

    :param version: of this form; see :func:`entry_of`
    :param phase: ``unsent``: nothing of it is done or on its way; ``intent``: it is about to go out, or its fate is not
        known; ``submitted`` once the service has taken it; ``ended`` once its result is kept (in bulk)
    :param fingerprint: of the request that the user asked for
    :param at: when the phase began, seconds since the epoch; 0 if that is not known
    :param attempt: the try that began the phase
    :param who: the task instance that wrote this
    :param cleared: ``Attempt.max_tries`` of the last try that decided what a person who cleared the task wants
    :param cleared_at: when that was, seconds since the epoch
    :param sends: how often the request went out
    :param sends_before: how many of these count no more, since a person cleared the task or their fate was learnt
    :param in_flight_since: when it was sent, seconds since the epoch, as long as it may still be done unseen
    :param reference_id: what the service calls it, once ``submitted``
    :param origin: the reset in whose place this one was sent, by the task that reads its result
    :param already_reset: which documents were found at "no action" and not sent; see ``models.reconciliation``
    :param sent: whether ``reference_id`` is a reset; if not, it is a download, and all documents were found at
        "no action" in it
    :param must_reconcile: whether GSTN's documents have to be looked at before anything of it is sent
    :param reconciled_at: when the last look began, seconds since the epoch
    :param busy_since: since when a try has been waiting for GSTN, seconds since the epoch
    :param busy_for: which try that was
    :param outcome: what it came to: ``processed``, ``partial`` or ``failed``; empty while that is not known
    :param bulk: what only a request of a plan has
    :param revision: grows with each change; of two entries the one with the higher revision holds
    """

    model_config = ConfigDict(frozen=True)

    version: int = VERSION
    phase: Literal["unsent", "intent", "submitted", "ended"]
    fingerprint: str
    at: float
    attempt: Attempt
    who: dict[str, Any] = {}
    cleared: int | None = None
    cleared_at: float = 0.0
    sends: int = 0
    sends_before: int = 0
    in_flight_since: float = 0.0
    reference_id: str = ""
    origin: str = ""
    already_reset: str = ""
    sent: bool = True
    must_reconcile: bool = False
    reconciled_at: float = 0.0
    busy_since: float = 0.0
    busy_for: Attempt | None = None
    outcome: str = ""
    bulk: BulkPart | None = None
    revision: int = 0

    @property
    def came_to(self) -> tuple[str, int]:
        """What it came to, once that is known: the outcome, and the number of documents that it leaves open."""
        return self.outcome, self.bulk.counts.get("unknown", 0) if self.bulk else 0

    def is_of(self, attempt: Attempt) -> bool:
        """Say whether no person has cleared the task since this was decided."""
        return attempt.max_tries == (self.attempt.max_tries if self.cleared is None else self.cleared)


class Place(Protocol):
    """Where entries are kept by key, as JSON."""

    def get(self, key: str) -> Any:
        """Return what is kept, or ``None`` if there is nothing; raise if that cannot be learnt."""

    def set(self, key: str, value: Any) -> None:
        """Keep it; raise if it is not kept."""

    def delete(self, key: str) -> None:
        """Keep nothing any more; raise if something is left."""


class _InTaskState:
    """
    Airflow's task state store, which outlives workers and triggerers (3.3 and newer).

    :param state: the task instance's
    """

    def __init__(self, state: TaskState) -> None:
        self._state = state

    def get(self, key: str) -> Any:
        return self._state.get(key)

    def set(self, key: str, value: Any) -> None:
        self._state.set(key, value, retention=NEVER_EXPIRE)

    def delete(self, key: str) -> None:
        self._state.delete(key)


class Journal:
    """
    Keeps entries by key: in Airflow's task state store, and in files, if there is a place for them.

    Below Airflow 3.3 there is no such store. What is written then lasts as long as this try: it is carried from one
    process to the next in the arguments of a deferral. What could not be written to the store travels the same way.

    :param state: Airflow's task state, or nothing
    :param carried: what :attr:`carried` of the deferred process was
    :param who: names this task instance: see :data:`INSTANCE`
    """

    def __init__(
        self,
        state: TaskState | None,
        carried: Mapping[str, Any] | None = None,
        *,
        who: Mapping[str, Any] | None = None,
    ) -> None:
        self._store = None if state is None else _InTaskState(state)
        self._records: Place | None = None
        self._who = dict(who or {})
        self._known: dict[str, Entry | None] = {}
        self.carried = dict(carried or {})

    @classmethod
    def of(cls, context: Context, carried: Mapping[str, Any] | None = None) -> Self:
        """Open the journal of a task instance."""
        instance: Any = context.get("ti")
        who = {name: getattr(instance, name) for name in INSTANCE if getattr(instance, name, None) is not None}
        return cls(task_state(context), carried, who=who)

    def also_in(self, records: Place) -> None:
        """Keep everything there as well: it outlives Airflow's task state, and other task instances may meet it."""
        self._records = records
        self._known.clear()

    def is_mine(self, entry: Entry) -> bool:
        """Say whether this task instance wrote an entry."""
        return entry.who == self._who

    @property
    def who(self) -> Mapping[str, Any]:
        """Which task instance this is."""
        return self._who

    @property
    def forgets(self) -> bool:
        """Whether Airflow keeps nothing for the next try (below 3.3)."""
        return self._store is None

    @property
    def lasts(self) -> bool:
        """Whether the next try finds what is written, in Airflow or in a file."""
        return self._store is not None or self._records is not None

    def warn_if_it_forgets(self, log: Any, call: Call[Any, Any] = RESET) -> None:
        """
        Tell a person that the next try of this task instance will not find what is written.

        :param call: which call it sends
        """
        if not self.lasts:
            log.warning(
                "This Airflow keeps no task state (3.3 and newer do): if the worker dies while it sends, a retry of"
                " this task sends the %s again. Set audit_path, which keeps it in a file; or retries=0; or upgrade.",
                call.noun,
            )

    def count_failure(self) -> int:
        """Count a fault that this try waits out; return how many there were in a row."""
        failures = int(self.carried.get(_FAILURES, 0)) + 1
        self.carried[_FAILURES] = failures
        return failures

    def forget_failures(self) -> None:
        """Begin to count anew, since something worked."""
        self.carried.pop(_FAILURES, None)

    def await_(self, awaited: Mapping[str, Any] | None) -> None:
        """Note for the next process what this one waits for: the event alone does not tell a reset from a download."""
        if awaited is None:
            self.carried.pop(_AWAITED, None)
        else:
            self.carried[_AWAITED] = dict(awaited)

    @property
    def awaited(self) -> Mapping[str, Any] | None:
        """What the process before this one waited for."""
        awaited = self.carried.get(_AWAITED)
        return awaited if isinstance(awaited, Mapping) else None

    def read(self, key: str) -> Entry | None:
        """
        Return the entry of a key, or ``None``.

        :raises GstnError: when it cannot be learnt whether there is one
        """
        if key not in self._known:
            carried = entry_of(key, self.carried.get(key))
            stored = entry_of(key, self._store.get(key)) if self._store else None
            recorded = entry_of(key, self._records.get(key)) if self._records else None
            found = [entry for entry in (carried, stored, recorded) if entry is not None]
            self._known[key] = max(found, key=lambda entry: (entry.revision, entry.at), default=None)
            self._catch_up(key, stored, recorded)
        return self._known[key]

    def write(self, key: str, entry: Entry) -> None:
        """
        Keep an entry that must be kept before anything is done; it does not expire.

        :raises GstnError: when it is not kept everywhere; then nothing may be sent
        """
        before = self.read(key)
        self._refuse_if_changed(key, before)
        entry = self._next(before, entry)
        value = entry.model_dump(mode="json")
        if self._store:
            self._store.set(key, value)
        if self._records:
            try:
                self._records.set(key, value)
            except GstnError:
                self._take_back(key, before)
                raise
        if self._store:
            self.carried.pop(key, None)
        else:
            self.carried[key] = value
        self._known[key] = entry

    def keep(self, key: str, entry: Entry) -> None:
        """Keep an entry about what is done already: what cannot be written now travels on and is written later."""
        entry = self._next(self._known.get(key), entry)
        value = entry.model_dump(mode="json")
        self._known[key] = entry
        self.carried[key] = value
        written = [self._try_to_set(place, key, value) for place in (self._store, self._records) if place]
        if self._store and all(written):
            self.carried.pop(key, None)

    def restore(self, key: str, entry: Entry | None) -> None:
        """Go back to an earlier entry, or to none, after the request was not accepted."""
        if entry is not None:
            self.keep(key, entry)
            return
        last = self._known.get(key)
        self.carried.pop(key, None)
        self._known[key] = None
        try:
            for place in (self._store, self._records):
                if place and place.get(key) is not None:
                    place.delete(key)
        except Exception as error:
            log.warning("That nothing was sent could not be noted everywhere (%s); it is noted later.", error)
            if last is not None:
                self.keep(key, last.model_copy(update={"phase": "unsent", "sends": last.sends - 1}))

    def _next(self, before: Entry | None, entry: Entry) -> Entry:
        revision = max(before.revision if before else 0, entry.revision) + 1
        return entry.model_copy(update={"revision": revision, "who": self._who})

    def _catch_up(self, key: str, stored: Entry | None, recorded: Entry | None) -> None:
        """Write what an earlier process could not write; another task's record is left where it is."""
        entry = self._known[key]
        if entry is None:
            return
        value = entry.model_dump(mode="json")
        if self._records and entry is not recorded and (recorded is None or recorded.revision < entry.revision):
            self._try_to_set(self._records, key, value)
        if self._store and key in self.carried:
            newest = stored is not None and stored.revision >= entry.revision
            if newest or self._try_to_set(self._store, key, value):
                self.carried.pop(key, None)

    def _refuse_if_changed(self, key: str, before: Entry | None) -> None:
        recorded = entry_of(key, self._records.get(key)) if self._records else None
        if recorded and recorded.revision > (before.revision if before else 0):
            del self._known[key]
            raise GstnTransientError(
                f"Another task has written about the same request just now ({recorded.who or 'not named'}). Nothing"
                " was sent by this one."
            )

    def _take_back(self, key: str, before: Entry | None) -> None:
        if self._store is None:
            return
        try:
            if before is None:
                self._store.delete(key)
            else:
                self._store.set(key, before.model_dump(mode="json"))
        except GstnError as error:
            log.error("The task state %s says that a request may have been sent, and it was not: %s", key, error)

    def _try_to_set(self, place: Place, key: str, value: Any) -> bool:
        try:
            place.set(key, value)
        except Exception as error:  # what it is about is done already
            log.error("%s could not be kept for now (%s). It is tried again. It holds: %s", key, error, value)
            return False
        return True


def entry_of(key: str, value: Any) -> Entry | None:
    """
    Read what is kept.

    What cannot be read, or has the form of an older or newer version of this package, is neither "nothing was sent" nor
    "it is done": the request's fate is not known, and a look at GSTN's documents settles it.

    :param key: its name, for the log
    :param value: as it was kept; ``None`` if there is nothing
    """
    if value is None:
        return None
    known: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    if known.get("version") == VERSION:
        with suppress(ValidationError):
            return Entry.model_validate(value)
    log.warning("What is kept as %r cannot be read, so that the request's fate is not known: %r", key, value)
    # Its revision counts all the same: else an older entry that can be read would hold against it.
    revision = known.get("revision")
    return Entry(
        **{"phase": "intent", "fingerprint": "", "at": 0.0, "attempt": Attempt(0, -1), "sends": 1},
        revision=revision if isinstance(revision, int) else 0,
    )
