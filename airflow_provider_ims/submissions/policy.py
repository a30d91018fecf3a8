"""What a user decides about sending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OnAmbiguous = Literal["fail", "resubmit", "reconcile"]
Force = Literal[True, False, "failed"]

SETTLE_TIME = 600.0
"""Seconds for which a request whose fate is not known is given the time to be done after all."""


@dataclass(frozen=True)
class Policy:
    """
    How a reset is sent.

    :param on_ambiguous: what to do when the request may have been accepted or not: ``fail``, ``resubmit`` it, or
        ``reconcile``: look at the documents that GSTN holds and send what is not at "no action". After a person cleared
        the task it is always ``reconcile``
    :param force: once for each time that a person clears the task, send what is not at "no action" also of a request
        that ended: ``failed`` of one of which GSTN refused anything, ``True`` of any
    :param busy_timeout: how long to wait while GSTN works on another request of the GSTIN, or is down, seconds
    :param settle_time: how long after it was sent a request whose fate is not known may still be done, seconds; until
        then nothing is sent again after a look
    """

    on_ambiguous: OnAmbiguous = "fail"
    force: Force = False
    busy_timeout: float = 3600.0
    settle_time: float = SETTLE_TIME

    def asks_again(self, outcome: str, unknown: int = 0) -> bool:
        """
        Say whether a request that ended is looked into once more, when a person has cleared the task.

        :param outcome: what it came to: ``processed``, ``partial`` or ``failed``
        :param unknown: of how many of its documents the result left open what became of them
        """
        return self.force is True or unknown > 0 or (self.force == "failed" and outcome != "processed")
