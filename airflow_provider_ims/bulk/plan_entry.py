"""What a plan says of one GSTIN: the requests to send, one after another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from airflow.sdk import ObjectStoragePath
from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_ims.exceptions import GstnInvalidPayload, GstnInvalidRequest, of_storage_error
from airflow_provider_ims.models.faults import InvalidPayload
from airflow_provider_ims.models.payload import ResetPayload
from airflow_provider_ims.storage import CannotRead, read_whole, shown


class PlannedRequest(BaseModel):
    """
    One request of a plan, in a file.

    :param path: path or URI of the file, as ``ObjectStoragePath`` takes it
    :param documents: number of documents in it
    :param bytes: size of the file
    :param sha256: of the file, in hexadecimal
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    documents: int
    bytes: int
    sha256: str

    def load(self, rtin: str) -> ResetPayload:
        """
        Read the request, which must be the one that was planned.

        :param rtin: the GSTIN of the plan's entry
        :raises GstnInvalidRequest: when the file is not there, is another one, or is for another GSTIN
        :raises GstnStorageUnavailable: when it cannot be read now
        """
        try:
            content = read_whole(self.path)
        except CannotRead as error:
            raise of_storage_error(error, "A planned request is not to be had. Nothing of it was sent.") from error
        name = PurePosixPath(self.path).name
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise GstnInvalidRequest(
                f"{name} is not the file that was planned (other SHA-256). Nothing of it was sent. Plan again.\n"
                f"It is {shown(self.path)}"
            )
        try:
            payload = ResetPayload.parse(content, allow_no_action=True)
        except InvalidPayload as error:
            raise GstnInvalidPayload(f"{self.path}: {error}", error.faults) from None
        if payload.rtin != rtin:
            raise GstnInvalidRequest(
                f"{name} is for GSTIN {payload.rtin}, not {rtin}. Nothing of it was sent.\nIt is {shown(self.path)}"
            )
        return payload


class GstinPlan(BaseModel):
    """
    All requests of a plan for one GSTIN.

    :param rtin: the GSTIN
    :param chunks: its requests, in the order in which they are sent
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    rtin: str
    chunks: list[PlannedRequest]

    @classmethod
    def of(cls, entry: Mapping[str, Any] | GstinPlan) -> GstinPlan:
        """
        Read an entry of the plan.

        :raises GstnInvalidRequest: when it is none
        """
        try:
            return cls.model_validate(entry)
        except ValidationError as error:
            places = ", ".join(".".join(str(part) for part in fault["loc"]) or "(top)" for fault in error.errors())
            raise GstnInvalidRequest(
                f"plan_entry is not what ImsPlanOperator returns for a GSTIN; wrong or missing: {places}. Nothing was"
                " sent."
            ) from None

    @property
    def documents(self) -> int:
        """Number of documents in all requests."""
        return sum(chunk.documents for chunk in self.chunks)

    @property
    def folder(self) -> ObjectStoragePath:
        """Where the requests lie, and the results are written."""
        return ObjectStoragePath(self.chunks[0].path).parent
