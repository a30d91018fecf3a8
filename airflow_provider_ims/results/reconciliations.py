"""Keeps what a look at GSTN's documents found about a reset, for whoever reads its result."""

from __future__ import annotations

from airflow_provider_ims.models.reconciliation import Reconciliation
from airflow_provider_ims.sessions.sent_requests import RECONCILED
from airflow_provider_ims.sessions.store import SessionStore


class Reconciliations:
    """
    What was found, by the reference id of the reset; it goes with what is kept of the request itself.

    :param store: where it is kept
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    def find(self, reference_id: str) -> Reconciliation | None:
        """
        Return what was found before the reset was sent, or ``None``.

        :raises GstnAirflowUnavailable: when it cannot be learnt whether there is anything
        """
        return Reconciliation.of_text(self._store.get(RECONCILED.format(reference_id)))

    def remember(self, reference_id: str, found: Reconciliation) -> None:
        """Keep what was found."""
        self._store.set(RECONCILED.format(reference_id), found.model_dump_json())
