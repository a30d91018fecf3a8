"""Small valid things for the unit tests: documents, requests, settings, replies."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_ims.models import Fault, InvalidPayload, ResetPayload
from airflow_provider_ims.protocol.access import Access
from airflow_provider_ims.protocol.settings import Settings
from airflow_provider_ims.protocol.wire import Reply

RTIN = "27AAPFU0939F1ZV"
STIN = "24AAQCA8719H1ZC"
OTHER_STIN = "27AHQPA7588L1ZJ"

PASSWORD = "a-password-nobody-may-see"
TOKEN = "a-token-nobody-may-see"

# What GSTN's schema of the reset request asks for, section by section. Written out here once more, on purpose:
# the tests compare the package with the contract, not with itself.
COMMON = ("stin", "rtnprd", "srcform", "pos", "val", "txval", "iamt", "camt", "samt", "cess", "prev_status")
FIELDS: dict[str, tuple[str, ...]] = {
    "b2b": (*COMMON, "inum", "idt", "inv_typ"),
    "b2ba": (*COMMON, "inum", "idt", "oinum", "oidt", "inv_typ"),
    "b2bdn": (*COMMON, "nt_num", "nt_dt", "inv_typ"),
    "b2bdna": (*COMMON, "nt_num", "nt_dt", "ont_num", "ont_dt", "inv_typ"),
    "b2bcn": (*COMMON, "nt_num", "nt_dt", "inv_typ"),
    "b2bcna": (*COMMON, "nt_num", "nt_dt", "ont_num", "ont_dt", "inv_typ"),
    "ecom": (*COMMON, "inum", "idt"),
    "ecoma": (*COMMON, "inum", "idt", "oinum", "oidt"),
}
SECTIONS = tuple(FIELDS)
NUMBER_FIELD = {section: "nt_num" if "nt_num" in fields else "inum" for section, fields in FIELDS.items()}

_VALUES: dict[str, Any] = {
    "stin": STIN,
    "rtnprd": "012023",
    "srcform": "R1",
    "pos": "24",
    "val": 1180,
    "txval": 1000,
    "iamt": 180,
    "camt": 0,
    "samt": 0,
    "cess": 0,
    "prev_status": "A",
    "inum": "INV-1",
    "idt": "23-01-2023",
    "oinum": "INV-0",
    "oidt": "22-01-2023",
    "nt_num": "NOTE-1",
    "nt_dt": "23-01-2023",
    "ont_num": "NOTE-0",
    "ont_dt": "22-01-2023",
    "inv_typ": "R",
}


def document(section: str = "b2b", **changes: Any) -> dict[str, Any]:
    """A valid document of a section, with some fields changed or added."""
    return {name: _VALUES[name] for name in FIELDS[section]} | changes


def numbered(section: str, *numbers: str, **changes: Any) -> list[dict[str, Any]]:
    """Documents of a section that differ in their number."""
    return [document(section, **{NUMBER_FIELD[section]: number}, **changes) for number in numbers]


def request(rtin: Any = RTIN, reqtyp: Any = "RESET", **sections: Any) -> dict[str, Any]:
    """A reset request with these sections."""
    return {"rtin": rtin, "reqtyp": reqtyp, "invdata": sections}


def request_of_all_sections() -> dict[str, Any]:
    """A valid request with one document in each section."""
    return request(**{section: [document(section)] for section in SECTIONS})


def payload(**sections: Any) -> ResetPayload:
    """A checked request with these sections."""
    return ResetPayload.parse(request(**sections))


def faults_of(source: Any, **rules: bool) -> list[Fault]:
    """What is wrong with a request; nothing when it is valid."""
    try:
        ResetPayload.parse(source, **rules)
    except InvalidPayload as error:
        return error.faults
    return []


def places_of(source: Any, **rules: bool) -> list[str]:
    """Where a request is wrong."""
    return [fault.place for fault in faults_of(source, **rules)]


def settings(**changes: Any) -> Settings:
    """Settings of a connection to hosts that do not exist."""
    values: dict[str, Any] = {
        "eas_url": "https://eas.test",
        "auth_url": "https://auth.test/theodore/apis/v1",
        "handle": "tax@acme.test",
        "password": PASSWORD,
    }
    return Settings(**(values | changes))


ACCESS = Access(TOKEN, "org-1")


def reply(body: Any = b"", status: int = 200, **headers: str) -> Reply:
    """A reply: bytes as they are, anything else as JSON; ``Retry_After`` becomes ``Retry-After``."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def short(data: Any) -> dict[str, Any]:
    """The envelope ``{"data"}``."""
    return {"data": data}


def long(data: Any, status: Any = "1") -> dict[str, Any]:
    """The envelope with a status."""
    return {"status": status, "data": data, "error": None, "info": None, "additionalInfo": None, "alert": None}


def short_error(code: str, **args: Any) -> dict[str, Any]:
    """The error envelope ``{"error"}``."""
    return {"error": {"message": code, "type": "Runtime", "args": args}}


def long_error(code: str, status: Any = "0", **args: Any) -> dict[str, Any]:
    """The error envelope with a status."""
    return {**long(None, status), **short_error(code, **args)}


def gstn_error(code: str, message: str = "in GSTN's own words") -> dict[str, Any]:
    """What the service says when GSTN refused."""
    return short_error("err-gstn-returned", **{"status-code": "0", "gstn-err": {"code": code, "message": message}})


def token_data(token: str = TOKEN, expiry_ms: Any = 1_767_225_600_000, orgs: tuple[str, ...] = ("org-1",)) -> dict:
    """The ``data`` of a login's reply."""
    return {
        "token": token,
        "userId": "user-1",
        "expiry": expiry_ms,
        "email": "tax@acme.test",
        "mobile": None,
        "associatedOrgs": [
            {"organisation": {"id": org, "name": f"Name of {org}"}, "userAccessInfo": {"primary": True}} for org in orgs
        ],
    }
