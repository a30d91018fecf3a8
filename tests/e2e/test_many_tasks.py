"""Fifty workers and a user that may have ten sessions; on PostgreSQL, since SQLite fails under so many writers."""

from __future__ import annotations

import logging

import pytest

from tests.e2e.conftest import forget_sessions, wait_until

log = logging.getLogger(__name__)

TASKS = 50  # as in dags/many_tasks.py
RTIN = "20MAYAS0100J1ZX"


@pytest.fixture
def reference_id(quiet, airflow, simulator, sample) -> str:
    """A task that runs for as long as the test does, in a service that nobody has logged in to yet."""
    forget_sessions(airflow)
    airflow.delete("pools/many_tasks", missing_ok=True)
    airflow.post("pools", {"name": "many_tasks", "slots": TASKS})
    gst = simulator.gst
    gst.open_session(RTIN)
    gst.change_options({"task_seconds": 86_400})
    return gst.submit_reset(gst.options.org_id, RTIN, sample)


@pytest.mark.parametrize("hosts", [1, TASKS])
def test_fifty_tasks_share_the_ten_sessions_also_when_the_token_expires(
    airflow, simulator, reference_id, tmp_path, hosts
):
    gst = simulator.gst
    rounds = [tmp_path / "round-0", tmp_path / "round-1"]
    for place in rounds:
        place.mkdir()
    conf = {"directory": str(tmp_path), "reference_id": reference_id, "hosts": hosts}
    run_id = airflow.trigger_dag("many_tasks", conf)

    wait_until(lambda: len(list(rounds[0].iterdir())) == TASKS, 600)
    (rounds[0] / "test").touch()
    wait_until(lambda: len(list(rounds[1].iterdir())) == TASKS, 600)
    cold = gst.counters()
    gst.advance(21 * 60)  # the token, good for 20 minutes, is dead now; nobody has been told
    (rounds[1] / "test").touch()

    assert airflow.wait_for_run("many_tasks", run_id) == "success"
    ended = airflow.task_instances("many_tasks", run_id)
    assert [(task["state"], task["try_number"]) for task in ended] == [("success", 1)] * TASKS
    assert max(task["start_date"] for task in ended) < min(task["end_date"] for task in ended)
    warm = gst.counters()
    log.info("%d hosts: %d logins cold, %d after the expiry", hosts, cold["logins"], warm["logins"] - cold["logins"])
    most = 1 if hosts == 1 else 10
    assert cold["logins"] <= most
    assert warm["logins"] - cold["logins"] <= most
    assert warm["most_live_tokens"] <= 10
