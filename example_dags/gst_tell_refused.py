"""
Tell a person when GSTN has refused documents: started by the asset events of all GSTINs.

Each snapshot, reconciliation, reset and verification is an event; this looks at the resets. Put a notifier of your own
in the place of the log. A reset task that *fails* has no event in Airflow: give `on_failure_callback` to its DAG.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import DAG, AssetAlias, task

from airflow_provider_ims.assets import IMS_ALIAS, Event

log = logging.getLogger(__name__)


# [START howto_gst_tell_refused]
@task
def tell(triggering_asset_events: Any) -> int:
    """Name the refused documents; return how many there are."""
    told = [Event.model_validate(event.extra) for event in triggering_asset_events[AssetAlias(IMS_ALIAS)]]
    refused = 0
    for event in told:
        if event.event == "reset" and event.counts.get("refused"):
            refused += event.counts["refused"]
            for document in event.refused:  # the first 20
                log.warning("%s %s: %s %s", event.gstin, document.number, document.message, document.remedy)
    return refused


with DAG(
    dag_id="gst_tell_refused",
    schedule=AssetAlias(IMS_ALIAS),  # one taxpayer alone: ims_asset("27AAPFU0939F1ZV")
    catchup=False,
    tags=["gst", "ims"],
    doc_md=__doc__,
) as dag:
    tell()
# [END howto_gst_tell_refused]
