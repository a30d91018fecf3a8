"""
The audit trail: one file for each reset, with one line of JSON that says what was sent, by whom, and what came of it.

The file is rewritten as a whole at each step, since object stores cannot append. Before the request goes out it is
``<rtin>-<sha256>.sending.jsonl``; once the service has accepted it, ``<reference_id>.jsonl``. One that keeps its first
name is a reset that was refused as a whole, or whose reply was lost. A record of another reset is never overwritten,
whatever reference id the service gives: then the new one is ``<reference_id>.<sha256>.jsonl``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_ims.exceptions import GstnError, GstnInvalidRequest, of_storage_error
from airflow_provider_ims.file_names import file_name
from airflow_provider_ims.hooks.gstn import RESET, Call
from airflow_provider_ims.models.document_key import DocumentKey
from airflow_provider_ims.models.payload import ImsRequest
from airflow_provider_ims.results.report import RefusedRow
from airflow_provider_ims.storage import (
    StorageError,
    Trouble,
    as_json,
    is_given,
    names_in,
    place,
    read_whole,
    remove,
    shown,
    write_whole,
)
from airflow_provider_ims.submissions.journal import INSTANCE

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

_NOTHING_THERE = {Trouble.MISSING, Trouble.NO_FILE, Trouble.NO_CLIENT}
_SAME_RUN = ("reference_id", "dag_id", "run_id", "map_index")


class AuditTrail:
    """
    Leaves one record of each reset.

    :param folder: directory of the records, as ``ObjectStoragePath`` takes it
    :param run: who sends: ``dag_id``, ``run_id``, ``task_id`` ...; see :func:`run_of`
    :param call: which call is sent
    """

    def __init__(self, folder: str, run: Mapping[str, Any], call: Call[Any, Any] = RESET) -> None:
        self._call = call
        self._folder = folder
        self._run = dict(run)
        self._record: dict[str, Any] = {}

    @classmethod
    def at(cls, folder: str | None, run: Mapping[str, Any], call: Call[Any, Any] = RESET) -> AuditTrail:
        """Return the trail in a templated folder, or :data:`NO_AUDIT` if there is none."""
        return cls(folder, run, call) if is_given(folder) else NO_AUDIT

    def sending(self, payload: ImsRequest) -> None:
        """
        Record what is about to be sent.

        :raises GstnInvalidRequest: when the record cannot be written; nothing was sent then
        :raises GstnStorageUnavailable: when it cannot be written now; nothing was sent then
        """
        self._record = {**self._begun(payload), "sent_at": _now()}
        try:
            self._write(self._sending_name(), self._record)
        except StorageError as error:
            what = f"audit_path {shown(self._folder)!r} takes no record. Nothing was sent."
            raise of_storage_error(error, what, "Then clear this task, unless Airflow tries it again.") from error

    def not_accepted(self, payload: ImsRequest, error: GstnError) -> None:
        """Record that the service refused the request."""
        if self._record.get("sha256") == _sha256(payload.body()):  # else it did not get as far as a record
            self._rewrite(self._sending_name(), {"outcome": "not accepted", "code": error.code, "error": str(error)})

    def accepted(self, payload: ImsRequest, reference_id: str) -> None:
        """Record that the service has the request."""
        earlier, name = self._sending_name(), self._name_for(reference_id)
        if self._rewrite(name, {"outcome": "sent", "reference_id": reference_id, "accepted_at": _now()}):
            self._remove(earlier)

    def attached(self, payload: ImsRequest, reference_id: str) -> None:
        """Make sure of the record of a reset that an earlier try sent; its worker may have died before it wrote one."""
        self._record = self._begun(payload)
        try:
            if self._read(self._name_for(reference_id)) is not None:
                return
        except StorageError as error:
            log.error("The audit record of %s cannot be read. %s", reference_id, error)
            return
        with suppress(StorageError):  # what is there is better; without it, this tells what was sent, if not when
            self._record = self._read(self._sending_name()) or self._record
        self.accepted(payload, reference_id)

    def refuse_if_another(self, reference_id: str, payload: ImsRequest) -> None:
        """
        Make sure that a reference id is not known to belong to another request.

        :raises GstnInvalidRequest: when its record tells of another one
        :raises GstnStorageUnavailable: when the record cannot be read now
        """
        name = _name(reference_id)
        try:
            found = self._read(name)
        except StorageError as error:
            raise of_storage_error(error, f"The audit record {name} cannot be read. Nothing was sent.") from error
        mine = {"rtin": payload.rtin, "sha256": _sha256(payload.body())}
        if found is not None and any(found.get(key, value) != value for key, value in mine.items()):
            raise GstnInvalidRequest(
                f"attach_to: {reference_id!r} is another {self._call.noun} than the payload. Nothing was sent.\n"
                f"Its audit record tells of {found.get('documents')} documents of GSTIN {found.get('rtin')},"
                f" the payload has {payload.count()} of {payload.rtin}.\nGive the payload that was sent, byte for byte."
            )

    def found_settled(self, payload: ImsRequest, reference_id: str) -> None:
        """Record that all documents of an unanswered request were found as it asks for."""
        if not self._record:
            self._record = {**self._run, "call": self._call.name, "rtin": payload.rtin, "rtnprd": payload.periods()}
        self._record |= {"documents": payload.count(), "sections": payload.counts()}
        name = self._name_for(reference_id)
        self._rewrite(name, {"outcome": f"found {self._call.settled}", "reference_id": reference_id})

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
        name, self._record = self._found_or_begun(reference_id)
        kept = ("outcome", "processed", "errors", "status_cd", "code", "simulator")
        result = {key: summary[key] for key in kept if key in summary}
        documents = {"refused": [row._asdict() for row in refused], "unknown": [key._asdict() for key in unknown]}
        self._rewrite(name, {**result, **documents, "result_at": _now(), "result_by": self._run})

    def _begun(self, payload: ImsRequest) -> dict[str, Any]:
        body = payload.body()
        return {
            **self._run,
            "call": self._call.name,
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

    def _name_for(self, reference_id: str) -> str:
        """Return where the record of the request at hand goes: where it is already, or where no other one is."""
        plain = _name(reference_id)
        try:
            found = self._read(plain)
        except StorageError as error:
            log.warning("Whether %s is the record of another %s is not known. %s", plain, self._call.noun, error)
            return _name(reference_id, self._record)
        if found is None or all(found.get(name) == self._record.get(name) for name in ("rtin", "sha256")):
            return plain
        return _name(reference_id, self._record)

    def _found_or_begun(self, reference_id: str) -> tuple[str, dict[str, Any]]:
        """Return the name and content of the record of a reset whose request is not at hand; begin one if need be."""
        plain = _name(reference_id)
        begun = {**self._run, "call": self._call.name, "reference_id": reference_id}
        try:
            found = {plain: self._read(plain)}
            if not self._is_of_this_run(found[plain], reference_id):
                others = re.compile(re.escape(plain.removesuffix("jsonl")) + "[0-9a-f]{16}[.]jsonl")
                names = [name for name in names_in(place(self._folder)) if others.fullmatch(name)]
                found.update((name, self._read(name)) for name in names)
        except StorageError as error:
            if error.trouble in _NOTHING_THERE:
                return plain, begun
            log.error("The audit record of %s cannot be read; another one is written. %s", reference_id, error)
            return _name(reference_id, begun), begun
        of_id = {
            name: record for name, record in found.items() if record and record.get("reference_id") == reference_id
        }
        of_run = {name: record for name, record in of_id.items() if self._is_of_this_run(record, reference_id)}
        mine = of_run or of_id  # the results may be read in another run than the one that sent
        if len(mine) == 1:
            return next(iter(mine.items()))
        return (_name(reference_id, begun) if found[plain] else plain), begun

    def _is_of_this_run(self, record: Mapping[str, Any] | None, reference_id: str) -> bool:
        wanted = {**self._run, "reference_id": reference_id}
        return record is not None and all(record.get(name) == wanted.get(name) for name in _SAME_RUN)

    def _read(self, name: str) -> dict[str, Any] | None:
        """Return a record; ``None`` when there is none, or something that is none of ours."""
        try:
            record = json.loads(read_whole(place(self._folder) / name))
        except StorageError as error:
            if error.trouble in _NOTHING_THERE:
                return None
            raise
        except ValueError:
            record = None
        if not isinstance(record, dict):
            log.error("The audit record %s is broken; another one is written in its place.", name)
            return None
        return record

    def _write(self, name: str, record: Mapping[str, Any]) -> None:
        write_whole(place(self._folder) / name, as_json(record) + b"\n")

    def _remove(self, name: str) -> None:
        try:
            remove(place(self._folder) / name)
        except StorageError as error:
            log.warning("The audit record %s is replaced by another one and could not be removed: %s", name, error)

    def _sending_name(self) -> str:
        return f"{self._record['rtin']}-{self._record['sha256'][:16]}.sending.jsonl"


class _NoAudit(AuditTrail):
    """Leaves no record."""

    def __init__(self) -> None:
        super().__init__("", {})

    def sending(self, payload: ImsRequest) -> None:
        pass

    def not_accepted(self, payload: ImsRequest, error: GstnError) -> None:
        pass

    def accepted(self, payload: ImsRequest, reference_id: str) -> None:
        pass

    def attached(self, payload: ImsRequest, reference_id: str) -> None:
        pass

    def refuse_if_another(self, reference_id: str, payload: ImsRequest) -> None:
        pass

    def found_settled(self, payload: ImsRequest, reference_id: str) -> None:
        pass

    def ended(
        self,
        reference_id: str,
        summary: Mapping[str, Any],
        refused: Iterable[RefusedRow],
        unknown: list[DocumentKey],
    ) -> None:
        pass


NO_AUDIT = _NoAudit()
"""The trail of those who want none."""


def run_of(context: Context, gstn_conn_id: str) -> dict[str, Any]:
    """Say which run of which task this is, and who started it, as far as Airflow tells."""
    instance: Any = context.get("ti")
    run: Any = context.get("dag_run")
    return {
        **{name: getattr(instance, name, None) for name in (*INSTANCE, "try_number")},
        "run_type": str(getattr(run, "run_type", "") or ""),
        "triggered_by": getattr(run, "triggering_user_name", None),
        "gstn_conn_id": gstn_conn_id,
    }


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _name(reference_id: str, record: Mapping[str, Any] | None = None) -> str:
    """Return the name of a record; of one that must not be where another one is, if that record is given."""
    name = file_name(reference_id)
    if record is not None:
        digest = record.get("sha256") or hashlib.sha256(as_json(record)).hexdigest()
        name += f".{digest[:16]}"
    return f"{name}.jsonl"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
