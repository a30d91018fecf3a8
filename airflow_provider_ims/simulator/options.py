"""What can be set from outside: the options, the faults, the next tasks and the documents.

The admin routes read their bodies with these models, so an unknown key or a wrong value is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator


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

    first_page: Literal[0, 1] = 0
    page_documents: int = Field(default=1000, ge=1)
    download_keys: Literal["request", "gstn"] = "request"
    empty_download: Literal["pages", "error"] = "pages"

    task_seconds: float = 3
    visible_after_seconds: float = Field(default=0, ge=0)
    status_shape: Literal["flat", "nested"] = "flat"
    retention_days: float = 7
    latency_seconds: float = 0


Section = Literal["b2b", "b2ba", "b2bdn", "b2bdna", "b2bcn", "b2bcna", "ecom", "ecoma"]
Status = Literal["A", "R", "P", "N"]


class Document(_Strict):
    """A document that a supplier has filed, and the action GSTN holds for it.

    Documents that differ in their ``date`` (DD-MM-YYYY) alone are two; one without a date takes that of the first
    reset that names it. ``record`` holds further fields as a download shows them; what it leaves out is made up.
    """

    rtin: str
    section: Section
    stin: str
    number: str
    date: str | None = None
    rtnprd: str
    status: Status
    record: dict[str, Any] | None = None

    _line: tuple[Path, int] | None = PrivateAttr(default=None)

    @classmethod
    def of_lines(cls, path: Path) -> Iterator[Self]:
        """
        Read documents from a file of any size, one a line, one after another.

        Their records stay in the file, which must be there as long as they are.

        :param path: the file
        :raises ValidationError: at the first line that is no document
        """
        with path.open("rb") as file:
            start = 0
            for line in file:
                if line.strip():
                    document = cls.model_validate_json(line)
                    if document.record is not None:
                        document.record, document._line = None, (path, start)
                    yield document
                start += len(line)

    def whole_record(self) -> dict[str, Any]:
        """Return the record, be it kept here or in a file."""
        if self.record is not None or self._line is None:
            return self.record or {}
        path, start = self._line
        with path.open("rb") as file:
            file.seek(start)
            return type(self).model_validate_json(file.readline()).record or {}


class NextTask(_Strict):
    """How the next ``times`` tasks of one kind (of ``gstin`` only, when given) run and end.

    ``final_status`` is shown from the end on; any word but "completed" means that the work is never done.
    ``status_cd`` (with ``err_cd`` and ``err_msg``) replaces the result, and ``error`` makes the result call
    answer with that error in an envelope of ``status: "0"`` and HTTP 200; neither does the work.
    ``ip_results`` is the number of result calls answered with ``status_cd: "IP"`` before the real one.
    A download's result has no ``status_cd``, so its plan can have neither.
    ``reference_id`` is the id of the task, instead of a UUID; it serves one task.
    """

    kind: Literal["reset", "download"] = "reset"
    times: int = Field(default=1, ge=1)
    gstin: str | None = None
    task_seconds: float | None = None
    final_status: str = "completed"
    status_cd: str | None = None
    err_cd: str = ""
    err_msg: str = ""
    ip_results: int = 0
    error: dict[str, Any] | None = None
    reference_id: str | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "download" and (self.status_cd is not None or self.ip_results):
            raise ValueError("status_cd and ip_results are those of a reset")
        return self


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
    "download",
    "status",
    "result",
    "page",
]


Disturbance = Literal[
    "http",
    "garbage",
    "slow",
    "slow_after",
    "drip",
    "drop_before",
    "drop_after",
    "expire_token",
    "large",
    "gzip_bomb",
    "quote",
    "odd_text",
]


class InjectedFault(_Strict):
    """A disturbance of the next ``times`` calls of one kind ("any": of every kind).

    With ``gstin``, only calls that carry it are meant: in the GSTIN header, or by the task in their path.
    "slow" waits before the call is handled, "slow_after" when it is done and only the reply is due.
    "drip" handles the call and sends its reply byte by byte, one each ``seconds``.
    "large" and "gzip_bomb" answer with a good status in ``megabytes`` of JSON, the latter with little on the wire.
    "quote" refuses with ``code`` and quotes headers and body of the request; "odd_text" refuses with ``code`` in
    characters that no terminal and no database likes or, without a code, handles the call and adds them to the texts
    of its reply. "http" with less than 500 is what a proxy says; with 300 to 399 it sends the client elsewhere.
    """

    call: Call | Literal["any"]
    kind: Disturbance
    gstin: str | None = None
    status: int = Field(default=503, ge=200, le=599)
    retry_after: int | str | None = None
    seconds: float = Field(default=1, ge=0)
    megabytes: int = Field(default=100, ge=1, le=2000)
    code: str | None = None
    times: int = Field(default=1, ge=1)


def explain(faults: Iterable[Any]) -> str:
    """Return pydantic's list of faults (``error.errors()``) as one line."""
    return "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults)
