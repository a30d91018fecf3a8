"""Asks a person whether what a reconciliation found is to be reset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.standard.operators.hitl import ApprovalOperator

from airflow_provider_ims.exceptions import GstnInvalidRequest
from airflow_provider_ims.matching.approval import approval_text
from airflow_provider_ims.models.calendar import Calendar
from airflow_provider_ims.operators._resets import resets_of
from airflow_provider_ims.snapshots.snapshot import several

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["ImsApprovalOperator"]

_SHOWN: Final = "shown"
"""Key of the XCom that says which resets the person is asked about."""


class ImsApprovalOperator(ApprovalOperator):
    """
    Ask a person whether the resets of a reconciliation are to be sent, and remember which ones the person was shown.

    It is Airflow's own ``ApprovalOperator``: *Reject* skips what follows. Given what this task returns,
    :class:`~airflow_provider_ims.operators.plan.ImsPlanOperator` plans what was approved and nothing else, also if the
    reconciliation was made anew meanwhile.

    :param reconciliation: what :class:`~airflow_provider_ims.operators.reconcile.ImsReconcileOperator` returned, or a
        list of it, such as the output of a mapped task (templated)
    :param calendar: how the company files: :class:`~airflow_provider_ims.models.calendar.Calendar` or its arguments
    """

    template_fields: Sequence[str] = ("subject", "body", "reconciliation")
    ui_color = "#f5dfd0"

    def __init__(
        self, *, reconciliation: Any, calendar: Calendar | Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(subject="IMS: resets to approve", body="", **kwargs)
        self.reconciliation = reconciliation
        self.calendar = Calendar.of(calendar)

    def execute(self, context: Context) -> None:
        """
        Show what is to be reset, and wait for the answer.

        :raises GstnInvalidRequest: when ``reconciliation`` is not what it must be
        """
        found: list[Any] = several(self.reconciliation)
        resets = resets_of(found, "reconciliation")
        self.subject, self.body = approval_text(found, calendar=self.calendar)
        context["ti"].xcom_push(key=_SHOWN, value=[each.to_json() for each in resets])
        super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """
        Take the answer.

        :return: what ``ApprovalOperator`` returns, and ``resets``: what the person was shown
        :raises GstnInvalidRequest: when that is not known any more
        """
        instance = context["ti"]
        # Not what the template says: the reconciliation may be another one by now.
        shown = instance.xcom_pull(task_ids=self.task_id, key=_SHOWN, map_indexes=instance.map_index)
        answer = super().execute_complete(context, event)
        if not shown:
            raise GstnInvalidRequest(
                "Airflow has lost what was shown: nobody knows what was answered.\nClear this task."
            )
        return {**answer, "resets": shown}
