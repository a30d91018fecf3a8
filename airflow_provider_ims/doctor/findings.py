"""Which inferred facts a transcript confirms or contradicts. Reads nothing but the transcript, so that anybody can."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, NamedTuple

from airflow_provider_ims.doctor.transcript import Answered, Transcript
from airflow_provider_ims.models.documents import SECTIONS, section_of
from airflow_provider_ims.models.error_codes import Kind, meaning_of
from airflow_provider_ims.models.task_status import NOT_YET_THERE, state_of
from airflow_provider_ims.protocol.facts import FACTS, Fact


class Verdict(StrEnum):
    """What was seen of a fact."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    NOT_SEEN = "not seen"


class Finding(NamedTuple):
    """
    What was seen of one fact.

    :param saw: what was seen, in words
    """

    fact: Fact
    verdict: Verdict
    saw: str


Seen = tuple[Verdict, str]
_NOTHING: Seen = (Verdict.NOT_SEEN, "")


def findings(transcript: Transcript) -> list[Finding]:
    """Return what a transcript says of each fact, in the order of the table."""
    return [Finding(fact, *_LOOKS[fact.id](transcript)) for fact in FACTS]


def _yes(saw: str) -> Seen:
    return Verdict.CONFIRMED, saw


def _no(saw: str) -> Seen:
    return Verdict.CONTRADICTED, saw


def _of(transcript: Transcript, kind: str, step: str | None = None) -> list[Answered]:
    return [each for each in transcript.answers if each.kind == kind and step in (None, each.step) and each.status]


def _is_page(answered: Answered) -> bool:
    """Say whether a reply may be a proxy's, or of another host: no JSON, and refused or in HTML."""
    return answered.body is None and (answered.status >= 300 or "html" in answered.headers.get("content-type", ""))


_OF_GATEWAYS = {401, 403, 408, 429}
"""HTTP statuses that a gateway before the service may give, whatever it was asked."""


def _says_nothing(answered: Answered) -> bool:
    """Say whether a reply is one of an outage, of a proxy, or about the login: it says nothing of what was asked."""
    if meaning := meaning_of(answered.code):
        is_of_login = meaning.kind is Kind.LOGIN and answered.status in {401, 403}
        return is_of_login or meaning.kind in {Kind.OUTAGE, Kind.THROTTLED, Kind.TOKEN_EXPIRED, Kind.TOKEN_LIMIT}
    if answered.outer_code == "err-gstn-returned":
        return False
    return _may_be_of_a_gateway(answered)


def _may_be_of_a_gateway(answered: Answered) -> bool:
    return _is_page(answered) or answered.status >= 500 or answered.status in _OF_GATEWAYS


def _all_sections(names: set[str]) -> Seen:
    """Judge names under which documents of sections stand."""
    unknown = sorted(name for name in names if section_of(name) not in SECTIONS)
    if unknown:
        return _no(f"unknown: {', '.join(unknown)}")
    return _yes(", ".join(sorted(names))) if names else _NOTHING


def _not_seen(_: Transcript) -> Seen:
    return _NOTHING


_WITHOUT_AN_ENVELOPE = {"health", "liveness", "logout"}
"""Calls of whose reply only the HTTP status counts."""


def _envelope(transcript: Transcript) -> Seen:
    of_form: dict[str, set[str]] = {}
    for each in transcript.answers:
        if not each.status or each.kind in _WITHOUT_AN_ENVELOPE:
            continue
        form = _form_of(each)
        if not form and _may_be_of_a_gateway(each):
            continue
        if not form:
            held = (
                ", ".join(sorted(map(str, each.body))) or "nothing" if isinstance(each.body, Mapping) else "no object"
            )
            return _no(f"{each.kind}: HTTP {each.status} with {held}")
        of_form.setdefault(form, set()).add(each.kind)
    told = (f"{form}: {', '.join(sorted(kinds))}" for form, kinds in sorted(of_form.items()))
    return _yes("; ".join(told)) if of_form else _NOTHING


def _form_of(answered: Answered) -> str:
    """Return in which envelope a reply is; empty if in none."""
    body = answered.body
    if not isinstance(body, Mapping) or str(body.get("status", 1)) not in {"0", "1"}:
        return ""
    succeeded = answered.status < 300 and not body.get("error") and str(body.get("status")) != "0"
    if not ("data" in body if succeeded else answered.outer_code):
        return ""
    return "with status" if "status" in body else "without status"


def _ping(transcript: Transcript) -> Seen:
    for each in _of(transcript, "ping"):
        if each.status == 200 and each.data is not None and not each.code:
            return _yes(each.answer)
        if each.status == 405 or (each.status == 404 and not _is_page(each)):
            return _no(each.answer)
    return _NOTHING


def _token_minutes(transcript: Transcript) -> Seen:
    asked = transcript.head.get("token_minutes")
    for each in _of(transcript, "login"):
        expiry = each.data.get("expiry") if isinstance(each.data, Mapping) else None
        if isinstance(expiry, bool):
            continue
        try:
            granted = (float(expiry) / 1000 - _sent_at(each)) / 60  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
        if granted < -1e6:
            return _no("the expiry is no time in milliseconds")
        saw = f"asked for {asked} minutes, {granted:.0f} granted"
        return _yes(saw) if isinstance(asked, (int, float)) and abs(granted - asked) <= 2 else _no(saw)
    return _NOTHING


def _sent_at(answered: Answered) -> float:
    """Return when a reply was sent by the service's clock, since ours may be wrong."""
    try:
        return parsedate_to_datetime(answered.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return answered.at


def _download(transcript: Transcript) -> tuple[Answered | None, bool]:
    """
    Return the answer that counts for the download, and whether GSTN was asked and took it.

    The service takes the request, and asks GSTN within the task: a refusal can be the task's result.
    """
    for each in reversed(_of(transcript, "result", "download")):
        if each.code or isinstance(each.data, Mapping):
            meaning = meaning_of(each.code)
            return each, not each.code or (meaning is not None and meaning.kind is Kind.NO_DOCUMENTS)
    asked = _of(transcript, "download")
    return (asked[-1] if asked else None), False


def _parameter(answered: Answered) -> str:
    return str(answered.error_args.get("parameter-name") or "")


_STANDARD_HEADER = "X-FLYNN-N-GSTIN"


def _gstin_header(transcript: Transcript) -> Seen:
    answered, was_done = _download(transcript)
    if answered is None:
        return _NOTHING
    name = str(transcript.head.get("gstin_header"))
    if was_done and name.upper() != _STANDARD_HEADER:
        return Verdict.NOT_SEEN, f"{name} was taken, as the connection has it"
    if was_done:
        return _yes(f"{name} was taken")
    if answered.code == "err-invalid-gstin-format" or "GSTIN" in _parameter(answered).upper():
        return _no(f"{name}: {answered.answer} {_parameter(answered)}".rstrip())
    return _NOTHING


def _session_owner(transcript: Transcript) -> Seen:
    answered, was_done = _download(transcript)
    further = transcript.head.get("further_headers")
    if was_done and isinstance(further, list) and further:
        return Verdict.NOT_SEEN, f"the download was done, with {', '.join(map(str, further))}"
    if was_done:
        return _yes("the download was done without a session's id")
    meaning = meaning_of(answered.code) if answered else None
    if answered and meaning and meaning.kind is Kind.GSTN_SESSION:
        return Verdict.NOT_SEEN, f"there is no live session ({answered.code}): open one, and run this again"
    return _NOTHING


def _sections(transcript: Transcript) -> Seen:
    answered, was_done = _download(transcript)
    if answered is None:
        return _NOTHING
    name = next((each.query.get("section", "") for each in _of(transcript, "download")), "")
    if was_done:
        return _yes(f"{name} was taken")
    return _no(f"{name}: {answered.answer}") if "section" in _parameter(answered) else _NOTHING


def _shown_status(answered: Answered) -> tuple[str, str]:
    """Return the shape and the word of a status."""
    data = answered.data
    if isinstance(data, Mapping) and isinstance(data.get("status"), str):
        return "data.status", data["status"]
    task = data.get("task") if isinstance(data, Mapping) else None
    if isinstance(task, Mapping) and isinstance(task.get("status"), str):
        return "data.task.status", task["status"]
    return "", ""


def _statuses(transcript: Transcript) -> list[Answered]:
    asked = [each for each in _of(transcript, "status") if each.step != "unknown task" and each.status == 200]
    return [each for each in asked if not each.code and not _is_page(each)]


def _status_shape(transcript: Transcript) -> Seen:
    shapes = {_shown_status(each)[0] for each in _statuses(transcript)}
    if "" in shapes:
        return _no("a status with neither of them")
    return _yes(" and ".join(sorted(shapes))) if shapes else _NOTHING


def _status_words(transcript: Transcript) -> Seen:
    words = {word for each in _statuses(transcript) if (word := _shown_status(each)[1])}
    unknown = sorted(word for word in words if state_of(word) == "unknown")
    if unknown:
        return _no(f"unknown: {', '.join(unknown)}")
    return _yes(", ".join(sorted(words))) if words else _NOTHING


def _task_visible(transcript: Transcript) -> Seen:
    asked = [each for each in _of(transcript, "status", "download") if not _says_nothing(each)]
    submitted = next(iter(_of(transcript, "download")), None)
    if not asked or submitted is None:
        return _NOTHING
    if asked[0].status != 404:
        return Verdict.NOT_SEEN, "the task was there at once"
    there = next((each for each in asked if each.status == 200), None)
    seconds = (there or asked[-1]).at - submitted.at
    if there is None and seconds < NOT_YET_THERE:
        return Verdict.NOT_SEEN, f"not found for {seconds:.0f} s; wait for {NOT_YET_THERE:.0f}"
    if there is None:
        return _no(f"the task that was submitted is not found after {seconds:.0f} s")
    saw = f"not found at first, there after {seconds:.0f} s"
    return _yes(saw) if seconds <= NOT_YET_THERE else _no(saw)


def _unknown_task(transcript: Transcript) -> Seen:
    for each in _of(transcript, "status", "unknown task"):
        if _says_nothing(each):
            continue
        is_so = each.status == 404 and each.code == "err-resource-not-found"
        return _yes(each.answer) if is_so else _no(each.answer)
    return _NOTHING


def _too_early(transcript: Transcript) -> Seen:
    words = [_shown_status(each)[1] for each in _statuses(transcript) if each.step == "download"]
    for each in _of(transcript, "result", "result too early"):
        if _says_nothing(each):
            continue
        if each.status == 404:
            return Verdict.NOT_SEEN, "the task was not there yet"
        meaning = meaning_of(each.code)
        if each.status == 400 and each.code and (meaning is None or meaning.kind is Kind.NOT_READY):
            return _yes(each.answer)
        if not words or state_of(words[0]) in {"completed", "failed"}:
            return Verdict.NOT_SEEN, "the task may have ended already"
        word = each.data.get("status_cd") if isinstance(each.data, Mapping) else None
        return _no(f"{each.answer}, status_cd {word}" if word else f"{each.answer}, of a task that was {words[0]}")
    return _NOTHING


def _pages(transcript: Transcript) -> Seen:
    count = next((pages for each in _of(transcript, "result", "download") if (pages := _page_count(each))), 0)
    asked = _of(transcript, "page")
    for each in asked:
        if each.status == 200 and isinstance(each.data, Mapping) and not each.code:
            return _yes(f"the first of {count} is page {each.path.rpartition('/')[2]}")
    refused = [each for each in asked if not _says_nothing(each)]
    if count and len(refused) > 1:
        return _no(f"{count} pages, but {', '.join(each.answer for each in refused)}")
    return _NOTHING


def _page_count(answered: Answered) -> int:
    pages = answered.data.get("pages") if isinstance(answered.data, Mapping) else None
    return pages if isinstance(pages, int) else 0


def _page_items(transcript: Transcript) -> list[tuple[str, Any]]:
    pages = (each.data for each in _of(transcript, "page") if isinstance(each.data, Mapping))
    return [(str(name), records) for page in pages for name, records in page.items()]


def _page_sections(transcript: Transcript) -> Seen:
    items = _page_items(transcript)
    # Beside the sections a page may say more of itself.
    return _all_sections({name for name, records in items if isinstance(records, list)} or {name for name, _ in items})


def _record_fields(transcript: Transcript) -> Seen:
    missing: set[str] = set()
    further: set[str] = set()
    seen = 0
    for name, records in _page_items(transcript):
        model = SECTIONS.get(section_of(name))
        for record in records if model and isinstance(records, list) else []:
            needed = {"action", *(model.model_fields if model else ())} - {"prev_status"}
            if not isinstance(record, Mapping):
                return _no(f"{name} holds something that is no record")
            seen += 1
            missing |= needed - set(record)
            further |= set(record) - needed
    if missing:
        return _no(f"missing: {', '.join(sorted(missing))}")
    return _yes(f"{seen} records; besides: {', '.join(sorted(further)) or 'nothing'}") if seen else _NOTHING


def _no_documents(transcript: Transcript) -> Seen:
    for each in _of(transcript, "result", "download"):
        if isinstance(each.data, Mapping) and each.data.get("pages") == 0:
            return _yes("0 pages")
        if each.code and (meaning := meaning_of(each.code)) and meaning.kind is Kind.NO_DOCUMENTS:
            return _yes(each.answer)
    found = [records for _, records in _page_items(transcript) if isinstance(records, list)]
    if found and not any(found):
        return _no("a page without a document")
    return _NOTHING


_EXPECTED_REFUSALS = {"unknown task", "result too early"}


def _error_codes(transcript: Transcript) -> Seen:
    refused = [each for each in transcript.answers if each.code and each.step not in _EXPECTED_REFUSALS]
    # An outage has a meaning without its code.
    codes = {each.code for each in refused if each.kind not in _WITHOUT_AN_ENVELOPE and not _is_outage(each)}
    codes |= {code for code, _ in _refusals(transcript) if code}
    unknown = sorted(code for code in codes if meaning_of(code) is None)
    if unknown:
        told = ("a text instead of a code" if code == "text" else code for code in unknown)
        return _no(f"not in the table: {', '.join(told)}")
    return _yes(", ".join(sorted(codes))) if codes else _NOTHING


def _is_outage(answered: Answered) -> bool:
    is_unknown = meaning_of(answered.code) is None and answered.outer_code != "err-gstn-returned"
    return answered.status >= 500 and is_unknown


def _gstn_refusal(transcript: Transcript) -> Seen:
    for each in transcript.answers:
        if each.outer_code == "err-gstn-returned" and each.kind != "result":
            return _yes(each.answer) if each.status == 502 else _no(each.answer)
    return _NOTHING


def _reset_result(transcript: Transcript) -> Mapping[str, Any] | None:
    found = [each.data for each in _of(transcript, "result", "reset") if isinstance(each.data, Mapping)]
    return found[-1] if found else None


def _reset_words(transcript: Transcript) -> Seen:
    result = _reset_result(transcript)
    if result is None:
        return _NOTHING
    word = str(result.get("status_cd") or "")
    return _yes(word) if word in {"P", "PE", "ER", "IP"} else _no(word or "no status_cd")


def _reset_counts(transcript: Transcript) -> Seen:
    result, sent = _reset_result(transcript), transcript.head.get("documents_sent")
    if result is None or not isinstance(sent, int) or result.get("status_cd") not in {"P", "PE"}:
        return _NOTHING
    try:
        done, wrong = int(str(result.get("proc_cnt"))), int(str(result.get("err_cnt") or 0))
    except ValueError:
        return Verdict.NOT_SEEN, "no counts"
    saw = f"proc_cnt {done}, err_cnt {wrong}, {sent} sent"
    return _yes(saw) if done in {sent, sent - wrong} else _no(saw)


def _refusals(transcript: Transcript) -> Iterable[tuple[str, str]]:
    result = _reset_result(transcript) or {}
    report = result.get("error_report")
    for section, entries in report.items() if isinstance(report, Mapping) else ():
        for entry in entries if isinstance(entries, list) else [entries]:
            if isinstance(entry, Mapping):
                yield str(entry.get("error_cd") or entry.get("err_cd") or ""), str(section)


def _report_keys(transcript: Transcript) -> Seen:
    return _all_sections({section for _, section in _refusals(transcript)})


_LOOKS: dict[str, Callable[[Transcript], Seen]] = {
    "envelope": _envelope,
    "ping-method": _ping,
    "token-minutes": _token_minutes,
    "login-refusal": _not_seen,
    "dead-token": _not_seen,
    "gstin-header": _gstin_header,
    "session-owner": _session_owner,
    "session-lost-extension": _not_seen,
    "download-sections": _sections,
    "status-shape": _status_shape,
    "status-words": _status_words,
    "task-visible": _task_visible,
    "unknown-task": _unknown_task,
    "result-too-early": _too_early,
    "pages": _pages,
    "page-sections": _page_sections,
    "record-fields": _record_fields,
    "no-documents": _no_documents,
    "error-codes": _error_codes,
    "gstn-refusal": _gstn_refusal,
    "body-limit": _not_seen,
    "reset-words": _reset_words,
    "reset-counts": _reset_counts,
    "report-keys": _report_keys,
    "hash": _not_seen,
    "due-dates": _not_seen,
}
