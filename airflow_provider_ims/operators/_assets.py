"""How operators tell Airflow's assets what happened: never at the cost of a task whose work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_ims._compat import add_partition
from airflow_provider_ims.assets import (
    BY_PERIOD,
    EVENTS_KEY,
    IMS_ALIAS,
    MOST_EVENTS,
    MOST_REFUSED,
    MOST_TOLD,
    SESSION_ALIAS,
    Event,
)
from airflow_provider_ims.exceptions import GstnResetNotDone, GstnSessionExpired
from airflow_provider_ims.links import Linked
from airflow_provider_ims.models.calendar import Calendar
from airflow_provider_ims.operators._arguments import is_true

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context


def declare_assets(operator: BaseOperator, emit_assets: bool, *aliases: str) -> bool:
    """
    Give an operator the aliases through which it emits asset events.

    :param emit_assets: whether it emits any
    :param aliases: their names
    :return: ``emit_assets``
    :raises GstnInvalidRequest: when it is neither true nor false
    """
    emit_assets = is_true("emit_assets", emit_assets)
    if emit_assets:
        from airflow.sdk import AssetAlias

        operator.outlets = [*operator.outlets, *(AssetAlias(name) for name in aliases)]
    return emit_assets


class AssetEvents:
    """
    The asset events of one run of a task.

    :param operator: the task, with ``emit_assets``; its ``calendar`` tells the dates, if it has one
    :param context: of the run
    """

    def __init__(self, operator: Any, context: Context) -> None:
        self._operator = operator
        self._context = context
        self._untaken: list[dict[str, Any]] = []
        self._emitted = 0
        self._gstins: set[str] = set()

    def session(self, word: str, gstin: str, *, succeeds: bool = True, **told: Any) -> None:
        """
        Tell of a taxpayer's session.

        :param word: what happened, see :class:`~airflow_provider_ims.assets.Event`
        :param succeeds: whether the task ends in success; only then Airflow takes asset events
        :param told: further fields of the event
        """
        self._tell(succeeds, lambda: iter([{"event": word, "gstin": gstin, **told}]))

    def ims(self, word: str, events: Iterable[dict[str, Any]], *, succeeds: bool = True) -> None:
        """
        Tell of documents in IMS.

        :param word: what happened, see :class:`~airflow_provider_ims.assets.Event`
        :param events: the fields of each event, ``gstin`` among them
        :param succeeds: whether the task ends in success; only then Airflow takes asset events
        """
        calendar = getattr(self._operator, "calendar", None)
        self._tell(succeeds, lambda: ({"event": word, **_dates(calendar, each), **each} for each in events))

    @contextmanager
    def watching(self, gstin: str) -> Iterator[None]:
        """Tell that a one-time password is needed when that is why the task fails."""
        try:
            yield
        except (GstnSessionExpired, GstnResetNotDone) as error:
            self.failed(gstin, error)
            raise

    def failed(self, gstin: str, error: Exception) -> None:
        """Tell that a one-time password is needed if that is why the task fails."""
        cause = error.cause if isinstance(error, GstnResetNotDone) else error
        if isinstance(cause, GstnSessionExpired):
            reason = str(error).partition("\n")[0]
            self.session("otp_needed", gstin, succeeds=False, reason=reason)

    def _tell(self, succeeds: bool, fields: Callable[[], Iterator[dict[str, Any]]]) -> None:
        # The work is done: what is told of it must not undo that, and what cannot be told keeps nothing else back.
        try:
            for each in islice(fields(), MOST_TOLD):
                try:
                    self._take(succeeds, each)
                except Exception as error:
                    self._untold(error)
            if self._untaken:
                value = {"succeeds": succeeds, "events": self._untaken}
                self._context["ti"].xcom_push(key=EVENTS_KEY, value=value)
        except Exception as error:
            self._untold(error)

    def _take(self, succeeds: bool, told: dict[str, Any]) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        refused = [row._asdict() for row in islice(told.get("refused", ()), MOST_REFUSED)]
        event = Event.model_validate({"at": now, **told, "refused": refused})
        self._gstins.add(event.gstin)
        self._operator.linked = Linked(event.gstin if len(self._gstins) == 1 else "", event.path)
        if not self._operator.emit_assets:
            return
        if succeeds and self._emitted < MOST_EVENTS:
            self._emitted += 1
            self._emit(event)
        else:
            self._untaken.append(event.extra())

    def _untold(self, error: Exception) -> None:
        self._operator.log.warning("The asset event was not told (%s: %s).", type(error).__name__, error)

    def _emit(self, event: Event) -> None:
        from airflow.sdk import Asset, AssetAlias

        outlet_events = self._context.get("outlet_events")
        if outlet_events is None:
            return
        for outlet in self._operator.outlets:
            if isinstance(outlet, Asset) and outlet.uri == event.uri:
                accessor = outlet_events[outlet]
                accessor.extra = event.extra()
                if event.rtnprd and outlet.extra.items() >= BY_PERIOD.items():
                    add_partition(accessor, event.rtnprd)
                return
        alias = AssetAlias(SESSION_ALIAS if event.is_of_session else IMS_ALIAS)
        outlet_events[alias].add(Asset(event.uri), extra=event.extra())


def _dates(calendar: Calendar | None, told: dict[str, Any]) -> dict[str, Any]:
    calendar = calendar or Calendar()
    dates = calendar.dates(told["gstin"], datetime.now(UTC))
    return {
        "rtnprd": dates.period,
        "filing": calendar.filing,
        "draft_2b": dates.draft_2b,
        "due_3b": dates.due_3b,
    }
