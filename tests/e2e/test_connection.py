"""The connection in Airflow's own form, through the API that the form uses."""

from __future__ import annotations

import json


def press_test(airflow, connection: dict) -> dict:
    """Press "Test" in the form."""
    body = {**connection, "connection_id": "being_typed", "extra": json.dumps(connection["extra"])}
    return airflow.post("connections/test", body)


def test_the_form_offers_the_fields_with_their_descriptions(airflow):
    [form] = [meta for meta in airflow.page("ui/connections/hook_meta") if meta["connection_type"] == "gstn"]
    fields = form["extra_fields"]
    assert fields["environment"]["schema"]["enum"] == ["sandbox", "production"]
    assert all(field["description"] for field in fields.values())
    assert form["standard_fields"]["host"]["placeholder"]
    assert form["standard_fields"]["port"]["hidden"]


def test_the_test_button_logs_in_and_leaves_nothing_behind(alone, airflow, simulator):
    before = airflow.get("variables")["total_entries"]
    answer = press_test(airflow, simulator.connection)
    assert answer["status"] is True, answer
    assert simulator.url in answer["message"]
    counters = simulator.gst.counters()
    assert (counters["logins"], counters["pings"], counters["live_tokens"], counters["otp_requests"]) == (1, 1, 0, 0)
    assert airflow.get("variables")["total_entries"] == before


def test_the_test_button_says_what_is_wrong_without_the_password(airflow, simulator):
    answer = press_test(airflow, {**simulator.connection, "password": "wrong-password-canary"})
    assert answer["status"] is False
    assert "login and password" in answer["message"]
    assert "canary" not in answer["message"]
