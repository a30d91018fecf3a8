"""Status and result, the same from both hooks."""

from __future__ import annotations

import json

import pytest

from airflow_provider_ims.exceptions import (
    GstnInvalidConnection,
    GstnInvalidRequest,
    GstnLoginError,
    GstnRefused,
    GstnResultNotReady,
    GstnServiceUnavailable,
    GstnTaskNotFound,
    GstnThrottled,
    GstnTokenLimit,
    GstnUnreadableReply,
)
from airflow_provider_ims.hooks.gstn import GstnHook
from airflow_provider_ims.sessions.store import MemorySessionStore


@pytest.mark.parametrize("shape", ["flat", "nested"])
def test_both_status_shapes_are_read(simulator, read, submitted, shape):
    simulator.gst.change_options({"status_shape": shape})
    assert read("get_task_status", submitted).state == "running"
    simulator.finish_tasks()
    status = read("get_task_status", submitted)
    assert (status.state, status.word, status.reference_id) == ("completed", "completed", submitted)


@pytest.mark.parametrize(
    ("word", "state"), [("failed", "failed"), ("Cancelled", "failed"), ("archived", "unknown"), ("QUEUED", "running")]
)
def test_a_status_word_means_the_same_to_both_hooks(simulator, hook, payload, read, word, state):
    simulator.gst.open_session(payload.rtin)
    simulator.next_task(final_status=word)
    reference_id = hook.submit_reset(payload)
    simulator.finish_tasks()
    assert read("get_task_status", reference_id).state == state


def test_the_result_names_refused_notes_by_the_sections_of_the_request(simulator, hook, payload, read):
    simulator.gst.open_session(payload.rtin)
    held = {"rtin": payload.rtin, "stin": "24MAYAS0100J1JD", "rtnprd": "012023", "status": "R"}
    simulator.gst.add_documents(
        [{**held, "section": "b2bcn", "number": "dn2"}, {**held, "section": "b2bdna", "number": "dn2"}]
    )
    reference_id = hook.submit_reset(payload)
    simulator.finish_tasks()
    result = read("get_task_result", reference_id)
    assert (result.outcome, result.processed, result.errors) == ("partial", 6, 2)
    assert {(row.section, row.number, row.code) for row in result.refused} == {
        ("b2bcn", "dn2", "IMSSAV0010"),
        ("b2bdna", "dn2", "IMSSAV0010"),
    }
    sections = result.account(payload).sections()
    assert {name: (count["sent"], count["reset"], count["refused"]) for name, count in sections.items()} == {
        **dict.fromkeys(("b2b", "b2ba", "b2bdn", "b2bcna", "ecom", "ecoma"), (1, 1, 0)),
        **dict.fromkeys(("b2bcn", "b2bdna"), (1, 0, 1)),
    }


def test_a_result_asked_too_early_says_what_to_do(read, submitted):
    with pytest.raises(GstnResultNotReady, match="ImsTaskSensor"):
        read("get_task_result", submitted)


def test_an_error_in_a_reply_of_http_200_is_an_error(simulator, hook, payload, read):
    simulator.gst.open_session(payload.rtin)
    simulator.next_task(error={"message": "err-of-the-future", "type": "Gstn", "args": {}})
    reference_id = hook.submit_reset(payload)
    simulator.finish_tasks()
    with pytest.raises(GstnRefused, match="err-of-the-future"):
        read("get_task_result", reference_id)


@pytest.mark.parametrize("reference_id", ["00000000-0000-4000-8000-000000000000", "../../admin/state", "a/b?c=d"])
def test_an_unknown_task_is_named(read, reference_id):
    with pytest.raises(GstnTaskNotFound) as caught:
        read("get_task_status", reference_id)
    assert reference_id in str(caught.value)
    assert "7 days" in str(caught.value)


def test_a_task_is_gone_after_seven_days(simulator, read, submitted):
    simulator.gst.advance(7 * 86400 + 1)
    with pytest.raises(GstnTaskNotFound):
        read("get_task_result", submitted)


@pytest.mark.parametrize("empty", [None, "", "None", "  "])
def test_an_empty_reference_id_is_told_before_any_call(simulator, read, empty):
    with pytest.raises(GstnInvalidRequest, match="reference id is empty"):
        read("get_task_status", empty)
    assert simulator["logins"] == 0


@pytest.mark.usefixtures("no_jitter")
class TestFaults:
    def test_a_burst_of_503_is_ridden_out(self, simulator, read, submitted):
        simulator.fault("status", "http", status=503, times=3)
        assert read("get_task_status", submitted).state == "running"
        assert simulator["status_calls"] == 4

    def test_a_long_outage_is_transient(self, simulator, read, submitted):
        simulator.fault("status", "http", status=503, times=9)
        with pytest.raises(GstnServiceUnavailable, match="HTTP 503"):
            read("get_task_status", submitted, read_attempts=3)
        assert simulator["status_calls"] == 3

    def test_a_dropped_connection_is_ridden_out(self, simulator, read, submitted):
        simulator.fault("status", "drop_before", times=2)
        assert read("get_task_status", submitted).state == "running"

    def test_a_page_instead_of_json_is_ridden_out(self, simulator, read, submitted):
        simulator.fault("status", "garbage")
        assert read("get_task_status", submitted).state == "running"

    def test_a_page_that_stays_is_no_status(self, simulator, read, submitted):
        simulator.fault("status", "garbage", times=9)
        with pytest.raises(GstnUnreadableReply, match="Check the host"):
            read("get_task_status", submitted, read_attempts=2)

    def test_retry_after_reaches_the_caller(self, simulator, read, submitted):
        simulator.fault("status", "http", status=429, retry_after=17)
        with pytest.raises(GstnThrottled) as caught:
            read("get_task_status", submitted, read_attempts=1)
        assert caught.value.retry_after == 17

    def test_a_slow_reply_is_given_up_in_time(self, simulator, read, submitted, monkeypatch):
        connection = simulator.server.connection
        connection["extra"]["timeout"] = 1
        monkeypatch.setenv("AIRFLOW_CONN_HASTY", json.dumps(connection))
        simulator.fault("status", "slow", seconds=30)
        with pytest.raises(GstnServiceUnavailable, match="(?i)timeout"):
            read("get_task_status", submitted, gstn_conn_id="hasty", read_attempts=1)

    def test_an_expired_token_costs_one_login_and_one_repeat(self, simulator, read, submitted):
        before = simulator["logins"]
        simulator.fault("status", "expire_token")
        assert read("get_task_status", submitted).state == "running"
        assert simulator["logins"] - before == 1
        assert simulator["status_calls"] == 2

    def test_a_token_that_is_never_accepted_ends_the_attempt(self, simulator, read, submitted):
        before = simulator["logins"]
        simulator.fault("status", "expire_token", times=9)
        with pytest.raises(GstnLoginError):
            read("get_task_status", submitted)
        assert simulator["logins"] - before == 1

    def test_nobody_listening_is_told_with_the_host(self, simulator, read, free_port, monkeypatch):
        connection = simulator.server.connection
        connection["host"] = f"http://127.0.0.1:{free_port}"
        monkeypatch.setenv("AIRFLOW_CONN_NOBODY", json.dumps(connection))
        with pytest.raises(GstnServiceUnavailable, match="nothing was sent") as caught:
            read("get_task_status", "r-1", gstn_conn_id="nobody", read_attempts=1)
        assert f"127.0.0.1:{free_port}" in str(caught.value)


@pytest.mark.usefixtures("no_jitter")
def test_when_the_user_has_all_its_sessions_the_limit_is_told(simulator, read, submitted):
    simulator.gst.change_options({"max_tokens": 1})  # the hook that submitted holds it
    with pytest.raises(GstnTokenLimit, match="10 sessions"):
        read("get_task_status", submitted, store=MemorySessionStore())


def test_a_hook_whose_token_nobody_else_sees_leaves_no_session_behind(simulator, read, submitted):
    live = simulator["live_tokens"]
    for _ in range(12):
        read("get_task_status", submitted, store=MemorySessionStore())
    assert simulator["live_tokens"] == live


def test_hooks_that_share_a_store_share_a_token(simulator, read, submitted, shared_store):
    before = simulator["logins"]
    for _ in range(12):
        read("get_task_status", submitted, store=shared_store)
    assert simulator["logins"] - before == 1


def test_a_token_that_another_worker_renewed_is_taken_from_the_store(simulator, read, submitted, shared_store):
    read("get_task_status", submitted, store=shared_store)
    before = simulator["logins"]
    with GstnHook(store=shared_store) as other:
        other.get_task_status(submitted)
        simulator.fault("status", "expire_token")
        read("get_task_status", submitted, store=shared_store)  # logs in again and puts the new token there
        assert other.get_task_status(submitted).state == "running"
    assert simulator["logins"] - before == 1


def test_a_token_in_the_store_that_is_dead_as_well_is_replaced(simulator, submitted, shared_store):
    with GstnHook(store=shared_store) as one, GstnHook(store=shared_store) as other:
        one.get_task_status(submitted)
        shared_store.kept.clear()  # as when two hosts log in at the same moment: the later one's token stays
        other.get_task_status(submitted)
        simulator.gst.advance(21 * 60)
        assert one.get_task_status(submitted).state == "completed"
        assert other.get_task_status(submitted).state == "completed"
    assert simulator["logins"] == 4  # the one that submitted, two at the same moment, and one for both


def test_an_unknown_connection_is_named(read, simulator):
    with pytest.raises(GstnInvalidConnection, match="(?s)'nowhere' is not defined.*AIRFLOW_CONN_NOWHERE"):
        read("get_task_status", "r-1", gstn_conn_id="nowhere")


def test_every_missing_field_is_named_at_once(read, simulator, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_EMPTY", '{"conn_type": "gstn", "extra": {"timeout": "soon"}}')
    with pytest.raises(GstnInvalidConnection) as caught:
        read("get_task_status", "r-1", gstn_conn_id="empty")
    for field in ("login", "password", "host", "timeout"):
        assert field in str(caught.value)


def test_a_wrong_password_is_told_without_the_password(read, simulator, monkeypatch):
    connection = simulator.server.connection
    connection["password"] = "wrong-password-canary"
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", json.dumps(connection))
    with pytest.raises(GstnLoginError, match="login and password") as caught:
        read("get_task_status", "r-1", gstn_conn_id="wrong")
    assert "canary" not in str(caught.value)


def test_a_user_of_several_organisations_must_choose(read, simulator, monkeypatch):
    simulator.gst.change_options({"second_org_id": "aaaaaaaa-0000-4000-8000-000000000000"})
    connection = simulator.server.connection
    del connection["extra"]["org_id"]
    monkeypatch.setenv("AIRFLOW_CONN_TWO", json.dumps(connection))
    with pytest.raises(GstnLoginError, match="(?s)org_id.*aaaaaaaa"):
        read("get_task_status", "r-1", gstn_conn_id="two")


def test_an_organisation_that_is_not_the_users_is_refused(read, simulator, monkeypatch):
    connection = simulator.server.connection
    connection["extra"]["org_id"] = "bbbbbbbb-0000-4000-8000-000000000000"
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(connection))
    with pytest.raises(GstnLoginError, match="(?s)bbbbbbbb.*not the user's"):
        read("get_task_status", "r-1", gstn_conn_id="other")


def test_the_uri_form_of_a_connection_works(read, simulator, submitted, monkeypatch):
    port = simulator.server.port
    uri = (
        f"gstn://sandbox%40example.com:simulator-password@127.0.0.1:{port}/http"
        f"?auth_url=http%3A%2F%2F127.0.0.1%3A{port}%2Ftheodore%2Fapis%2Fv1&timeout=30&verify_ssl=true"
    )
    monkeypatch.setenv("AIRFLOW_CONN_URI", uri)
    assert read("get_task_status", submitted, gstn_conn_id="uri").state == "running"


def test_a_connection_from_a_secrets_backend_works(read, simulator, submitted, tmp_path, monkeypatch):
    file = tmp_path / "connections.json"
    file.write_text(json.dumps({"from_vault": simulator.server.connection}))
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "airflow.secrets.local_filesystem.LocalFilesystemBackend")
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps({"connections_file_path": str(file)}))
    assert read("get_task_status", submitted, gstn_conn_id="from_vault").state == "running"
