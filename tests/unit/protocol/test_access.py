"""One token through any number of calls: login, refresh, login anew, as a conversation with the service."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from airflow_provider_ims.models.error_codes import Kind
from airflow_provider_ims.protocol import access, kept_token, tasks
from airflow_provider_ims.protocol.access import (
    LOGIN_ATTEMPTS,
    LONGEST_WAIT,
    REFRESH_AHEAD,
    RENEWALS,
    Access,
    TokenKeeper,
)
from airflow_provider_ims.protocol.claim import CLAIM_SECONDS
from airflow_provider_ims.protocol.errors import ServiceError, read_data
from airflow_provider_ims.protocol.kept_token import KeptToken
from airflow_provider_ims.protocol.wire import Exclusive, Reply, Request, Save
from tests.unit.builders import (
    ACCESS,
    PASSWORD,
    RTIN,
    TOKEN,
    long,
    long_error,
    reply,
    settings,
    short,
    short_error,
    token_data,
)
from tests.unit.protocol.conversation import Answer, Clock, Conversation

LIFE = 20 * 60
LOGIN, REFRESH, LOGOUT, CALL = "theodore login", "theodore token refresh", "theodore logout", "the call"
FIRST, SECOND, THIRD = "first-token", "second-token", "third-token"
DONE = reply(short("done"))
EXPIRED = reply(long_error("err-expired-token"), 403)
INVALID = reply(short_error("err-invalid-token"), 403)


class Service(Conversation):
    """A keeper, its clock, and one call to make with it."""

    def __init__(self, *, is_shared: bool = True, **connection: Any) -> None:
        super().__init__(PASSWORD, FIRST, SECOND, THIRD)
        self.settings = settings(**connection)
        self.clock = Clock()
        self.known: dict[str, KeptToken] = {}
        self.keeper = TokenKeeper(self.settings, self.known, self.clock, is_shared=is_shared)

    def another_process(self, known: Mapping[str, KeptToken] | None = None) -> None:
        """From here on, speak as another process that shares the session store; it may know a token already."""
        self.known = dict(known or {})
        self.keeper = TokenKeeper(self.settings, self.known, self.clock)
        self.masked[:] = [kept.token.value for kept in self.known.values()]

    def gives(self, token: str, life: float = LIFE, orgs: tuple[str, ...] = ("org-1",)) -> Reply:
        """The reply to a login or refresh."""
        return reply(short(token_data(token, int((self.clock.now + life) * 1000), orgs)))

    def call(self, *answers: Answer) -> Any:
        def build(with_access: Access) -> Request:
            return Request(CALL, "GET", "https://eas.test/x", access.headers(self.settings, with_access))

        return self.hold(self.keeper.call(build, lambda got: read_data(got, CALL)), *answers)

    def tokens_used(self) -> list[str]:
        return [request.headers["X-FLYNN-N-USER-TOKEN"] for request in self.requests if request.call == CALL]


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def logged_in(service: Service) -> Service:
    """A service after the first call."""
    service.call(service.gives(FIRST), DONE)
    service.requests.clear()
    return service


@pytest.fixture
def alone() -> Service:
    """A service after the first call of a process whose store nobody shares."""
    service = Service(is_shared=False)
    service.call(service.gives(FIRST), DONE)
    service.requests.clear()
    return service


def test_the_first_call_logs_in(service: Service):
    assert service.call(service.gives(FIRST), DONE) == "done"
    assert service.sent == [LOGIN, CALL]
    assert service.tokens_used() == [FIRST]
    assert service.requests[1].headers["X-FLYNN-N-ORG-ID"] == "org-1"


def test_one_login_serves_many_calls(logged_in: Service):
    for _ in range(50):
        logged_in.call(DONE)
        logged_in.clock.now += 10
    assert logged_in.sent == [CALL] * 50


def test_password_and_token_are_masked_before_anything_is_done_with_them(service: Service):
    service.call(service.gives(FIRST), DONE)
    assert service.masked == [PASSWORD, FIRST]


def test_each_new_token_is_masked(logged_in: Service):
    logged_in.clock.now += LIFE - 1
    logged_in.call(logged_in.gives(SECOND), DONE)
    logged_in.call(EXPIRED, logged_in.gives(THIRD), DONE)
    assert set(logged_in.masked) == {PASSWORD, FIRST, SECOND, THIRD}


def test_a_token_is_refreshed_shortly_before_its_end(logged_in: Service):
    logged_in.clock.now += LIFE - REFRESH_AHEAD - 1
    logged_in.call(DONE)
    assert logged_in.sent == [CALL]
    logged_in.clock.now += 1
    logged_in.call(logged_in.gives(SECOND), DONE)
    assert logged_in.sent == [CALL, REFRESH, CALL]
    assert logged_in.requests[1].headers["Authorization"] == f"Bearer {FIRST}"
    assert logged_in.tokens_used() == [FIRST, SECOND]


def test_a_refreshed_token_lives_its_own_life(logged_in: Service):
    logged_in.clock.now += LIFE - 60
    logged_in.call(logged_in.gives(SECOND), DONE)
    logged_in.clock.now += LIFE - REFRESH_AHEAD - 1
    logged_in.call(DONE)
    assert logged_in.sent == [REFRESH, CALL, CALL]


@pytest.mark.parametrize(
    "refusal",
    [EXPIRED, INVALID, reply(b"", 403), reply(b"", 401), reply(b"<html>", 200), reply(short_error("err-odd"), 400)],
)
def test_a_refresh_that_is_refused_becomes_a_login(logged_in: Service, refusal: Reply):
    logged_in.clock.now += LIFE - 60
    assert logged_in.call(refusal, logged_in.gives(SECOND), DONE) == "done"
    assert logged_in.sent == [REFRESH, LOGIN, CALL]
    assert logged_in.tokens_used() == [SECOND]


OUTAGES = [reply(b"", 500), reply(b"<html>", 503), reply(b"", 429), Kind.OUTAGE, Kind.UNREACHABLE]


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_refresh_during_an_outage_keeps_the_old_token_while_it_lives(logged_in: Service, outage: Any):
    logged_in.clock.now += LIFE - 60
    assert logged_in.call(outage, DONE) == "done"
    assert logged_in.tokens_used() == [FIRST]
    assert logged_in.call(logged_in.gives(SECOND), DONE) == "done"
    assert logged_in.sent == [REFRESH, CALL, REFRESH, CALL]


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_stops_the_call_once_the_old_token_is_dead(logged_in: Service, outage: Any):
    logged_in.clock.now += LIFE + 1
    with pytest.raises(ServiceError) as caught:
        logged_in.call(outage)
    assert caught.value.kind in {Kind.OUTAGE, Kind.UNREACHABLE, Kind.THROTTLED}
    assert logged_in.call(logged_in.gives(SECOND), DONE) == "done"
    assert logged_in.tokens_used() == [SECOND]


def test_a_token_past_its_end_is_not_refreshed_but_replaced(logged_in: Service):
    logged_in.clock.now += LIFE + 1
    logged_in.call(logged_in.gives(SECOND), DONE)
    assert logged_in.sent == [LOGIN, CALL]


def test_a_token_is_not_refreshed_past_six_times_its_duration(logged_in: Service):
    for _ in range(6):
        logged_in.clock.now += LIFE - 60
        logged_in.call(logged_in.gives(SECOND), DONE)
    assert logged_in.sent == [REFRESH, CALL] * 6
    logged_in.clock.now += LIFE - 60
    logged_in.requests.clear()
    logged_in.call(logged_in.gives(THIRD), DONE)
    assert logged_in.sent == [LOGIN, CALL]


@pytest.mark.parametrize("refusal", [EXPIRED, INVALID, reply(short_error("ERR-EXPIRED-TOKEN"), 403)])
def test_a_refused_token_is_replaced_by_one_login_and_the_call_repeated_once(logged_in: Service, refusal: Reply):
    assert logged_in.call(refusal, logged_in.gives(SECOND), DONE) == "done"
    assert logged_in.sent == [CALL, LOGIN, CALL]
    assert logged_in.tokens_used() == [FIRST, SECOND]


def test_a_second_refusal_in_a_row_is_a_login_error(logged_in: Service):
    with pytest.raises(ServiceError) as caught:
        logged_in.call(EXPIRED, logged_in.gives(SECOND), EXPIRED)
    told = caught.value
    assert (told.kind, told.call, told.code, told.http_status) == (Kind.LOGIN, CALL, "err-expired-token", 403)
    assert "a new token was refused, too" in str(told)
    assert "Check org_id" in str(told)
    assert logged_in.sent == [CALL, LOGIN, CALL]


def test_a_first_token_that_is_refused_is_replaced_once(service: Service):
    assert service.call(service.gives(FIRST), EXPIRED, service.gives(SECOND), DONE) == "done"
    assert service.sent == [LOGIN, CALL, LOGIN, CALL]
    service.call(DONE)
    assert service.tokens_used() == [FIRST, SECOND, SECOND]


def test_a_token_that_was_just_refreshed_and_is_refused_is_replaced_by_a_login(logged_in: Service):
    """It was another's refresh or a logout that ended it, and says nothing against the user."""
    logged_in.clock.now += LIFE - 60
    assert logged_in.call(logged_in.gives(SECOND), EXPIRED, logged_in.gives(THIRD), DONE) == "done"
    assert logged_in.sent == [REFRESH, CALL, LOGIN, CALL]


def test_a_refused_token_of_an_earlier_call_says_nothing_against_the_one_of_this(logged_in: Service):
    logged_in.call(EXPIRED, logged_in.gives(SECOND), DONE)
    assert logged_in.call(EXPIRED, logged_in.gives(THIRD), DONE) == "done"
    assert logged_in.tokens_used() == [FIRST, SECOND, SECOND, THIRD]


def test_tokens_of_other_workers_are_tried_as_they_come_but_not_for_ever(logged_in: Service):
    """Each is refused, and each time another worker's is found in the store."""
    logged_in.secrets = ()

    def refused(number: int) -> Reply:
        other = Service()
        other.secrets = ()
        other.clock.now = logged_in.clock.now
        other.call(other.gives(f"token-{number}"), DONE)
        logged_in.store.update({other.keeper.key: other.store[other.keeper.key]})
        return EXPIRED

    with pytest.raises(ServiceError) as caught:
        logged_in.call(*[partial(refused, number) for number in range(RENEWALS + 1)])
    assert caught.value.kind is Kind.LOGIN
    assert logged_in.tokens_used() == [FIRST, "token-0", "token-1", "token-2"]


@pytest.mark.parametrize(
    "fault",
    [
        reply(short_error("err-invalid-org"), 403),
        reply(b"", 403),
        reply(b"", 401),
        reply(b"", 429),
        reply(b"", 502),
        reply(short_error("err-resource-not-found"), 404),
        Kind.OUTAGE,
        Kind.UNREACHABLE,
        Kind.LOST_REPLY,
    ],
)
def test_no_other_fault_repeats_the_call_or_the_login(logged_in: Service, fault: Any):
    with pytest.raises(ServiceError):
        logged_in.call(fault)
    assert logged_in.sent == [CALL]


def test_a_wrong_password_is_tried_once(service: Service):
    with pytest.raises(ServiceError) as caught:
        service.call(reply(short_error("err-invalid-credentials"), 401))
    assert caught.value.kind is Kind.LOGIN
    assert service.sent == [LOGIN]
    assert PASSWORD not in str(caught.value)


LIMIT = reply({"error": {"message": "err-active-tokens-limit-exceeded"}}, 401)


def test_the_limit_of_sessions_is_waited_for_a_while_and_then_told_as_such(service: Service):
    with pytest.raises(ServiceError) as caught:
        service.call(*[LIMIT] * LOGIN_ATTEMPTS)
    assert caught.value.kind is Kind.TOKEN_LIMIT
    assert "10 sessions" in str(caught.value)
    assert service.sent == [LOGIN] * LOGIN_ATTEMPTS
    waits = [why for why in service.reasons if "as many sessions" in why]
    assert len(waits) == LOGIN_ATTEMPTS - 1
    assert all(0 < seconds <= 32 for seconds in service.pauses)


def test_when_another_worker_took_the_last_session_its_token_is_used(service: Service):
    service.call(service.gives(FIRST), DONE)
    left_by_the_other = dict(service.store)
    service.store.clear()
    service.another_process()
    service.requests.clear()
    service.on_pause = lambda: LOGIN in service.sent and service.store.update(left_by_the_other)
    assert service.call(LIMIT, DONE) == "done"
    assert service.sent == [LOGIN, CALL]
    assert service.tokens_used() == [FIRST]


def test_a_token_is_shared_by_all_processes_through_the_store(logged_in: Service):
    logged_in.another_process()
    assert logged_in.call(DONE) == "done"
    assert logged_in.sent == [CALL]
    assert logged_in.tokens_used() == [FIRST]
    assert FIRST in logged_in.masked


def test_a_token_is_renewed_by_one_process_and_found_by_the_others(logged_in: Service):
    before = dict(logged_in.known)
    logged_in.another_process()
    logged_in.clock.now += LIFE - 60
    logged_in.call(logged_in.gives(SECOND), DONE)
    logged_in.another_process(before)
    logged_in.call(DONE)
    assert logged_in.sent == [REFRESH, CALL, CALL]
    assert logged_in.tokens_used() == [SECOND, SECOND]


def test_a_refresh_that_another_host_has_just_made_is_not_followed_by_a_login(logged_in: Service):
    before = dict(logged_in.store)
    logged_in.another_process()
    logged_in.clock.now += LIFE - 60
    logged_in.call(logged_in.gives(SECOND), DONE)
    after = dict(logged_in.store)
    logged_in.another_process()
    logged_in.store.update(before)
    logged_in.requests.clear()

    def refused_since_the_other_was_first() -> Reply:
        logged_in.store.update(after)
        return INVALID

    assert logged_in.call(refused_since_the_other_was_first, DONE) == "done"
    assert logged_in.sent == [REFRESH, CALL]
    assert logged_in.tokens_used() == [SECOND]


def test_a_refused_token_is_replaced_by_a_better_one_in_the_store(logged_in: Service):
    before = dict(logged_in.known)
    logged_in.another_process()
    logged_in.call(EXPIRED, logged_in.gives(SECOND), DONE)
    logged_in.another_process(before)
    logged_in.requests.clear()
    assert logged_in.call(EXPIRED, DONE) == "done"
    assert logged_in.sent == [CALL, CALL]
    assert logged_in.tokens_used() == [FIRST, SECOND]


@pytest.mark.parametrize("kept", ["", "{", "[]", "null", "{}", '{"token": "x"}', '{"token":"x","organisations":5}'])
def test_what_cannot_be_read_in_the_store_is_not_there(service: Service, kept: str):
    service.store[service.keeper.key] = kept
    assert service.call(service.gives(FIRST), DONE) == "done"
    assert service.sent == [LOGIN, CALL]


def test_tokens_of_different_users_and_login_servers_are_kept_apart():
    keys = {
        TokenKeeper(settings(**connection), {}).key
        for connection in (
            {},
            {"handle": "other@acme.test"},
            {"auth_url": "https://other.test"},
            {"eas_url": "https://other.test"},
            {"org_id": "org-2"},
        )
    }
    assert len(keys) == 4


def test_a_token_is_kept_in_the_store_in_a_form_that_log_lines_do_not_show(logged_in: Service):
    assert FIRST in logged_in.store[logged_in.keeper.key]
    assert FIRST not in repr(logged_in.known)
    assert PASSWORD not in repr(logged_in.store)
    assert FIRST not in repr(Save("key", FIRST))


def test_a_wrong_password_never_uses_the_token_of_the_right_one(logged_in: Service):
    """Neither the store's, nor the one that this process knows."""
    wrong = Service(password="another-password")
    wrong.store, wrong.known = logged_in.store, logged_in.known
    wrong.keeper = TokenKeeper(wrong.settings, wrong.known, wrong.clock)
    kept = dict(logged_in.store)
    for known in (logged_in.known, {}):
        wrong.keeper = TokenKeeper(wrong.settings, known, wrong.clock)
        with pytest.raises(ServiceError) as caught:
            wrong.call(reply(short_error("err-invalid-credentials"), 401))
        assert caught.value.kind is Kind.LOGIN
    assert FIRST not in repr(wrong.requests)
    assert logged_in.store[logged_in.keeper.key] == kept[logged_in.keeper.key]
    assert logged_in.call(DONE) == "done"
    assert logged_in.sent == [CALL]


def test_neither_name_nor_value_in_the_store_tells_the_password(logged_in: Service):
    other = Service(password="another-password")
    assert other.keeper.key == logged_in.keeper.key
    [value] = [text for key, text in logged_in.store.items() if key == logged_in.keeper.key]
    assert hashlib.sha256(PASSWORD.encode()).hexdigest() not in value
    first, second = seal_of_a_process(), seal_of_a_process()
    assert first != second, "a salt of its own each time"


def seal_of_a_process() -> str:
    kept_token._salt.cache_clear()
    return kept_token.seal(PASSWORD)


class TestAmongHosts:
    """Workers that share the store and no lock."""

    def another_host_logs_in(self, service: Service) -> str:
        """What the store holds once another host has logged in."""
        other = Service()
        other.clock.now = service.clock.now + 1
        other.call(other.gives(SECOND), DONE)
        return other.store[other.keeper.key]

    def claimed_by_another(self, service: Service) -> None:
        claim = {"owner": "another", "until": service.clock.now + CLAIM_SECONDS}
        service.store[service.keeper._claim.key] = json.dumps(claim)

    def test_a_login_that_another_is_about_to_make_is_waited_for(self, service: Service):
        self.claimed_by_another(service)
        token = self.another_host_logs_in(service)

        def third_pause() -> None:
            if len(service.pauses) == 3:
                service.store[service.keeper.key] = token

        service.on_pause = third_pause
        assert service.call(DONE) == "done"
        assert service.sent == [CALL]
        assert service.tokens_used() == [SECOND]
        assert all("about to log in" in why for why in service.reasons)

    def test_an_owner_that_died_is_passed_over(self, service: Service):
        self.claimed_by_another(service)
        service.on_pause = lambda: setattr(service.clock, "now", service.clock.now + service.pauses[-1])
        assert service.call(service.gives(FIRST), DONE) == "done"
        assert service.sent == [LOGIN, CALL]

    def test_while_there_are_too_many_sessions_the_refused_token_is_not_taken_again(self, logged_in: Service):
        assert logged_in.call(EXPIRED, LIMIT, logged_in.gives(SECOND), DONE) == "done"
        assert logged_in.sent == [CALL, LOGIN, LOGIN, CALL]
        assert logged_in.tokens_used() == [FIRST, SECOND]

    def test_a_claim_that_never_ends_is_passed_over(self, service: Service):
        """Of a host whose clock is years ahead."""
        self.claimed_by_another(service)
        assert service.call(service.gives(FIRST), DONE) == "done"
        assert sum(service.pauses) >= LONGEST_WAIT

    def test_who_finds_anothers_claim_where_its_own_should_be_waits(self, service: Service):
        token = self.another_host_logs_in(service)
        steps = [lambda: service.store.update({service.keeper.key: token}), lambda: self.claimed_by_another(service)]

        def next_step() -> None:
            steps.pop()()

        service.on_pause = next_step
        assert service.call(DONE) == "done"
        assert service.sent == [CALL]

    def test_a_token_that_came_while_the_claim_settled_is_used(self, service: Service):
        token = self.another_host_logs_in(service)
        service.on_pause = lambda: service.store.update({service.keeper.key: token})
        assert service.call(DONE) == "done"
        assert service.sent == [CALL]
        assert list(service.store) == [service.keeper.key], "nobody waits for the claim any more"

    def test_who_logged_in_beside_another_takes_that_ones_token_and_logs_out_its_own(self, service: Service):
        token = self.another_host_logs_in(service)

        def logged_in_too() -> Reply:
            service.store[service.keeper.key] = token
            return service.gives(FIRST)

        assert service.call(logged_in_too, reply(), DONE) == "done"
        assert service.sent == [LOGIN, LOGOUT, CALL]
        assert service.requests[1].headers["Authorization"] == f"Bearer {FIRST}"
        assert service.tokens_used() == [SECOND]
        assert service.store[service.keeper.key] == token

    def test_a_logout_of_ones_own_that_fails_stops_nothing(self, service: Service):
        token = self.another_host_logs_in(service)

        def logged_in_too() -> Reply:
            service.store[service.keeper.key] = token
            return service.gives(FIRST)

        assert service.call(logged_in_too, Kind.OUTAGE, DONE) == "done"

    def test_at_the_end_a_token_that_stands_in_nobodys_store_is_logged_out(self, logged_in: Service):
        logged_in.store[logged_in.keeper.key] = self.another_host_logs_in(logged_in)
        logged_in.hold(logged_in.keeper.log_out(), reply())
        assert logged_in.sent == [LOGOUT]
        assert logged_in.requests[0].headers["Authorization"] == f"Bearer {FIRST}"

    def test_at_the_end_the_token_that_others_use_is_left_alive(self, logged_in: Service):
        logged_in.hold(logged_in.keeper.log_out())
        refreshing = Service()
        refreshing.store, refreshing.clock = logged_in.store, logged_in.clock
        refreshing.keeper = TokenKeeper(refreshing.settings, {}, refreshing.clock)
        refreshing.masked.append(FIRST)
        refreshing.clock.now += LIFE - 60
        refreshing.call(refreshing.gives(SECOND), DONE)
        logged_in.hold(logged_in.keeper.log_out())
        assert logged_in.sent == []

    def test_at_the_end_a_token_of_anothers_is_left_alive(self, logged_in: Service):
        logged_in.another_process()
        logged_in.call(DONE)
        logged_in.store.clear()
        logged_in.hold(logged_in.keeper.log_out())
        assert logged_in.sent == [CALL]

    def test_a_token_that_another_is_about_to_refresh_is_used_until_then(self, logged_in: Service):
        logged_in.another_process()
        logged_in.clock.now += LIFE - 60
        self.claimed_by_another(logged_in)
        assert logged_in.call(DONE) == "done"
        assert logged_in.sent == [CALL]

    def test_after_a_login_nobody_needs_to_wait(self, service: Service):
        with pytest.raises(ServiceError):
            service.call(Kind.OUTAGE)
        assert service.keeper._claim.key not in service.store
        service.call(service.gives(FIRST), DONE)
        assert service.keeper._claim.key not in service.store

    def test_a_store_that_cannot_be_written_stops_no_call_and_the_token_is_logged_out(self, service: Service):
        service.is_read_only = True
        assert service.call(service.gives(FIRST), DONE) == "done"
        assert service.call(DONE) == "done"
        service.hold(service.keeper.log_out(), reply())
        assert service.sent == [LOGIN, CALL, CALL, LOGOUT]

    def beside(self, first: Service, token_minutes: int) -> Service:
        """A process with another connection of the same user, which shares the store."""
        other = Service(token_minutes=token_minutes)
        other.store, other.clock = first.store, first.clock
        other.another_process()
        return other

    def test_a_token_lives_as_long_as_it_was_asked_for_whatever_the_next_connection_asks_for(self):
        first = Service(token_minutes=360)
        first.call(first.gives(FIRST, 360 * 60), DONE)
        first.clock.now += 340 * 60
        other = self.beside(first, token_minutes=5)
        other.call(DONE)
        assert other.sent == [CALL]

    def test_a_token_that_is_refreshed_beside_another_connection_ends_when_its_own_login_says(self):
        first = Service(token_minutes=5)
        first.call(first.gives(FIRST, 5 * 60), DONE)
        first.clock.now += 4 * 60
        other = self.beside(first, token_minutes=360)
        other.call(other.gives(SECOND, 60 * 60), DONE)
        first.clock.now += 27 * 60
        third = self.beside(first, token_minutes=360)
        third.call(third.gives(THIRD), DONE)
        assert (other.sent, third.sent) == ([REFRESH, CALL], [LOGIN, CALL])

    def test_only_one_of_a_host_renews_a_users_token_at_a_time(self, service: Service):
        service.call(service.gives(FIRST), DONE)
        assert service.ever_exclusive == {service.keeper.key}

    def test_a_login_of_another_user_is_not_waited_for(self, service: Service):
        """What stands in the store while one user logs in keeps only workers of that user waiting."""
        during: dict[str, str] = {}

        def login() -> Reply:
            during.update(service.store)
            return service.gives(FIRST)

        service.call(login, DONE)
        same, other = Service(), Service(handle="other@acme.test")
        for each in (same, other):
            each.store.update(during)
            each.call(each.gives(SECOND), DONE)
        assert any("about to log in" in why for why in same.reasons)
        assert other.reasons == []

    def test_where_the_store_is_not_shared_nobody_is_waited_for(self):
        service = Service(is_shared=False)
        self.claimed_by_another(service)
        service.call(service.gives(FIRST), DONE)
        assert service.pauses == []


class TestOneThatWaitsWhileAnotherOfItsProcessFails:
    def waiting(self, service: Service, **connection: Any) -> Any:
        """Another call that waits for its turn; carried out when it is called."""
        other = TokenKeeper(settings(**connection), service.known, service.clock, failed=service.keeper._failed)
        turn = next(other.access())
        assert isinstance(turn, Exclusive)
        return lambda *answers: service.hold(turn.exchange, *answers)

    @pytest.mark.parametrize("kind", [Kind.OUTAGE, Kind.LOGIN, Kind.UNREACHABLE])
    def test_fails_as_that_one_did_and_asks_nobody(self, service: Service, kind: Kind):
        go_on = self.waiting(service)
        with pytest.raises(ServiceError):
            service.call(kind)
        with pytest.raises(ServiceError) as caught:
            go_on()
        assert caught.value.kind is kind
        assert service.sent == [LOGIN]

    def test_uses_the_token_that_could_not_be_refreshed_while_it_lives(self, logged_in: Service):
        logged_in.clock.now += LIFE - 60
        go_on = self.waiting(logged_in)
        logged_in.call(Kind.OUTAGE, DONE)
        assert go_on().token.value == FIRST
        assert logged_in.sent == [REFRESH, CALL]

    def test_tries_with_its_own_password_if_that_is_another_one(self, service: Service):
        go_on = self.waiting(service, password="another-password")
        with pytest.raises(ServiceError):
            service.call(Kind.LOGIN)
        assert go_on(service.gives(FIRST)).token.value == FIRST

    def test_tries_for_itself_if_it_came_later(self, service: Service):
        with pytest.raises(ServiceError):
            service.call(Kind.OUTAGE)
        assert self.waiting(service)(service.gives(FIRST)).token.value == FIRST


def test_a_failed_login_leaves_the_next_call_to_log_in(service: Service):
    with pytest.raises(ServiceError):
        service.call(Kind.OUTAGE)
    assert service.call(service.gives(FIRST), DONE) == "done"
    assert service.sent == [LOGIN, LOGIN, CALL]


def test_an_organisation_that_is_not_the_users_stops_every_call_before_it_is_sent():
    service = Service(org_id="org-9")
    with pytest.raises(ServiceError, match="org-9"):
        service.call(service.gives(FIRST))
    assert service.sent == [LOGIN]


def test_a_refresh_that_lists_no_organisations_keeps_those_of_the_login():
    service = Service(org_id="org-2")
    service.call(service.gives(FIRST, orgs=("org-1", "org-2")), DONE)
    service.clock.now += LIFE - 60
    service.call(service.gives(SECOND, orgs=()), DONE)
    service.clock.now += LIFE - 60
    service.call(service.gives(THIRD, orgs=()), DONE)
    assert {request.headers["X-FLYNN-N-ORG-ID"] for request in service.requests if request.call == CALL} == {"org-2"}


def test_the_only_organisation_of_the_login_survives_a_refresh_that_lists_none(logged_in: Service):
    logged_in.clock.now += LIFE - 60
    assert logged_in.call(logged_in.gives(SECOND, orgs=()), DONE) == "done"
    assert logged_in.tokens_used() == [SECOND]


def test_a_refresh_that_lists_other_organisations_counts(logged_in: Service):
    logged_in.clock.now += LIFE - 60
    logged_in.call(logged_in.gives(SECOND, orgs=("org-2",)), DONE)
    assert logged_in.requests[-1].headers["X-FLYNN-N-ORG-ID"] == "org-2"


@pytest.mark.parametrize("ahead", [LIFE, LIFE - REFRESH_AHEAD, 2 * LIFE, 86_400])
def test_a_clock_that_is_ahead_does_not_refresh_at_every_call(service: Service, ahead: float):
    service.call(service.gives(FIRST, life=LIFE - ahead), DONE)
    for _ in range(10):
        service.call(DONE)
        service.clock.now += 60
    assert service.sent == [LOGIN, *[CALL] * 11]


@pytest.mark.parametrize(("minutes", "seconds"), [(20, 20 * 60 - REFRESH_AHEAD), (1, REFRESH_AHEAD)])
def test_with_a_clock_that_is_ahead_a_token_is_refreshed_once_its_time_has_passed(minutes: int, seconds: float):
    service = Service(token_minutes=minutes)
    service.call(service.gives(FIRST, life=-3600), DONE)
    service.clock.now += seconds - 1
    service.call(DONE)
    service.clock.now += 1
    service.call(service.gives(SECOND, life=-3600), DONE)
    assert service.sent == [LOGIN, CALL, CALL, REFRESH, CALL]


def test_with_a_clock_that_is_ahead_a_dead_token_is_still_replaced(service: Service):
    service.call(service.gives(FIRST, life=-3600), DONE)
    assert service.call(EXPIRED, service.gives(SECOND, life=-3600), DONE) == "done"


def test_with_a_clock_that_is_behind_a_dead_token_is_replaced(service: Service):
    service.call(service.gives(FIRST, life=LIFE + 3600), DONE)
    service.clock.now += LIFE
    assert service.call(EXPIRED, service.gives(SECOND, life=LIFE + 3600), DONE) == "done"


def test_a_logout_ends_the_token_once(alone: Service):
    assert alone.hold(alone.keeper.log_out(), reply()) is None
    assert alone.requests[0].headers["Authorization"] == f"Bearer {FIRST}"
    alone.hold(alone.keeper.log_out())
    assert alone.sent == [LOGOUT]


def test_without_a_token_there_is_nothing_to_log_out(service: Service):
    service.hold(service.keeper.log_out())
    assert service.sent == []


def test_a_call_after_a_logout_logs_in_again(alone: Service):
    alone.hold(alone.keeper.log_out(), reply())
    assert alone.call(alone.gives(SECOND), DONE) == "done"
    assert alone.sent == [LOGOUT, LOGIN, CALL]


@pytest.mark.parametrize("failure", [Kind.OUTAGE, reply(b"", 500), EXPIRED])
def test_a_logout_that_fails_leaves_no_token_behind(alone: Service, failure: Any):
    with pytest.raises(ServiceError):
        alone.hold(alone.keeper.log_out(), failure)
    alone.hold(alone.keeper.log_out())
    assert alone.sent == [LOGOUT]


def test_no_secret_shows_in_what_goes_wrong(service: Service):
    told = []
    for answers in (
        [reply(short_error("err-invalid-credentials"), 401)],
        [service.gives(FIRST), EXPIRED, service.gives(SECOND), EXPIRED],
        [Kind.UNREACHABLE],
    ):
        with pytest.raises(ServiceError) as caught:
            service.call(*answers)
        told.append(f"{caught.value} {caught.value!r} {vars(caught.value)}")
    for secret in (PASSWORD, FIRST, SECOND):
        assert not any(secret in text for text in told)


def test_every_call_carries_organisation_token_and_accept():
    assert access.headers(settings(), ACCESS) == {
        "accept": "application/json",
        "X-FLYNN-N-ORG-ID": "org-1",
        "X-FLYNN-N-USER-TOKEN": TOKEN,
    }


def test_a_call_that_reaches_gstn_names_the_gsp_and_the_taxpayer():
    assert access.headers(settings(), ACCESS, gstin=RTIN, with_body=True) == {
        "accept": "application/json",
        "Content-Type": "application/json",
        "X-FLYNN-N-ORG-ID": "org-1",
        "X-FLYNN-N-USER-TOKEN": TOKEN,
        "X-FLYNN-N-GSTN-GSP-CODE": "vay",
        "X-FLYNN-N-GSTIN": RTIN,
    }


def test_the_connection_decides_gsp_code_gstin_header_and_extra_headers():
    connection = settings(gsp_code="other", gstin_header="X-TAXPAYER", extra_headers={"X-Trace": "airflow"})
    sent = access.headers(connection, ACCESS, gstin=RTIN)
    assert sent["X-FLYNN-N-GSTN-GSP-CODE"] == "other"
    assert sent["X-TAXPAYER"] == RTIN
    assert sent["X-Trace"] == "airflow"
    assert "X-FLYNN-N-GSTIN" not in sent
    assert access.headers(connection, ACCESS)["X-Trace"] == "airflow"


def test_extra_headers_do_not_replace_who_we_are():
    connection = settings(extra_headers={"X-FLYNN-N-ORG-ID": "another", "X-FLYNN-N-USER-TOKEN": "another"})
    sent = access.headers(connection, ACCESS)
    assert (sent["X-FLYNN-N-ORG-ID"], sent["X-FLYNN-N-USER-TOKEN"]) == ("org-1", TOKEN)


def test_extra_headers_do_not_reach_the_login_server():
    service = Service(extra_headers={"X-Trace": "airflow"})
    service.call(service.gives(FIRST), DONE)
    login, call = service.requests
    assert "X-Trace" not in login.headers
    assert call.headers["X-Trace"] == "airflow"


@pytest.mark.parametrize(("value", "is_secret"), [("a-key-of-8", True), ("8-of-key", True), ("airflow", False)])
def test_token_and_keys_in_extra_headers_are_struck_out_of_what_the_service_answers(value: str, is_secret: bool):
    request = access.ping(settings(extra_headers={"X-Key": value}), ACCESS)
    assert TOKEN in request.secrets
    assert (value in request.secrets) is is_secret


def test_the_ping():
    request = access.ping(settings(), ACCESS)
    assert (request.method, request.url) == ("GET", "https://eas.test/authenticate")
    assert "Content-Type" not in request.headers
    assert access.read_ping(reply(short({"message": "pong"}))) is None
    with pytest.raises(ServiceError):
        access.read_ping(reply(short_error("err-invalid-org"), 403))


def test_a_conversation_about_a_task_from_login_to_logout():
    service = Service(is_shared=False)

    def status() -> Any:
        return service.keeper.call(
            lambda with_access: tasks.status(service.settings, with_access, "t-1"),
            lambda got: tasks.read_status(got, "t-1"),
        )

    processing = reply(short({"task": {"id": "t-1", "status": "processing"}}))
    completed = reply(long({"id": "t-1", "status": "completed", "jobs": {"total": 1, "pending": 0}}))
    assert service.hold(status(), service.gives(FIRST), processing).state == "running"
    service.clock.now += LIFE - 30
    assert service.hold(status(), service.gives(SECOND), processing).state == "running"
    assert service.hold(status(), EXPIRED, service.gives(THIRD), completed).state == "completed"
    service.hold(service.keeper.log_out(), reply())
    poll = "status of task t-1"
    assert service.sent == [LOGIN, poll, REFRESH, poll, poll, LOGIN, poll, LOGOUT]
    assert json.loads(service.requests[0].body or b"")["tokenDurationInMins"] == 20
