"""Why there is no plan; each text is for the person who must act."""

from __future__ import annotations

from airflow_provider_ims.models.faults import SomeRowsRejected


class PlanError(ValueError):
    """There is no plan, and no request that could be sent."""


class SourceUnusable(PlanError):
    """
    A source as a whole is not what it must be: broken, without a needed column, empty.

    :param source: the source, as its owner knows it
    :param problem: what is wrong and what to do
    """

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(f"{source}: {problem}")


class SourceUnavailable(PlanError):
    """A source cannot be read now; the same again may work later."""


class RowsRejected(SomeRowsRejected, PlanError):
    """Some rows are not valid, and the user wants all or nothing."""
