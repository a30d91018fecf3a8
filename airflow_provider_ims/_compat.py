"""The differences between the Airflow versions that we run on (3.1 and newer), all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import conf
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )
else:
    try:  # Airflow 3.2 and newer
        from airflow.sdk import conf
    except ImportError:
        from airflow.configuration import conf
    try:
        from airflow.sdk.exceptions import (
            AirflowException,
            AirflowFailException,
            AirflowNotFoundException,
            AirflowSensorTimeout,
            AirflowSkipException,
        )
    except ImportError:
        from airflow.exceptions import (
            AirflowException,
            AirflowFailException,
            AirflowNotFoundException,
            AirflowSensorTimeout,
            AirflowSkipException,
        )

from airflow.sdk.log import mask_secret

__all__ = [
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "amask_secret",
    "conf",
    "mask_secret",
]


async def amask_secret(secret: str) -> None:
    """Hide a secret from the logs, from within an event loop."""
    try:  # Airflow 3.3 and newer
        from airflow.sdk.log import amask_secret as native
    except ImportError:
        # mask_secret would also tell the supervisor, over a line that the triggerer's loop is using: its runner
        # then reads replies out of order and dies. This process is the one that writes a trigger's log.
        from airflow.sdk._shared.secrets_masker import mask_secret as mask_here

        mask_here(secret)
    else:
        await native(secret)
