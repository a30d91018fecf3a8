"""Reads what a plan says of one GSTIN, and the requests that it names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from airflow.sdk import ObjectStoragePath
from pydantic import ValidationError

from airflow_provider_ims.exceptions import GstnInvalidPayload, GstnInvalidRequest, of_storage_error
from airflow_provider_ims.models.faults import InvalidPayload
from airflow_provider_ims.models.payload import ResetPayload
from airflow_provider_ims.models.plan import GstinPlan, PlannedRequest
from airflow_provider_ims.storage import CannotRead, read_whole, shown


def plan_of(entry: Mapping[str, Any] | GstinPlan) -> GstinPlan:
    """
    Read an entry of the plan.

    :raises GstnInvalidRequest: when it is none
    """
    try:
        return GstinPlan.model_validate(entry)
    except ValidationError as error:
        places = ", ".join(".".join(str(part) for part in fault["loc"]) or "(top)" for fault in error.errors())
        raise GstnInvalidRequest(
            f"plan_entry is not what ImsPlanOperator returns for a GSTIN; wrong or missing: {places}. Nothing was sent."
        ) from None


def folder_of(plan: GstinPlan) -> ObjectStoragePath:
    """Return where the requests of a GSTIN lie, and its results are written."""
    return ObjectStoragePath(plan.chunks[0].path).parent


def load_request(planned: PlannedRequest, rtin: str) -> ResetPayload:
    """
    Read a request, which must be the one that was planned.

    :param planned: what the plan says of it
    :param rtin: the GSTIN of the plan's entry
    :raises GstnInvalidRequest: when the file is not there, is another one, or is for another GSTIN
    :raises GstnInvalidPayload: when it is no request
    :raises GstnStorageUnavailable: when it cannot be read now
    """
    try:
        content = read_whole(planned.path)
    except CannotRead as error:
        raise of_storage_error(error, "A planned request is not to be had. Nothing of it was sent.") from error
    name = PurePosixPath(planned.path).name
    if hashlib.sha256(content).hexdigest() != planned.sha256:
        raise GstnInvalidRequest(
            f"{name} is not the file that was planned (other SHA-256). Nothing of it was sent. Plan again.\n"
            f"It is {shown(planned.path)}"
        )
    try:
        payload = ResetPayload.parse(content, allow_no_action=True)
    except InvalidPayload as error:
        raise GstnInvalidPayload(f"{planned.path}: {error}", error.faults) from None
    if payload.rtin != rtin:
        raise GstnInvalidRequest(
            f"{name} is for GSTIN {payload.rtin}, not {rtin}. Nothing of it was sent.\nIt is {shown(planned.path)}"
        )
    return payload
