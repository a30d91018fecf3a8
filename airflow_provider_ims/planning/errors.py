"""Why there is no plan, besides what is wrong with a file; each text is for the person who must act."""

from __future__ import annotations

from airflow_provider_ims.models.faults import SomeRowsRejected


class PlanError(ValueError):
    """There is no plan, and no request that could be sent."""


class RowsRejected(SomeRowsRejected, PlanError):
    """Some rows are not valid, and the user wants all or nothing."""
