"""
The assets that tell what is known of a taxpayer: their names, and what the ``extra`` of their events holds.

``gstn://session/<GSTIN>`` has an event whenever the session with GSTN changes, ``gstn://ims/<GSTIN>`` one for each
snapshot, reconciliation, reset and verification. A DAG is scheduled by one taxpayer's asset, or by the alias
:data:`SESSION_ALIAS` or :data:`IMS_ALIAS`, which stands for those of all taxpayers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, get_args
from urllib.parse import SplitResult

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from airflow_provider_ims.models.calendar import Filing
from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.models.printable import clean

if TYPE_CHECKING:
    from airflow.sdk import Asset

__all__ = [
    "EVENTS_KEY",
    "IMS_ALIAS",
    "MOST_EVENTS",
    "MOST_REFUSED",
    "SESSION_ALIAS",
    "Event",
    "RefusedDocument",
    "ims_asset",
    "sanitize_uri",
    "session_asset",
]

SCHEME: Final = "gstn"

SESSION_ALIAS: Final = "gstn_session"
"""Name of the ``AssetAlias`` of all ``gstn://session/<GSTIN>``."""

IMS_ALIAS: Final = "gstn_ims"
"""Name of the ``AssetAlias`` of all ``gstn://ims/<GSTIN>``."""

EVENTS_KEY: Final = "gstn_events"
"""
Key of the XCom in which a task leaves the events that Airflow does not take: those of a task that fails or is skipped,
and those of a task that has more than :data:`MOST_EVENTS`. It holds ``succeeds`` and ``events``, a list of ``extra``.
"""

MOST_EVENTS: Final = 50
"""
How many asset events one task emits.

The API server writes them all while the worker waits, for 5 s (``[workers] execution_api_timeout``), and fails the task
after that. 300 took 9 s on a busy machine with SQLite.
"""

MOST_TOLD: Final = 2000
"""How many events one task tells at all."""

MOST_REFUSED: Final = 20
"""How many refused documents an event names."""

BY_PERIOD: Final = {"partitioned_by": "rtnprd"}
"""``extra`` of an asset whose events have the return period as their partition key."""

SessionWord = Literal["otp_requested", "opened", "extended", "otp_needed", "ended"]
ImsWord = Literal["snapshot_taken", "reconciled", "reset", "verified"]

_URI: Final = re.compile(r"(session|ims)/([0-9A-Za-z]{15})")


def _at_most(length: int) -> BeforeValidator:
    def shorten(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = clean(value)
        return text if len(text) <= length else f"{text[: length - 1]}…"

    return BeforeValidator(shorten)


_Word = Annotated[str, _at_most(64)]
_Line = Annotated[str, _at_most(300)]
_Path = Annotated[str, _at_most(1000)]


class RefusedDocument(BaseModel):
    """
    A document that GSTN refused to reset.

    :param section: the section, as GSTN spells it
    :param stin: GSTIN of its supplier
    :param number: of the invoice or note
    :param date: DD-MM-YYYY; empty if it is not known
    :param rtnprd: return period, MMYYYY
    :param code: GSTN's code
    :param message: GSTN's message
    :param remedy: what a person does about it
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    section: _Word = ""
    stin: _Word = ""
    number: _Word = ""
    date: _Word = ""
    rtnprd: _Word = ""
    code: _Word = ""
    message: _Line = ""
    remedy: _Line = ""


class Event(BaseModel):
    """
    The ``extra`` of an event. What does not apply to an event is not in it.

    :param event: what happened; of a session ``otp_requested``, ``opened``, ``extended``, ``otp_needed`` or ``ended``,
        of IMS ``snapshot_taken``, ``reconciled``, ``reset`` or ``verified``
    :param gstin: the taxpayer
    :param at: when, UTC
    :param ends_at: when the session ends unless it is extended before, UTC
    :param reason: why a one-time password is needed, or why a reset failed
    :param rtnprd: the return period whose GSTR-3B is being prepared, MMYYYY
    :param filing: how often the taxpayer files GSTR-3B
    :param draft_2b: day on which GSTR-2B of that period is drawn
    :param due_3b: last day for GSTR-3B of that period
    :param outcome: of a reset: ``processed``, ``partial``, ``failed`` or ``incomplete``
    :param documents: number of documents that it is about
    :param counts: number of documents by action (``A``, ``R``, ``P``, ``N``) of a snapshot; by match and by decision of
        a reconciliation; ``reset``, ``refused``, ``unknown``, ``not_sent`` of a reset; by verification
    :param tax: the sum of IGST, CGST, SGST and cess in rupees, as text, by words of ``counts``
    :param refused: the first refused documents, at most :data:`MOST_REFUSED`
    :param path: the file that tells all
    :param simulator: whether it was the simulator that answered
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: SessionWord | ImsWord
    gstin: Annotated[str, Field(pattern=GSTIN_PATTERN)]
    at: AwareDatetime
    ends_at: AwareDatetime | None = None
    reason: _Line = ""
    rtnprd: _Word = ""
    filing: Filing | None = None
    draft_2b: date | None = None
    due_3b: date | None = None
    outcome: _Word = ""
    documents: int | None = None
    counts: dict[str, int] = {}
    tax: dict[str, str] = {}
    refused: Annotated[list[RefusedDocument], Field(max_length=MOST_REFUSED)] = []
    path: _Path = ""
    simulator: bool = False

    @property
    def is_of_session(self) -> bool:
        """Whether it belongs to ``gstn://session/<GSTIN>``."""
        return self.event in get_args(SessionWord)

    @property
    def uri(self) -> str:
        """The asset that it belongs to."""
        return f"{SCHEME}://{'session' if self.is_of_session else 'ims'}/{self.gstin.upper()}"

    def extra(self) -> dict[str, Any]:
        """Return what Airflow keeps with the event: JSON, without what does not apply."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Sums(NamedTuple):
    """Counts of documents and sums of tax, by a word."""

    counts: dict[str, int]
    tax: dict[str, Decimal]

    @classmethod
    def empty(cls) -> Sums:
        """Return one without anything in it."""
        return cls({}, {})

    def add(self, word: str, amounts: Iterable[Any] = (), documents: int = 1) -> None:
        """
        Add documents.

        :param word: under which they count
        :param amounts: their tax in rupees, of any type that ``Decimal`` reads; empty ones are nothing
        :param documents: how many
        """
        self.counts[word] = self.counts.get(word, 0) + documents
        tax = sum((Decimal(str(amount)) for amount in amounts if amount not in (None, "")), Decimal(0))
        self.tax[word] = self.tax.get(word, Decimal(0)) + tax

    def as_extra(self) -> dict[str, Any]:
        """Return ``counts`` and ``tax``, as an :class:`Event` takes them."""
        return {"counts": self.counts, "tax": {word: f"{amount:.2f}" for word, amount in self.tax.items()}}


def session_asset(gstin: str) -> Asset:
    """
    Return the asset of a taxpayer's session with GSTN.

    :param gstin: the taxpayer
    """
    from airflow.sdk import Asset

    return Asset(f"{SCHEME}://session/{gstin}")


def ims_asset(gstin: str, *, by_period: bool = False) -> Asset:
    """
    Return the asset of a taxpayer's documents in IMS.

    :param gstin: the taxpayer
    :param by_period: as an outlet of an operator: its events have the return period as their partition key, where
        Airflow has those (3.3 and newer). Mind that Airflow starts only DAGs with a partitioned timetable by them
    """
    from airflow.sdk import Asset

    return Asset(f"{SCHEME}://ims/{gstin}", extra=dict(BY_PERIOD) if by_period else None)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """
    Check a URI of the scheme ``gstn``; Airflow calls it for each asset that has it.

    :raises ValueError: when it is neither ``gstn://session/<GSTIN>`` nor ``gstn://ims/<GSTIN>``
    """
    found = _URI.fullmatch(f"{uri.netloc.lower()}{uri.path}")
    if not found or uri.query or not re.fullmatch(GSTIN_PATTERN, gstin := found[2].upper()):
        raise ValueError("URI format gstn:// must be gstn://session/<GSTIN> or gstn://ims/<GSTIN>")
    return uri._replace(netloc=found[1], path=f"/{gstin}")
