"""
Open a GSTN session for one GSTIN with the taxpayer's one-time password; the demo runs this as a script.

It is a process of its own because Airflow takes its settings from the environment of whoever imports it.
"""

from __future__ import annotations

import sys

import requests

from airflow_provider_ims.exceptions import GstnError
from airflow_provider_ims.hooks.gstn import GstnHook


def main(simulator_url: str, gstin: str, username: str) -> None:
    """Request a one-time password, read it from the simulator as a person does from the phone, verify it."""
    with GstnHook(gstin=gstin) as hook:
        otp_request_id = hook.request_otp(gstin, username)
        answer = requests.get(f"{simulator_url}/admin/otp/{gstin}", timeout=10)
        answer.raise_for_status()
        hook.verify_otp(gstin, otp_request_id, answer.json()["otp"])


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (GstnError, requests.RequestException) as error:
        sys.exit(str(error))
