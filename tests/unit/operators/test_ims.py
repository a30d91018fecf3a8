"""What the operators do with their arguments, files and XCom; the hook is scripted."""

from __future__ import annotations

import csv
import errno
import io
import json
from collections.abc import Callable

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_ims._compat import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow_provider_ims.exceptions import (
    GstnInvalidPayload,
    GstnInvalidRequest,
    GstnResetFailed,
    GstnResetPartial,
    GstnResultNotReady,
    GstnStorageUnavailable,
)
from airflow_provider_ims.models import ResetPayload, ResetResult, TaskStatus
from airflow_provider_ims.models.reconciliation import Reconciliation
from airflow_provider_ims.models.sent_request import SentRequest
from airflow_provider_ims.operators import ims
from airflow_provider_ims.operators.ims import ImsResetOperator, ImsResultOperator
from airflow_provider_ims.results.report import Report
from airflow_provider_ims.sessions.store import MemorySessionStore
from airflow_provider_ims.storage import CannotRead
from tests.unit.builders import STIN, numbered, payload, request

PARTIAL = {
    "status_cd": "PE",
    "transTypCd": "SAV",
    "proc_cnt": "7",
    "err_cnt": "1",
    "error_report": {
        "cn": [
            {
                "stin": "24MAYAS0100J1JD",
                "error_cd": "IMSSAV0010",
                "error_msg": "Either previous action is incorrect",
                "inv": [{"rtnprd": "012023", "inum": "dn2"}],
            }
        ]
    },
}
CLEAN = {"status_cd": "P", "transTypCd": "SAV", "proc_cnt": "8"}


class Hook:
    """Remembers what was sent and answers with what the test gave it; the last result is repeated."""

    is_simulator = False

    def __init__(self) -> None:
        self.sent: list[ResetPayload] = []
        self.results: list[dict] = [CLEAN]
        self.store = MemorySessionStore()
        self.known: SentRequest | None = None
        self.downloads: list[str] = []
        self.held: dict[str, list[dict]] = {}
        self.results_read = 0

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def submit(self, call: object, payload: ResetPayload, *, before_sending: Callable[[], None]) -> str:
        before_sending()
        self.sent.append(payload)
        return "r-1"

    def submit_download(self, gstin: str, section: str) -> str:
        self.downloads.append(section)
        return f"d-{section}"

    def get_task_status(self, reference_id: str) -> TaskStatus:
        return TaskStatus(reference_id=reference_id, word="completed")

    def get_task_pages(self, reference_id: str) -> list[dict]:
        return [self.held]

    def find_sent_request(self, reference_id: str) -> SentRequest | None:
        return self.known

    def get_task_result(self, reference_id: str, call: object) -> ResetResult:
        self.results_read += 1
        return ResetResult.parse(self.results.pop(0) if len(self.results) > 1 else self.results[0])


class TaskInstance:
    try_number = 1
    max_tries = 2

    def __init__(self) -> None:
        self.xcom: dict[str, object] = {}

    def xcom_push(self, key: str, value: object) -> None:
        self.xcom[key] = value


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Hook:
    hook = Hook()
    monkeypatch.setattr(ims, "GstnHook", lambda conn_id, gstin=None: hook)
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    monkeypatch.setattr("airflow_provider_ims.waits.on_worker.time.sleep", lambda seconds: None)
    return hook


@pytest.fixture
def ti() -> TaskInstance:
    return TaskInstance()


def reset(payload, **changes) -> ImsResetOperator:
    return ImsResetOperator(task_id="reset", payload=payload, **changes)


def result(**changes) -> ImsResultOperator:
    return ImsResultOperator(task_id="result", **{"reference_id": "r-1", **changes})


class TestReset:
    @pytest.mark.parametrize("form", ["dict", "model", "json", "path", "uri", "pathlib", "object path"])
    def test_takes_the_payload_in_every_form(self, hook, sample, tmp_path, form):
        file = tmp_path / "reset.json"
        file.write_text(json.dumps(sample))
        payload = {
            "dict": sample,
            "model": ResetPayload.parse(sample),
            "json": json.dumps(sample),
            "path": str(file),
            "uri": f"file://{file}",
            "pathlib": file,
            "object path": ObjectStoragePath(f"file://{file}"),
        }[form]
        assert reset(payload).execute({"ti": TaskInstance()}) == "r-1"
        assert [sent.body() for sent in hook.sent] == [ResetPayload.parse(sample).body()]

    def test_sends_nothing_and_tells_all_faults_when_the_payload_is_wrong(self, hook, sample):
        sample["invdata"]["b2b"][0]["idt"] = "2023-01-23"
        sample["invdata"]["ecom"][0]["inv_typ"] = "R"
        with pytest.raises(GstnInvalidPayload) as caught:
            reset(sample).execute({"ti": TaskInstance()})
        assert [fault.place for fault in caught.value.faults] == ["invdata.b2b[0].idt", "invdata.ecom[0].inv_typ"]
        assert isinstance(caught.value, AirflowFailException)
        assert not hook.sent

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (None, "No such file"),
            (b'{"rtin": ', "valid JSON"),
            (b"\xff\xfe", "UTF-8"),
            (b"[]", "an object"),
            (b'"s3cret"', "an object"),
            (b"root:s3cret:0:0:root", "valid JSON"),
            (b'{"rtin": "20MAYAS0100J1ZX", s3cret', "valid JSON"),
            (b"s3cret\xff", "UTF-8"),
            (b'{"auths": "s3cret"}', "auths: unknown field"),
            (b'{"rtin": "20MAYAS0100J1ZX", "reqtyp": "RESET", "invdata": {}}', "is empty"),
        ],
    )
    def test_a_file_that_is_no_payload_is_told(self, hook, tmp_path, content, says):
        file = tmp_path / "reset.json"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(GstnInvalidPayload, match=says) as caught:
            reset(str(file)).execute({"ti": TaskInstance()})
        assert "s3cret" not in str(caught.value)
        assert not hook.sent

    @pytest.mark.parametrize("path", ["no-such-scheme://x/y.json", "/"])
    def test_a_path_that_cannot_be_read_is_told_with_the_path(self, hook, path):
        with pytest.raises(GstnInvalidPayload, match=path):
            reset(path).execute({"ti": TaskInstance()})

    @pytest.mark.parametrize(
        "write", [str, lambda sample: str([sample]), lambda sample: str(ResetPayload.parse(sample))]
    )
    def test_a_dict_that_a_template_made_text_of_is_recognised(self, hook, sample, write):
        with pytest.raises(GstnInvalidPayload, match=r"build\.output.*render_template_as_native_obj") as caught:
            reset(write(sample)).execute({"ti": TaskInstance()})
        assert sample["rtin"] not in str(caught.value)
        assert not hook.sent

    def test_a_file_that_cannot_be_read_now_is_tried_again(self, hook, tmp_path, monkeypatch):
        def away(path):
            raise CannotRead(path, TimeoutError("no answer"))

        monkeypatch.setattr("airflow_provider_ims.operators._payload.read_whole", away)
        with pytest.raises(GstnStorageUnavailable, match="nothing was sent"):
            reset("s3://bucket/reset.json").execute({"ti": TaskInstance()})
        assert not hook.sent

    @pytest.mark.parametrize("flag", ["strict_gstin", "allow_no_action", "force_resubmit"])
    def test_a_mistyped_flag_is_not_taken_for_no(self, hook, sample, flag):
        with pytest.raises(GstnInvalidRequest, match=f"{flag} is 'ture'"):
            reset(sample, **{flag: "ture"}).execute({"ti": TaskInstance()})
        assert not hook.sent

    def test_doubtful_gstins_are_a_warning_or_a_fault(self, hook, sample, capsys):
        reset(sample).execute({"ti": TaskInstance()})
        assert "rtin: '20MAYAS0100J1ZX'" in capsys.readouterr().out
        with pytest.raises(GstnInvalidPayload, match="check digit"):
            reset(sample, strict_gstin=True).execute({"ti": TaskInstance()})
        assert len(hook.sent) == 1

    def test_no_action_documents_are_refused_unless_allowed(self, hook, sample):
        sample["invdata"]["b2b"][0]["prev_status"] = "N"
        with pytest.raises(GstnInvalidPayload, match="nothing to reset"):
            reset(sample).execute({"ti": TaskInstance()})
        assert reset(sample, allow_no_action=True).execute({"ti": TaskInstance()}) == "r-1"

    def test_nothing_is_read_when_the_dag_is_parsed(self):
        assert reset("/nowhere/at/all.json", gstn_conn_id="no_such_connection").payload == "/nowhere/at/all.json"


class TestResult:
    def test_a_clean_result_is_a_small_summary(self, hook, ti):
        assert result().execute({"ti": ti}) == {
            "outcome": "processed",
            "reference_id": "r-1",
            "processed": 8,
            "errors": 0,
            "status_cd": "P",
            "code": "",
        }

    def test_with_the_payload_every_section_is_accounted_for(self, hook, ti, sample):
        hook.results = [PARTIAL]
        summary = result(payload=sample, on_partial="warn").execute({"ti": ti})
        assert summary["sections"]["b2bcn"] == {"sent": 1, "reset": 0, "refused": 1, "unknown": 0}
        assert summary["sections"]["b2bdn"] == {"sent": 1, "reset": 1, "refused": 0, "unknown": 0}
        assert len(json.dumps(summary)) < 2000

    def test_partial_fails_by_default_and_leaves_its_summary(self, hook, ti):
        hook.results = [PARTIAL]
        with pytest.raises(GstnResetPartial, match=r"b2bcn dn2 of 24MAYAS0100J1JD: IMSSAV0010"):
            result().execute({"ti": ti})
        assert ti.xcom["return_value"]["outcome"] == "partial"
        assert ti.xcom["return_value"]["errors"] == 1

    def test_partial_can_warn_or_skip(self, hook, ti, capsys):
        hook.results = [PARTIAL]
        assert result(on_partial="warn").execute({"ti": ti})["outcome"] == "partial"
        assert "dn2" in capsys.readouterr().out
        with pytest.raises(AirflowSkipException):
            result(on_partial="skip").execute({"ti": ti})

    @pytest.mark.parametrize(
        "data",
        [
            {"status_cd": "ER", "err_cd": "IMSSAV005", "err_msg": "Schema validation failure"},
            {"status_cd": "REC"},
            {"status_cd": "ZZ"},
            {},
        ],
    )
    def test_whatever_is_not_processed_fails(self, hook, ti, data):
        hook.results = [data]
        with pytest.raises(GstnResetFailed) as caught:
            result(on_partial="warn").execute({"ti": ti})
        assert isinstance(caught.value, AirflowFailException)
        assert ti.xcom["return_value"]["outcome"] == "failed"
        assert data.get("err_cd", "") in str(caught.value)

    def test_a_result_that_is_not_ready_is_read_again(self, hook, ti):
        hook.results = [{"status_cd": "IP"}, {"status_cd": "IP"}, CLEAN]
        assert result().execute({"ti": ti})["outcome"] == "processed"

    def test_a_result_that_never_gets_ready_is_left_to_the_tasks_retries(self, hook, ti):
        hook.results = [{"status_cd": "IP"}]
        with pytest.raises(GstnResultNotReady) as caught:
            result().execute({"ti": ti})
        assert not isinstance(caught.value, AirflowFailException)

    def test_writes_the_full_result_and_the_refused_documents(self, hook, ti, sample, tmp_path):
        hook.results = [PARTIAL]
        folder = tmp_path / "not" / "yet" / "there"
        with pytest.raises(GstnResetPartial):
            result(payload=sample, output_path=str(folder)).execute({"ti": ti})
        full = json.loads((folder / "r-1.result.json").read_text())
        assert full["result"] == PARTIAL
        assert {(doc["section"], doc["outcome"]) for doc in full["documents"]} == {
            ("b2bcn", "refused"),
            *((section, "reset") for section in sample["invdata"] if section != "b2bcn"),
        }
        [row] = csv.DictReader(io.StringIO((folder / "r-1.refused.csv").read_text()))
        assert row["section"] == "b2bcn"
        assert row["stin"] == "24MAYAS0100J1JD"
        assert (row["number"], row["rtnprd"], row["code"]) == ("dn2", "012023", "IMSSAV0010")
        assert "Download the document" in row["remedy"]
        assert ti.xcom["return_value"]["refused_path"].endswith("r-1.refused.csv")

    def test_writes_odd_reference_ids_and_cells_that_a_spreadsheet_would_run_as_what_they_are(
        self, hook, ti, sample, tmp_path
    ):
        message = '=HYPERLINK("http://x")'
        error = {**PARTIAL["error_report"]["cn"][0], "error_msg": message}
        hook.results = [{**PARTIAL, "error_report": {"cn": [error]}}]
        with pytest.raises(GstnResetPartial):
            result(payload=sample, output_path=str(tmp_path), reference_id="../../x").execute({"ti": ti})
        written = sorted(tmp_path.iterdir())
        assert [path.name[:8] for path in written] == ["______x."] * 3
        with written[0].open(newline="") as file:
            assert next(csv.DictReader(file))["message"] == f"'{message}"
        assert json.loads(written[2].read_text())["result"]["error_report"]["cn"] == [error]

    def test_a_store_that_is_away_is_left_to_the_tasks_retries(self, hook, ti, tmp_path, monkeypatch):
        def full(handle):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as away:
            away.setattr("os.fsync", full)
            with pytest.raises(GstnStorageUnavailable, match="output_path") as caught:
                result(output_path=str(tmp_path)).execute({"ti": ti})
        assert "there is no room left" in str(caught.value)
        assert result(output_path=str(tmp_path)).execute({"ti": ti})["outcome"] == "processed"

    @pytest.mark.parametrize("output_path", [None, "", "None"])
    def test_writes_nothing_when_no_path_is_given(self, hook, ti, output_path):
        assert "result_path" not in result(output_path=output_path).execute({"ti": ti})

    def test_an_output_path_that_cannot_be_written_is_told(self, hook, ti, tmp_path):
        blocked = tmp_path / "file"
        blocked.write_text("")
        with pytest.raises(GstnInvalidRequest, match="output_path"):
            result(output_path=str(blocked / "below")).execute({"ti": ti})
        with pytest.raises(GstnInvalidRequest, match="output_path 'no-such-scheme://bucket/x'"):
            result(output_path="no-such-scheme://bucket/x").execute({"ti": ti})

    def test_on_partial_is_checked_when_the_dag_is_parsed(self):
        with pytest.raises(ValueError, match="fail, warn or skip"):
            result(on_partial="ignore")

    def test_a_refusal_that_fits_no_document_is_told_and_makes_its_neighbours_unknown(self, hook, ti, sample, capsys):
        vague = {"stin": "24MAYAS0100J1JD", "error_cd": "IMSSAV0010", "error_msg": "m"}
        hook.results = [{**PARTIAL, "error_report": {"b2b": [vague]}}]
        summary = result(payload=sample, on_partial="warn").execute({"ti": ti})
        assert summary["sections"]["b2b"]["unknown"] == 1
        assert "did not name it" in capsys.readouterr().out

    @pytest.mark.parametrize("counts", [{"proc_cnt": "7"}, {"proc_cnt": "5", "err_cnt": "0"}])
    def test_a_clean_result_that_counts_too_few_is_no_success(self, hook, ti, sample, counts):
        hook.results = [{"status_cd": "P", **counts}]
        with pytest.raises(GstnResetPartial, match="not accounted for"):
            result(payload=sample).execute({"ti": ti})
        assert ti.xcom["return_value"]["outcome"] == "partial"


class TestTheWording:
    """The text of a failure says how many documents came to what, and no more than is known."""

    def text(self, hook, ti, data: dict, **arguments) -> str:
        hook.results = [data]
        with pytest.raises((GstnResetPartial, GstnResetFailed)) as caught:
            result(**arguments).execute({"ti": ti})
        return str(caught.value)

    @staticmethod
    def refusing(payload: dict, count: int) -> dict:
        """A result that refuses the first documents of a section."""
        rows = [{"inum": each["inum"], "rtnprd": each["rtnprd"]} for each in payload["invdata"]["b2b"][:count]]
        entry = {"stin": STIN, "error_cd": "IMSSAV0010", "error_msg": "m", "inv": rows}
        return {"status_cd": "PE", "err_cnt": str(count), "error_report": {"b2b": [entry]}}

    def test_says_nothing_of_others_if_there_are_none(self, hook, ti):
        two = request(b2b=numbered("b2b", "1", "2"))
        text = self.text(hook, ti, self.refusing(two, 2), payload=two)
        assert text.splitlines()[0] == "Reset r-1: of 2 documents 2 refused by GSTN."
        assert "others" not in text

    def test_counts_what_is_reset(self, hook, ti):
        three = request(b2b=numbered("b2b", "1", "2", "3"))
        text = self.text(hook, ti, self.refusing(three, 1), payload=three)
        assert text.splitlines()[0] == "Reset r-1: of 3 documents 1 refused by GSTN, 2 reset."

    def test_claims_no_reset_without_the_payload(self, hook, ti):
        text = self.text(hook, ti, {"status_cd": "PE", "err_cnt": "3", "proc_cnt": "3"})
        assert (
            text.splitlines()[0] == "Reset r-1: GSTN refused 3, and does not name 3 of them; it counts 3 as processed."
        )
        assert "reset" not in text.removeprefix("Reset")

    @pytest.mark.parametrize("count", [5, 6, 30])
    def test_tells_where_the_other_refusals_are_if_they_are_there(self, hook, ti, capsys, count):
        many = request(b2b=numbered("b2b", *map(str, range(1, 41))))
        text = self.text(hook, ti, self.refusing(many, count), payload=many)
        assert ("more" in text) == (count > 5)
        if count > 5:
            assert text.endswith(f"and {count - 5} more, all in the log")
        assert capsys.readouterr().out.count("Refused: b2b") == count

    def test_promises_no_log_where_none_is_written(self):
        many = payload(b2b=numbered("b2b", *map(str, range(1, 31))))
        read = ResetResult.parse(self.refusing({"invdata": {"b2b": numbered("b2b", *map(str, range(1, 31)))}}, 30))
        assert str(Report("r-1", read, many).error()).endswith("and 25 more")

    def test_tells_a_word_that_nobody_knows_from_a_refusal(self, hook, ti):
        assert "nobody knows the word status_cd 'REC'" in self.text(hook, ti, {"status_cd": "REC"})

    def test_tells_what_contradicts_the_word(self, hook, ti):
        text = self.text(hook, ti, {"status_cd": "P", "proc_cnt": "8.0", "err_cd": "IMSSAV0010", "err_msg": "edited"})
        assert "status_cd 'P' with err_cd 'IMSSAV0010', proc_cnt '8.0'. GSTN says: edited." in text
        assert "before you send anything again" in text


class TestTheRequestThatWasSent:
    @pytest.fixture
    def sent(self, hook, sample):
        hook.known = SentRequest.of(ResetPayload.parse(sample))

    @pytest.mark.usefixtures("sent")
    def test_is_accounted_for(self, hook, ti, sample):
        assert result(payload=sample).execute({"ti": ti})["outcome"] == "processed"

    @pytest.mark.usefixtures("sent")
    def test_is_told_from_another_one_before_anything_is_read(self, hook, ti, sample):
        del sample["invdata"]["ecom"]
        with pytest.raises(GstnInvalidRequest, match="not what was sent as r-1") as caught:
            result(payload=sample).execute({"ti": ti})
        assert "The payload has 7 documents" in str(caught.value)
        assert "what was sent has 8" in str(caught.value)
        assert "leave payload out" in str(caught.value)
        assert hook.results_read == 0

    def test_is_believed_to_be_the_payload_if_nothing_is_known_of_it(self, hook, ti, sample):
        assert result(payload=sample).execute({"ti": ti})["outcome"] == "processed"

    @pytest.mark.usefixtures("sent")
    def test_is_counted_without_the_payload_too(self, hook, ti):
        hook.results = [{**CLEAN, "proc_cnt": "7"}]
        with pytest.raises(GstnResetPartial, match="GSTN counts 7 processed and 0 refused; 8 were sent"):
            result().execute({"ti": ti})
        assert ti.xcom["return_value"]["outcome"] == "partial"

    @pytest.mark.usefixtures("sent")
    def test_may_be_a_part_of_what_was_asked_for(self, hook, ti, sample):
        whole = ResetPayload.parse(sample)
        first, *_ = sorted(key for key, _ in whole.documents())
        hook.known = SentRequest.of(whole.only({key for key, _ in whole.documents()} - {first}))
        hook.store.kept["gstn_reconciled__r-1"] = Reconciliation(
            fingerprint=whole.fingerprint(), already_reset="0", sent=True
        ).model_dump_json()
        hook.results = [{**CLEAN, "proc_cnt": "7"}]
        assert result(payload=sample).execute({"ti": ti})["outcome"] == "processed"


class TestTheResultOfAResetThatWasReconciled:
    @pytest.fixture
    def found(self, hook, sample):
        """What the reset operator kept; the sample has a document in each of its eight sections."""

        def keep(places: str, *, sent: bool, payload: dict | None = None) -> None:
            fingerprint = ResetPayload.parse(payload or sample).fingerprint()
            kept = Reconciliation(fingerprint=fingerprint, already_reset=places, sent=sent)
            hook.store.kept["gstn_reconciled__r-1"] = kept.model_dump_json()

        return keep

    @pytest.mark.parametrize("with_payload", [True, False])
    def test_that_had_nothing_left_to_send_is_processed_without_a_result(self, hook, ti, sample, found, with_payload):
        found("0-7", sent=False)
        summary = result(payload=sample if with_payload else None).execute({"ti": ti})
        assert hook.results_read == 0  # under this reference id the service keeps a download
        assert (summary["outcome"], summary["processed"], summary["errors"]) == ("processed", 8, 0)
        assert summary["found_at_no_action"] == 8
        if with_payload:
            assert {tuple(count.values()) for count in summary["sections"].values()} == {(1, 1, 0, 0)}

    def test_counts_what_was_not_sent_as_reset(self, hook, ti, sample, found):
        found("0-1", sent=True)
        hook.results = [{**CLEAN, "proc_cnt": "6"}]
        summary = result(payload=sample).execute({"ti": ti})
        assert (summary["outcome"], summary["found_at_no_action"], summary["processed"]) == ("processed", 2, 6)
        assert sum(count["reset"] for count in summary["sections"].values()) == 8

    def test_goes_by_the_result_for_what_was_sent(self, hook, ti, sample, found):
        found("0", sent=True)  # the first section in the order of their names: b2b
        hook.results = [{**PARTIAL, "proc_cnt": "6"}]
        summary = result(payload=sample, on_partial="warn").execute({"ti": ti})
        assert summary["sections"]["b2b"] == {"sent": 1, "reset": 1, "refused": 0, "unknown": 0}
        assert summary["sections"]["b2bcn"] == {"sent": 1, "reset": 0, "refused": 1, "unknown": 0}
        assert sum(count["unknown"] for count in summary["sections"].values()) == 0

    def test_is_read_together_with_what_gstn_holds(self, hook, ti, sample, found):
        # The first reset was done after all, and GSTN refused the second.
        found("", sent=True)
        hook.results = [PARTIAL]
        [note] = sample["invdata"]["b2bcn"]
        hook.held = {"cn": [{**note, "action": "N"}]}
        summary = result(payload=sample).execute({"ti": ti})
        assert hook.downloads == ["b2bcn"]
        assert (summary["outcome"], summary["found_at_no_action"]) == ("processed", 1)
        assert sum(count["reset"] for count in summary["sections"].values()) == 8

    def test_waits_for_the_downloads_in_the_triggerer_if_it_may(self, hook, ti, sample, found):
        found("", sent=True)
        hook.results = [PARTIAL]
        with pytest.raises(TaskDeferred) as waiting:
            result(payload=sample, deferrable=True).execute({"ti": ti})
        assert waiting.value.trigger.reference_id == ["d-b2bcn"]
        event = {"status": "completed", "reference_id": ["d-b2bcn"]}
        with pytest.raises(GstnResetPartial, match="b2bcn dn2"):
            result(payload=sample).execute_complete({"ti": ti}, event)

    def test_still_counts_as_reset_what_was_not_sent_if_the_rest_failed(self, hook, ti, sample, found):
        found("0", sent=True)
        hook.results = [{"status_cd": "ER", "err_cd": "IMSSAV005", "err_msg": "Schema validation failure"}]
        with pytest.raises(GstnResetFailed):
            result(payload=sample).execute({"ti": ti})
        sections = ti.xcom["return_value"]["sections"]
        assert sections.pop("b2b")["reset"] == 1
        assert {count["refused"] for count in sections.values()} == {1}

    def test_says_nothing_of_another_request(self, hook, ti, sample, found):
        other = json.loads(json.dumps(sample))
        other["invdata"]["b2b"][0]["val"] += 1
        found("0-1", sent=True, payload=other)
        hook.results = [{**CLEAN, "proc_cnt": "6"}]
        with pytest.raises(GstnInvalidRequest, match="not what was sent as r-1"):
            result(payload=sample).execute({"ti": ti})

    @pytest.mark.parametrize("kept", [None, "", "no JSON", "{}"])
    def test_that_nobody_can_read_is_an_ordinary_one(self, hook, ti, kept):
        hook.store.kept["gstn_reconciled__r-1"] = kept
        summary = result().execute({"ti": ti})
        assert hook.results_read == 1
        assert "found_at_no_action" not in summary


class TestTheAuditTrail:
    def test_tells_the_whole_story_of_a_reset_in_one_file(self, hook, ti, sample, tmp_path):
        reset(sample, audit_path=str(tmp_path)).execute({"ti": ti})
        hook.results = [PARTIAL]
        with pytest.raises(GstnResetPartial):
            result(payload=sample, audit_path=str(tmp_path)).execute({"ti": ti})
        [path] = tmp_path.glob("*.jsonl")
        record = json.loads(path.read_text())
        assert path.name == "r-1.jsonl"
        assert (record["documents"], record["outcome"], record["processed"], record["errors"]) == (8, "partial", 7, 1)
        assert [row["number"] for row in record["refused"]] == ["dn2"]
        assert record["unknown"] == []

    def test_names_the_documents_of_which_nothing_is_known(self, hook, ti, sample, tmp_path):
        hook.results = [{**CLEAN, "proc_cnt": "5"}]
        with pytest.raises(GstnResetPartial):
            result(payload=sample, audit_path=str(tmp_path)).execute({"ti": ti})
        record = json.loads((tmp_path / "r-1.jsonl").read_text())
        assert {each["section"] for each in record["unknown"]} == set(sample["invdata"])

    @pytest.mark.parametrize("audit_path", ["no-such-scheme://bucket/audit", "/dev/null/audit"])
    def test_that_cannot_be_written_stops_a_reset_before_it_is_sent_but_no_result(self, hook, ti, sample, audit_path):
        with pytest.raises(GstnInvalidRequest, match="audit_path"):
            reset(sample, audit_path=audit_path).execute({"ti": ti})
        assert not hook.sent
        assert result(audit_path=audit_path).execute({"ti": ti})["outcome"] == "processed"

    @pytest.mark.parametrize("audit_path", [None, "", "None"])
    def test_is_not_kept_when_no_path_is_given(self, hook, ti, sample, audit_path, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        reset(sample, audit_path=audit_path).execute({"ti": ti})
        result(audit_path=audit_path).execute({"ti": ti})
        assert list(tmp_path.iterdir()) == []
