"""Airflow's REST API: any call, and the few together that running and observing a DAG takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter

POLL_SECONDS = 0.25
CONNECTIONS = 32  # threads that may ask at once
# One answer takes milliseconds, unless every task writes to SQLite at that moment.
HTTP_TIMEOUT = (5, 150)
PAGE_TIMEOUT = (5, 300)  # some are put together at their first request, as the API's own description is
# A DAG file that other files' import errors have overtaken is parsed within this time.
IMPORT_ERROR_GRACE = 10.0
FINISHED_RUN = ("success", "failed")


class AirflowError(RuntimeError):
    """Airflow did not do what was asked; the text says what to look at."""


class StateChange(NamedTuple):
    """A task instance that was seen in a new state."""

    task_id: str
    map_index: int
    state: str | None


class AirflowApi:
    """
    REST API v2 of an Airflow that asks for no login; threads may share it.

    :param url: base URL, without a slash at its end
    """

    WAIT_SECONDS = 0.5
    """Between two looks at a run of which only one thing is awaited."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))
        self._session.trust_env = False  # a proxy from the environment has no business on loopback
        self._session.headers["Accept"] = "application/json"

    def login(self, username: str, password: str) -> None:
        """Ask as this user from now on, of an Airflow where not everybody is an admin."""
        body = {"username": username, "password": password}
        answer = self._checked(self._send("POST", f"{self.url}/auth/token", json=body))
        self._session.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def close(self) -> None:
        """Close the connections to the API server."""
        self._session.close()

    def check_alive(self) -> None:
        """Raise AirflowError when waiting has become pointless; called at every poll."""

    def get(self, path: str, **params: Any) -> Any:
        """
        Return what a GET is answered.

        :param path: below ``/api/v2/``
        :param params: the query
        :raises AirflowError: it was refused; so for every call
        """
        return self._checked(self.request("GET", path, params=params))

    def post(self, path: str, body: Any) -> Any:
        """Send a JSON body with POST and return what it is answered."""
        return self._checked(self.request("POST", path, json=body))

    def patch(self, path: str, body: Any) -> Any:
        """Send a JSON body with PATCH and return what it is answered."""
        return self._checked(self.request("PATCH", path, json=body))

    def delete(self, path: str, *, missing_ok: bool = False) -> None:
        """
        Delete something.

        :param missing_ok: whether it is all the same if it is not there
        """
        response = self.request("DELETE", path)
        if not (missing_ok and response.status_code == requests.codes.not_found):
            self._checked(response)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """
        Return the answer as it is, also one that refuses.

        :param path: below ``/api/v2/``
        :param options: as for ``requests.request``
        """
        response = self._send(method, f"{self.url}/api/v2/{path}", **options)
        if response.status_code == requests.codes.unauthorized and "Authorization" not in response.request.headers:
            # Airflow before 3.2 wants a token even where everybody is an admin, and gives it to everybody.
            answer = self._checked(self._send("GET", f"{self.url}/auth/token"))
            self._session.headers["Authorization"] = f"Bearer {answer['access_token']}"
            return self.request(method, path, **options)
        return response

    def page(self, path: str) -> Any:
        """
        Return the JSON behind one of the pages of Airflow's UI.

        :param path: below ``/``
        """
        return self._checked(self._send("GET", f"{self.url}/{path}", timeout=PAGE_TIMEOUT))

    def health(self) -> dict[str, dict[str, str | None]]:
        """Return each component's status and latest heartbeat."""
        return self.get("monitor/health")

    def task_api_answers(self) -> bool:
        """Whether the API that tasks talk to is up."""
        return self._send("GET", f"{self.url}/execution/health").ok

    def trigger_dag(self, dag_id: str, conf: Mapping[str, Any] | None = None, *, timeout: float = 180) -> str:
        """
        Unpause the DAG, start a run and return its id.

        :raises AirflowError: the DAG did not appear within `timeout` seconds; with the import errors, if any
        """
        self.wait_for_dag(dag_id, timeout)
        self.patch(f"dags/{dag_id}", {"is_paused": False})
        run = self.post(f"dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf or {}})
        return run["dag_run_id"]

    def wait_for_dag(self, dag_id: str, timeout: float = 180) -> None:
        """Wait until the DAG is parsed."""
        deadline = time.monotonic() + timeout
        errors: list[dict[str, Any]] = []
        while True:
            self.check_alive()
            if self.request("GET", f"dags/{dag_id}").ok:
                return
            if not errors:
                errors = self.get("importErrors")["import_errors"]
                if errors:
                    deadline = min(deadline, time.monotonic() + IMPORT_ERROR_GRACE)
            if time.monotonic() > deadline:
                reasons = "".join(f"\n{error['filename']}:\n{error['stack_trace']}" for error in errors)
                raise AirflowError(f"Airflow has no DAG {dag_id!r}.{reasons or ' No file failed to import.'}")
            time.sleep(POLL_SECONDS)

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the run's state: queued, running, success or failed."""
        return self.get(f"dags/{dag_id}/dagRuns/{run_id}")["state"]

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of the run as the API shows them."""
        instances: list[dict[str, Any]] = []
        while True:
            page = self.get(
                f"dags/{dag_id}/dagRuns/{run_id}/taskInstances",
                limit=100,
                offset=len(instances),
                order_by="id",
            )
            instances += page["task_instances"]
            if len(instances) >= page["total_entries"] or not page["task_instances"]:
                return instances

    def task_states(self, dag_id: str, run_id: str) -> list[StateChange]:
        """Return the state of each task instance of the run."""
        return [
            StateChange(instance["task_id"], instance["map_index"], instance["state"])
            for instance in self.task_instances(dag_id, run_id)
        ]

    def watch(self, dag_id: str, run_id: str, timeout: float = 300) -> Iterator[StateChange]:
        """
        Yield each task's state as it changes, until the run ends.

        States are polled: one that lasts less than a quarter of a second can be missed.

        :raises TimeoutError: the run has not ended after `timeout` seconds
        """
        deadline = time.monotonic() + timeout
        seen: dict[tuple[str, int], str | None] = {}
        while True:
            self.check_alive()
            run_state = self.run_state(dag_id, run_id)  # first, so that tasks of an ended run are final
            for change in self.task_states(dag_id, run_id):
                key = change.task_id, change.map_index
                if seen.get(key) != change.state:
                    seen[key] = change.state
                    yield change
            if run_state in FINISHED_RUN:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{dag_id} {run_id} is {run_state} after {timeout:.0f} s; tasks: {seen}")
            time.sleep(POLL_SECONDS)

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 600) -> str:
        """
        Wait for the end of the run and return its state.

        :raises TimeoutError: it has not ended after `timeout` seconds
        """
        deadline = time.monotonic() + timeout
        while (state := self.run_state(dag_id, run_id)) not in FINISHED_RUN:
            self._check_time(deadline, dag_id, run_id, f"{state} after {timeout:.0f} s")
            time.sleep(self.WAIT_SECONDS)
        return state

    def wait_for_state(
        self, dag_id: str, run_id: str, task_id: str, state: str, timeout: float = 300, *, map_index: int = -1
    ) -> None:
        """
        Wait until the task is seen in `state`.

        :raises AirflowError: the run ended without it
        :raises TimeoutError: it was not seen within `timeout` seconds
        """
        deadline = time.monotonic() + timeout
        wanted = task_id, map_index, state
        while True:
            run_state = self.run_state(dag_id, run_id)  # first, so that tasks of an ended run are final
            if wanted in self.task_states(dag_id, run_id):
                return
            if run_state in FINISHED_RUN:
                raise AirflowError(f"{dag_id} {run_id} ended; {task_id} was never seen {state!r}")
            self._check_time(deadline, dag_id, run_id, f"{run_state} after {timeout:.0f} s")
            time.sleep(self.WAIT_SECONDS)

    def _check_time(self, deadline: float, dag_id: str, run_id: str, what: str) -> None:
        self.check_alive()
        if time.monotonic() > deadline:
            tasks = [tuple(task) for task in self.task_states(dag_id, run_id)]
            raise TimeoutError(f"{dag_id} {run_id} is {what}; tasks: {tasks}")

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, *, map_index: int = -1) -> str:
        """Return the task's log, its trigger's included, one event and its fields a line."""
        events = self._task_events(dag_id, run_id, task_id, try_number, map_index)
        return "\n".join(_log_line(event) for event in events)

    def task_error(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, *, map_index: int = -1
    ) -> str | None:
        """Return the exception that ended the task as `Type: text`, None if there was none."""
        for event in reversed(self._task_events(dag_id, run_id, task_id, try_number, map_index)):
            if detail := event.get("error_detail"):
                return f"{detail[0]['exc_type']}: {detail[0]['exc_value']}"
        return None

    def _task_events(
        self, dag_id: str, run_id: str, task_id: str, try_number: int, map_index: int
    ) -> list[dict[str, Any]]:
        answer = self.get(
            f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}",
            map_index=map_index,
            full_content=True,
        )
        # A line that is no event of Airflow's comes as bare text.
        return [line if isinstance(line, dict) else {"event": line} for line in answer["content"]]

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", *, map_index: int = -1) -> Any:
        """
        Return the value that the task pushed.

        :raises KeyError: it pushed none under `key`
        """
        response = self.request(
            "GET",
            f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}",
            params={"map_index": map_index},
        )
        if response.status_code == requests.codes.not_found:
            raise KeyError(f"{task_id} has no XCom {key!r}")
        return self._checked(response)["value"]

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        return self._session.request(method, url, **{"timeout": HTTP_TIMEOUT, **options})

    @staticmethod
    def _checked(response: requests.Response) -> Any:
        if not response.ok:
            request = response.request
            raise AirflowError(f"{request.method} {request.url} was answered {response.status_code}: {response.text}")
        return response.json() if response.content else None


def _log_line(event: Mapping[str, Any]) -> str:
    fields = dict(event)
    head = [str(fields.pop(name)) for name in ("timestamp", "level", "event") if fields.get(name)]
    return " ".join(head + [f"{name}={value}" for name, value in fields.items()])
