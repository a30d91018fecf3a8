"""
A word in the session store that somebody is about to get a new token, for workers that share no lock.

A store takes the last word written and has no compare-and-set. So: whoever finds no claim writes one, waits a moment
and looks whether it still stands there. Of all that began within that moment only the last to write finds its own;
the others wait for its token. It is a courtesy, not a lock: one that is late by more than the moment logs in, too
(what becomes of a login too many is told by :class:`TokenKeeper`), and a claim whose owner died is passed over.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable

from airflow_provider_ims.protocol.wire import Exchange, Load, Pause, Save

CLAIM_SECONDS = 30.0
"""How long a claim counts. Longer than a login takes; as long, others wait for an owner that died."""

SETTLING = 1.0
"""Seconds, and up to twice as many, between writing a claim and looking whether it still stands: more than any other
takes from finding none to writing its own."""


class Claim:
    """
    The claim of one worker.

    :param key: what it is kept under
    :param clock: seconds since the epoch
    """

    def __init__(self, key: str, clock: Callable[[], float]) -> None:
        self.key = key
        self._clock = clock
        self._owner = uuid.uuid4().hex

    def win(self) -> Exchange[bool]:
        """Claim it, unless another worker has; say whether it is ours."""
        owner, until = _read((yield Load(self.key)))
        if owner not in {"", self._owner} and self._clock() < until:
            return False
        until = self._clock() + CLAIM_SECONDS
        yield Save(self.key, json.dumps({"owner": self._owner, "until": until}))
        yield Pause(random.uniform(SETTLING, 2 * SETTLING))  # noqa: S311 - jitter, not a secret
        owner, _ = _read((yield Load(self.key)))
        return owner == self._owner

    def end(self) -> Exchange[None]:
        """Let nobody wait for us any more: the token is in the store, or there is none to be had."""
        yield Save(self.key, None, required=False)


def _read(text: str | None) -> tuple[str, float]:
    try:
        claim = json.loads(text or "{}")
        return str(claim["owner"]), float(claim["until"])
    except (ValueError, TypeError, KeyError):
        return "", 0.0
