"""Reads a reset request from wherever the user keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, TypeVar

from airflow.sdk import ObjectStoragePath

from airflow_provider_ims.exceptions import GstnInvalidPayload, of_storage_error
from airflow_provider_ims.models.faults import Fault, InvalidPayload
from airflow_provider_ims.models.payload import ImsRequest
from airflow_provider_ims.storage import CannotRead, read_whole, shown

Payload = ImsRequest | Mapping[str, Any] | str | PathLike[str] | ObjectStoragePath

_Request = TypeVar("_Request", bound=ImsRequest)

# How str() writes a dict, a list of dicts and a ResetPayload; no JSON text begins so.
_AS_PYTHON_WRITES = ("{'", "[{'", "rtin='")


def load_payload(payload: Payload, kind: type[_Request], **rules: bool) -> _Request:
    """
    Read a request from wherever the user keeps it.

    :param payload: a dict, a :class:`ResetPayload`, JSON text, or the path or URI of a JSON file, as
        ``ObjectStoragePath`` takes it (``s3://conn_id@bucket/reset.json``), as text or as a path object
    :param kind: what request it is
    :param rules: see :meth:`ImsRequest.parse`
    :raises GstnInvalidPayload: with every fault
    :raises GstnStorageUnavailable: when the file cannot be read now
    """
    if isinstance(payload, (PathLike, ObjectStoragePath)):
        payload = str(payload)
    source = ""
    try:
        if isinstance(payload, str):
            text = payload.lstrip("\ufeff \t\r\n")
            if text.startswith(_AS_PYTHON_WRITES):
                raise InvalidPayload([_rendered_to_text()])
            if not text.startswith("{"):
                source = f"In {shown(payload)}: "
                return kind.parse(_read_file(payload), **rules)
        return kind.parse(payload, **rules)
    except InvalidPayload as error:
        first, newline, rest = str(error).partition("\n")
        where = f"\n{source.removesuffix(': ')}:" if source else ""
        raise GstnInvalidPayload(f"{first}{where}{newline}{rest}", error.faults) from None


def _rendered_to_text() -> Fault:
    rule = (
        "a dict, JSON text or a path. This is a dict that a template turned into Python's text. Pass the task's output"
        " itself (payload=build.output, no {{ }}), or set render_template_as_native_obj=True on the DAG"
    )
    return Fault("payload", None, rule)


def _read_file(path: str) -> bytes:
    try:
        content = read_whole(path)
    except CannotRead as error:
        if error.passes:
            raise of_storage_error(error, "The payload is not to be had now; nothing was sent.") from error
        raise InvalidPayload([Fault("payload", None, f"{shown(path)} {error.no_file}")]) from None
    if not content.strip():
        raise InvalidPayload([Fault("payload", shown(path), "a JSON file; this file is empty")])
    return content
