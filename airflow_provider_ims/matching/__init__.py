"""Documents of IMS x books -> decisions. Pure functions over tables; knows nothing of Airflow's tasks."""

from airflow_provider_ims.matching.columns import BookColumns
from airflow_provider_ims.matching.decisions import Decisions
from airflow_provider_ims.matching.engine import Options, reconcile
from airflow_provider_ims.matching.errors import MatchError, RowsRejected
from airflow_provider_ims.matching.rules import MatchRules
from airflow_provider_ims.matching.sources import BookFile, BookQuery
from airflow_provider_ims.models.faults import CountsDisagree

__all__ = [
    "BookColumns",
    "BookFile",
    "BookQuery",
    "CountsDisagree",
    "Decisions",
    "MatchError",
    "MatchRules",
    "Options",
    "RowsRejected",
    "reconcile",
]
