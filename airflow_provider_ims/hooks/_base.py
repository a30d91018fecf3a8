"""What the plain and the awaited hook share: the connection, and where tokens are kept."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseHook

from airflow_provider_ims.exceptions import GstnInvalidConnection, GstnInvalidRequest
from airflow_provider_ims.models.printable import clean
from airflow_provider_ims.protocol.access import FailedRenewal
from airflow_provider_ims.protocol.kept_token import KeptToken
from airflow_provider_ims.protocol.settings import InvalidConnection, Settings
from airflow_provider_ims.sessions.store import SessionStore, session_store

if TYPE_CHECKING:
    from airflow.sdk import Connection

READ_ATTEMPTS = 4

# Tokens that this process knows, so that its hooks need not ask the store each time.
_KNOWN_TOKENS: dict[str, KeptToken] = {}
_FAILED_RENEWALS: dict[str, FailedRenewal] = {}


class GstnBaseHook(BaseHook):
    """What Airflow asks of the hooks of a connection type."""

    conn_name_attr: ClassVar[str] = "gstn_conn_id"
    default_conn_name: ClassVar[str] = "gstn_default"
    conn_type: ClassVar[str] = "gstn"
    hook_name: ClassVar[str] = "GSTN (Vayana Enriched API)"

    _clock = staticmethod(time.time)

    def __init__(
        self,
        gstn_conn_id: str = default_conn_name,
        gstin: str | None = None,
        *,
        read_attempts: int = READ_ATTEMPTS,
        store: SessionStore | None = None,
    ) -> None:
        super().__init__()
        self.gstn_conn_id = gstn_conn_id
        self.gstin = gstin
        self.read_attempts = read_attempts
        self._own_store = store

    @cached_property
    def store(self) -> SessionStore:
        """Where tokens, sessions and what was sent are kept."""
        return self._own_store or session_store()

    @cached_property
    def _known_tokens(self) -> dict[str, KeptToken]:
        return _KNOWN_TOKENS if self._own_store is None else {}

    @cached_property
    def _failed_renewals(self) -> dict[str, FailedRenewal]:
        return _FAILED_RENEWALS if self._own_store is None else {}

    def _settings_of(self, connection: Connection | None) -> Settings:
        if connection is None:
            raise GstnInvalidConnection(
                f"The connection {self.gstn_conn_id!r} is not defined. Add it under Admin > Connections with type"
                f" {self.conn_type!r}, or set AIRFLOW_CONN_{self.gstn_conn_id.upper()}."
            )
        try:
            settings = Settings.from_connection(
                self.gstn_conn_id,
                host=connection.host,
                port=connection.port,
                scheme=connection.schema,
                login=connection.login,
                password=connection.password,
                extra=connection.extra,
            )
        except InvalidConnection as error:
            raise GstnInvalidConnection(str(error)) from None
        if settings.unknown:
            self.log.warning(
                "Connection %r: the extra has fields that mean nothing here: %s. Are they mistyped?",
                self.gstn_conn_id,
                ", ".join(settings.unknown),
            )
        if settings.plain_http:
            self.log.warning(
                "Connection %r: password and token travel unencrypted to %s; use https.",
                self.gstn_conn_id,
                ", ".join(settings.plain_http),
            )
        if settings.verify_ssl is False and settings.is_production:
            self.log.warning(
                "Connection %r: verify_ssl is false, so that anybody on the way can pose as the production service"
                " and take password and token. Name the CA bundle instead.",
                self.gstn_conn_id,
            )
        return settings


def given(reference_id: Any) -> str:
    """
    Return a reference id as text.

    :raises GstnInvalidRequest: when there is none, or it can be none that the service gave
    """
    text = "" if reference_id is None else str(reference_id).strip()
    if text in {"", "None"}:
        raise GstnInvalidRequest("The reference id is empty. Did the task that sends the request push one?")
    if text != clean(text):
        raise GstnInvalidRequest(
            f"The reference id {clean(text)!r} is too long or has characters that cannot be printed. Take it as the"
            " task that sends the request returned it."
        )
    return text
