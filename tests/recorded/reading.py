"""Reads each reply of a transcript as the package does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_provider_ims.doctor.findings import findings
from airflow_provider_ims.doctor.transcript import Answered, Transcript
from airflow_provider_ims.models.download import actions_of
from airflow_provider_ims.models.result import ResetResult
from airflow_provider_ims.protocol import access, tasks, theodore
from airflow_provider_ims.protocol.errors import ServiceError


def found_in(path: Path) -> dict[str, Any]:
    """What the readers make of each reply, and the doctor of all of them."""
    transcript = Transcript.of_lines(path.read_text(encoding="utf-8").splitlines())
    return {
        "replies": [f"{each.step}: {each.kind}: {_read(each)}" for each in transcript.answers],
        "findings": {each.fact.id: f"{each.verdict}: {each.saw}" for each in findings(transcript)},
    }


def _read(answered: Answered) -> str:
    reply = answered.as_reply()
    reference_id = answered.path.rpartition("/")[2]
    try:
        match answered.kind:
            case "login":
                token = theodore.read_login(reply)
                return f"a token, {len(token.organisations)} organisations"
            case "logout":
                theodore.read_logout(reply)
                return "done"
            case "ping":
                access.read_ping(reply)
                return "pong"
            case "download":
                return tasks.read_reference_id(reply, "download")
            case "reset":
                return tasks.read_submitted(reply, "reset")
            case "status":
                return str(tasks.read_status(reply, reference_id).state)
            case "page":
                page = tasks.read_page(reply, reference_id, 0)
                return f"{len(actions_of([page]))} documents, actions {sorted(set(actions_of([page]).values()))}"
            case "result":
                data = tasks.read_result(reply, reference_id)
                if "pages" in data:
                    return f"{tasks.read_page_count(data, reference_id)} pages"
                result = ResetResult.parse(data)
                return f"{result.outcome}, {len(result.refused)} refused"
    except ServiceError as error:
        return f"{error.kind.name} {error.code}".strip()
    return "not read"
