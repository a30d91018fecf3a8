"""
The long-running calls of the Invoice Management System: what differs between them, and nothing else.

Each is answered with the reference id of a task; how far that is and what came of it is asked the same way for all
(see ``tasks``). Sources: Vayana's pages "IMS Invoice Status Reset" and "Download IMS Invoices".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from airflow_provider_ims.models.result import ResetResult
from airflow_provider_ims.protocol.access import Access, headers, secrets_of
from airflow_provider_ims.protocol.errors import DO_NOT_RESEND
from airflow_provider_ims.protocol.settings import Settings
from airflow_provider_ims.protocol.tasks import read_reference_id, read_submitted
from airflow_provider_ims.protocol.wire import Reply, Request

DOWNLOAD_SECTIONS = {
    "b2b": "B2B",
    "b2ba": "B2BA",
    "b2bdn": "DN",
    "b2bdna": "DNA",
    "b2bcn": "CN",
    "b2bcna": "CNA",
    "ecom": "ECOM",
    "ecoma": "ECOMA",
}
"""Section -> what the download calls it: B2B is Vayana's example, the rest GSTN's (inferred: download-sections)."""

_Asked = TypeVar("_Asked")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Call(Generic[_Asked, _Result]):
    """
    One of the service's long-running calls.

    :param name: what it is called in records and keys
    :param noun: what it is called in messages: "the reset of GSTIN ..."
    :param method: HTTP method
    :param path: of its URL
    :param describe: says what is asked for, in words for a log line; never holds a secret
    :param query: the URL's query
    :param body: the request's body; ``None`` for a call that has none
    :param parse: reads the ``data`` of its result into its result model
    :param repeatable: whether it may be sent again when its reply is lost; if not, it is sent at most once
    :param settles_on: the action that a document has at GSTN once it is done; empty for a call that changes nothing
    :param settled: the same in words: "at no action"
    :param done: what a document is then called in results and their files: "reset"
    """

    name: str
    noun: str
    method: str
    path: str
    describe: Callable[[str, _Asked], str]
    parse: Callable[[Mapping[str, Any]], _Result]
    repeatable: bool
    query: Callable[[_Asked], Mapping[str, str]] = lambda _: {}
    body: Callable[[_Asked], bytes] | None = None
    settles_on: str = ""
    settled: str = ""
    done: str = ""

    @property
    def found_key(self) -> str:
        """The key in summaries for how many documents GSTN was found to hold as done: ``found_at_no_action``."""
        return f"found_{self.settled.replace(' ', '_')}"

    @staticmethod
    def named(name: str) -> Call[Any, Any]:
        """Return the call of a name; for one that is not known here the reset, which is never to be sent again."""
        return next((call for call in (RESET, DOWNLOAD) if call.name == name), RESET)

    def build(self, settings: Settings, access: Access, gstin: str, asked: _Asked) -> Request:
        """
        Build the request.

        :param gstin: the taxpayer, the same as in the body
        :param asked: what is asked for, as :attr:`query` and :attr:`body` take it
        """
        query = self.query(asked)
        return Request(
            call=self.describe(gstin, asked),
            method=self.method,
            url=f"{settings.eas_url}{self.path}" + (f"?{urlencode(query)}" if query else ""),
            headers=headers(settings, access, gstin=gstin, with_body=self.body is not None),
            body=self.body(asked) if self.body else None,
            repeatable=self.repeatable,
            if_lost="" if self.repeatable else DO_NOT_RESEND,
            secrets=secrets_of(settings, access),
        )

    def read(self, reply: Reply, gstin: str, asked: _Asked) -> str:
        """
        Read the reference id that it is answered with.

        :raises ServiceError: of kind ``LOST_REPLY`` when it is not repeatable and the reply leaves open whether there
            is a task
        """
        read = read_reference_id if self.repeatable else read_submitted
        return read(reply, self.describe(gstin, asked))


class Download(NamedTuple):
    """
    What a download is asked for.

    :param section: section in the request's spelling (``b2bcn``)
    :param status: only documents with this action: ``A``, ``R``, ``P`` or ``N``; ``None`` for all
    """

    section: str
    status: str | None = None

    def query(self) -> dict[str, str]:
        """Return it as the URL says it."""
        return {"section": DOWNLOAD_SECTIONS[self.section]} | ({"status": self.status} if self.status else {})


# Sent twice, the second one meets documents that are reset already.
RESET: Call[bytes, ResetResult] = Call(
    name="reset",
    noun="reset",
    method="PUT",
    path="/enriched/gstn/v1.0/ims-invoice-status-reset",
    describe=lambda rtin, _: f"IMS reset for GSTIN {rtin}",
    body=lambda body: body,
    parse=ResetResult.parse,
    repeatable=False,
    settles_on="N",
    settled="at no action",
    done="reset",
)
"""Puts documents back to "no action"; asked with the body that :meth:`ResetPayload.body` writes."""

DOWNLOAD: Call[Download, Mapping[str, Any]] = Call(
    name="download",
    noun="download",
    method="GET",
    path="/enriched/gstn/v1.0/ims-invoices",
    describe=lambda gstin, asked: f"download of {asked.section} for GSTIN {gstin}",
    query=Download.query,
    parse=dict,
    repeatable=True,
)
"""Has a taxpayer's documents made ready; its result says how many pages there are."""
