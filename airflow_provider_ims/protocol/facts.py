"""
What this package takes for granted of the service and of GSTN without having seen it: the one table.

Comments in the code name these ids where they rely on one; ``airflow-ims doctor`` looks at each with a real account,
and ``docs/doctor.md`` lists them.
"""

from __future__ import annotations

from typing import NamedTuple


class Fact(NamedTuple):
    """
    One inferred fact.

    :param id: by which comments, docs and the doctor name it
    :param says: what is taken for granted
    :param otherwise: what to do if it is not so: a setting of the connection, or what the package needs
    """

    id: str
    says: str
    otherwise: str = "Send the transcript with a report: the package has to learn it."


FACTS: tuple[Fact, ...] = (
    Fact("envelope", "A reply is an object with data or error, and with or without a status of 1 or 0 beside them."),
    Fact("ping-method", "The authenticated ping is a GET."),
    Fact(
        "token-minutes",
        "A login grants the minutes that it asks for.",
        "Set token_minutes in the connection's extra to what is granted.",
    ),
    Fact("login-refusal", "A 4xx with a code in the reply to a login is about user or password."),
    Fact("dead-token", "A token that is not accepted any more is refused with 403 before anything is done."),
    Fact(
        "gstin-header",
        "The taxpayer's GSTIN travels in the header X-FLYNN-N-GSTIN.",
        "Set gstin_header in the connection's extra to the name that Vayana gives.",
    ),
    Fact("session-owner", "A GSTN session belongs to organisation and GSTIN; no call but its own names its id."),
    Fact("session-lost-extension", "An extension of a session whose reply is lost was done."),
    Fact("download-sections", "A download calls the sections B2B, B2BA, DN, DNA, CN, CNA, ECOM and ECOMA."),
    Fact("status-shape", "A task's status is data.status or data.task.status."),
    Fact("status-words", "The words for a task's status are those that are known here."),
    Fact("task-visible", "A task that is not found within two minutes of its submission is not there yet."),
    Fact("unknown-task", "An unknown task is answered with 404 and err-resource-not-found."),
    Fact("result-too-early", "A result that is asked for too early is answered with 400 and a code."),
    Fact("pages", "The pages of a download begin at 0 or at 1, and there are as many as the result says."),
    Fact("page-sections", "A page names its section as the reset does, or by GSTN's name."),
    Fact("record-fields", "A record has the fields that a reset sends, with action in the place of prev_status."),
    Fact("no-documents", "Without documents there are no pages, or GSTN says so with a code that is known here."),
    Fact("error-codes", "The codes of refusals are in the table of codes, with the meaning that it gives them."),
    Fact("gstn-refusal", "What GSTN refuses comes as err-gstn-returned with HTTP status 502."),
    Fact("body-limit", "The service takes 4,000,000 bytes: the smaller reading of 4 MB."),
    Fact("reset-words", "A reset's result has the status_cd P, PE, ER or IP."),
    Fact("reset-counts", "proc_cnt counts the documents that were sent, with or without the refused."),
    Fact("report-keys", "An error report calls notes dn, dna, cn and cna, or as the reset does."),
    Fact("hash", "GSTN's hash of a document does not follow the action."),
    Fact(
        "due-dates",
        "Which states' quarterly GSTR-3B is due on the 22nd, and which on the 24th.",
        "Give the dates in calendar={'overrides': ...}.",
    ),
)

FACT_IDS = frozenset(fact.id for fact in FACTS)
