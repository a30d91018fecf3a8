"""The calls of the Invoice Management System. Source: Vayana's page "IMS Invoice Status Reset"."""

from __future__ import annotations

from airflow_provider_ims.protocol.access import Access, headers
from airflow_provider_ims.protocol.errors import DO_NOT_RESEND
from airflow_provider_ims.protocol.settings import Settings
from airflow_provider_ims.protocol.tasks import read_submitted
from airflow_provider_ims.protocol.wire import Reply, Request


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
    )


def read_reset(reply: Reply, rtin: str) -> str:
    """Read the reference id of the reset; see :func:`~airflow_provider_ims.protocol.tasks.read_submitted`."""
    return read_submitted(reply, _call(rtin))


def _call(rtin: str) -> str:
    return f"IMS reset for GSTIN {rtin}"
