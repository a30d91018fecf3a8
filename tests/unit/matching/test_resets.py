"""``resets.parquet``, from which requests are planned."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_ims.matching import Decisions
from tests.unit.matching.builders import booking, document, matched, read


def test_resets_stand_in_one_order_whatever_the_order_of_what_was_read(tmp_path: Path):
    numbers = [f"INV/{number}" for number in range(30)]
    orders = []
    for name, mixed in (("one", numbers), ("other", numbers[::-1])):
        (folder := tmp_path / name).mkdir()
        matched(folder, list(map(document, mixed)), list(map(booking, mixed)))
        orders.append([row["inum"] for row in read(folder / "out" / "resets.parquet")])
    assert orders[0] == orders[1] == sorted(numbers)


@pytest.mark.parametrize(
    ("odd", "named"),
    [
        *(({"pos": pos}, "pos") for pos in (None, "7", "99")),
        *(({"srcform": word}, "srcform") for word in (None, "R5")),
        *(({"rtnprd": period}, "rtnprd") for period in ("2026-10", None)),
        *(({"val": amount}, "val") for amount in ("-1.00", None)),
        *(({"inv_typ": None}, "inv_typ"), ({"number": "INV/1 OF A LONG YEAR"}, "inum"), ({"number": "INV.1"}, "inum")),
        ({"camt": None, "raw": '{"camt":"much"}'}, "camt"),
        ({"pos": None, "val": None}, "pos, val"),
    ],
)
def test_what_no_request_takes_is_for_review_and_keeps_no_other_from_being_reset(odd, named, tmp_path: Path):
    number = odd.get("number", "INV/1")
    held, booked = [document(**{"number": "INV/1", **odd}), document("INV/2")], [booking(number), booking("INV/2")]
    result = matched(tmp_path, held, booked)
    assert (result.of(number)["decision"], result.of("INV/2")["decision"]) == ("review", "reset")
    assert result.of(number)["reason"].endswith(f"a request does not take it as GSTN shows it: {named}")
    assert [row["inum"] for row in read(tmp_path / "out" / "resets.parquet")] == ["INV/2"]
    whatever = Decisions(function=lambda row: "reset")
    assert matched(tmp_path, held, booked, decisions=whatever).of(number)["decision"] == "review"


def test_an_amended_document_needs_what_it_amends(tmp_path: Path):
    whole = {"section": "b2ba", "original_number": "INV/0", "original_date": "2026-09-04"}
    held = [document("INV/1", **whole), document("INV/2", **{**whole, "original_number": None})]
    result = matched(tmp_path, held, [booking("INV/1"), booking("INV/2")])
    assert [result.of(number)["decision"] for number in ("INV/1", "INV/2")] == ["reset", "review"]


def test_a_tax_that_the_record_does_not_have_is_sent_as_none(tmp_path: Path):
    matched(tmp_path, [document(camt=None, samt=None, cess=None, raw='{"camt":null}')], [booking()])
    [row] = read(tmp_path / "out" / "resets.parquet")
    assert [str(row[name]) for name in ("iamt", "camt", "samt", "cess")] == ["180.00", "0.00", "0.00", "0.00"]
