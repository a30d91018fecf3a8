"""The one table of the codes that Vayana and GSTN answer with: the kind of fault, and what to do about it."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What kind of fault a code stands for; each kind has one exception (see ``exceptions.py``)."""

    TOKEN_EXPIRED = "the theodore token is not accepted any more; log in again, nothing was done"
    LOGIN = "the theodore user, password or organisation is wrong"
    TOKEN_LIMIT = "the theodore user has as many sessions as it may have"
    GSTN_SESSION = "there is no live GSTN session for the GSTIN"
    OTP = "the one-time password was not accepted"
    BUSY = "an earlier request for the same GSTIN is still running"
    THROTTLED = "too many requests"
    OUTAGE = "the service or GSTN is down for now"
    NOT_FOUND = "no such task"
    NOT_READY = "asked too early"
    NO_DOCUMENTS = "GSTN holds no such documents"
    REQUEST = "the request is not as it must be"
    REFUSED = "GSTN or the service refused"
    UNREADABLE = "the reply is not what the contract says"
    UNREACHABLE = "no connection; nothing was sent"
    LOST_REPLY = "the request was sent and no reply came back"


class Meaning(NamedTuple):
    """
    What a code means to us.

    :param kind: how software goes on
    :param advice: what a person does now
    """

    kind: Kind
    advice: str


OPEN_SESSION = (
    "Open a GSTN session for this GSTIN: run the DAG gstn_session (of the examples, or your copy of it) and type the"
    " one-time password. Then run this again."
)
CHECK_LOGIN = "Check login and password of the connection."
TRY_LATER = "Nothing is wrong with the request. Try again later."
FIX_REQUEST = "Correct the request; sending it again unchanged will fail again."
_CHECK_ORG = "Set org_id in the connection's extra to an organisation of this theodore user."
_NO_DOCUMENTS = "Nothing is wrong if the taxpayer has none; else check section and status."
_REFETCH = (
    "Download the document from IMS again, rebuild the reset from what GSTN holds now (prev_status and"
    " amounts), and send it once more."
)

# Sources: Vayana's documentation of its error payloads; GSTN codes as other GSPs document them and as clients
# in use treat them. The kind of those marked so is our reading (inferred: error-codes).
MEANINGS: dict[str, Meaning] = {
    # Vayana: theodore and the Enriched API
    "err-expired-token": Meaning(Kind.TOKEN_EXPIRED, "Log in again."),
    "err-invalid-token": Meaning(Kind.TOKEN_EXPIRED, "Log in again."),
    "err-invalid-org": Meaning(Kind.LOGIN, _CHECK_ORG),
    "err-active-tokens-limit-exceeded": Meaning(
        Kind.TOKEN_LIMIT,
        "theodore allows 10 sessions per user. Wait for one to end, or give this Airflow a user of its own.",
    ),
    "err-unable-to-decrypt-message-with-key": Meaning(Kind.REQUEST, FIX_REQUEST),
    "err-aes-decryption-failed": Meaning(Kind.REQUEST, FIX_REQUEST),
    "err-invalid-gstin-format": Meaning(Kind.REQUEST, "Correct the GSTIN."),
    "err-invalid-request-params": Meaning(Kind.REQUEST, FIX_REQUEST),
    "err-invalid-gst-returns-api-version": Meaning(
        Kind.REQUEST, "Set gstn_api_version in the connection's extra to a version that GSTN has released."
    ),
    "err-resource-not-found": Meaning(
        Kind.NOT_FOUND,
        "Check the reference id and org_id; Vayana keeps a task's data for 7 days from its creation.",
    ),
    "err-content-type-not-set-correctly": Meaning(Kind.REQUEST, FIX_REQUEST),
    "err-issue-with-parameter": Meaning(Kind.LOGIN, CHECK_LOGIN),
    # GSTN: sessions
    "AUTH103": Meaning(Kind.GSTN_SESSION, OPEN_SESSION),
    "AUTH158": Meaning(Kind.GSTN_SESSION, OPEN_SESSION),
    "AUTH4033": Meaning(Kind.GSTN_SESSION, OPEN_SESSION),
    "AUTH4038": Meaning(Kind.GSTN_SESSION, OPEN_SESSION),
    "OTP0011": Meaning(Kind.GSTN_SESSION, OPEN_SESSION),
    "RET11402": Meaning(Kind.GSTN_SESSION, OPEN_SESSION),
    "RET11407": Meaning(Kind.GSTN_SESSION, OPEN_SESSION),
    "RET2B1010": Meaning(Kind.GSTN_SESSION, OPEN_SESSION),
    "RT-R1R3BAV-1007": Meaning(Kind.GSTN_SESSION, OPEN_SESSION),
    "RETOTPREQUEST": Meaning(Kind.GSTN_SESSION, OPEN_SESSION),
    "EVCREQUEST": Meaning(Kind.GSTN_SESSION, OPEN_SESSION),
    "AUTH4034": Meaning(
        Kind.OTP,
        "Type the newest one-time password that GSTN sent; request a new one if it is over 10 minutes old.",
    ),
    "AUTH4037": Meaning(
        Kind.GSTN_SESSION,
        "On the GST portal, under My Profile > Manage API Access, switch API access on and choose 30 days;"
        " then open a GSTN session.",
    ),
    "AUTH403": Meaning(
        Kind.GSTN_SESSION,
        "This GST user has as many sessions with this GSP as GSTN allows. Log one out, or wait for its end.",
    ),
    "AUTH4032": Meaning(Kind.REQUEST, "Correct the GST portal username of this GSTIN."),
    "AUTH4035": Meaning(Kind.REQUEST, FIX_REQUEST),
    "AUTH4041": Meaning(Kind.REQUEST, "The state code that the GSP sent is not the GSTIN's. Report it to Vayana."),
    "AUT4033": Meaning(Kind.REQUEST, "GSTN does not know the GSP's client id. Report it to Vayana."),
    "TEC4002": Meaning(Kind.OUTAGE, "The GSP's copy of GSTN's public key is out of date. Report it to Vayana."),
    # GSTN: IMS
    "IMSSAV0010": Meaning(Kind.REFUSED, _REFETCH),
    "IMSSAV0015": Meaning(
        Kind.BUSY, "GSTN works on one save or reset per GSTIN at a time. Wait for the earlier one to end."
    ),
    "IMSSAV005": Meaning(Kind.REQUEST, "GSTN's schema refused the whole request. " + FIX_REQUEST),
    "IMSSAV0054": Meaning(Kind.REFUSED, "GSTN wants itcRedReq for an accepted credit note; decide it on the portal."),
    "IMS2B007": Meaning(Kind.REFUSED, "The period is wrong or its GSTR-3B is filed: nothing can be changed any more."),
    "RTN_24": Meaning(Kind.NOT_READY, "GSTN is still making the file. Ask again later."),
    "RET11416": Meaning(Kind.NO_DOCUMENTS, _NO_DOCUMENTS),
    "RET13508": Meaning(Kind.NO_DOCUMENTS, _NO_DOCUMENTS),
    "RET13509": Meaning(Kind.NO_DOCUMENTS, _NO_DOCUMENTS),
    "RET13510": Meaning(Kind.NO_DOCUMENTS, _NO_DOCUMENTS),
    "GEN5001": Meaning(Kind.REQUEST, "A mandatory parameter is missing. " + FIX_REQUEST),
    "RET11400": Meaning(Kind.REQUEST, FIX_REQUEST),
    "RET11403": Meaning(Kind.REQUEST, FIX_REQUEST),
    "RET11404": Meaning(Kind.REQUEST, FIX_REQUEST),
    "RET11409": Meaning(Kind.REQUEST, "Correct the GST portal username of this GSTIN."),
    # GSTN: down (inferred: error-codes; seen as outages by clients in use)
    "GEN4004": Meaning(Kind.OUTAGE, TRY_LATER),
    "GEN5008": Meaning(Kind.OUTAGE, TRY_LATER),
    "GSPERR300:GSPGSTDOWN": Meaning(Kind.OUTAGE, TRY_LATER),
    **{f"RET1250{digit}": Meaning(Kind.OUTAGE, TRY_LATER) for digit in range(10)},
}

_UNKNOWN_DOCUMENT_CODE = "Look the document up on the GST portal; this code is not in our table."


def meaning_of(code: str) -> Meaning | None:
    """Return what a code means, or ``None`` when it is not in the table; letter case does not matter."""
    return MEANINGS.get(code.strip()) or _BY_FOLDED_CODE.get(code.strip().casefold())


def nothing_was_done(code: str) -> bool:
    """
    Say whether a task that ended with this code for the whole request has done nothing at all.

    The service submits to GSTN inside its task, so that GSTN's refusal to begin comes as the task's result.
    """
    meaning = meaning_of(code)
    return meaning is not None and meaning.kind in _NOTHING_DONE


def remedy_for(code: str) -> str:
    """Return what a person does about a document that was refused with this code."""
    meaning = meaning_of(code)
    return meaning.advice if meaning else _UNKNOWN_DOCUMENT_CODE


_NOTHING_DONE = {Kind.BUSY, Kind.GSTN_SESSION, Kind.OUTAGE, Kind.THROTTLED}
_BY_FOLDED_CODE = {code.casefold(): meaning for code, meaning in MEANINGS.items()}
