"""A company with many GSTINs in the middle of its work, as events."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_ims.models.gstin import check_digit

LETTERS = "ABCDEFGHJKLMNPRSTUVW"
REFUSALS = (
    (
        "IMSSAV0010",
        "Either previous action is incorrect/ invoice might have edited by supplier",
        "Download the document from IMS again, rebuild the reset from what GSTN holds now (prev_status and amounts),"
        " and send it once more.",
    ),
)


def gstins(number: int) -> list[str]:
    """Invented GSTINs of one company group, whose check digits fit."""
    chance = random.Random(number)  # noqa: S311
    found = []
    for place in range(number):
        name = "".join(chance.choice(LETTERS) for _ in range(5))
        start = f"{1 + place % 35:02}{name}{chance.randrange(1000, 9999)}{chance.choice(LETTERS)}1Z"
        found.append(start + check_digit(f"{start}0"))
    return found


def events(of: list[str]) -> Iterator[dict[str, Any]]:
    """What has happened to them: most are done, some need a person."""
    chance = random.Random(len(of))  # noqa: S311
    now = datetime.now(UTC)

    def at(hours: float) -> str:
        return (now - timedelta(hours=hours)).isoformat()

    for place, gstin in enumerate(of):
        documents = chance.randrange(80, 2400)
        resets, review = documents // chance.randrange(8, 30), chance.randrange(0, 9)
        refused = chance.randrange(1, 4) if place % 9 == 4 else 0
        tax = chance.randrange(200_000, 9_000_000)
        share = tax * resets // documents
        opened = 5.5 if place % 11 else 30
        ends_at = (now + timedelta(hours=6 - opened)).isoformat()
        yield {"event": "opened", "gstin": gstin, "at": at(opened), "ends_at": ends_at}
        if place % 11:
            extended = (now + timedelta(hours=4.5)).isoformat()
            yield {"event": "extended", "gstin": gstin, "at": at(1.5), "ends_at": extended}
        taken = {"A": documents // 2, "R": resets, "P": documents // 20}
        taken["N"] = documents - sum(taken.values())
        shares = {word: f"{tax * count // documents}.40" for word, count in taken.items()}
        about = {"gstin": gstin, "documents": documents}
        yield {"event": "snapshot_taken", **about, "at": at(4), "counts": taken, "tax": shares}
        counts = {"matched": documents - resets - review, "mismatch": resets, "probable": review}
        counts |= {"keep": documents - resets - review, "reset": resets, "review": review}
        amounts = {"keep": f"{tax - share}.10", "reset": f"{share}.25", "review": f"{review * 1800}.00"}
        yield {"event": "reconciled", **about, "at": at(3), "counts": counts, "tax": amounts}
        if place % 13 == 6:
            continue
        outcome = {"reset": resets - refused, "refused": refused, "unknown": 0, "not_sent": 0}
        rows = [
            {
                "section": "b2b",
                "stin": of[(place + number + 1) % len(of)],
                "number": f"INV/26-27/{1000 + place + number}",
                "date": "14-10-2026",
                "rtnprd": "102026",
                **dict(zip(("code", "message", "remedy"), REFUSALS[0], strict=True)),
            }
            for number in range(refused)
        ]
        word = "partial" if refused else "processed"
        told = {"gstin": gstin, "documents": resets, "outcome": word, "counts": outcome}
        yield {"event": "reset", **told, "at": at(2), "tax": {"reset": f"{share}.25"}, "refused": rows}
        done = {"verified": resets - refused, "not_reset": 1 if place % 40 == 3 else 0, "changed_by_supplier": refused}
        told = {"gstin": gstin, "documents": resets, "counts": done}
        yield {"event": "verified", **told, "at": at(1), "tax": {"verified": f"{share}.25"}}
