"""What the journal keeps, in two places, when either of them fails."""

from __future__ import annotations

import json
import logging
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

    def test_that_cannot_be_taken_back_is_said_to_a_person(self, state, records, caplog):
        journal = journal_of(state, records)
        records.fails.add("set")
        state.fails.add("delete")
        with pytest.raises(GstnStorageUnavailable):
            journal.write(KEY, entry())
        assert f"task state {KEY} says that a request may have been sent, and it was not" in caplog.text

    def test_that_airflow_does_not_take_is_raised_and_leaves_no_record(self, state, records):
        state.fails.add("set")
        journal = journal_of(state, records)
        with pytest.raises(GstnTransientError):
            journal.write(KEY, entry())
        assert records.values == {}
        assert journal.read(KEY) is None

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
        state.fails.add("set")  # which is not needed either
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

    @pytest.mark.parametrize("where", ["state", "records", "carried"])
    def test_what_cannot_be_read_may_have_been_sent(self, state, records, where, caplog):
        places = {"state": state.values, "records": records.values, "carried": {}}
        places[where][KEY] = {"phase": "a word of another version"}
        read = journal_of(state, records, places["carried"]).read(KEY)
        assert f"What is kept as {KEY!r} cannot be read" in caplog.text
        assert (read.phase, read.sends, read.at) == ("intent", 1, 0.0)


class TestAnotherTaskThatMeetsTheSameRequest:
    def test_reads_the_record_and_leaves_its_own_state_and_the_record_alone(self, state, records):
        newer(records, 5)
        before = dict(records.values[KEY])
        journal = journal_of(state, records)
        read = journal.read(KEY)
        assert (read.reference_id, journal.is_mine(read)) == ("r-9", False)
        assert (records.values[KEY], state.values) == (before, {})

    def test_writes_after_it(self, state, records):
        newer(records, 5)
        journal = journal_of(state, records)
        journal.write(KEY, journal.read(KEY).model_copy(update={"phase": "ended"}))
        kept = records.values[KEY]
        assert (kept["phase"], kept["revision"], kept["who"]) == ("ended", 6, WHO)
        assert state.values[KEY] == kept
        assert journal.is_mine(journal.read(KEY))

    def test_that_wrote_meanwhile_is_named(self, state, records):
        journal = journal_of(state, records)
        journal.write(KEY, entry())
        theirs = entry("submitted", revision=2, who={"dag_id": "another"}).model_dump(mode="json")
        records.values[KEY] = theirs
        with pytest.raises(GstnTransientError, match=r"another.*Nothing was sent by this one"):
            journal.write(KEY, entry())
        assert records.values[KEY] == theirs

    def test_of_which_an_old_record_is_left_does_not_hold_this_one_up(self, state, records):
        journal = journal_of(state, records)
        journal.write(KEY, entry())
        newer(records, 1)
        journal.write(KEY, entry("submitted", reference_id="r-1"))
        assert records.values[KEY]["reference_id"] == "r-1"


class TestKeepingWhatIsDone:
    """It is done, whatever stores do: it is never raised, and what is not kept yet travels on."""

    def test_in_both_places(self, state, records):
        journal = journal_of(state, records)
        journal.keep(KEY, entry("submitted", reference_id="r-1"))
        assert state.values[KEY] == records.values[KEY]
        assert (state.values[KEY]["reference_id"], state.values[KEY]["who"], journal.carried) == ("r-1", WHO, {})
        assert journal.read(KEY).reference_id == "r-1"

    @pytest.mark.parametrize("away", ["state", "records", "both"])
    def test_goes_on_with_what_could_not_be_kept(self, state, records, away, caplog):
        for name, store in (("state", state), ("records", records)):
            if away in (name, "both"):
                store.fails.add("set")
        journal = journal_of(state, records)
        journal.keep(KEY, entry("submitted", reference_id="r-1"))
        assert journal.read(KEY).reference_id == "r-1"
        assert journal.carried[KEY]["reference_id"] == "r-1"
        assert {name for name, store in (("state", state), ("records", records)) if store.values} == (
            {"state", "records"} - ({"state", "records"} if away == "both" else {away})
        )
        assert "r-1" in caplog.text, "a person can find it in the log"
        for store in (state, records):
            store.fails.clear()
        later = journal_of(state, records, json.loads(json.dumps(journal.carried)))
        assert later.read(KEY).reference_id == "r-1"
        assert (state.values[KEY]["reference_id"], records.values[KEY]["reference_id"]) == ("r-1", "r-1")
        assert later.carried == {}

    def test_where_airflow_keeps_nothing_travels_with_the_deferral_alone(self, records):
        journal = journal_of(None, records)
        journal.keep(KEY, entry("submitted", reference_id="r-1"))
        assert journal.forgets
        assert journal.carried[KEY]["reference_id"] == records.values[KEY]["reference_id"] == "r-1"
        journal.write(KEY, entry("ended", reference_id="r-1"))
        assert journal.carried[KEY]["phase"] == records.values[KEY]["phase"] == "ended"

    def test_of_one_request_says_nothing_of_another(self, state, records):
        journal = journal_of(state, records)
        journal.keep(KEY, entry("submitted", reference_id="r-1"))
        journal.keep("ims_reset_0002", entry("submitted", reference_id="r-2"))
        assert [journal.read(key).reference_id for key in (KEY, "ims_reset_0002")] == ["r-1", "r-2"]
        assert [state.values[key]["reference_id"] for key in (KEY, "ims_reset_0002")] == ["r-1", "r-2"]


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

    def test_counts_the_times_that_it_went_out_before(self, state, records):
        journal = journal_of(state, records)
        journal.write(KEY, entry(sends=3))
        state.fails.add("delete")
        journal.restore(KEY, None)
        assert (state.values[KEY]["phase"], state.values[KEY]["sends"]) == ("unsent", 2)

    def test_forgets_what_was_carried_as_well(self, records):
        journal = journal_of(None, records)
        journal.write(KEY, entry(sends=1))
        journal.restore(KEY, None)
        assert journal_of(None, records, journal.carried).read(KEY) is None
        assert records.values == {}

    def test_where_nothing_is_asks_nobody_to_remove_it(self, state, records):
        state.fails.add("delete")
        records.fails.add("delete")
        journal = journal_of(state, records)
        assert journal.read(KEY) is None
        journal.restore(KEY, None)
        assert (state.values, records.values, journal.carried) == ({}, {}, {})

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
    journal.forget_failures()
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


def test_whether_the_next_try_will_know_what_was_written_is_told(state, caplog):
    log = logging.getLogger("airflow.task")
    journal_of(state, None).warn_if_it_forgets(log)
    assert caplog.text == ""
    journal_of(None, None).warn_if_it_forgets(log)
    assert "retries=0" in caplog.text


def test_the_journal_of_a_task_instance_names_it(state, records):
    instance = SimpleNamespace(dag_id="ims", run_id="run-1", task_id="reset", map_index=3, try_number=2, max_tries=2)
    context: Any = {"ti": instance, "task_state_store": state}
    journal = Journal.of(context, {"failures": 2})
    journal.also_in(records)
    journal.write(KEY, entry())
    assert records.values[KEY]["who"] == {"dag_id": "ims", "run_id": "run-1", "task_id": "reset", "map_index": 3}
    assert (KEY in state.values, journal.count_failure()) == (True, 3)
    unnamed: Any = {}
    outside = Journal.of(unnamed)
    outside.write(KEY, entry())
    assert (outside.read(KEY).who, outside.forgets) == ({}, True)


def test_what_was_carried_in_another_form_is_nothing_that_was_waited_for():
    assert Journal(None, {"awaited": "r-1"}).awaited is None
    assert Journal(None, None).awaited is None


def test_only_a_clear_raises_the_last_try_that_airflow_makes():
    assert [Attempt(number, 2).is_last for number in (1, 2, 3)] == [False, False, True]
    assert not Attempt(2, 2).cleared_since(Attempt(1, 2))
    assert Attempt(2, 4).cleared_since(Attempt(1, 2))


def test_an_entry_is_of_the_last_clear_that_was_decided():
    assert entry().is_of(Attempt(3, 2))
    assert not entry().is_of(Attempt(3, 4))
    assert entry(cleared=4).is_of(Attempt(3, 4))
    assert not entry(cleared=4).is_of(Attempt(3, 2))
