"""What the journal keeps, in two places, when either of them fails."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ims._metadata import TaskState
from airflow_provider_ims.exceptions import GstnStorageUnavailable, GstnTransientError
from airflow_provider_ims.submissions.journal import Attempt, BulkPart, Entry, Journal

KEY = "ims_reset"
WHO = {"dag_id": "ims", "run_id": "run-1"}


class Store:
    """Keeps values by key as JSON: Airflow's task state, or files beside the requests."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.fails: set[str] = set()

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self._fail("set")
        self.values[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self._fail("delete")
        del self.values[key]

    def _fail(self, what: str) -> None:
        if what in self.fails:
            raise GstnStorageUnavailable("It is away.")


@pytest.fixture
def state() -> Store:
    return Store()


@pytest.fixture
def records() -> Store:
    return Store()


def journal_of(state: Store | None, records: Store | None, carried: Any = None) -> Journal:
    journal = Journal(None if state is None else TaskState(state), carried, who=WHO)
    if records is not None:
        journal.also_in(records)
    return journal


def entry(phase: Any = "intent", **more: Any) -> Entry:
    return Entry(phase=phase, fingerprint="f", at=1.0, attempt=Attempt(1, 2), **more)


def newer(records: Store, revision: int) -> None:
    """Let another task write about the same request."""
    records.values[KEY] = entry("submitted", reference_id="r-9", revision=revision).model_dump(mode="json")


class TestWriting:
    def test_is_done_in_both_places_and_says_by_whom(self, state, records):
        journal = journal_of(state, records)
        journal.write(KEY, entry())
        assert state.values[KEY] == records.values[KEY]
        assert (state.values[KEY]["phase"], state.values[KEY]["who"], state.values[KEY]["revision"]) == (
            "intent",
            WHO,
            1,
        )
        assert journal.carried == {}
        journal.write(KEY, entry("submitted"))
        assert (records.values[KEY]["phase"], records.values[KEY]["revision"]) == ("submitted", 2)

    def test_travels_with_the_deferral_where_airflow_keeps_nothing(self, records):
        journal = journal_of(None, records)
        journal.write(KEY, entry())
        assert journal_of(None, None, json.loads(json.dumps(journal.carried))).read(KEY).phase == "intent"

    @pytest.mark.parametrize("before", [None, "unsent"])
    def test_in_one_place_alone_is_taken_back_and_nothing_may_be_sent(self, state, records, before):
        journal = journal_of(state, records)
        if before:
            journal.write(KEY, entry(before))
        records.fails.add("set")
        with pytest.raises(GstnStorageUnavailable):
            journal.write(KEY, entry("intent"))
        assert {key: value["phase"] for key, value in state.values.items()} == ({KEY: before} if before else {})

    def test_about_a_request_of_which_another_task_has_just_written_is_refused(self, state, records):
        journal = journal_of(state, records)
        assert journal.read(KEY) is None
        newer(records, 3)
        with pytest.raises(GstnTransientError, match="Another task"):
            journal.write(KEY, entry())
        assert state.values == {}
        assert journal.read(KEY).reference_id == "r-9"


class TestReading:
    def test_the_newest_of_all_places_holds(self, state, records):
        journal_of(state, None).write(KEY, entry())
        newer(records, 5)
        assert journal_of(state, records).read(KEY).reference_id == "r-9"
        newer(records, 0)
        assert journal_of(state, records).read(KEY).phase == "intent"

    def test_what_was_carried_is_written_as_soon_as_that_works(self, state, records):
        state.fails.add("set")
        first = journal_of(state, records)
        first.keep(KEY, entry("submitted", reference_id="r-1"))
        carried = json.loads(json.dumps(first.carried))
        assert KEY in carried
        still_away = journal_of(state, records, carried)
        assert still_away.read(KEY).reference_id == "r-1"
        assert KEY in still_away.carried
        state.fails.clear()
        last = journal_of(state, records, carried)
        assert last.read(KEY).reference_id == "r-1"
        assert state.values[KEY]["reference_id"] == "r-1"
        assert last.carried == {}

    def test_a_record_that_could_not_be_written_is_written_later(self, state, records):
        records.fails.add("set")
        first = journal_of(state, records)
        first.keep(KEY, entry("submitted", reference_id="r-1"))
        records.fails.clear()
        assert journal_of(state, records, first.carried).read(KEY).reference_id == "r-1"
        assert records.values[KEY]["reference_id"] == "r-1"

    def test_what_was_carried_is_not_written_over_what_came_later(self, state):
        first = journal_of(state, None)
        first.write(KEY, entry())
        old = dict(state.values[KEY])
        first.write(KEY, entry("ended"))
        later = journal_of(state, None, {KEY: old})
        assert later.read(KEY).phase == "ended"
        assert (state.values[KEY]["phase"], later.carried) == ("ended", {})

    @pytest.mark.parametrize("form", [{"version": None}, {"version": 1}, {"version": 3}, {"version": "2"}, {}])
    @pytest.mark.parametrize("phase", ["unsent", "submitted", "ended"])
    def test_an_entry_of_an_older_or_newer_form_is_neither_absent_nor_a_success(self, state, phase, form):
        kept = {**entry(phase, outcome="processed", revision=7).model_dump(mode="json"), **form}
        if not form:
            del kept["version"]
        state.values[KEY] = kept
        read = journal_of(state, None).read(KEY)
        assert (read.phase, read.sends, read.outcome, read.is_of(Attempt(1, 2))) == ("intent", 1, "", False)

    def test_an_older_entry_that_can_be_read_does_not_hold_against_a_newer_one_of_another_form(self, state, records):
        journal_of(None, records).write(KEY, entry("unsent"))
        state.values[KEY] = {**entry("submitted", revision=2).model_dump(mode="json"), "version": 3}
        assert journal_of(state, records).read(KEY).phase == "intent"

    def test_what_cannot_be_read_may_have_been_sent(self, state):
        state.values[KEY] = {"phase": "a word of another version"}
        read = journal_of(state, None).read(KEY)
        assert (read.phase, read.sends, read.at) == ("intent", 1, 0.0)


class TestGoingBackToNothing:
    def test_leaves_nothing_in_either_place(self, state, records):
        journal = journal_of(state, records)
        journal.write(KEY, entry(sends=1))
        journal.restore(KEY, None)
        assert (state.values, records.values, journal.carried) == ({}, {}, {})
        assert journal.read(KEY) is None

    def test_is_noted_as_unsent_where_it_cannot_be_removed(self, state, records):
        journal = journal_of(state, records)
        journal.write(KEY, entry(sends=1))
        records.fails.add("delete")
        journal.restore(KEY, None)
        assert (records.values[KEY]["phase"], records.values[KEY]["sends"]) == ("unsent", 0)
        assert journal_of(state, records).read(KEY).phase == "unsent"

    def test_of_an_earlier_entry_keeps_that(self, state):
        journal = journal_of(state, None)
        journal.write(KEY, entry("submitted", reference_id="r-1"))
        before = journal.read(KEY)
        journal.write(KEY, entry())
        journal.restore(KEY, before)
        assert journal_of(state, None).read(KEY).reference_id == "r-1"


def test_which_try_it_is_comes_from_the_task_instance():
    context: Any = {"ti": SimpleNamespace(try_number=3, max_tries=5)}
    assert Attempt.of(context) == (3, 5)
    assert Attempt.of({}) == (1, 0)


def test_an_entry_says_what_it_came_to_and_how_much_is_open():
    assert entry("ended", outcome="partial", bulk=BulkPart(sha256="s", counts={"unknown": 3})).came_to == ("partial", 3)
    assert entry().came_to == ("", 0)


def test_faults_are_counted_in_a_row_through_the_deferrals():
    journal = Journal(None)
    assert [journal.count_failure(), journal.count_failure()] == [1, 2]
    assert Journal(None, journal.carried).count_failure() == 3
    journal.forget_failures()
    assert journal.count_failure() == 1


def test_the_next_process_knows_what_was_waited_for():
    journal = Journal(None)
    journal.await_({"reference_ids": ["r-1"]})
    assert Journal(None, journal.carried).awaited == {"reference_ids": ["r-1"]}
    journal.await_(None)
    assert Journal(None, journal.carried).awaited is None
