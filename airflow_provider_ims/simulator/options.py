"""What can be set from outside: the options, the faults, the next tasks and the documents.

The admin routes read their bodies with these models, so an unknown key or a wrong value is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class Options(_Strict):
    """How the services behave; each can be changed while they run. Times are in seconds unless named else."""

    login: str = "sandbox@example.com"
    password: str = "simulator-password"  # noqa: S105 - an invented user of an invented service
    org_id: str = "5f1d7a52-0c1e-4c0b-9b55-3d1f6a7e2c90"
    second_org_id: str | None = None
    max_tokens: int = 10

    otp: str | None = Field(default=None, pattern=r"^[0-9]{6}$")
    otp_seconds: float = 600
    session_seconds: float = 6 * 3600
    consent_days: float = 30
    require_session: bool = True
    api_access_off: set[str] = set()
    gst_api_versions: set[str] = {"v0.2", "v0.3", "v1.0"}
    gstin_header: str = "X-FLYNN-N-GSTIN"

    max_body_bytes: int = 4_000_000
    strict_documents: bool = False
    report_keys: Literal["gstn", "request"] = "gstn"

    task_seconds: float = 3
    status_shape: Literal["flat", "nested"] = "flat"
    retention_days: float = 7
    latency_seconds: float = 0


Section = Literal["b2b", "b2ba", "b2bdn", "b2bdna", "b2bcn", "b2bcna", "ecom", "ecoma"]
Status = Literal["A", "R", "P", "N"]


class Document(_Strict):
    """A document that a supplier has filed, and the action GSTN holds for it."""

    rtin: str
    section: Section
    stin: str
    number: str
    rtnprd: str
    status: Status


class NextTask(_Strict):
    """How the next ``times`` tasks (of ``gstin`` only, when given) run and end.

    ``final_status`` is shown from the end on; any word but "completed" means that the work is never done.
    ``status_cd`` (with ``err_cd`` and ``err_msg``) replaces the result, and ``error`` makes the result call
    answer with that error in an envelope of ``status: "0"`` and HTTP 200; neither does the work.
    ``ip_results`` is the number of result calls answered with ``status_cd: "IP"`` before the real one.
    """

    times: int = Field(default=1, ge=1)
    gstin: str | None = None
    task_seconds: float | None = None
    final_status: str = "completed"
    status_cd: str | None = None
    err_cd: str = ""
    err_msg: str = ""
    ip_results: int = 0
    error: dict[str, Any] | None = None


Call = Literal[
    "login",
    "refresh",
    "logout",
    "ping",
    "otp",
    "verify",
    "gstn_refresh",
    "gstn_logout",
    "reset",
    "status",
    "result",
]


class Fault(_Strict):
    """A disturbance of the next ``times`` calls of one kind ("any": of every kind).

    With ``gstin``, only calls that carry it are meant: in the GSTIN header, or by the task in their path.
    "slow" waits before the call is handled, "slow_after" when it is done and only the reply is due.
    """

    call: Call | Literal["any"]
    kind: Literal["http", "slow", "slow_after", "drop_before", "drop_after", "expire_token", "garbage"]
    gstin: str | None = None
    status: int = Field(default=503, ge=200, le=599)
    retry_after: int | str | None = None
    seconds: float = Field(default=1, ge=0)
    times: int = Field(default=1, ge=1)


def explain(faults: Iterable[Any]) -> str:
    """Return pydantic's list of faults (``error.errors()``) as one line."""
    return "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults)
