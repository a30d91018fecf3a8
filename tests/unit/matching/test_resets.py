"""``resets.parquet``, from which requests are planned."""

from __future__ import annotations

from pathlib import Path

from tests.unit.matching.builders import booking, document, matched, read


def test_resets_stand_in_one_order_whatever_the_order_of_what_was_read(tmp_path: Path):
    numbers = [f"INV/{number}" for number in range(30)]
    orders = []
    for name, mixed in (("one", numbers), ("other", numbers[::-1])):
        (folder := tmp_path / name).mkdir()
        matched(folder, list(map(document, mixed)), list(map(booking, mixed)))
        orders.append([row["inum"] for row in read(folder / "out" / "resets.parquet")])
    assert orders[0] == orders[1] == sorted(numbers)
