"""What has to be waited for before a request can go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from airflow_provider_ims.hooks.gstn import DOWNLOAD, RESET, Call
from airflow_provider_ims.waits.watch import ids_of

KEY = "ims_reset"
"""The journal's key of a task that has one request."""

Awaited = Literal["request", "reconcile", "account"]
"""What the tasks are: the request itself; downloads that tell what to send; downloads that tell what became of it."""


class AwaitTasks(NamedTuple):
    """
    These tasks of the service have to end before it can go on.

    :param until: how long to wait at most, seconds since the epoch; ``None`` for as long as a download may take
    :param kind: what the tasks are; an event names them and does not tell
    :param key: the journal's key of the request that they are about
    """

    reference_ids: list[str]
    until: float | None = None
    kind: Awaited = "reconcile"
    key: str = KEY

    def call(self, request: Call[Any, Any] = RESET) -> Call[Any, Any]:
        """
        Return the call that the tasks are of.

        :param request: that of the request
        """
        return request if self.kind == "request" else DOWNLOAD

    def to_json(self) -> dict[str, Any]:
        """Return what the next process has to know of this one's wait."""
        return self._asdict()

    @classmethod
    def of_event(cls, awaited: Mapping[str, Any] | None, event: Any) -> AwaitTasks | None:
        """
        Return what was waited for, if the event says that it has ended.

        :param awaited: what :meth:`to_json` of the process before was
        :param event: a trigger's event, which may be out of date or about something else
        """
        said = event if isinstance(event, Mapping) else {}
        if not awaited or said.get("status") != "completed" or "reference_id" not in said:
            return None
        step = cls(**awaited)
        return step if ids_of(said["reference_id"]) == step.reference_ids else None


class AwaitMoment(NamedTuple):
    """Nothing can be done before this time, seconds since the epoch."""

    moment: float
