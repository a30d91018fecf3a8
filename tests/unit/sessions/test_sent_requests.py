"""How long it is kept what was sent."""

from __future__ import annotations

import pytest

from airflow_provider_ims.sessions.sent_requests import SentRequests
from airflow_provider_ims.sessions.store import MemorySessionStore

GSTIN, OTHER = "20MAYAS0100J1ZX", "27AAPFU0939F1ZV"
DAY = 86400.0


class Kept:
    """Requests that are sent on given days."""

    def __init__(self) -> None:
        self.store = MemorySessionStore()
        self.day = 0.0
        self.requests = SentRequests(self.store, lambda: self.day * DAY)

    def send(self, day: float, reference_id: str, gstin: str = GSTIN) -> None:
        self.day = day
        self.requests.remember(gstin, reference_id, f"what {reference_id} was")


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_what_was_sent_can_be_looked_up_as_long_as_the_service_keeps_its_result(kept):
    kept.send(0, "r-1")
    kept.send(7, "r-2")
    assert [kept.requests.find(name) for name in ("r-1", "r-2", "r-3")] == ["what r-1 was", "what r-2 was", None]


def test_the_next_request_of_the_taxpayer_sweeps_out_what_is_older(kept):
    kept.send(0, "r-1")
    kept.send(0, "s-1", OTHER)
    kept.store.set("gstn_reconciled__r-1", "found")
    kept.send(9, "r-2")
    assert sorted(kept.store.kept) == [
        "gstn_sent__r-2",
        "gstn_sent__s-1",
        f"gstn_sent_ids__{GSTIN}",
        f"gstn_sent_ids__{OTHER}",
    ]


def test_a_year_of_requests_leaves_no_more_than_eight_days_of_them(kept):
    for day in range(365):
        kept.send(day, f"r-{day}")
    assert len(kept.store.kept) == 8 + 1


@pytest.mark.parametrize("reference_id", ["r/1", "../x", "r 1", "é", "x" * 300])
def test_an_odd_reference_id_makes_a_plain_key(kept, reference_id):
    kept.send(0, reference_id)
    assert kept.requests.find(reference_id) == f"what {reference_id} was"
    assert all(key.replace("_", "").isalnum() and len(key) < 100 for key in kept.store.kept)


@pytest.mark.parametrize("text", ["no JSON", "[]", "null", '{"r-0": "long ago"}'])
def test_a_list_that_cannot_be_read_is_begun_anew(kept, text):
    kept.store.set(f"gstn_sent_ids__{GSTIN}", text)
    kept.send(0, "r-1")
    assert kept.requests.find("r-1") == "what r-1 was"
