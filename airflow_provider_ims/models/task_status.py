"""The state of a long-running task, whatever the task does."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

TaskState = Literal["running", "completed", "failed", "unknown"]

# Confirmed by Vayana's documentation and by clients in use: "processing" and "completed". The other words
# are inferred (status-words) from services of this kind. A word that is missing here is never success.
_COMPLETED = frozenset({"completed"})
_RUNNING = frozenset({"processing", "queued", "started", "pending", "in_progress", "submitted"})
_FAILED = frozenset(
    {"failed", "failure", "error", "errored", "cancelled", "canceled", "aborted", "expired", "rejected"}
)


NOT_YET_THERE = 120.0
"""
Seconds after its submission in which a task that the service does not find is only not there yet: a service of
several machines tells the others later than the client (inferred: task-visible; no figure is published).
"""


def is_gone(since: float, now: float) -> bool:
    """
    Decide what it means that the service does not find a task.

    :param since: when the task was submitted, or else since when it is waited for, seconds since the epoch
    :param now: seconds since the epoch
    :return: whether it does not exist, or not any more; else it may still appear
    """
    return now - since >= NOT_YET_THERE


def state_of(word: str) -> TaskState:
    """
    Decide what a status word of the service means.

    This is the only place that decides it: poke and trigger both end here.

    :param word: the service's word, in any letter case
    :return: ``unknown`` for a word that is not in the lists; the caller goes on polling until its deadline
    """
    folded = word.strip().lower().replace("-", "_").replace(" ", "_")
    if folded in _COMPLETED:
        return "completed"
    if folded in _RUNNING:
        return "running"
    if folded in _FAILED:
        return "failed"
    return "unknown"


class TaskStatus(BaseModel):
    """
    What the service says of a task.

    :param reference_id: the task, by the id that its request returned
    :param word: the service's own word for its status
    :param jobs_total: number of jobs in the task, where the service tells
    :param jobs_pending: number of jobs not yet done, where the service tells
    """

    model_config = ConfigDict(frozen=True)

    reference_id: str
    word: str
    jobs_total: int | None = None
    jobs_pending: int | None = None

    @property
    def state(self) -> TaskState:
        """What the word means: ``running``, ``completed``, ``failed`` or ``unknown``."""
        return state_of(self.word)

    def __str__(self) -> str:
        if self.jobs_total is None or self.jobs_pending is None:
            return self.word
        return f"{self.word} ({self.jobs_total - self.jobs_pending} of {self.jobs_total} jobs done)"
