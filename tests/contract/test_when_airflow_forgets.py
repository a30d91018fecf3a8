"""What was sent is known though Airflow does not know it any more, or never did: by the files of ``audit_path``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims._compat import AirflowSkipException
from airflow_provider_ims.exceptions import GstnAmbiguousSubmission, GstnInvalidRequest, GstnStorageUnavailable
from airflow_provider_ims.hooks import gstn
from airflow_provider_ims.operators import ims as operator
from airflow_provider_ims.operators.ims import ImsResetOperator
from airflow_provider_ims.storage import CannotRead
from airflow_provider_ims.submissions import sent_records
from airflow_provider_ims.submissions.submission import Submission
from tests.contract.task_instance import Killed, Store, TaskInstance, held

NO_STORE = pytest.mark.parametrize("store", [None, True], ids=["no task state", "task state"])


@pytest.fixture(autouse=True)
def one_clock(simulator, payload, monkeypatch, no_jitter) -> None:
    clock = simulator.gst.clock.now
    monkeypatch.setattr(operator, "Submission", lambda *args, **more: Submission(*args, **more, clock=clock))
    simulator.gst.open_session(payload.rtin)


@pytest.fixture
def begin(simulator, sample, tmp_path):
    """Begin the task of a run: ``begin(run_id=..., store=...)``."""

    def begun(**arguments: Any) -> TaskInstance:
        arguments = {"payload": sample, "audit_path": str(tmp_path), "deferrable": True, **arguments}
        return TaskInstance(simulator, ImsResetOperator, task_id="reset", **arguments)

    return begun


def dies_after_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next worker die once the service has its reset."""
    send = gstn.send

    def mortal(session: Any, request: Any, settings: Any) -> Any:
        reply = send(session, request, settings)
        if request.method == "PUT":
            monkeypatch.setattr(gstn, "send", send)
            raise Killed
        return reply

    monkeypatch.setattr(gstn, "send", mortal)


@NO_STORE
class TestARunThatIsMadeAgain:
    """Its run was deleted, or ``airflow db clean`` was there; below Airflow 3.3 any retry is such a one."""

    def test_goes_on_with_what_was_sent(self, simulator, begin, store):
        first = begin(store=store).attempt()
        assert begin(store=store).attempt() == first
        assert simulator["resets"] == 1

    def test_does_not_send_while_nobody_knows_and_a_clear_finds_it_done(self, simulator, begin, store, monkeypatch):
        dies_after_sending(monkeypatch)
        with pytest.raises(Killed):
            begin(store=store).attempt()
        again = begin(store=store)
        with pytest.raises(GstnAmbiguousSubmission, match="not known whether"):
            again.attempt()
        again.attempt_after_a_clear()
        assert simulator["resets"] == 1
        assert set(held(simulator).values()) == {"N"}

    def test_sends_what_another_run_or_another_mapped_task_did_not(self, simulator, begin, store):
        begin(store=store).attempt()
        simulator.gst.advance(60)
        begin(store=store, run_id="run-2").attempt()
        simulator.gst.advance(60)
        begin(store=store, map_index=1).attempt()
        assert simulator["resets"] == 3

    def test_sends_nothing_while_it_cannot_be_learnt(self, simulator, begin, store, monkeypatch):
        begin(store=store).attempt()
        away = CannotRead("s3://b/x", ConnectionError("the store is away"))
        monkeypatch.setattr(sent_records, "read_whole", lambda path: (_ for _ in ()).throw(away))
        with pytest.raises(GstnStorageUnavailable, match=r"audit_path(?s:.*)Nothing was sent(?s:.*)the store is away"):
            begin(store=store).attempt()
        assert simulator["reset_calls"] == 1

    @pytest.mark.parametrize("content", ["{", "null", "", "[" * 100_000], ids=["cut", "null", "empty", "deep"])
    def test_looks_first_if_the_file_cannot_be_understood(self, simulator, begin, store, tmp_path, content):
        begin(store=store).attempt()
        [file] = (tmp_path / "sent").iterdir()
        file.write_text(content)
        begin(store=store).attempt()  # a look shows that all is done
        assert simulator["reset_calls"] == 1
        assert set(held(simulator).values()) == {"N"}


class TestWithoutTaskState:
    def test_a_retry_after_a_worker_died_sends_nothing(self, simulator, begin, monkeypatch):
        dies_after_sending(monkeypatch)
        task = begin(store=None, on_ambiguous="reconcile")
        with pytest.raises(Killed):
            task.attempt()
        task.attempt()
        assert simulator["resets"] == 1
        assert set(held(simulator).values()) == {"N"}

    @pytest.mark.parametrize("audit_path", ["given", None])
    def test_the_log_warns_only_if_nothing_is_kept(self, begin, capsys, tmp_path, audit_path):
        begin(store=None, audit_path=audit_path and str(tmp_path)).attempt()
        assert ("keeps no task state" in capsys.readouterr().out) == (audit_path is None)

    def test_what_is_kept_holds_no_secret_and_can_be_read(self, begin, tmp_path, simulator):
        reference_id = begin(store=None).attempt()
        [file] = (tmp_path / "sent").iterdir()
        record = json.loads(file.read_text())
        assert (record["phase"], record["reference_id"], record["who"]["run_id"]) == (
            "submitted",
            reference_id,
            "run-1",
        )
        password = json.loads(simulator.server.connection_json)["password"]
        assert password not in file.read_text()


class TestAttachTo:
    @pytest.fixture
    def sent(self, begin) -> str:
        """A reset that Airflow knows nothing of any more."""
        return begin(store=Store()).attempt()

    def test_goes_on_with_a_reset_that_was_sent_by_another_run(self, simulator, begin, sent):
        task = begin(run_id="run-2", attach_to=f" {sent} ")
        assert task.attempt() == sent
        assert task.attempt() == sent
        assert simulator["resets"] == 1

    def test_needs_no_audit_record(self, simulator, begin, sent):
        assert begin(run_id="run-2", audit_path=None, attach_to=sent).attempt() == sent
        assert simulator["resets"] == 1

    @pytest.mark.parametrize("empty", [None, "", "None"])
    def test_that_is_empty_sends(self, simulator, begin, empty):
        begin(attach_to=empty).attempt()
        assert simulator["resets"] == 1

    def test_refuses_a_task_that_the_service_does_not_know(self, simulator, begin):
        with pytest.raises(GstnInvalidRequest, match=r"attach_to: the service knows no task 'r-9'. Nothing was sent"):
            begin(attach_to="r-9").attempt()
        assert simulator["reset_calls"] == 0

    def test_refuses_the_reset_of_another_payload(self, simulator, begin, sent, sample):
        other = {**sample, "invdata": {"b2b": sample["invdata"]["b2b"]}}
        with pytest.raises(GstnInvalidRequest, match=r"another reset(?s:.*)8 documents(?s:.*)has 1 of"):
            begin(run_id="run-2", payload=other, attach_to=sent).attempt()
        assert simulator["reset_calls"] == 1

    def test_refuses_the_reset_of_another_payload_without_an_audit_record(self, simulator, begin, sent, sample):
        other = {**sample, "invdata": {"b2b": sample["invdata"]["b2b"]}}
        with pytest.raises(GstnInvalidRequest, match=r"another reset(?s:.*)Nothing was sent(?s:.*)was sent has 8"):
            begin(run_id="run-2", audit_path=None, payload=other, attach_to=sent).attempt()
        assert simulator["reset_calls"] == 1

    def test_refuses_the_reset_of_another_taxpayer_that_another_folder_tells_of(
        self, simulator, begin, sample, tmp_path
    ):
        sent = begin().attempt()
        other = {**sample, "rtin": "27MAYAS0100J1ZJ"}
        simulator.gst.open_session(other["rtin"])
        with pytest.raises(GstnInvalidRequest, match=r"another reset(?s:.*)for GSTIN 27(?s:.*)for GSTIN 20"):
            begin(run_id="run-2", audit_path=str(tmp_path / "other"), payload=other, attach_to=sent).attempt()
        assert simulator["reset_calls"] == 1

    @pytest.mark.parametrize("audit_path", ["given", None])
    def test_a_download_that_stands_for_another_request_is_no_reset_of_this_one(
        self, simulator, begin, sample, tmp_path, monkeypatch, audit_path
    ):
        dies_after_sending(monkeypatch)
        first = begin(store=True)
        with pytest.raises(Killed):
            first.attempt()
        simulator.gst.advance(60)
        found = first.attempt_after_a_clear()  # a look shows that all is done
        other = {**sample, "invdata": {"b2b": sample["invdata"]["b2b"]}}
        path = audit_path and str(tmp_path)
        with pytest.raises(GstnInvalidRequest, match="another reset"):
            begin(run_id="run-2", audit_path=path, payload=other, attach_to=found).attempt()
        again = begin(run_id="run-3", audit_path=path, attach_to=found)
        assert again.attempt() == found
        assert again.attempt_after_a_clear() == found
        assert simulator["reset_calls"] == 1

    @NO_STORE
    def test_sends_nothing_where_the_fate_of_the_first_was_not_known(self, simulator, begin, store, monkeypatch):
        dies_after_sending(monkeypatch)
        with pytest.raises(Killed):
            begin(store=store).attempt()
        [sent] = simulator.gst.state()["tasks"]
        task = begin(store=store, on_ambiguous="resubmit", attach_to=sent["id"])
        assert task.attempt() == sent["id"]
        assert simulator["reset_calls"] == 1

    def test_sends_nothing_where_gstn_was_busy_before(self, simulator, begin, sent):
        store = Store()
        simulator.fault("reset", "http", status=503, times=1)
        with pytest.raises(GstnAmbiguousSubmission):
            begin(run_id="run-2", store=store).attempt()
        store.values["ims_reset"].update(phase="unsent", revision=99)
        again = begin(run_id="run-2", audit_path=None, store=store, attach_to=sent)
        assert again.attempt() == sent
        assert simulator["resets"] == 1

    def test_keeps_a_request_on_the_books_whose_fate_is_not_known(self, simulator, begin, sent, sample, monkeypatch):
        other = {**sample, "invdata": {"b2b": sample["invdata"]["b2b"]}}
        simulator.gst.advance(60)
        dies_after_sending(monkeypatch)
        store = Store()
        with pytest.raises(Killed):
            begin(run_id="run-2", payload=other, store=store).attempt()
        with pytest.raises(GstnInvalidRequest, match="payload was changed while it is not known"):
            begin(run_id="run-2", store=store, attach_to=sent).attempt()
        assert simulator["resets"] == 2

    @pytest.mark.parametrize("quoted", ['"{}"', " {} "])
    def test_takes_a_reference_id_as_airflows_triggerer_keeps_it(self, begin, sent, quoted):
        assert begin(run_id="run-2", attach_to=quoted.format(sent)).attempt() == sent

    def test_is_told_by_a_dry_run(self, begin, sent):
        task = begin(run_id="run-2", attach_to=sent, dry_run=True)
        with pytest.raises(AirflowSkipException):
            task.attempt()
        assert task.xcom["earlier"] == [f"The request: as attach_to says, a run sends nothing and goes on with {sent}"]

    def test_a_clear_goes_on_as_after_any_reset(self, simulator, begin, sent, tmp_path: Path):
        task = begin(run_id="run-2", attach_to=sent)
        task.attempt()
        simulator.gst.advance(60)
        assert task.attempt_after_a_clear() == sent
        assert simulator["resets"] == 1
