"""What goes wrong on a day, as a list that can be kept, replayed and shortened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Mishap:
    """
    One thing that goes wrong.

    :param where: at which kind of exchange, such as ``PUT`` or ``state set``; ``clock`` for what happens at a time
    :param nth: at which exchange of that kind on this day, from 1
    :param what: what happens then
    :param at: with ``clock``, seconds after the day's beginning; with ``worker ends``, after that
    :param lasts: seconds, where it lasts
    :param state: with this state of the journal only, and ``nth`` counts the exchanges with it (``coverage.STATES``)
    :param detail: which GSTIN, document, task or code it is about
    """

    where: str
    what: str
    nth: int = 0
    at: float = 0.0
    lasts: float = 0.0
    detail: str = ""
    state: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what is not as it is by default."""
        return {name: value for name, value in asdict(self).items() if value not in (0, 0.0, "")}


class Mishaps:
    """
    Says at each exchange whether something goes wrong there.

    :param planned: all of a day
    """

    def __init__(self, planned: Iterable[Mishap]) -> None:
        self.planned = list(planned)
        self.fired: list[Mishap] = []
        self.over = False
        self.seen: Counter[tuple[str, str]] = Counter()
        self._at = {(each.where, each.state, each.nth): each for each in self.planned if each.where != "clock"}

    def take(self, where: str, state: str = "") -> Mishap | None:
        """Count an exchange, which meets a state of the journal; return what goes wrong at it."""
        self.seen[where, ""] += 1
        self.seen[where, state] += bool(state)
        if self.over:
            return None
        at = self._at.get
        mishap = at((where, "", self.seen[where, ""])) or at((where, state, self.seen[where, state]))
        if mishap is not None:
            self.fired.append(mishap)
        return mishap
