"""Reads a reset request from wherever the user keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.exceptions import GstnInvalidPayload
from airflow_provider_ims.models.faults import Fault, InvalidPayload
from airflow_provider_ims.models.payload import ResetPayload

Payload = ResetPayload | Mapping[str, Any] | str


def load_payload(payload: Payload, **rules: bool) -> ResetPayload:
    """
    Read a reset request from wherever the user keeps it.

    :param payload: a dict, a :class:`ResetPayload`, JSON text, or the path or URI of a JSON file, as
        ``ObjectStoragePath`` takes it (``s3://conn_id@bucket/reset.json``)
    :param rules: see :meth:`ResetPayload.parse`
    :raises GstnInvalidPayload: with every fault
    """
    try:
        if isinstance(payload, str) and not payload.lstrip("\ufeff \t\r\n").startswith("{"):
            return ResetPayload.parse(_read_file(payload), **rules)
        return ResetPayload.parse(payload, **rules)
    except InvalidPayload as error:
        raise GstnInvalidPayload(str(error), error.faults) from None


def _read_file(path: str) -> bytes:
    try:
        content: bytes = ObjectStoragePath(path).read_bytes()
    except (OSError, ImportError, ValueError) as error:
        # OSError: missing or forbidden; ImportError, ValueError: a scheme that nothing here can read.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        rule = f"a JSON file that this worker can read ({type(error).__name__}: {reason})"
        raise InvalidPayload([Fault("payload", path, rule)]) from None
    return content
