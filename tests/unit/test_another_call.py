"""A call that is not the reset, as docs/adding-a-call.md has it added: nothing of it is told as a reset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from airflow_provider_ims.models import InvalidPayload
from airflow_provider_ims.models.payload import ImsRequest
from tests.unit.builders import document, request


class AcceptancePayload(ImsRequest):
    """A request of such a call."""

    nothing_to_do: ClassVar[Mapping[str, str]] = {"A": "accepted already"}

    reqtyp: Literal["SAVE"]


def faults_of(*, allowed: bool = False, **changes: Any) -> list[tuple[str, str]]:
    try:
        AcceptancePayload.parse(request(reqtyp="SAVE", b2b=[document(**changes)]), allow_no_action=allowed)
    except InvalidPayload as error:
        return [(fault.place, fault.rule) for fault in error.faults]
    return []


def test_a_request_says_for_which_documents_there_is_nothing_to_do():
    assert faults_of(prev_status="N") == []
    assert faults_of(prev_status="A") == [("invdata.b2b[0].prev_status", "accepted already")]
    assert faults_of(prev_status="A", allowed=True) == []
