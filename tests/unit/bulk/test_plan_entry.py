"""What a plan's entry has to be, and which file is the request that was planned."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ims.bulk import plan_entry
from airflow_provider_ims.bulk.plan_entry import folder_of, load_request, plan_of
from airflow_provider_ims.exceptions import GstnInvalidPayload, GstnInvalidRequest, GstnStorageUnavailable
from airflow_provider_ims.models.plan import PlannedRequest
from airflow_provider_ims.storage import CannotRead
from tests.unit.builders import OTHER_STIN, RTIN, numbered, payload

CHUNK = {"path": "plan/0001.json", "documents": 2, "bytes": 3, "sha256": "0" * 64}


def planned(path: Path, content: bytes, of: bytes | None = None) -> PlannedRequest:
    """A request of a plan, whose file was changed since if ``of`` is what was planned."""
    path.write_bytes(content)
    digest = hashlib.sha256(content if of is None else of).hexdigest()
    return PlannedRequest(path=str(path), documents=2, bytes=len(content), sha256=digest)


BODY = payload(b2b=numbered("b2b", "1", "2")).body()


class TestTheRequest:
    def test_is_read_as_it_was_planned(self, tmp_path: Path):
        request = load_request(planned(tmp_path / "0001.json", BODY), RTIN)
        assert (request.rtin, request.body()) == (RTIN, BODY)

    def test_may_hold_what_is_at_no_action_if_the_planner_let_it_through(self, tmp_path: Path):
        body = BODY.replace(b'"prev_status":"A"', b'"prev_status":"N"')
        assert load_request(planned(tmp_path / "0001.json", body), RTIN).count() == 2

    def test_that_is_another_file_is_refused(self, tmp_path: Path):
        request = planned(tmp_path / "0001.json", BODY.replace(b"1180", b"1190"), of=BODY)
        with pytest.raises(GstnInvalidRequest, match=r"0001\.json is not the file that was planned.*Plan again"):
            load_request(request, RTIN)

    def test_for_another_gstin_is_refused_and_both_are_named(self, tmp_path: Path):
        with pytest.raises(GstnInvalidRequest, match=f"0001.json is for GSTIN {RTIN}, not {OTHER_STIN}"):
            load_request(planned(tmp_path / "0001.json", BODY), OTHER_STIN)

    def test_that_is_no_request_is_refused_with_every_fault_and_its_file(self, tmp_path: Path):
        body = BODY.replace(b'"val":1180', b'"val":-1').replace(b'"pos":"24"', b'"pos":"99x"')
        with pytest.raises(GstnInvalidPayload, match=r"0001\.json:\s") as caught:
            load_request(planned(tmp_path / "0001.json", body), RTIN)
        assert {fault.place for fault in caught.value.faults} >= {"invdata.b2b[0].pos", "invdata.b2b[1].pos"}

    def test_that_is_gone_is_refused_by_its_path(self, tmp_path: Path):
        request = planned(tmp_path / "0001.json", BODY)
        (tmp_path / "0001.json").unlink()
        with pytest.raises(
            GstnInvalidRequest, match="A planned request is not to be had. Nothing of it was sent"
        ) as it:
            load_request(request, RTIN)
        assert "0001.json" in str(it.value)

    def test_that_cannot_be_read_now_is_left_to_a_retry(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        def away(path: Any) -> bytes:
            raise CannotRead(path, TimeoutError("no answer"))

        request = planned(tmp_path / "0001.json", BODY)
        monkeypatch.setattr(plan_entry, "read_whole", away)
        with pytest.raises(GstnStorageUnavailable, match="no answer"):
            load_request(request, RTIN)


class TestTheEntry:
    def test_knows_its_documents_and_its_folder_and_passes_over_what_it_does_not_know(self, tmp_path: Path):
        chunks = [{**CHUNK, "path": str(tmp_path / name)} for name in ("0001.json", "0002.json")]
        plan = plan_of({"rtin": RTIN, "chunks": chunks, "of another version": 1})
        assert (plan.documents, str(folder_of(plan))) == (4, str(tmp_path))
        assert plan_of(plan) == plan

    def test_goes_to_xcom_and_back_with_its_sums(self):
        plan = plan_of({"rtin": RTIN, "chunks": [CHUNK, CHUNK]})
        dumped = json.loads(json.dumps(plan.model_dump(mode="json")))
        assert dumped == {"rtin": RTIN, "documents": 4, "bytes": 6, "chunks": [CHUNK, CHUNK]}
        assert plan_of(dumped) == plan

    @pytest.mark.parametrize(
        ("entry", "places"),
        [
            ({}, "rtin, chunks"),
            ({"rtin": RTIN, "chunks": [CHUNK, {"path": "x"}]}, "chunks.1.documents, chunks.1.bytes, chunks.1.sha256"),
            ("no entry", "(top)"),
            (None, "(top)"),
        ],
    )
    def test_that_is_none_is_refused_with_all_that_is_wrong(self, entry: Any, places: str):
        with pytest.raises(GstnInvalidRequest) as caught:
            plan_of(entry)
        text = str(caught.value)
        assert f"; wrong or missing: {places}. Nothing was sent." in " ".join(text.split())
        assert "ImsPlanOperator" in text
