"""What a task does about the dates of the return period before it changes anything: as the user decided."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from airflow_provider_ims.exceptions import GstnInvalidRequest
from airflow_provider_ims.models.calendar import Calendar, OnWindow


def look_at_the_calendar(
    calendar: Calendar, rtins: Iterable[str], on_window: OnWindow, log: Any, *, refusal: str | None
) -> list[str]:
    """
    Say when GSTR-3B is due shortly or was due, and what else a person should know of the calendar.

    :param calendar: how the company files
    :param rtins: own GSTINs
    :param on_window: ``warn``, ``fail`` or ``ignore``
    :param log: of the task
    :param refusal: what it means for a person that the task fails; ``None``: it does not, since it has begun
    :return: what was said
    :raises GstnInvalidRequest: with ``fail``, when GSTR-3B is due shortly or was due
    """
    if on_window == "ignore":
        return []
    rtins, now = list(rtins), datetime.now(UTC)
    warnings = calendar.warnings(rtins, now)
    if warnings and on_window == "fail" and refusal is not None:
        raise GstnInvalidRequest("\n".join([*warnings, refusal]))
    said = [*warnings, *calendar.notes(rtins, now)]
    for text in said:
        log.warning("%s", text)
    return said
