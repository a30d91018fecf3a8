"""What is decided of each match at each action unless a team says otherwise: the table of the guide, to the cell."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_ims.matching import Decisions, MatchError
from tests.unit.docs.test_pages import rows
from tests.unit.matching.builders import OTHER, Result, booking, document, matched, read

_MATCHES = ("matched", "within_tolerance", "mismatch", "probable", "ambiguous", "only_in_ims")
_CELLS = [(match, action) for match in _MATCHES for action in "ARPN"]


def number_of(match: str, action: str) -> str:
    """The number of a cell's document, short enough for a request."""
    return f"{action}{_MATCHES.index(match)}/4711"


def bookings(match: str, number: str, stin: str) -> list[dict[str, Any]]:
    """What is booked of a document that is to have this match."""
    booked = booking(number, stin=stin)
    return {
        "matched": [booked],
        "within_tolerance": [booked | {"txval": "1000.60"}],
        "mismatch": [booked | {"txval": "2000.00"}],
        "probable": [booked | {"number": number.replace("4711", "4721")}],
        "ambiguous": [booked, booked],
        "only_in_ims": [],
    }[match]


def the_guides_table() -> dict[tuple[str, str], str]:
    """Match and action -> decision, as the guide shows them."""
    found = {}
    for matches, *decisions in rows("reconciliation.md", "## What is decided"):
        at_a, at_r_or_p, at_n = (re.sub(r"\W", "", decision) for decision in decisions)
        for match in re.findall(r"`(\w+)`", matches):
            found |= {(match, "A"): at_a, (match, "R"): at_r_or_p, (match, "P"): at_r_or_p, (match, "N"): at_n}
    return found


GUIDE = the_guides_table()


@pytest.fixture(scope="module", params=[True, False])
def of_all_cells(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """One reconciliation with a document of each match at each action, filed or not, and a row of the books alone."""
    documents, books = [], [booking("BOOKED-ALONE", stin=OTHER)]
    for place, cell in enumerate(_CELLS):
        number = number_of(*cell)
        stin = f"29AAACB{place:04}C1Z5"  # of its own, so that no document is a candidate for another's row
        documents.append(document(number, stin=stin, action=cell[1], filed=request.param))
        books += bookings(cell[0], number, stin)
    return matched(tmp_path_factory.mktemp("cells"), documents, books)


def test_the_guide_says_what_is_decided_of_each_document():
    assert sorted(GUIDE) == sorted(_CELLS)


@pytest.mark.parametrize("of_all_cells", [True], indirect=True)
@pytest.mark.parametrize(("match", "action"), _CELLS)
def test_a_document_is_decided_as_the_guide_says(of_all_cells: Result, match: str, action: str):
    row = of_all_cells.of(number_of(match, action))
    assert (row["match"], row["action"], row["decision"]) == (match, action, GUIDE[match, action])


@pytest.mark.parametrize("of_all_cells", [True], indirect=True)
def test_only_what_is_to_be_reset_is_in_the_resets(of_all_cells: Result):
    expected = sorted(number_of(*cell) for cell, decision in GUIDE.items() if decision == "reset")
    assert of_all_cells.summary["decisions"]["reset"] == len(expected) == 4
    assert sorted(row["inum"] for row in read(of_all_cells.folder / "resets.parquet")) == expected


@pytest.mark.parametrize("of_all_cells", [False], indirect=True)
@pytest.mark.parametrize(("match", "action"), _CELLS)
def test_a_document_that_is_only_saved_is_kept_and_said_so(of_all_cells: Result, match: str, action: str):
    row = of_all_cells.of(number_of(match, action))
    assert (row["match"], row["decision"]) == (match, "keep")
    assert row["reason"].endswith("its supplier has saved it but not filed it, so it is kept as it is")


def test_a_table_of_decisions_may_have_empty_rows():
    text = "match,action,decision\n,,\nprobable,P,reset\n , ,\n\n"
    assert Decisions.of_csv(text) == Decisions({"probable": {"P": "reset"}})
    with pytest.raises(MatchError, match="'' is no match"):
        Decisions.of_csv(text + ",P,reset\n")


def test_rows_of_the_books_alone_are_kept_but_for_those_that_fit_several_documents(of_all_cells: Result):
    alone = {(row["match"], row["decision"]) for row in of_all_cells.rows if row["number"] is None}
    assert sorted(alone) == [("ambiguous", "review"), ("only_in_books", "keep")]
