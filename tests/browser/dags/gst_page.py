"""What the page shows: a snapshot, a session that nobody has opened, and events of many taxpayers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator

from airflow_provider_ims.assets import IMS_ALIAS, SESSION_ALIAS
from airflow_provider_ims.operators._assets import AssetEvents, declare_assets
from airflow_provider_ims.operators.download import ImsDownloadOperator
from airflow_provider_ims.operators.session import GstnRefreshSessionOperator
from airflow_provider_ims.results.report import RefusedRow


class TellOperator(BaseOperator):
    """Tell events as they are given, or as a file holds them."""

    template_fields = ("file",)

    def __init__(self, *, file: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.file = file
        self.emit_assets = declare_assets(self, True, SESSION_ALIAS, IMS_ALIAS)

    def execute(self, context: Any) -> None:
        text = Path(self.file).read_text()
        told = json.loads(text)
        for each in told:
            each["refused"] = [RefusedRow(**row) for row in each.get("refused", ())]
        AssetEvents(self, context)._tell(True, lambda: iter(told))


with DAG(dag_id="gst_page", schedule=None, catchup=False, params={"open": "", "closed": ""}) as dag:
    ImsDownloadOperator(
        task_id="download",
        gstin="{{ params.open }}",
        output_path="{{ var.value.ims_folder }}/snapshots",
        poke_interval=1,
    )
    GstnRefreshSessionOperator(task_id="refresh", gstin="{{ params.closed }}", retries=0)

with DAG(dag_id="gst_many", schedule=None, catchup=False, params={"file": ""}) as many:
    TellOperator(task_id="tell", file="{{ params.file }}")
