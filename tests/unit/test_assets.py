"""The assets' names, what their events hold, and that telling them never costs a task."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias, BaseOperator
from airflow.sdk.execution_time.context import OutletEventAccessors
from pydantic import ValidationError

from airflow_provider_ims._compat import AirflowSkipException
from airflow_provider_ims.assets import (
    EVENTS_KEY,
    IMS_ALIAS,
    MOST_EVENTS,
    MOST_REFUSED,
    SESSION_ALIAS,
    Event,
    Sums,
    ims_asset,
    session_asset,
)
from airflow_provider_ims.exceptions import GstnInvalidRequest, GstnResetNotDone, GstnSessionExpired
from airflow_provider_ims.links import GstPageLink, ResultFileLink
from airflow_provider_ims.operators._assets import AssetEvents, declare_assets
from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from airflow_provider_ims.results.report import RefusedRow

GSTIN = "27AAPFU0939F1ZV"
ROW = RefusedRow("b2b", "24MAYAS0100J1JD", "INV-1", "01-10-2026", "102026", "IMSSAV0010", "m" * 5000, "remedy")


class TaskInstance:
    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = json.loads(json.dumps(value))


class Task(BaseOperator):
    def __init__(self, *, emit_assets: bool = True, **kwargs: Any) -> None:
        super().__init__(task_id="task", **kwargs)
        self.emit_assets = declare_assets(self, emit_assets, SESSION_ALIAS, IMS_ALIAS)


def run(**arguments: Any) -> tuple[AssetEvents, SimpleNamespace]:
    task = Task(**arguments)
    told = SimpleNamespace(outlets=OutletEventAccessors(), ti=TaskInstance(), task=task)
    return AssetEvents(task, {"outlet_events": told.outlets, "ti": told.ti}), told


def of_alias(told: Any, alias: str) -> list[tuple[str, dict]]:
    return [(event.dest_asset_key.uri, event.extra) for event in told.outlets[AssetAlias(alias)].asset_alias_events]


@pytest.mark.parametrize(
    "uri", ["gstn://ims/27AAPFU0939F1Z", "gstn://other/27AAPFU0939F1ZV", "gstn://ims", "gstn://ims/27AAPFU0939F1ZV/x"]
)
def test_a_mistyped_asset_is_told_when_the_dag_is_read(uri):
    with pytest.raises(ValueError, match="gstn://session/<GSTIN> or gstn://ims/<GSTIN>"):
        Asset(uri)


def test_an_asset_is_the_same_however_it_is_written():
    assert Asset("gstn://IMS/27aapfu0939f1zv").uri == ims_asset(GSTIN).uri == f"gstn://ims/{GSTIN}"
    assert session_asset(GSTIN).uri == f"gstn://session/{GSTIN}"


def test_an_event_goes_to_the_taxpayers_asset_through_the_alias():
    events, told = run()
    events.ims("reset", [{"gstin": GSTIN, "outcome": "partial", "counts": {"refused": 1}, "refused": [ROW]}])
    events.session("opened", GSTIN)
    [(uri, extra)] = of_alias(told, IMS_ALIAS)
    assert (uri, extra["event"], extra["counts"]) == (f"gstn://ims/{GSTIN}", "reset", {"refused": 1})
    assert {"rtnprd", "draft_2b", "due_3b", "filing"} <= set(extra)
    assert [uri for uri, _ in of_alias(told, SESSION_ALIAS)] == [f"gstn://session/{GSTIN}"]
    assert Event.model_validate(extra).refused[0].number == "INV-1"
    assert not told.ti.pushed


def test_what_an_event_holds_is_bounded():
    events, told = run()
    events.ims("reset", [{"gstin": GSTIN, "refused": (ROW for _ in range(100_000))}])
    [(_, extra)] = of_alias(told, IMS_ALIAS)
    assert len(extra["refused"]) == MOST_REFUSED
    assert len(json.dumps(extra)) < 20_000


def test_a_task_that_fails_leaves_its_events_in_an_xcom():
    events, told = run()
    events.ims("reset", [{"gstin": GSTIN, "refused": [ROW]}], succeeds=False)
    with pytest.raises(GstnSessionExpired), events.watching(GSTIN):
        raise GstnSessionExpired("No session.\nOpen one.")
    assert told.ti.pushed[EVENTS_KEY]["succeeds"] is False
    first, second = told.ti.pushed[EVENTS_KEY]["events"]
    assert (first["event"], second["event"], second["reason"]) == ("reset", "otp_needed", "No session.")
    assert not of_alias(told, IMS_ALIAS)


def test_a_reset_of_which_nothing_was_done_for_want_of_a_session_needs_a_password_too():
    events, told = run()
    with pytest.raises(GstnResetNotDone), events.watching(GSTIN):
        raise GstnResetNotDone("Nothing.", cause=GstnSessionExpired("No session."))
    assert told.ti.pushed[EVENTS_KEY]["events"][0]["event"] == "otp_needed"


def test_more_events_than_the_api_server_writes_in_time_are_told_in_an_xcom():
    events, told = run()
    events.ims("reconciled", ({"gstin": GSTIN} for _ in range(300)))
    assert len(of_alias(told, IMS_ALIAS)) == MOST_EVENTS
    assert told.ti.pushed[EVENTS_KEY]["succeeds"] is True
    assert len(told.ti.pushed[EVENTS_KEY]["events"]) == 300 - MOST_EVENTS


def test_another_fault_tells_nothing_of_the_session():
    events, told = run()
    with pytest.raises(AirflowSkipException), events.watching(GSTIN):
        raise AirflowSkipException
    assert not told.ti.pushed


@pytest.mark.parametrize("fields", [{"gstin": "no GSTIN"}, {"gstin": GSTIN, "counts": {"reset": "many"}}])
def test_an_event_that_cannot_be_told_never_fails_the_task(fields, capsys):
    events, told = run()
    events.ims("reset", [fields])
    assert not of_alias(told, IMS_ALIAS)
    assert "The asset event was not told" in capsys.readouterr().out


def test_one_event_that_cannot_be_told_keeps_no_other_back():
    events, told = run()
    events.ims("reset", [{"gstin": "no GSTIN"}, {"gstin": GSTIN}])
    assert [uri for uri, _ in of_alias(told, IMS_ALIAS)] == [f"gstn://ims/{GSTIN}"]


def test_an_airflow_that_takes_no_xcom_fails_no_task():
    events, told = run()
    told.ti.xcom_push = None
    events.session("otp_needed", GSTIN, succeeds=False)


@pytest.mark.parametrize("no", [False, "false"])
def test_they_can_be_turned_off(no: Any):
    events, told = run(emit_assets=no)
    events.session("opened", GSTIN)
    events.session("otp_needed", GSTIN, succeeds=False)
    assert not told.task.outlets
    assert not of_alias(told, SESSION_ALIAS)
    assert not told.ti.pushed
    assert not ImsBulkResetOperator(task_id="bulk", plan_entry={}, emit_assets=no).outlets


def test_a_mistyped_word_for_that_is_told_when_the_dag_is_read():
    with pytest.raises(GstnInvalidRequest, match="emit_assets is 'nein'; it takes true or false"):
        ImsBulkResetOperator(task_id="bulk", plan_entry={}, emit_assets="nein")  # type: ignore[arg-type]


def test_outlets_of_the_users_own_stay():
    mine = Asset("s3://bucket/mine")
    assert ImsBulkResetOperator(task_id="bulk", plan_entry={}, outlets=[mine]).outlets == [mine, AssetAlias(IMS_ALIAS)]


@pytest.mark.parametrize("by_period", [True, False])
def test_an_outlet_of_its_own_takes_the_event_and_the_period_as_its_partition_if_asked(by_period):
    asset = ims_asset(GSTIN, by_period=by_period)
    events, told = run(outlets=[asset])
    events.ims("reset", [{"gstin": GSTIN, "outcome": "processed"}])
    accessor = told.outlets[asset]
    assert accessor.extra["outcome"] == "processed"
    assert not of_alias(told, IMS_ALIAS)
    if hasattr(accessor, "partition_keys"):
        assert accessor.partition_keys == ({accessor.extra["rtnprd"]} if by_period else set())


def test_an_event_takes_no_field_that_nobody_knows():
    with pytest.raises(ValidationError):
        Event(event="opened", gstin=GSTIN, at="2026-11-28T00:00:00Z", session_id="secret")


def test_tax_is_summed_exactly():
    sums = Sums.empty()
    for _ in range(10):
        sums.add("reset", ["0.1", None, ""])
    assert sums.as_extra() == {"counts": {"reset": 10}, "tax": {"reset": "1.00"}}


def test_the_page_on_assets_names_every_field():
    page = (Path(__file__).parents[2] / "docs/assets.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(Event.model_fields)


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("/data/result.csv", "file:///data/result.csv"),
        ("file:///data/result.csv", "file:///data/result.csv"),
        ("https://files.example/result.csv", "https://files.example/result.csv"),
        ("s3://conn@bucket/result.csv", ""),
        ("", ""),
    ],
)
def test_a_task_links_to_its_result_where_a_browser_can_open_it(path, link):
    events, told = run()
    events.ims("reset", [{"gstin": GSTIN, "path": path}])
    assert ResultFileLink().get_link(told.task, ti_key=None) == link


def test_a_task_links_to_the_taxpayer_on_the_page_also_without_events(monkeypatch):
    events, told = run(emit_assets=False)
    assert GstPageLink().get_link(told.task, ti_key=None).endswith("plugin/gst#")
    events.session("opened", GSTIN)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/tax/")
    assert GstPageLink().get_link(told.task, ti_key=None) == f"https://airflow.example/tax/plugin/gst#{GSTIN}"
