"""Keeps what was sent under each reference id, for as long as the service keeps the result."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable

from airflow_provider_ims.sessions.store import SessionStore

KEPT_DAYS = 8.0
"""A day longer than the service keeps a result: what came of a reset can be read again all that time."""

RECONCILED = "gstn_reconciled__{}"
"""Key of what a look at GSTN's documents found about a reset, by its reference id; it goes with the request."""


class SentRequests:
    """
    The requests that were sent of late.

    Beside them a list for each taxpayer tells how old they are; each request that is sent sweeps out those of the same
    taxpayer that are too old. Two tasks that write a taxpayer's list at once may lose an entry, and with it the
    removal of one record; GSTN works on one reset per taxpayer at a time, so that it is rare.

    :param store: where they are kept
    :param clock: seconds since the epoch
    """

    def __init__(self, store: SessionStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def find(self, reference_id: str) -> str | None:
        """Return what was kept of a request, or ``None``."""
        return self._store.get(_key(reference_id))

    def remember(self, gstin: str, reference_id: str, text: str) -> None:
        """
        Keep a request.

        :param gstin: the taxpayer
        :param reference_id: what the service calls it
        :param text: JSON without secrets; see ``models.sent_request``
        """
        self._store.set(_key(reference_id), text)
        list_key = f"gstn_sent_ids__{gstin}"
        now = self._clock()
        known = _read(self._store.get(list_key))
        old = {name for name, at in known.items() if at <= now - KEPT_DAYS * 86400}
        for name in old:
            for key in (_key(name), RECONCILED.format(name)):
                self._store.delete(key)
        kept = {name: at for name, at in known.items() if name not in old}
        self._store.set(list_key, json.dumps({**kept, reference_id: now}))


def _key(reference_id: str) -> str:
    # A Variable's key takes 250 characters, and some secret backends make paths of them.
    plain = re.fullmatch(r"[A-Za-z0-9_-]{1,100}", reference_id)
    return f"gstn_sent__{reference_id if plain else hashlib.sha256(reference_id.encode()).hexdigest()}"


def _read(text: str | None) -> dict[str, float]:
    try:
        kept = json.loads(text or "{}")
    except ValueError:
        return {}
    entries = kept.items() if isinstance(kept, dict) else ()
    return {name: float(at) for name, at in entries if isinstance(at, (int, float))}
