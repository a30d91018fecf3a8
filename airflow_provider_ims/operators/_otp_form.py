"""The form into which a person types the one-time password: its field, its text, and why it is shown again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param

from airflow_provider_ims._compat import form_fields
from airflow_provider_ims.exceptions import GstnOtpRefused, GstnTransientError

OTP_LIFE = timedelta(minutes=10)
"""How long GSTN accepts a one-time password (as other GSPs document it; Vayana's pages do not say)."""

OTP_PARAM = "otp_token"
"""Name of the field that the person fills; Airflow masks what has ``token`` in its name in its audit log."""

ABOUT_ASKING_AGAIN = (
    "Are you asked again? Then what was typed before did not open the session: type the newest one-time password."
    " The task's log says what was wrong."
)


def otp_fields() -> Any:
    """Return the form's one field, as Airflow's operator takes it."""
    return form_fields(
        {
            OTP_PARAM: Param(
                "",
                type="string",
                format="password",
                title="One-time password",
                description="The digits that GSTN sent to the taxpayer's mobile and mail",
            )
        }
    )


def typed(event: dict[str, Any]) -> str:
    """
    Return what the person typed.

    :param event: the answer, as Airflow hands it over
    """
    return str((event.get("params_input") or {}).get(OTP_PARAM) or "").strip()


def why_again(error: GstnOtpRefused | GstnTransientError, *, nothing_typed: bool) -> str:
    """
    Say why the person is asked again.

    :param error: what came of the last answer
    :param nothing_typed: whether the last answer was empty
    """
    if nothing_typed:
        return "Nothing was typed"
    return "GSTN refused the last password" if isinstance(error, GstnOtpRefused) else "GSTN could not be asked"
