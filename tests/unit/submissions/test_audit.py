"""What the audit trail holds at each step of a reset, and what becomes of the reset when it cannot be written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_ims.exceptions import (
    GstnAmbiguousSubmission,
    GstnBusy,
    GstnInvalidRequest,
    GstnSessionExpired,
    GstnStorageUnavailable,
)
from airflow_provider_ims.models import ResetPayload
from airflow_provider_ims.models.document_key import DocumentKey
from airflow_provider_ims.results.report import RefusedRow
from airflow_provider_ims.sessions.store import MemorySessionStore
from airflow_provider_ims.storage import CannotRead, CannotWrite
from airflow_provider_ims.submissions import audit
from airflow_provider_ims.submissions.audit import NO_AUDIT, AuditTrail, run_of
from airflow_provider_ims.submissions.journal import Attempt, Journal
from airflow_provider_ims.submissions.policy import Policy
from airflow_provider_ims.submissions.submission import AwaitMoment, AwaitTasks, Sent, Submission
from tests.unit.builders import RTIN, STIN, document, numbered, payload

RUN = {
    "dag_id": "resets",
    "run_id": "manual__1",
    "task_id": "reset",
    "map_index": -1,
    "try_number": 1,
    "run_type": "manual",
    "triggered_by": "asha",
    "gstn_conn_id": "gstn_default",
}
REQUEST = payload(b2b=numbered("b2b", "INV-1", "INV-2"), b2bcn=[document("b2bcn", rtnprd="022023")])
SHA = hashlib.sha256(REQUEST.body()).hexdigest()
SENDING = f"{RTIN}-{SHA[:16]}.sending.jsonl"

# Everything that a record may hold; a secret has no place among it.
SENT_KEYS = {
    *RUN,
    "call",
    "rtin",
    "rtnprd",
    "documents",
    "sections",
    "bytes",
    "sha256",
    "reference_id",
    "sent_at",
    "outcome",
}
RESULT_KEYS = {"processed", "errors", "status_cd", "code", "refused", "unknown", "result_at", "result_by"}

LOST = GstnAmbiguousSubmission("The reply was lost.")
REFUSED = GstnInvalidRequest("GSTN finds fault with it.", code="IMSSAV005")
EXPIRED = GstnSessionExpired("Open a session.", code="AUTH4033")
BUSY = GstnBusy("GSTN works on another one.", code="IMSSAV0015")


class Hook:
    """Takes resets, each with the next of the answers; looks at the folder while the service has the request."""

    def __init__(self, folder: Path) -> None:
        self.answers: list[str | Exception] = ["r-1"]
        self.bodies: list[bytes] = []
        self.seen: list[dict[str, Any]] = []
        self.while_sending: Callable[[], None] = lambda: None
        self.held: dict[str, str] = {}
        self.store = MemorySessionStore()
        self._folder = folder

    def submit(self, call: object, payload: ResetPayload, *, before_sending: Callable[[], None]) -> str:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is EXPIRED:
            raise answer  # found before anything is sent
        before_sending()
        self.bodies.append(payload.body())
        self.seen.append(records(self._folder))
        self.while_sending()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def submit_download(self, gstin: str, section: str) -> str:
        return f"d-{section}"

    def get_task_pages(self, reference_id: str) -> list[dict[str, Any]]:
        keys = [key for key, _ in REQUEST.documents() if reference_id == f"d-{key.section}"]
        records = [{**key._asdict(), "inum": key.number, "idt": key.date} for key in keys]
        return [{each["section"]: [{**each, "action": self.held[each["number"]]}]} for each in records]


def records(folder: Path) -> dict[str, Any]:
    """Every file of a folder, each with the one line of JSON that it has to hold."""
    found = {}
    for path in folder.iterdir() if folder.exists() else ():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") == 1
        assert text.endswith("\n")
        found[path.name] = json.loads(text)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "not" / "yet" / "there"


@pytest.fixture
def hook(folder: Path) -> Hook:
    return Hook(folder)


@pytest.fixture
def go(hook, folder):
    """Start or go on with a try, each in a process of its own: ``go(downloads=..., **arguments)``."""
    journal = Journal(None)

    def run(
        try_number: int = 1, *, downloads=(), audit_path: object = folder, trail: AuditTrail | None = None, **arguments
    ):
        trail = trail or AuditTrail(str(audit_path), RUN)
        submission = Submission(
            hook, journal, REQUEST, attempt=Attempt(try_number, 2), audit=trail, policy=Policy(**arguments)
        )
        return submission.advance(downloads)

    return run


class TestBeforeTheRequestGoesOut:
    def test_it_says_what_is_sent_and_by_whom(self, go, hook):
        go()
        [files] = hook.seen
        assert set(files) == {SENDING}
        record = files[SENDING]
        assert {name: record[name] for name in RUN} == RUN
        assert record["rtin"] == RTIN
        assert record["rtnprd"] == ["012023", "022023"]
        assert (record["documents"], record["sections"]) == (3, {"b2b": 2, "b2bcn": 1})
        assert (record["outcome"], record["reference_id"]) == ("unknown", None)
        assert set(record) == SENT_KEYS

    def test_it_names_the_very_bytes_that_are_sent(self, go, hook):
        go()
        record = hook.seen[0][SENDING]
        assert record["bytes"] == len(hook.bodies[0])
        assert record["sha256"] == hashlib.sha256(hook.bodies[0]).hexdigest()

    @pytest.mark.parametrize("path", ["below a file", "no-such-scheme://bucket/audit"])
    def test_nothing_is_sent_if_it_cannot_be_written(self, go, hook, tmp_path, path):
        if path == "below a file":
            (tmp_path / "file").write_text("")
            path = tmp_path / "file" / "audit"
        with pytest.raises(GstnInvalidRequest, match=r"audit_path (?s:.*)Nothing was sent") as caught:
            go(audit_path=path)
        assert str(path) in str(caught.value)
        assert hook.bodies == []

    def test_nothing_is_sent_if_the_disk_is_full_and_no_half_file_stays(self, go, hook, folder, monkeypatch):
        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(GstnStorageUnavailable, match=r"Nothing was sent(?s:.*)No space left on device"):
            go()
        assert list(folder.iterdir()) == []
        assert hook.bodies == []

    def test_a_path_that_was_corrected_is_all_it_takes(self, go, hook, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(GstnInvalidRequest):
            go(audit_path=tmp_path / "file" / "audit")
        assert go() == Sent("r-1")


class TestOnceTheServiceHasTheRequest:
    def test_one_record_stays_under_its_reference_id(self, go, folder):
        go()
        [(name, record)] = records(folder).items()
        assert name == "r-1.jsonl"
        assert (record["outcome"], record["reference_id"]) == ("sent", "r-1")
        assert (record["sha256"], record["dag_id"]) == (SHA, "resets")
        assert set(record) == SENT_KEYS | {"accepted_at"}

    def test_the_reference_id_is_returned_even_if_the_record_cannot_be_written(self, go, hook, folder, caplog):
        def breaks() -> None:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
            folder.write_text("a file where the folder was")

        hook.while_sending = breaks
        assert go() == Sent("r-1")
        assert "r-1.jsonl was not written" in caplog.text
        assert SHA in caplog.text  # the log holds the record instead

    def test_the_reference_id_is_returned_whatever_an_object_store_raises(self, go, hook, monkeypatch, caplog):
        # Clients of object stores have errors of their own, which are no OSError: botocore's NoCredentialsError ...
        class ClientError(Exception):
            pass

        def breaks() -> None:
            def refuse(path: object, content: bytes) -> None:
                raise ClientError("ExpiredToken")

            monkeypatch.setattr(audit, "write_whole", refuse)

        hook.while_sending = breaks
        assert go() == Sent("r-1")
        assert "ExpiredToken" in caplog.text

    def test_the_reference_id_is_returned_even_if_the_earlier_record_cannot_be_removed(
        self, go, hook, folder, monkeypatch, caplog
    ):
        def refuse(path: object) -> None:
            raise CannotWrite(path, PermissionError("you may write here, but not delete"))

        hook.while_sending = lambda: monkeypatch.setattr(audit, "remove", refuse)
        assert go() == Sent("r-1")
        assert set(records(folder)) == {SENDING, "r-1.jsonl"}
        assert "not delete" in caplog.text


class TestARequestThatWasNotAccepted:
    def test_says_so_with_the_reason(self, go, hook, folder):
        hook.answers = [REFUSED]
        with pytest.raises(GstnInvalidRequest):
            go()
        [(name, record)] = records(folder).items()
        assert name == SENDING
        assert (record["outcome"], record["code"]) == ("not accepted", "IMSSAV005")
        assert record["error"] == "GSTN finds fault with it."
        assert set(record) == SENT_KEYS | {"code", "error"}

    def test_leaves_no_record_if_it_was_not_even_sent(self, go, hook, folder):
        hook.answers = [EXPIRED]
        with pytest.raises(GstnSessionExpired):
            go()
        assert records(folder) == {}

    def test_since_gstn_was_busy_is_not_taken_for_one_whose_fate_is_unknown(self, go, hook, folder):
        hook.answers = [BUSY, "r-1"]
        assert isinstance(go(), AwaitMoment)
        assert records(folder)[SENDING]["outcome"] == "not accepted"
        assert go() == Sent("r-1")
        assert set(records(folder)) == {"r-1.jsonl"}

    def test_is_followed_by_a_record_without_its_error_once_it_is_sent(self, go, hook, folder):
        hook.answers = [REFUSED, "r-1"]
        with pytest.raises(GstnInvalidRequest):
            go()
        go()
        assert set(records(folder)["r-1.jsonl"]) == SENT_KEYS | {"accepted_at"}


class TestALostReply:
    def test_keeps_the_first_name_and_an_unknown_outcome(self, go, hook, folder):
        hook.answers = [LOST]
        with pytest.raises(GstnAmbiguousSubmission):
            go()
        [(name, record)] = records(folder).items()
        assert (name, record["outcome"]) == (SENDING, "unknown")

    @pytest.mark.parametrize("second", [EXPIRED, REFUSED, BUSY])
    def test_is_not_said_to_be_refused_because_the_second_one_was(self, go, hook, folder, second):
        hook.answers = [LOST, second]
        step = None
        try:
            step = go(on_ambiguous="resubmit")
        except type(second):
            pass
        assert isinstance(step, AwaitMoment) == (second is BUSY)
        assert records(folder)[SENDING]["outcome"] == "unknown"

    @pytest.mark.parametrize("second", [REFUSED, BUSY])
    def test_that_is_looked_into_leaves_a_second_record_for_the_rest(self, go, hook, folder, second):
        hook.answers = [LOST, second, "r-2"]
        hook.held = {"INV-1": "N", "INV-2": "A", "NOTE-1": "N"}
        downloads = go(on_ambiguous="reconcile").reference_ids
        try:
            go(on_ambiguous="reconcile", downloads=downloads, settle_time=0)
        except type(second):
            pass
        rest = next(record for name, record in records(folder).items() if name != SENDING)
        assert (rest["outcome"], rest["documents"]) == ("not accepted", 1)
        assert records(folder)[SENDING]["outcome"] == "unknown"

    def test_that_is_looked_into_stays_unknown_if_the_rest_is_not_even_sent(self, go, hook, folder):
        trail = AuditTrail(str(folder), RUN)  # one process, as when the task is not deferrable
        hook.answers = [LOST, EXPIRED]
        hook.held = {"INV-1": "N", "INV-2": "A", "NOTE-1": "N"}
        downloads = go(on_ambiguous="reconcile", trail=trail).reference_ids
        with pytest.raises(GstnSessionExpired):
            go(on_ambiguous="reconcile", downloads=downloads, trail=trail, settle_time=0)
        [(name, record)] = records(folder).items()
        assert (name, record["outcome"]) == (SENDING, "unknown")

    @pytest.mark.parametrize("process", ["the same", "another"])
    def test_that_turns_out_to_be_done_is_recorded_under_the_download(self, go, hook, folder, process):
        trail = AuditTrail(str(folder), RUN) if process == "the same" else None
        hook.answers = [LOST]
        step = go(on_ambiguous="reconcile", trail=trail)
        assert isinstance(step, AwaitTasks)
        hook.held = dict.fromkeys(["INV-1", "INV-2", "NOTE-1"], "N")
        assert go(on_ambiguous="reconcile", downloads=step.reference_ids, trail=trail) == Sent("d-b2b")
        record = records(folder)["d-b2b.jsonl"]
        assert (record["outcome"], record["reference_id"]) == ("found at no action", "d-b2b")
        assert (record["rtin"], record["documents"], record["sections"]) == (RTIN, 3, {"b2b": 2, "b2bcn": 1})
        assert record["dag_id"] == "resets"
        assert set(record) <= SENT_KEYS


SUMMARY = {"outcome": "partial", "processed": 2, "errors": 1, "status_cd": "PE", "code": "", "result_path": "not kept"}
REFUSAL = RefusedRow("b2b", STIN, "INV-1", "23-01-2023", "012023", "IMSSAV0010", "edited", "Download the document")
READER = {**RUN, "task_id": "result"}


def end(folder: object, reference_id: str = "r-1") -> None:
    unknown = [DocumentKey("b2bcn", STIN, "NOTE-1", "23-01-2023", "022023")]
    AuditTrail(str(folder), READER).ended(reference_id, SUMMARY, [REFUSAL], unknown)


class TestOnceTheResultIsRead:
    def test_the_record_gets_the_outcome_and_keeps_what_was_sent(self, go, folder):
        go()
        before = records(folder)["r-1.jsonl"]
        end(folder)
        [(name, record)] = records(folder).items()
        assert name == "r-1.jsonl"
        changed = {"outcome": "partial", "processed": 2, "errors": 1, "status_cd": "PE", "code": ""}
        assert record == {**before, **changed, **{key: record[key] for key in RESULT_KEYS}}
        assert record["refused"] == [REFUSAL._asdict()]
        note = {"section": "b2bcn", "stin": STIN, "number": "NOTE-1", "date": "23-01-2023", "rtnprd": "022023"}
        assert record["unknown"] == [note]
        assert (record["task_id"], record["result_by"]["task_id"]) == ("reset", "result")
        assert set(record) == SENT_KEYS | {"accepted_at"} | RESULT_KEYS

    def test_reading_it_again_changes_nothing_but_the_time(self, go, folder):
        go()
        end(folder)
        first = records(folder)["r-1.jsonl"]
        end(folder)
        second = records(folder)["r-1.jsonl"]
        assert {**first, "result_at": ""} == {**second, "result_at": ""}

    @pytest.mark.parametrize("content", [None, b"", b'{"rtin": ', b"\xff\xfe", b"[]", b"5"])
    def test_a_record_that_is_missing_or_broken_is_written_anew(self, folder, content):
        if content is not None:
            folder.mkdir(parents=True)
            (folder / "r-1.jsonl").write_bytes(content)
        end(folder)
        record = records(folder)["r-1.jsonl"]
        assert (record["reference_id"], record["outcome"]) == ("r-1", "partial")
        assert set(record) == {*RUN, "call", "reference_id", "outcome"} | RESULT_KEYS

    @pytest.mark.parametrize("path", ["below a file", "no-such-scheme://bucket/audit"])
    def test_an_outcome_that_cannot_be_recorded_is_logged_and_does_not_fail_the_task(self, tmp_path, caplog, path):
        if path == "below a file":
            (tmp_path / "file").write_text("")
            path = tmp_path / "file" / "audit"
        end(path)
        assert "r-1.jsonl was not written" in caplog.text
        assert "IMSSAV0010" in caplog.text  # the log holds the record instead


def test_an_object_store_takes_the_records_as_well(go, hook):
    attach("memory", fs=MemoryFileSystem())
    folder = f"memory://audit-{uuid4().hex}"
    go(audit_path=folder)
    end(folder)
    [path] = ObjectStoragePath(folder).iterdir()
    assert path.name == "r-1.jsonl"
    record = json.loads(path.read_text())
    assert (record["sha256"], record["outcome"]) == (SHA, "partial")


ODD_IDS = ["../../elsewhere", "/etc/cron.d/x", "..", ".", "", "a/b", "con", "a\nb", "\x00", "\ud800", "x" * 300]


@pytest.mark.parametrize("reference_id", ODD_IDS)
class TestAnOddReferenceId:
    def test_is_recorded_in_the_folder_and_nowhere_else(self, go, hook, folder, tmp_path, reference_id):
        hook.answers = [reference_id]
        assert go() == Sent(reference_id)
        end(folder, reference_id)
        [record] = records(folder).values()
        assert (record["reference_id"], record["outcome"], record["sha256"]) == (reference_id, "partial", SHA)
        assert [path.parent for path in tmp_path.rglob("*") if path.is_file()] == [folder]


OTHER = {"reference_id": "r-1", "rtin": RTIN, "sha256": "0" * 64, "dag_id": "other", "run_id": "o", "outcome": "sent"}


class TestTheRecordOfAnotherReset:
    @pytest.fixture
    def other(self, folder: Path) -> Path:
        folder.mkdir(parents=True)
        (folder / "r-1.jsonl").write_text(json.dumps(OTHER) + "\n")
        return folder

    def test_is_kept_when_the_service_gives_its_reference_id_again(self, go, other):
        assert go() == Sent("r-1")
        end(other)
        found = records(other)
        assert found.pop("r-1.jsonl") == OTHER
        [(name, record)] = found.items()
        assert name == f"r-1.{SHA[:16]}.jsonl"
        assert (record["sha256"], record["outcome"], record["accepted_at"] > "") == (SHA, "partial", True)

    def test_is_kept_by_a_try_that_attaches(self, go, other, monkeypatch):
        monkeypatch.setattr(AuditTrail, "accepted", lambda *arguments: None)
        go(1)
        monkeypatch.undo()
        go(2)
        go(3)
        assert records(other)["r-1.jsonl"] == OTHER
        assert records(other)[f"r-1.{SHA[:16]}.jsonl"]["outcome"] == "sent"

    def test_is_kept_when_it_cannot_be_read_now(self, go, other, monkeypatch, caplog):
        def away(path: object) -> bytes:
            raise CannotRead(path, TimeoutError("no answer"))

        monkeypatch.setattr(audit, "read_whole", away)
        assert go() == Sent("r-1")
        end(other)
        monkeypatch.undo()
        assert records(other)["r-1.jsonl"] == OTHER
        assert "no answer" in caplog.text
        assert any(record.get("sha256") == SHA for record in records(other).values())
        assert {name[:4] for name in records(other)} == {"r-1."}

    def test_in_which_results_are_read_by_a_run_of_its_own_gets_the_outcome(self, go, folder):
        go()
        reader = {**READER, "dag_id": "results", "run_id": "later"}
        AuditTrail(str(folder), reader).ended("r-1", SUMMARY, [], [])
        [record] = records(folder).values()
        assert (record["dag_id"], record["outcome"], record["result_by"]["dag_id"]) == ("resets", "partial", "results")


class TestAWorkerThatDiedBeforeItRecordedTheAcceptance:
    def test_leaves_it_to_the_next_try(self, go, hook, folder, monkeypatch):
        monkeypatch.setattr(AuditTrail, "accepted", lambda *arguments: None)
        go(1)
        monkeypatch.undo()
        assert list(records(folder)) == [SENDING]
        go(2)
        [(name, record)] = records(folder).items()
        assert (name, record["outcome"], record["sha256"]) == ("r-1.jsonl", "sent", SHA)

    def test_a_record_that_is_there_is_left_as_it_is(self, go, hook, folder):
        go(1)
        end(folder)
        before = records(folder)
        go(2)
        assert records(folder) == before


class TestTheTrail:
    @pytest.mark.parametrize("nowhere", [None, "", "None"])
    def test_is_left_by_those_who_name_a_folder(self, folder, nowhere):
        assert AuditTrail.at(nowhere, RUN) is NO_AUDIT
        AuditTrail.at(str(folder), RUN).sending(REQUEST)
        record = records(folder)[SENDING]
        assert {name: record[name] for name in RUN} == RUN

    def test_that_nobody_wants_takes_every_step_and_leaves_nothing(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        NO_AUDIT.sending(REQUEST)
        NO_AUDIT.accepted(REQUEST, "r-1")
        NO_AUDIT.attached(REQUEST, "r-1")
        NO_AUDIT.not_accepted(REQUEST, REFUSED)
        NO_AUDIT.found_settled(REQUEST, "d-1")
        NO_AUDIT.ended("r-1", SUMMARY, [REFUSAL], [])
        assert list(tmp_path.iterdir()) == []

    def test_tells_times_in_utc(self, go, folder):
        go()
        end(folder)
        record = records(folder)["r-1.jsonl"]
        assert {record[name][-6:] for name in ("sent_at", "accepted_at", "result_at")} == {"+00:00"}

    def test_says_what_was_only_simulated(self, go, folder):
        go()
        AuditTrail(str(folder), READER).ended("r-1", {**SUMMARY, "simulator": True}, [], [])
        assert records(folder)["r-1.jsonl"]["simulator"] is True


class TestTheRun:
    def test_is_told_as_far_as_airflow_knows_it(self):
        ti = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=3, try_number=2, password="not kept")
        run = SimpleNamespace(run_type="manual", triggering_user_name="asha", conf={"secret": "not kept"})
        assert run_of({"ti": ti, "dag_run": run}, "gstn_two") == {
            "dag_id": "d",
            "run_id": "r",
            "task_id": "t",
            "map_index": 3,
            "try_number": 2,
            "run_type": "manual",
            "triggered_by": "asha",
            "gstn_conn_id": "gstn_two",
        }

    def test_outside_of_airflow_is_nobodys(self):
        run = run_of({}, "gstn_default")
        assert set(run) == set(RUN)
        assert (run["run_type"], run["triggered_by"], run["gstn_conn_id"]) == ("", None, "gstn_default")
        assert json.loads(json.dumps(run)) == run
