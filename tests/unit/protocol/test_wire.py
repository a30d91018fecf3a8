from __future__ import annotations

from airflow_provider_ims.protocol.wire import Mask, Request
from tests.unit.builders import ACCESS, PASSWORD, TOKEN, reply


def test_a_header_is_found_in_any_letter_case():
    got = reply(**{"retry_after": "5", "X-CALL-ID": "c-1"})
    assert got.header("Retry-After") == "5"
    assert got.header("x-call-id") == "c-1"
    assert got.header("Date") is None


def test_what_carries_a_secret_does_not_show_it():
    request = Request("login", "POST", "https://h.test", {"Authorization": f"Bearer {TOKEN}"}, PASSWORD.encode())
    for shown in (repr(request), str(request), repr(reply(TOKEN.encode())), repr(Mask(TOKEN)), f"{Mask(TOKEN)}"):
        assert TOKEN not in shown
        assert PASSWORD not in shown
    assert TOKEN not in repr(ACCESS) + str(ACCESS) + f"{ACCESS}"


def test_a_request_may_be_repeated_unless_it_says_otherwise():
    assert Request("status", "GET", "https://h.test", {}).repeatable
