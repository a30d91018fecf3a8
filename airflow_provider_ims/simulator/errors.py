"""What the simulated services answer when they refuse a call."""

from __future__ import annotations

from typing import Any


class ServiceError(Exception):
    """A refusal: HTTP status, error code (Vayana's ``message``), ``type`` (may be missing) and ``args``."""

    def __init__(self, status: int, code: str, kind: str | None = None, **details: Any) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.kind = kind
        self.details = details

    def body(self) -> dict[str, Any]:
        """Return the ``error`` object of both envelopes."""
        typed = {} if self.kind is None else {"type": self.kind}
        return {"message": self.code, **typed, "args": self.details}


def gstn_error(code: str, message: str) -> ServiceError:
    """Return Vayana's answer when GSTN refused; HTTP 502 is inferred (gstn-refusal)."""
    details: dict[str, Any] = {"status-code": "0", "gstn-err": {"code": code, "message": message}}
    return ServiceError(502, "err-gstn-returned", "Gstn", **details)


def bad_parameter(name: str) -> ServiceError:
    """Return the refusal of a wrong parameter; the code is that of Vayana's older routes."""
    return ServiceError(400, "err-invalid-request-params", "ClientRequest", **{"parameter-name": name})
