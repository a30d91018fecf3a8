"""
The calls of the Invoice Management System.

Sources: Vayana's pages "IMS Invoice Status Reset" and "Download IMS Invoices".
"""

from __future__ import annotations

from urllib.parse import urlencode

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
"""Section -> what the download calls it. Confirmed: B2B (Vayana's example); the others are GSTN's names (inferred)."""


def reset(settings: Settings, access: Access, rtin: str, body: bytes) -> Request:
    """
    Build the reset. Sending it twice is not safe: the second one meets documents that are reset already.

    :param rtin: GSTIN of the recipient, the same as in the body
    :param body: the request as :meth:`ResetPayload.body` writes it
    """
    return Request(
        call=_call(rtin),
        method="PUT",
        url=f"{settings.eas_url}/enriched/gstn/v1.0/ims-invoice-status-reset",
        headers=headers(settings, access, gstin=rtin, with_body=True),
        body=body,
        repeatable=False,
        if_lost=DO_NOT_RESEND,
        secrets=secrets_of(settings, access),
    )


def read_reset(reply: Reply, rtin: str) -> str:
    """Read the reference id of the reset; see :func:`~airflow_provider_ims.protocol.tasks.read_submitted`."""
    return read_submitted(reply, _call(rtin))


def download(settings: Settings, access: Access, gstin: str, section: str, status: str | None) -> Request:
    """
    Build the download of a taxpayer's documents. It changes nothing, so sending it twice is safe.

    :param section: section in the request's spelling (``b2bcn``)
    :param status: only documents with this action: ``A``, ``R``, ``P`` or ``N``; ``None`` for all
    """
    query = {"section": DOWNLOAD_SECTIONS[section]} | ({"status": status} if status else {})
    return Request(
        call=_download_call(gstin, section),
        method="GET",
        url=f"{settings.eas_url}/enriched/gstn/v1.0/ims-invoices?{urlencode(query)}",
        headers=headers(settings, access, gstin=gstin),
        secrets=secrets_of(settings, access),
    )


def read_download(reply: Reply, gstin: str, section: str) -> str:
    """Read the reference id of the download."""
    return read_reference_id(reply, _download_call(gstin, section))


def _download_call(gstin: str, section: str) -> str:
    return f"download of {section} for GSTIN {gstin}"


def _call(rtin: str) -> str:
    return f"IMS reset for GSTIN {rtin}"
