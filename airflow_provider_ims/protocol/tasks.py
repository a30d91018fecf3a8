"""
The service's long-running tasks: status and result, whatever the task does.

Source: Vayana's page on long-running tasks; its two published shapes of the status disagree, both are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_ims.models.error_codes import Kind, meaning_of
from airflow_provider_ims.models.task_status import TaskStatus
from airflow_provider_ims.protocol.access import Access, headers, secrets_of
from airflow_provider_ims.protocol.errors import ServiceError, read_data, unreadable
from airflow_provider_ims.protocol.reference_ids import is_shown_as, keep, url_segment
from airflow_provider_ims.protocol.settings import Settings
from airflow_provider_ims.protocol.text import original_text, quotes
from airflow_provider_ims.protocol.wire import LARGE_REPLY, SMALL_REPLY, Reply, Request

_LARGEST_NUMBER = 10**15
"""Of jobs and pages: no service has so many, and larger ones are too large to reckon with."""

_NOT_ACCEPTED = frozenset(
    {
        *(Kind.TOKEN_EXPIRED, Kind.LOGIN, Kind.TOKEN_LIMIT, Kind.GSTN_SESSION, Kind.OTP),
        *(Kind.BUSY, Kind.THROTTLED, Kind.OUTAGE, Kind.REQUEST, Kind.REFUSED),
    }
)
"""The kinds of codes after which there is no task; "not ready" and the like are no such answers."""


def status(settings: Settings, access: Access, reference_id: str) -> Request:
    """Build the question how far a task is."""
    return _read(settings, access, "status", reference_id)


def result(settings: Settings, access: Access, reference_id: str) -> Request:
    """Build the question what came of a task."""
    return _read(settings, access, "result", reference_id, max_reply=LARGE_REPLY)


def page(settings: Settings, access: Access, reference_id: str, number: int) -> Request:
    """Build the question for one page of a task's result."""
    return _read(settings, access, "result", reference_id, f"/page/{number}", max_reply=LARGE_REPLY)


def read_reference_id(reply: Reply, call: str) -> str:
    """
    Read the reference id that a long-running call answers with.

    :param call: the call, in words
    """
    read_data(reply, call)
    original = original_text(reply.body, "data", "task-id")
    if original is None:
        raise unreadable(call, "the reply holds no task-id", reply)
    if quotes(original, reply.secrets):
        raise unreadable(call, "the task-id quotes a secret of the request", reply)
    try:
        return keep(original)
    except ValueError as error:
        raise unreadable(call, str(error), reply) from None


def read_submitted(reply: Reply, call: str) -> str:
    """
    Read the reference id of a call that changes something, and must not be sent twice unknowingly.

    :param call: the call, in words
    :raises ServiceError: of kind ``LOST_REPLY`` when the reply leaves open whether the task exists
    """
    try:
        return read_reference_id(reply, call)
    except ServiceError as error:
        if _says_not_accepted(error):
            raise
        raise error.as_lost_reply() from None


def _says_not_accepted(error: ServiceError) -> bool:
    """
    Say whether an answer to a request means that there is no task.

    A code that we know decides. Without one, a 5xx may come from a gateway, or from the service when it had handed the
    request on. A page with any other status is not the service's answer: a proxy can refuse the request before, but
    also the reply after the service took it. What is left are the service's own 4xx, and statuses that every gateway
    gives before it passes anything on (413, 429).
    """
    if meaning := meaning_of(error.code):
        return meaning.kind in _NOT_ACCEPTED
    return error.kind in _NOT_ACCEPTED - {Kind.OUTAGE} and (error.http_status or 500) < 500


def _read_answer(reply: Reply, call: str, *, is_final: bool = False) -> Any:
    """
    Return the ``data`` of the reply to a question.

    An error whose code nobody knows says nothing of the task: the question is asked again.

    :param is_final: whether the task has ended, so that a refusal can be what came of it
    """
    try:
        return read_data(reply, call)
    except ServiceError as error:
        guessed = {Kind.LOGIN, Kind.REQUEST} if is_final else {Kind.LOGIN, Kind.REQUEST, Kind.REFUSED}
        if error.kind in guessed and meaning_of(error.code) is None:
            raise error.as_passing() from None
        raise


def read_status(reply: Reply, reference_id: str) -> TaskStatus:
    """
    Read a task's status, from ``data.status`` or else ``data.task.status``.

    :raises ServiceError: of kind ``NOT_FOUND`` for an unknown or expired task
    """
    call = f"status of task {reference_id}"
    data = _read_answer(reply, call)
    task = data
    # Thousands of waits come by here: dict is what JSON gives, and Mapping is ten times slower to ask for.
    if isinstance(data, dict) and data.get("status") is None and isinstance(data.get("task"), dict):
        task = data["task"]
    word = task.get("status") if isinstance(task, dict) else None
    if not isinstance(task, dict) or not isinstance(word, str) or not word.strip():
        raise unreadable(call, "the reply holds no status", reply)
    if (shown := task.get("id")) not in (None, reference_id) and not is_shown_as(reference_id, shown):
        raise unreadable(call, "the reply is about another task", reply)
    jobs = task.get("jobs")
    jobs = jobs if isinstance(jobs, dict) else {}
    return TaskStatus(
        reference_id=reference_id,
        word=word.strip(),
        jobs_total=_number(jobs.get("total")),
        jobs_pending=_number(jobs.get("pending")),
    )


class StatusQuestion:
    """
    The question how far a task is, for one who asks it again and again.

    What is as it was is not done again: the request, as long as the token is the same, and the reading of a reply that
    is the same, byte by byte. Most polls of thousands of waits are of this kind.

    :param reference_id: the task
    """

    __slots__ = ("_access", "_answer", "_reference_id", "_reply", "_request")

    def __init__(self, reference_id: str) -> None:
        self._reference_id = reference_id
        self._access: Access | None = None
        self._request: Request | None = None
        self._reply: tuple[int, bytes] | None = None
        self._answer: TaskStatus | None = None

    def build(self, settings: Settings, access: Access) -> Request:
        """Build the request as :func:`status` does; always with the same settings."""
        if self._request is None or access != self._access:
            self._access, self._request = access, status(settings, access, self._reference_id)
        return self._request

    def read(self, reply: Reply) -> TaskStatus:
        """Read the reply as :func:`read_status` does."""
        received = (reply.status, reply.body)
        if self._answer is None or received != self._reply:
            self._answer, self._reply = read_status(reply, self._reference_id), received
        return self._answer


def read_result(reply: Reply, reference_id: str) -> Mapping[str, Any]:
    """
    Read the ``data`` of a task's result; its shape is the call's own.

    :raises ServiceError: of kind ``NOT_READY`` while the task is running, ``NOT_FOUND`` if it is unknown
    """
    call = f"result of task {reference_id}"
    try:
        data = _read_answer(reply, call, is_final=True)
    except ServiceError as error:
        # The code for "asked before completion" was not seen, only that it is a 400 (inferred: result-too-early).
        if error.http_status == 400 and error.code and error.kind is Kind.UNREADABLE:
            raise ServiceError(
                Kind.NOT_READY,
                call,
                code=error.code,
                advice="Wait for the task with ImsTaskSensor before reading its result.",
                http_status=400,
            ) from None
        raise
    if not isinstance(data, Mapping):
        raise unreadable(call, "the reply holds no result", reply)
    return data


def read_page_count(data: Mapping[str, Any], reference_id: str) -> int:
    """Read how many pages a result has."""
    pages = _number(data.get("pages"))
    if pages is None or pages < 0:
        raise unreadable(f"result of task {reference_id}", "the result holds no number of pages")
    return pages


def read_page(reply: Reply, reference_id: str, number: int) -> Mapping[str, Any]:
    """
    Read one page of a result.

    :raises ServiceError: of kind ``NOT_FOUND`` when there is no such page
    """
    call = f"page {number} of task {reference_id}"
    data = _read_answer(reply, call, is_final=True)
    if not isinstance(data, Mapping):
        raise unreadable(call, "the page holds no object", reply)
    return data


def _read(
    settings: Settings, access: Access, what: str, reference_id: str, part: str = "", max_reply: int = SMALL_REPLY
) -> Request:
    return Request(
        call=f"{what} of task {reference_id}",
        method="GET",
        url=f"{settings.eas_url}/enriched/tasks/v1.0/{what}/{url_segment(reference_id)}{part}",
        headers=headers(settings, access),
        secrets=secrets_of(settings, access),
        max_reply=max_reply,
    )


def _number(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= _LARGEST_NUMBER:
        return None
    return value
