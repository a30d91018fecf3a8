"""What one task instance has sent, kept where its next try finds it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_ims._compat import NEVER_EXPIRE
from airflow_provider_ims._metadata import task_state

if TYPE_CHECKING:
    from airflow.sdk import Context

_FAILURES = "failures"

log = logging.getLogger(__name__)


class Attempt(NamedTuple):
    """
    Which run of a task instance this is.

    :param try_number: Airflow's count of tries, from 1
    :param clears: the last try that Airflow would make by itself; it grows when a person clears the task, and stays
        the same from one retry to the next
    """

    try_number: int
    clears: int

    @property
    def is_last(self) -> bool:
        """Whether Airflow makes no further try by itself."""
        return self.try_number > self.clears

    @classmethod
    def of(cls, context: Context) -> Self:
        """Read it from a task's context; outside of Airflow it is the first."""
        instance: Any = context.get("ti")
        return cls(getattr(instance, "try_number", 1), getattr(instance, "max_tries", 0))


class Entry(BaseModel):
    """
    How far one reset got.

    :param phase: ``intent`` before the request goes out, ``submitted`` once the service has taken it, ``ended`` once
        its result is kept (in bulk), ``busy`` while GSTN works on another request and this one is not sent yet
    :param fingerprint: of the request that the user asked for
    :param at: when the phase began, seconds since the epoch
    :param attempt: the try that wrote this
    :param sends: how often the request went out
    :param reference_id: what the service calls it, once ``submitted``
    :param already_reset: which documents were found at "no action" and not sent; see ``reconciliation``
    :param sent: whether ``reference_id`` is a reset; if not, all documents were found at "no action"
    :param looked_at: when the last look at GSTN's documents began, seconds since the epoch
    :param busy_since: when a try first found GSTN busy, seconds since the epoch
    :param busy_for: which try that was
    :param sha256: in bulk, of the planned request
    :param watched_since: in bulk, since when the reset is waited for, seconds since the epoch
    :param watched_for: which try began that
    :param told: in bulk, what became of the documents: ``outcome`` and counts
    :param failure: in bulk, why the request failed
    """

    model_config = ConfigDict(frozen=True)

    phase: Literal["intent", "submitted", "ended", "busy"]
    fingerprint: str
    at: float
    attempt: Attempt
    sends: int = 0
    reference_id: str = ""
    already_reset: str = ""
    sent: bool = True
    looked_at: float = 0.0
    busy_since: float = 0.0
    busy_for: Attempt | None = None
    sha256: str = ""
    watched_since: float = 0.0
    watched_for: Attempt | None = None
    told: dict[str, Any] = {}
    failure: str = ""


class Journal:
    """
    Keeps entries by key: in Airflow's task state store, which outlives workers and triggerers.

    Below Airflow 3.3 there is no such store. What is written then lasts as long as this try: it is carried from one
    process to the next in the arguments of a deferral.

    :param store: ``context["task_state_store"]``, or nothing
    :param carried: what :attr:`carried` of the deferred process was
    """

    def __init__(self, store: Any, carried: Mapping[str, Any] | None = None) -> None:
        self._store = store
        self.carried = dict(carried or {})

    @classmethod
    def of(cls, context: Context, carried: Mapping[str, Any] | None = None) -> Self:
        """Open the journal of a task instance."""
        return cls(task_state(context), carried)

    @property
    def would_forget(self) -> bool:
        """Whether the next try would know nothing of what was written in this one."""
        return self._store is None and bool(self.carried)

    def count_failure(self) -> int:
        """Count a fault that this try waits out; return how many there were."""
        failures = int(self.carried.get(_FAILURES, 0)) + 1
        self.carried[_FAILURES] = failures
        return failures

    def warn_if_it_forgets(self, log: Any) -> None:
        """Tell a person that the next try of this task instance will not find what is written."""
        if self._store is None:
            log.warning(
                "This Airflow keeps no task state (3.3 and newer do): if the worker dies while it sends, a retry of"
                " this task sends the reset again. Set retries=0 for it, or upgrade."
            )

    def read(self, key: str) -> Entry | None:
        """Return the entry of a key, or ``None``."""
        value = self.carried.get(key) if self._store is None else self._store.get(key)
        if value is None:
            return None
        try:
            return Entry.model_validate(value)
        except ValidationError:
            log.warning("Task state %r is not an entry of ours and is passed over: %r", key, value)
            return None

    def write(self, key: str, entry: Entry) -> None:
        """Keep an entry; it does not expire."""
        value = entry.model_dump(mode="json")
        if self._store is None:
            self.carried[key] = value
        else:
            self._store.set(key, value, retention=NEVER_EXPIRE)

    def restore(self, key: str, entry: Entry | None) -> None:
        """Go back to an earlier entry, or to none."""
        if entry is not None:
            self.write(key, entry)
        elif self._store is None:
            self.carried.pop(key, None)
        elif self._store.get(key) is not None:
            self._store.delete(key)
