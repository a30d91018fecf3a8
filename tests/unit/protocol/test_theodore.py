"""theodore: the requests of the login server, and what its replies mean."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from airflow_provider_ims.models.error_codes import Kind
from airflow_provider_ims.protocol import theodore
from airflow_provider_ims.protocol.errors import ServiceError
from airflow_provider_ims.protocol.theodore import Organisation, Token
from airflow_provider_ims.protocol.wire import Reply
from tests.unit.builders import (
    PASSWORD,
    TOKEN,
    long,
    long_error,
    reply,
    settings,
    short,
    short_error,
    token_data,
)

A_TOKEN = Token(TOKEN, 1_767_225_600.0, (Organisation("org-1", "Acme"),))


def kind_of(got: Reply) -> Kind:
    with pytest.raises(ServiceError) as caught:
        theodore.read_login(got)
    assert PASSWORD not in str(caught.value)
    return caught.value.kind


def test_a_login_with_an_e_mail_address():
    request = theodore.login(settings(token_minutes=360))
    assert (request.method, request.url) == ("POST", "https://auth.test/theodore/apis/v1/authtokens")
    assert request.headers == {"accept": "application/json", "Content-Type": "application/json"}
    assert json.loads(request.body or b"") == {
        "handle": "tax@acme.test",
        "handleType": "email",
        "password": PASSWORD,
        "tokenDurationInMins": 360,
    }


def test_a_login_with_a_mobile_number():
    sent = json.loads(theodore.login(settings(handle="+919800000000")).body or b"")
    assert (sent["handle"], sent["handleType"]) == ("+919800000000", "mobile")


def test_a_password_of_any_characters_is_sent_as_it_is():
    sent = json.loads(theodore.login(settings(password='"\\ पासवर्ड\t')).body or b"")
    assert sent["password"] == '"\\ पासवर्ड\t'


@pytest.mark.parametrize(
    ("build", "method", "path"), [(theodore.refresh, "PUT", "authtokens"), (theodore.logout, "POST", "logout")]
)
def test_refresh_and_logout_bear_the_token_and_have_no_body(build: Any, method: str, path: str):
    request = build(settings(), A_TOKEN)
    assert (request.method, request.url) == (method, f"https://auth.test/theodore/apis/v1/{path}")
    assert request.headers == {"accept": "application/json", "Authorization": f"Bearer {TOKEN}"}
    assert request.body is None


def test_the_urls_hold_no_secret():
    for request in (
        theodore.login(settings()),
        theodore.refresh(settings(), A_TOKEN),
        theodore.logout(settings(), A_TOKEN),
    ):
        assert TOKEN not in request.url + request.call + repr(request)
        assert PASSWORD not in request.url + request.call + repr(request)


@pytest.mark.parametrize("envelope", [short, long])
@pytest.mark.parametrize("read", [theodore.read_login, theodore.read_refresh])
def test_a_token_is_read_with_its_expiry_in_milliseconds(envelope: Any, read: Any):
    token = read(reply(envelope(token_data(expiry_ms=1_767_225_600_000))))
    assert token.value == TOKEN
    assert token.expires_at == 1_767_225_600.0
    assert token.organisations == (Organisation("org-1", "Name of org-1"),)


@pytest.mark.parametrize(("expiry", "seconds"), [("1767225600500", 1_767_225_600.5), (1.7672256e12, 1_767_225_600.0)])
def test_an_expiry_may_be_text_or_have_an_exponent(expiry: Any, seconds: float):
    assert theodore.read_login(reply(short(token_data(expiry_ms=expiry)))).expires_at == seconds


def test_organisations_may_be_many_nameless_or_missing():
    assert [org.id for org in theodore.read_login(reply(short(token_data(orgs=("a", "b"))))).organisations] == [
        "a",
        "b",
    ]
    bare = token_data() | {"associatedOrgs": [{"organisation": {"id": "a"}}, {"organisation": None}, {}, "x"]}
    assert theodore.read_login(reply(short(bare))).organisations == (Organisation("a", ""),)
    for missing in (None, [], {}, "x"):
        assert theodore.read_login(reply(short(token_data() | {"associatedOrgs": missing}))).organisations == ()


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "token",
        {},
        {"token": TOKEN},
        {"expiry": 1},
        {"token": "", "expiry": 1},
        {"token": 5, "expiry": 1},
        {"token": TOKEN, "expiry": None},
        {"token": TOKEN, "expiry": "soon"},
        {"token": TOKEN, "expiry": True},
        *({"token": TOKEN, "expiry": text} for text in ("²", "१७६७", "1" * 18)),
        *({"token": token, "expiry": 1_767_225_600_000} for token in (f"{TOKEN}\n", f"{TOKEN}é", "टोकन", f" {TOKEN}")),
    ],
)
def test_a_login_without_token_or_expiry_is_unreadable(data: Any):
    with pytest.raises(ServiceError) as caught:
        theodore.read_login(reply(short(data)))
    assert caught.value.kind is Kind.UNREADABLE
    assert TOKEN not in str(caught.value)


def test_a_password_that_an_organisations_name_quotes_is_struck_out():
    body = token_data() | {"associatedOrgs": [{"organisation": {"id": each, "name": PASSWORD}} for each in "ab"]}
    token = theodore.read_login(dataclasses.replace(reply(short(body)), secrets=theodore.login(settings()).secrets))
    assert token.organisations == (Organisation("a", "***"), Organisation("b", "***"))


def test_a_password_in_an_organisations_id_is_not_told_among_the_choices():
    body = token_data() | {"associatedOrgs": [{"organisation": {"id": f"{each}-{PASSWORD}"}} for each in range(900)]}
    token = theodore.read_login(dataclasses.replace(reply(short(body)), secrets=theodore.login(settings()).secrets))
    with pytest.raises(ServiceError, match=r"may act for: 0-\*\*\* \(\)") as caught:
        theodore.choose_organisation(settings(org_id=None), token)
    assert PASSWORD not in str(caught.value)
    assert len(str(caught.value)) < 2200


def test_a_refreshed_token_may_be_the_old_one():
    got = dataclasses.replace(reply(short(token_data(TOKEN))), secrets=theodore.refresh(settings(), A_TOKEN).secrets)
    assert theodore.read_refresh(got).value == TOKEN


def test_a_token_does_not_show_itself():
    assert TOKEN not in repr(A_TOKEN) + str(A_TOKEN)


@pytest.mark.parametrize(
    ("got", "kind"),
    [
        (reply(short_error("err-invalid-credentials"), 400), Kind.LOGIN),
        (reply(short_error("err-invalid-credentials"), 401), Kind.LOGIN),
        (reply(long_error("err-invalid-credentials"), 403), Kind.LOGIN),
        (reply(short_error("err-issue-with-parameter", **{"parameter-name": "handle"}), 400), Kind.LOGIN),
        (reply({"error": {"message": "err-active-tokens-limit-exceeded"}}, 401), Kind.TOKEN_LIMIT),
        (reply(short_error("err-invalid-token"), 403), Kind.LOGIN),
        *((reply(b"<html>", status), Kind.UNREADABLE) for status in (302, 400, 401, 403, 407)),
        (reply(b"", 401), Kind.UNREADABLE),
        (reply(b"<html>", 413), Kind.REQUEST),
        (reply(short_error("err-internal"), 500), Kind.OUTAGE),
        (reply(b"<html>", 503), Kind.OUTAGE),
        (reply(b"slow down", 429), Kind.THROTTLED),
        (reply(b"<html>", 404), Kind.UNREADABLE),
        (reply(b"<html>", 200), Kind.UNREADABLE),
    ],
)
def test_a_login_fails_for_a_reason(got: Reply, kind: Kind):
    assert kind_of(got) is kind


@pytest.mark.parametrize(
    ("got", "kind"),
    [
        *((reply(b"<html>", status), Kind.UNREADABLE) for status in (200, 302, 401, 404)),
        (reply({"detail": "Not Found"}, 404), Kind.UNREADABLE),
        (reply({"hello": 1}), Kind.UNREADABLE),
        (reply(short({"hello": 1})), Kind.UNREADABLE),
        (reply(short_error("err-resource-not-found"), 404), Kind.REQUEST),
        (reply(long_error("err-anything"), 404), Kind.REQUEST),
        (reply(short_error("err-method-not-allowed"), 405), Kind.REQUEST),
    ],
)
def test_what_is_not_theodore_is_told_so_with_the_field_to_correct(got: Reply, kind: Kind):
    with pytest.raises(ServiceError, match=r"That is not theodore.*auth_url") as caught:
        theodore.read_login(got)
    assert caught.value.kind is kind
    assert caught.value.http_status == got.status


@pytest.mark.parametrize("got", [reply(b"<html>", 503), reply(short_error("err-invalid-credentials"), 401)])
def test_theodore_that_is_down_or_refuses_is_theodore(got: Reply):
    with pytest.raises(ServiceError) as caught:
        theodore.read_login(got)
    assert "not theodore" not in str(caught.value)


def test_a_refused_parameter_of_the_login_is_named():
    with pytest.raises(ServiceError, match="parameter-name handle"):
        theodore.read_login(reply(short_error("err-issue-with-parameter", **{"parameter-name": "handle"}), 400))


@pytest.mark.parametrize("got", [reply(), reply(short({})), reply(b"bye"), reply(b"", 204)])
def test_any_success_is_a_logout(got: Reply):
    assert theodore.read_logout(got) is None


def test_a_logout_can_fail():
    with pytest.raises(ServiceError):
        theodore.read_logout(reply(short_error("err-invalid-token"), 403))


def test_the_only_organisation_is_taken():
    assert theodore.choose_organisation(settings(), A_TOKEN) == "org-1"


def test_the_configured_organisation_is_taken_among_several():
    token = theodore.read_login(reply(short(token_data(orgs=("a", "b", "c")))))
    assert theodore.choose_organisation(settings(org_id="b"), token) == "b"


def test_the_configured_organisation_counts_where_the_service_lists_none():
    assert theodore.choose_organisation(settings(org_id="b"), Token(TOKEN, 0.0)) == "b"


@pytest.mark.parametrize(
    ("org_id", "orgs", "told"),
    [
        (None, ("a", "b"), ["a (Name of a)", "b (Name of b)", "Set org_id"]),
        ("c", ("a", "b"), ["a (Name of a)", "b (Name of b)", "org_id c"]),
        ("c", ("a",), ["a (Name of a)", "org_id c"]),
        (None, (), ["nobody"]),
    ],
)
def test_an_organisation_that_cannot_be_chosen_is_a_login_error_naming_the_choices(
    org_id: str | None, orgs: tuple[str, ...], told: list[str]
):
    token = theodore.read_login(reply(short(token_data(orgs=orgs))))
    with pytest.raises(ServiceError) as caught:
        theodore.choose_organisation(settings(org_id=org_id), token)
    assert caught.value.kind is Kind.LOGIN
    assert all(word in str(caught.value) for word in told)
