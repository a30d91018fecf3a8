"""Long-running tasks: what is asked, and what each answer means."""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from airflow_provider_ims.models.error_codes import Kind
from airflow_provider_ims.protocol import tasks
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.text import spellings
from airflow_provider_ims.protocol.wire import Reply
from tests.unit.builders import (
    ACCESS,
    TOKEN,
    gstn_error,
    long,
    long_error,
    reply,
    settings,
    short,
    short_error,
)

ID = "3f0c9a52-0000-4000-8000-000000000001"


def submit_error(got: Reply) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        tasks.read_submitted(got, "IMS reset")
    return caught.value


def status_error(got: Reply) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        tasks.read_status(got, ID)
    return caught.value


def result_error(got: Reply) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        tasks.read_result(got, ID)
    return caught.value


@pytest.mark.parametrize(("build", "what"), [(tasks.status, "status"), (tasks.result, "result")])
def test_a_question_about_a_task(build: Any, what: str):
    request = build(settings(), ACCESS, ID)
    assert (request.method, request.url) == ("GET", f"https://eas.test/enriched/tasks/v1.0/{what}/{ID}")
    assert request.headers == {
        "accept": "application/json",
        "X-FLYNN-N-ORG-ID": "org-1",
        "X-FLYNN-N-USER-TOKEN": TOKEN,
    }
    assert request.body is None
    assert request.repeatable
    assert ID in request.call


@pytest.mark.parametrize(
    ("reference_id", "quoted"),
    [
        ("a/b", "a%2Fb"),
        ("../../authenticate", "..%2F..%2Fauthenticate"),
        ("a?b#c", "a%3Fb%23c"),
        ("a b", "a%20b"),
        ("a%2Fb", "a%252Fb"),
        ("é", "%C3%A9"),
    ],
)
def test_a_reference_id_is_quoted_in_the_url(reference_id: str, quoted: str):
    assert tasks.status(settings(), ACCESS, reference_id).url.endswith(f"/status/{quoted}")
    assert tasks.result(settings(), ACCESS, reference_id).url.endswith(f"/result/{quoted}")


@pytest.mark.parametrize("envelope", [short, long])
@pytest.mark.parametrize("status", [200, 202])
def test_a_long_running_call_answers_with_a_reference_id(envelope: Any, status: int):
    assert tasks.read_submitted(reply(envelope({"task-id": ID}), status), "IMS reset") == ID
    assert tasks.read_submitted(reply(envelope({"task-id": f" {ID} "}), status), "IMS reset") == ID


@pytest.mark.parametrize(
    "got",
    [
        reply(b"", 500),
        reply(b"<html>Bad Gateway</html>", 502),
        reply(b"", 503),
        reply(b"upstream timed out", 504),
        reply(short_error("err-never-seen"), 500),
        reply(long_error("err-internal"), 500),
        reply(long(None), 500),
        reply(gstn_error("NEVER-SEEN"), 502),
        reply(gstn_error("NEVER-SEEN"), 500),
        reply(gstn_error(""), 502),
        reply(short_error("err-gstn-returned"), 502),
        reply(gstn_error("RTN_24"), 502),
        reply(short_error("err-resource-not-found"), 404),
        *(reply(b"<html>", status) for status in (302, 400, 401, 403, 404, 405, 408, 410)),
        reply({"message": "Forbidden"}, 403),
        reply(long(None, "0"), 200),
        reply(b"", 200),
        reply(b"<html>Login</html>", 200),
        reply(b"{", 200),
        reply(b"", 204),
        reply(long(None), 200),
        reply(long({}), 200),
        reply(long([]), 200),
        reply(long(ID), 200),
        reply(long({"task-id": None}), 200),
        reply(long({"task-id": ""}), 200),
        reply(long({"task-id": "  "}), 200),
        reply(long({"task-id": 17}), 200),
        reply(long({"id": ID}), 200),
    ],
    ids=lambda got: f"{got.status} {got.body[:40]!r}",
)
def test_after_these_replies_nobody_knows_whether_the_task_exists(got: Reply):
    error = submit_error(got)
    assert error.kind is Kind.LOST_REPLY
    assert error.http_status == got.status
    assert "look at the documents on the GST portal before sending it again" in str(error)
    assert "Try again later" not in str(error)


@pytest.mark.parametrize(
    ("got", "kind"),
    [
        (reply(b"", 429), Kind.THROTTLED),
        (reply(short_error("err-never-seen"), 429), Kind.THROTTLED),
        (reply(short_error("err-expired-token"), 403), Kind.TOKEN_EXPIRED),
        (reply(short_error("err-invalid-org"), 403), Kind.LOGIN),
        (reply(b"", 413), Kind.REQUEST),
        (reply(short_error("err-never-seen"), 400), Kind.REQUEST),
        (reply(short_error("err-never-seen"), 403), Kind.LOGIN),
        (reply(gstn_error("NEVER-SEEN"), 400), Kind.REFUSED),
        (reply(short_error("err-invalid-gstin-format"), 400), Kind.REQUEST),
        (reply(short_error("err-aes-decryption-failed"), 500), Kind.REQUEST),
        (reply(gstn_error("AUTH4038"), 502), Kind.GSTN_SESSION),
        (reply(gstn_error("IMSSAV0015"), 502), Kind.BUSY),
        (reply(gstn_error("IMSSAV005"), 502), Kind.REQUEST),
        (reply(gstn_error("GEN5008"), 502), Kind.OUTAGE),
        (reply(long_error("err-never-seen"), 200), Kind.REFUSED),
    ],
    ids=lambda value: getattr(value, "name", "") or f"{value.status} {value.body[:80]!r}",
)
def test_after_these_replies_it_is_certain_that_there_is_no_task(got: Reply, kind: Kind):
    assert submit_error(got).kind is kind


@pytest.mark.parametrize(
    "data",
    [
        {"id": ID, "status": "processing"},
        {"status": "processing"},
        {"task": {"id": ID, "status": "processing"}},
        {"task": {"status": " processing "}},
        {"id": ID, "status": "processing", "jobs": None},
        {"id": ID, "status": "processing", "task": {"id": "x", "status": "completed"}},
    ],
)
@pytest.mark.parametrize("envelope", [short, long])
def test_a_status_is_read_in_both_published_shapes(data: Any, envelope: Any):
    status = tasks.read_status(reply(envelope(data)), ID)
    assert (status.reference_id, status.word, status.state) == (ID, "processing", "running")


def test_the_services_own_word_is_kept():
    status = tasks.read_status(reply(short({"status": "Half-Done"})), ID)
    assert (status.word, status.state) == ("Half-Done", "unknown")


@pytest.mark.parametrize(
    ("jobs", "total", "pending"),
    [
        ({"total": 4, "pending": 3}, 4, 3),
        ({"total": 1, "pending": 0}, 1, 0),
        ({"total": 4}, 4, None),
        ({}, None, None),
        (None, None, None),
        ([4, 3], None, None),
        ({"total": "many", "pending": True}, None, None),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_jobs_are_read_where_the_service_counts_them(jobs: Any, total: Any, pending: Any, nested: bool):
    task = {"id": ID, "status": "processing", "jobs": jobs}
    status = tasks.read_status(reply(short({"task": task} if nested else task)), ID)
    assert (status.jobs_total, status.jobs_pending) == (total, pending)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "completed",
        {},
        {"task": None},
        {"task": "completed"},
        {"task": {}},
        {"status": None},
        {"status": ""},
        {"status": "  "},
        {"status": True},
        {"status": 1},
        {"status": ["completed"]},
        {"id": "another-task", "status": "completed"},
        {"task": {"id": "another-task", "status": "completed"}},
    ],
)
def test_a_status_that_says_nothing_of_this_task_is_never_read_as_an_end(data: Any):
    assert status_error(reply(short(data))).kind is Kind.UNREADABLE


@pytest.mark.parametrize(
    ("got", "kind"),
    [
        (reply(short_error("err-resource-not-found", **{"task-id": ID}), 404), Kind.NOT_FOUND),
        *((reply(b"<html>", status), Kind.UNREADABLE) for status in (302, 400, 401, 403, 404)),
        (reply({"message": "Forbidden"}, 403), Kind.UNREADABLE),
        (reply(long(None, "0"), 200), Kind.UNREADABLE),
        *((reply(short_error("err-new"), status), Kind.UNREADABLE) for status in (401, 403, 404)),
        (reply(short_error("err-invalid-org"), 403), Kind.LOGIN),
        (reply(b"", 503), Kind.OUTAGE),
        (reply(b"", 429), Kind.THROTTLED),
        (reply(short_error("err-expired-token"), 403), Kind.TOKEN_EXPIRED),
        (reply(b"<html>", 200), Kind.UNREADABLE),
    ],
)
def test_a_question_can_fail(got: Reply, kind: Kind):
    assert status_error(got).kind is kind
    assert result_error(got).kind is kind
    assert ID in str(status_error(got))
    assert ID in str(result_error(got))


@pytest.mark.parametrize(("status", "envelope"), [(200, long_error), (400, short_error), (502, gstn_error)])
def test_a_status_is_asked_again_whatever_code_nobody_knows(status: int, envelope: Any):
    error = status_error(reply(envelope("NEVER-SEEN"), status))
    assert error.kind in {Kind.UNREADABLE, Kind.OUTAGE}
    assert "NEVER-SEEN" in str(error)


ODD_IDS = [
    "\x00",
    "a\x1b[31mb",
    "half a pair \ud800",
    "two\nlines",
    "\u202eexe",
    "\u200b",
    "urlencoded:a",
    "é\u0301\x7f",
]


@pytest.mark.parametrize("odd", ODD_IDS)
def test_an_odd_reference_id_is_kept_printable_and_leads_back_to_its_task(odd: str):
    kept = tasks.read_submitted(reply(long({"task-id": odd})), "IMS reset")
    assert kept.isprintable()
    assert kept.encode()
    segment = tasks.status(settings(), ACCESS, kept).url.rpartition("/")[2]
    assert unquote_to_bytes(segment) == odd.encode(errors="surrogatepass")
    assert tasks.read_status(reply(long({"id": odd, "status": "processing"})), kept).reference_id == kept


def test_no_two_reference_ids_are_kept_alike():
    ids = [*ODD_IDS, "a", " b", "a\tb", "a b", "a\ufffd", "urlencoded:%00", "urlencoded:%2500", "%00"]
    kept = {tasks.read_submitted(reply(long({"task-id": each})), "IMS reset") for each in ids}
    assert len(kept) == len(ids)


def test_a_reference_id_that_is_too_long_to_be_kept_is_a_lost_reply():
    assert submit_error(reply(long({"task-id": "x" * 3000}))).kind is Kind.LOST_REPLY
    assert tasks.read_submitted(reply(long({"task-id": "x" * 1500})), "IMS reset") == "x" * 1500


@pytest.mark.parametrize("shown", [str, str.upper, " ".join, "\x00".join, lambda secret: f"id-{secret}-1"])
def test_a_task_id_that_quotes_a_secret_of_the_request_is_not_kept(shown: Any):
    secret = "a-token-nobody-may-see"
    got = dataclasses.replace(reply(short({"task-id": shown(secret)})), secrets=spellings(secret))
    assert submit_error(got).kind is Kind.LOST_REPLY
    assert secret not in str(submit_error(got))


def test_jobs_and_pages_that_nobody_can_have_are_not_told():
    jobs = {"total": 10**400, "pending": 10**399}
    status = tasks.read_status(reply(short({"id": ID, "status": "processing", "jobs": jobs})), ID)
    assert (status.jobs_total, status.jobs_pending, str(status)) == (None, None, "processing")
    with pytest.raises(ServiceError, match="no number of pages"):
        tasks.read_page_count({"pages": 10**400}, ID)


def test_a_status_of_a_task_that_looks_like_another_is_not_taken_for_it():
    assert status_error(reply(long({"id": f"{ID}\u200b", "status": "completed"}))).kind is Kind.UNREADABLE


def test_a_word_with_characters_that_cannot_be_shown_is_no_word_that_we_know():
    status = tasks.read_status(reply(long({"id": ID, "status": "comp\u200bleted\x00"})), ID)
    assert (status.word, status.state) == ("comp\ufffdleted\ufffd", "unknown")
    assert tasks.read_status(reply(long({"status": "completed\n"})), ID).state == "completed"


def test_a_task_that_is_not_known_says_how_long_tasks_are_kept():
    assert "7 days" in status_error(reply(short_error("err-resource-not-found"), 404)).advice


@pytest.mark.parametrize("envelope", [short, long])
def test_a_result_is_the_data_of_the_reply(envelope: Any):
    data = {"status_cd": "P", "transTypCd": "SAV"}
    assert tasks.read_result(reply(envelope(data)), ID) == data


@pytest.mark.parametrize("got", [reply(short_error("err-task-not-completed"), 400), reply(long_error("err-odd"), 400)])
def test_a_result_that_is_asked_for_too_early_is_not_ready(got: Reply):
    error = result_error(got)
    assert error.kind is Kind.NOT_READY
    assert error.code.startswith("err-")
    assert "ImsTaskSensor" in error.advice


def test_a_400_that_we_know_is_not_taken_for_too_early():
    assert result_error(reply(short_error("err-content-type-not-set-correctly"), 400)).kind is Kind.REQUEST
    assert result_error(reply(gstn_error("AUTH4038"), 400)).kind is Kind.GSTN_SESSION


@pytest.mark.parametrize("data", [None, [], "P", 1])
def test_a_result_that_is_no_object_is_unreadable(data: Any):
    assert result_error(reply(long(data))).kind is Kind.UNREADABLE


def test_a_completed_task_whose_result_is_an_error_is_an_error():
    assert result_error(reply(long_error("err-gstn-returned"))).kind is Kind.REFUSED
    assert result_error(reply(long(None, "0") | gstn_error("AUTH4038"))).kind is Kind.GSTN_SESSION


def test_a_question_asked_again_is_built_and_read_as_the_first_time():
    question = tasks.StatusQuestion(ID)
    for word in ("processing", "processing", "completed"):
        assert question.build(settings(), ACCESS) == tasks.status(settings(), ACCESS, ID)
        answer = reply(short({"status": word}))
        assert question.read(answer) == tasks.read_status(answer, ID)


def test_a_question_asked_again_carries_the_new_token():
    question = tasks.StatusQuestion(ID)
    question.build(settings(), ACCESS)
    other = ACCESS._replace(token="another-token")
    assert question.build(settings(), other) == tasks.status(settings(), other, ID)


def test_an_error_is_read_anew_each_time():
    question = tasks.StatusQuestion(ID)
    good, bad = reply(short({"status": "processing"})), reply(b"", status=503)
    for _ in range(2):
        assert question.read(good).word == "processing"
        with pytest.raises(ServiceError):
            question.read(bad)
    with pytest.raises(ServiceError):
        question.read(reply(good.body, status=503))
