"""What a user decides about sending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OnAmbiguous = Literal["fail", "resubmit", "reconcile"]

SETTLE_TIME = 600.0
"""Seconds for which a request whose fate is not known is given the time to be done after all."""


@dataclass(frozen=True)
class Policy:
    """
    How a reset is sent.

    :param on_ambiguous: what to do when the request may have been accepted or not: ``fail``, ``resubmit`` it, or
        ``reconcile``: look at the documents that GSTN holds and send what is not at "no action"
    :param force: send again what was sent before this task was cleared
    :param busy_timeout: how long to wait while GSTN works on another request of the GSTIN, seconds
    :param settle_time: with ``reconcile``: how long after it was sent a request may still be done, seconds; until then
        nothing is sent again
    """

    on_ambiguous: OnAmbiguous = "fail"
    force: bool = False
    busy_timeout: float = 3600.0
    settle_time: float = SETTLE_TIME
