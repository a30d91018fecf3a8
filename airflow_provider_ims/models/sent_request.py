"""What is kept of a request under its reference id, so that its result is read for no other one."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_ims.models.payload import ImsRequest


class SentRequest(BaseModel):
    """
    A request that the service has taken.

    :param rtin: GSTIN of the recipient
    :param fingerprint: see :meth:`ImsRequest.fingerprint`
    :param sections: number of documents in each section
    """

    model_config = ConfigDict(frozen=True)

    rtin: str
    fingerprint: str
    sections: dict[str, int]

    @classmethod
    def of(cls, payload: ImsRequest) -> Self:
        """Describe a request."""
        return cls(rtin=payload.rtin, fingerprint=payload.fingerprint(), sections=payload.counts())

    @classmethod
    def of_text(cls, text: str | None) -> Self | None:
        """Read what was kept; ``None`` if there is nothing that can be read."""
        try:
            return cls.model_validate_json(text) if text else None
        except ValidationError:
            return None

    @property
    def documents(self) -> int:
        """Number of documents in all sections."""
        return sum(self.sections.values())

    def difference(self, payload: ImsRequest) -> str:
        """Say in which way another request is not this one; empty if it is the same, in whatever order."""
        if payload.fingerprint() == self.fingerprint:
            return ""
        if payload.rtin != self.rtin:
            return f"The payload is for GSTIN {payload.rtin}; what was sent is for GSTIN {self.rtin}."
        if payload.counts() != self.sections:
            return (
                f"The payload has {payload.count()} documents ({_listed(payload.counts())}); what was sent has"
                f" {self.documents} ({_listed(self.sections)})."
            )
        return (
            f"The payload has as many documents as what was sent ({_listed(self.sections)}), but at least one of them"
            " is another one, or differs in a field."
        )


def _listed(sections: dict[str, int]) -> str:
    return ", ".join(f"{count} {section}" for section, count in sections.items())
