"""
The audit trail: one file for each reset, with one line of JSON that says what was sent, by whom, and what came of it.

The file is rewritten as a whole at each step, since object stores cannot append. Before the request goes out it is
``<rtin>-<sha256>.sending.jsonl``; once the service has accepted it, ``<reference_id>.jsonl``. One that keeps its first
name is a reset that was refused as a whole, or whose reply was lost.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.exceptions import GstnError, GstnInvalidRequest
from airflow_provider_ims.models.payload import DocumentKey, ResetPayload
from airflow_provider_ims.results.report import RefusedRow
from airflow_provider_ims.storage import is_given, write_whole

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class AuditTrail:
    """
    Leaves one record of each reset.

    :param folder: directory of the records, as ``ObjectStoragePath`` takes it
    :param run: who sends: ``dag_id``, ``run_id``, ``task_id`` ...; see :func:`run_of`
    """

    def __init__(self, folder: str, run: Mapping[str, Any]) -> None:
        self._folder = folder
        self._run = dict(run)
        self._record: dict[str, Any] = {}

    @classmethod
    def at(cls, folder: str | None, run: Mapping[str, Any]) -> AuditTrail | None:
        """Return the trail in a templated folder, or ``None`` if there is none."""
        return cls(folder, run) if is_given(folder) else None

    def sending(self, payload: ResetPayload) -> None:
        """
        Record what is about to be sent.

        :raises GstnInvalidRequest: when the record cannot be written; nothing was sent then
        """
        self._record = {**self._begun(payload), "sent_at": _now()}
        try:
            self._write(self._sending_name(), self._record)
        except (OSError, ImportError, ValueError) as error:
            raise GstnInvalidRequest(
                f"audit_path {self._folder!r} cannot be written ({type(error).__name__}: {error}). Correct it and"
                " clear this task. Nothing was sent."
            ) from None

    def not_accepted(self, payload: ResetPayload, error: GstnError) -> None:
        """Record that the service refused the request."""
        if self._record.get("sha256") == _sha256(payload.body()):  # else it did not get as far as a record
            self._rewrite(self._sending_name(), {"outcome": "not accepted", "code": error.code, "error": str(error)})

    def accepted(self, payload: ResetPayload, reference_id: str) -> None:
        """Record that the service has the request."""
        earlier = self._sending_name()
        if self._rewrite(_name(reference_id), {"outcome": "sent", "reference_id": reference_id, "accepted_at": _now()}):
            self._remove(earlier)

    def attached(self, payload: ResetPayload, reference_id: str) -> None:
        """Make sure of the record of a reset that an earlier try sent; its worker may have died before it wrote one."""
        try:
            self._read(_name(reference_id))
        except FileNotFoundError:
            self._record = self._begun(payload)
            with suppress(Exception):  # what is there is better; without it, this tells what was sent, if not when
                self._record = self._read(self._sending_name())
            self.accepted(payload, reference_id)
        except Exception as error:
            log.error("The audit record of %s cannot be read (%s).", reference_id, error)

    def found_reset(self, payload: ResetPayload, reference_id: str) -> None:
        """Record that all documents of an unanswered request were found at "no action"."""
        if not self._record:
            self._record = {**self._run, "rtin": payload.rtin, "rtnprd": payload.periods()}
        self._record |= {"documents": payload.count(), "sections": payload.counts()}
        self._rewrite(_name(reference_id), {"outcome": "found at no action", "reference_id": reference_id})

    def ended(
        self,
        reference_id: str,
        summary: Mapping[str, Any],
        refused: Iterable[RefusedRow],
        unknown: list[DocumentKey],
    ) -> None:
        """
        Record what came of a reset.

        :param summary: counts and codes
        :param refused: the documents that GSTN refused, as far as it names them
        :param unknown: the documents of which nothing is known
        """
        self._record = {**self._run, "reference_id": reference_id}
        try:
            self._record = self._read(_name(reference_id))
        except FileNotFoundError:
            pass
        except Exception as error:
            log.error("The audit record of %s cannot be read (%s); another one is written.", reference_id, error)
        result = {name: summary[name] for name in ("outcome", "processed", "errors", "status_cd", "code")}
        documents = {"refused": [row._asdict() for row in refused], "unknown": [key._asdict() for key in unknown]}
        self._rewrite(_name(reference_id), {**result, **documents, "result_at": _now(), "result_by": self._run})

    def _begun(self, payload: ResetPayload) -> dict[str, Any]:
        body = payload.body()
        return {
            **self._run,
            "rtin": payload.rtin,
            "rtnprd": payload.periods(),
            "documents": payload.count(),
            "sections": payload.counts(),
            "bytes": len(body),
            "sha256": _sha256(body),
            "reference_id": None,
            "outcome": "unknown",
        }

    def _rewrite(self, name: str, changes: Mapping[str, Any]) -> bool:
        self._record.update(changes)
        try:
            self._write(name, self._record)
        except Exception as error:
            # The reset is on its way or done: it must not be lost for the sake of its record. The clients of object
            # stores raise errors of their own, which are no OSError.
            log.error("The audit record %s was not written (%s). It holds: %s", name, error, json.dumps(self._record))
            return False
        return True

    def _path(self, name: str) -> ObjectStoragePath:
        return ObjectStoragePath(self._folder) / name  # raises for a scheme that nothing here can write

    def _read(self, name: str) -> dict[str, Any]:
        record = json.loads(self._path(name).read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError("it holds no JSON object")
        return record

    def _write(self, name: str, record: Mapping[str, Any]) -> None:
        write_whole(self._path(name), (json.dumps(record, ensure_ascii=False) + "\n").encode())

    def _remove(self, name: str) -> None:
        try:
            self._path(name).unlink(missing_ok=True)
        except Exception as error:
            log.warning("The audit record %s is replaced by another one and could not be removed: %s", name, error)

    def _sending_name(self) -> str:
        return f"{self._record['rtin']}-{self._record['sha256'][:16]}.sending.jsonl"


def run_of(context: Context, gstn_conn_id: str) -> dict[str, Any]:
    """Say which run of which task this is, and who started it, as far as Airflow tells."""
    instance: Any = context.get("ti")
    run: Any = context.get("dag_run")
    names = ("dag_id", "run_id", "task_id", "map_index", "try_number")
    return {
        **{name: getattr(instance, name, None) for name in names},
        "run_type": str(getattr(run, "run_type", "") or ""),
        "triggered_by": getattr(run, "triggering_user_name", None),
        "gstn_conn_id": gstn_conn_id,
    }


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _name(reference_id: str) -> str:
    return f"{reference_id}.jsonl"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
