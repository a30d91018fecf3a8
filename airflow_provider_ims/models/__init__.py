"""The data of an IMS reset: what is sent, what comes back, and what a task is doing."""

from airflow_provider_ims.models.account import RefusedDocument
from airflow_provider_ims.models.faults import Fault, InvalidPayload
from airflow_provider_ims.models.payload import ResetPayload
from airflow_provider_ims.models.result import ResetResult
from airflow_provider_ims.models.task_status import TaskStatus

__all__ = ["Fault", "InvalidPayload", "RefusedDocument", "ResetPayload", "ResetResult", "TaskStatus"]
