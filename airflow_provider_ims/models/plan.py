"""What a plan says: for each GSTIN the requests to send, one after another, each in a file."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_serializer


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


class GstinPlan(BaseModel):
    """
    All requests of a plan for one GSTIN.

    :param rtin: the GSTIN
    :param chunks: its requests, in the order in which they are sent
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    rtin: str
    chunks: list[PlannedRequest]

    @property
    def documents(self) -> int:
        """Number of documents in all requests."""
        return sum(chunk.documents for chunk in self.chunks)

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(chunk.bytes for chunk in self.chunks)

    @model_serializer
    def _with_sums(self) -> dict[str, Any]:
        chunks = [chunk.model_dump() for chunk in self.chunks]
        return {"rtin": self.rtin, "documents": self.documents, "bytes": self.bytes, "chunks": chunks}
