"""
What Airflow keeps for us: connections, Variables, task state. What is absent is told apart from what is out of reach.

Airflow's own lookups answer "not found", or nothing, also when the API server, the database or a secrets backend
cannot be reached. In the worker, ``ExecutionAPISecretsBackend`` returns ``None`` for every error (Task SDK 1.1 to
1.3); behind the API server, every error of the database becomes HTTP 404 (``Variable.get`` and
``Connection.get_connection_from_secrets`` of Airflow 3.1 to 3.3). So what is not found is asked for again, in a way in
which errors show, once the database has answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_ims._compat import AirflowNotFoundException, amask_secret, mask_secret, supervisor
from airflow_provider_ims.exceptions import GstnAirflowUnavailable, GstnInvalidConnection

if TYPE_CHECKING:
    from airflow.sdk import Connection

_ABSENT = {"CONNECTION_NOT_FOUND", "VARIABLE_NOT_FOUND"}

_NOBODYS_KEY = "gstn_nobody_keeps_this"

_LOCAL = {"EnvironmentVariablesBackend", "LocalFilesystemBackend"}
"""Backends that no network is needed for: what they fail at is written wrongly."""


def find_connection(conn_id: str) -> Connection | None:
    """
    Look a connection up, wherever Airflow looks for connections.

    :param conn_id: id of the connection
    :return: the connection; ``None`` when it is defined nowhere
    :raises GstnAirflowUnavailable: when a place where it may be defined cannot be reached
    :raises GstnInvalidConnection: when it is defined in a form that cannot be read
    """
    from airflow.sdk import Connection

    search = _Search(f"the connection {conn_id!r}")
    with search.first():
        defined: Connection = Connection.get(conn_id)
        return defined
    for backend in _backends():
        with search.again(backend):
            if _is_supervisor(backend):
                found = _connection_of(_ask_again(_get_connection(conn_id), search.what))
            else:
                found = backend.get_connection(conn_id=conn_id)
            if found is not None:
                for secret in _secrets_of(found):
                    mask_secret(secret)
                return found
    search.end()
    return None


async def afind_connection(conn_id: str) -> Connection | None:
    """Look a connection up from within an event loop; see :func:`find_connection`."""
    from airflow.sdk import Connection

    if _is_dag_test():
        return find_connection(conn_id)

    search = _Search(f"the connection {conn_id!r}")
    with search.first():
        defined: Connection = await Connection.async_get(conn_id)
        return defined
    for backend in _backends():
        with search.again(backend):
            if _is_supervisor(backend):
                found = _connection_of(await _aask_again(_get_connection(conn_id), search.what))
            else:
                found = await asyncio.to_thread(backend.get_connection, conn_id=conn_id)
            if found is not None:
                for secret in _secrets_of(found):
                    await amask_secret(secret)
                return found
    search.end()
    return None


class _Search:
    """
    Where a connection was looked for in vain, and why.

    :param what: what is looked for, in words
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._unavailable: GstnAirflowUnavailable | None = None
        self._unreadable: GstnInvalidConnection | None = None

    @contextmanager
    def first(self) -> Iterator[None]:
        """Look as Airflow does; its "not found" is not believed yet."""
        try:
            yield
        except AirflowNotFoundException:
            pass
        except Exception as error:
            raise _unavailable(self.what, error) from None

    @contextmanager
    def again(self, backend: Any) -> Iterator[None]:
        """Ask one backend, and note what it fails at."""
        name = type(backend).__name__
        try:
            yield
        except GstnAirflowUnavailable as error:
            self._unavailable = error
        except Exception as error:
            if name in _LOCAL:
                self._unreadable = GstnInvalidConnection(
                    f"{name} holds {self.what} in a form that cannot be read ({type(error).__name__})."
                    " Correct it there."
                )
            else:
                self._unavailable = _unavailable(self.what, error, name)

    def end(self) -> None:
        """Return if it is defined nowhere; raise what kept us from seeing that."""
        if self._unavailable is not None:
            raise self._unavailable
        if self._unreadable is not None:
            raise self._unreadable


def get_variable(key: str) -> str | None:
    """
    Return an Airflow Variable, or ``None`` when there is none.

    :raises GstnAirflowUnavailable: when Airflow cannot be reached
    """
    from airflow.sdk import Variable
    from airflow.sdk.execution_time.comms import GetVariable

    what = f"the Variable {key!r}"
    try:
        value: str | None = Variable.get(key, default=None)
    except Exception as error:
        raise _unavailable(what, error) from None
    if value is None and (answer := _ask_again(GetVariable(key=key), what)) is not None:
        value = answer.value
        mask_secret(value, key)
    return value


def set_variable(key: str, value: str) -> None:
    """
    Set an Airflow Variable.

    :raises GstnAirflowUnavailable: when Airflow cannot be reached; it may have been set or not
    """
    from airflow.sdk.execution_time.comms import PutVariable

    _ask(PutVariable(key=key, value=value, description=None), f"the Variable {key!r}")


def delete_variable(key: str) -> None:
    """
    Delete an Airflow Variable; one that is not there is no fault.

    :raises GstnAirflowUnavailable: when Airflow cannot be reached; it may have been deleted or not
    """
    from airflow.sdk.execution_time.comms import DeleteVariable

    if get_variable(key) is not None:
        _ask(DeleteVariable(key=key), f"the Variable {key!r}")


# Airflow has no awaited Variable (3.1 to 3.3), and the plain one blocks the triggerer's loop or fails in it. The
# messages are those that the plain one sends; its ``set`` does not look at the answer.


async def aget_variable(key: str) -> str | None:
    """Return an Airflow Variable from within the triggerer's loop; see :func:`get_variable`."""
    from airflow.sdk.execution_time.comms import GetVariable

    what = f"the Variable {key!r}"
    answer = await _aask(GetVariable(key=key), what) or await _aask_again(GetVariable(key=key), what)
    return None if answer is None else answer.value


async def aset_variable(key: str, value: str) -> None:
    """Set an Airflow Variable from within the triggerer's loop; see :func:`set_variable`."""
    from airflow.sdk.execution_time.comms import PutVariable

    await _aask(PutVariable(key=key, value=value, description=None), f"the Variable {key!r}")


async def adelete_variable(key: str) -> None:
    """Delete an Airflow Variable from within the triggerer's loop; see :func:`delete_variable`."""
    from airflow.sdk.execution_time.comms import DeleteVariable

    if await aget_variable(key) is not None:
        await _aask(DeleteVariable(key=key), f"the Variable {key!r}")


class TaskState:
    """
    Airflow's task state store of one task instance (3.3 and newer).

    :param store: ``context["task_state_store"]``
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, key: str) -> Any:
        """
        Return what is kept under a key, or ``None``.

        :raises GstnAirflowUnavailable: when Airflow cannot be reached
        """
        try:
            return self._store.get(key)
        except Exception as error:
            raise _unavailable(f"the task state {key!r}", error) from None

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        """
        Keep a value.

        :raises GstnAirflowUnavailable: when Airflow cannot be reached; it may be kept or not
        """
        try:
            self._store.set(key, value, retention=retention)
        except Exception as error:
            raise _unavailable(f"the task state {key!r}", error) from None

    def delete(self, key: str) -> None:
        """
        Forget a key.

        :raises GstnAirflowUnavailable: when Airflow cannot be reached; it may be forgotten or not
        """
        try:
            self._store.delete(key)
        except Exception as error:
            raise _unavailable(f"the task state {key!r}", error) from None


def task_state(context: Any) -> TaskState | None:
    """Return the task state store of a task's context; ``None`` below Airflow 3.3 and outside of it."""
    store = context.get("task_state_store")
    return None if store is None else TaskState(store)


def _ask_again(message: Any, what: str) -> Any:
    """Ask for what was not found; ``None`` when Airflow's database answers and it is not there."""
    with _probing():
        _ask(_probe(), what)
    return _ask(message, what)


async def _aask_again(message: Any, what: str) -> Any:
    with _probing():
        await _aask(_probe(), what)
    return await _aask(message, what)


def _probe() -> Any:
    # To delete what nobody has written is the one question of this kind whose answer shows an error of the database.
    from airflow.sdk.execution_time.comms import DeleteVariable

    return DeleteVariable(key=_NOBODYS_KEY)


@contextmanager
def _probing() -> Iterator[None]:
    """Let an API server that refuses the probe pass: it may still answer the question."""
    try:
        yield
    except GstnAirflowUnavailable as error:
        if error.http_status not in {401, 403}:
            raise


def _ask(message: Any, what: str) -> Any:
    """Ask the supervisor; return its answer, ``None`` for "not found"."""
    comms = supervisor()
    if comms is None:
        return _alone(message, what)
    try:
        answer = comms.send(message)
    except Exception as error:
        answer = _refusal(error, what)
    return _judged(answer, what)


async def _aask(message: Any, what: str) -> Any:
    comms = supervisor()
    if comms is None:
        return _alone(message, what)
    try:
        answer = comms.send(message) if _is_dag_test() else await comms.asend(message)
    except Exception as error:
        answer = _refusal(error, what)
    return _judged(answer, what)


def _is_dag_test() -> bool:
    """
    Say whether a trigger runs in the process of ``dag.test()``.

    Its supervisor is in the same process and has no line for an event loop (Airflow 3.1 to 3.3). The loop there is this
    trigger's own, so that it holds up nobody.
    """
    comms = supervisor()
    return comms is not None and not hasattr(comms, "asend")


def _alone(message: Any, what: str) -> None:
    """Outside of a task or trigger of Airflow's there is nobody who knows anything, and nobody who keeps anything."""
    if not type(message).__name__.startswith("Get") and message.key != _NOBODYS_KEY:
        raise _unavailable(what, RuntimeError())


def _refusal(error: Exception, what: str) -> Any:
    """Return the error response that an exception carries (some come as an answer, some are raised)."""
    response = getattr(error, "error", None)
    if response is None:
        raise _unavailable(what, error) from None
    return response


def _judged(answer: Any, what: str) -> Any:
    from airflow.sdk.execution_time.comms import ErrorResponse

    if not isinstance(answer, ErrorResponse):
        return answer
    if answer.error.value in _ABSENT:
        return None
    raise _unavailable(what, answer)


def _unavailable(what: str, cause: Any, who: str = "Airflow") -> GstnAirflowUnavailable:
    # Only kinds and numbers are told: an exception's text can hold a URL or a value.
    response = cause if hasattr(cause, "detail") else getattr(cause, "error", None)
    kind = getattr(getattr(response, "error", None), "value", None) or type(cause).__name__
    detail = getattr(response, "detail", None)
    status = detail.get("status_code") if isinstance(detail, dict) else None
    return GstnAirflowUnavailable(
        f"{who} could not be asked about {what} [{kind}{f', HTTP {status}' if status else ''}].\n"
        "The API server, the database or a secrets backend is away, or refuses this task. That something is missing is"
        " not said by it.",
        code=str(kind),
        http_status=status if isinstance(status, int) else None,
        advice="Try again when Airflow's API server answers.",
    )


def _get_connection(conn_id: str) -> Any:
    from airflow.sdk.execution_time.comms import GetConnection

    return GetConnection(conn_id=conn_id)


def _connection_of(answer: Any) -> Connection | None:
    from airflow.sdk import Connection

    return None if answer is None else Connection(**answer.model_dump(exclude={"type"}, by_alias=True))


def _secrets_of(connection: Any) -> list[str]:
    return [secret for secret in (connection.password, connection.extra) if secret]


def _backends() -> list[Any]:
    from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

    return list(ensure_secrets_backend_loaded())


def _is_supervisor(backend: Any) -> bool:
    return type(backend).__name__ == "ExecutionAPISecretsBackend"
