"""The file that a plan is made from, and the judgement that each of its rows is in exactly one place."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from .service import docs_of
from .storage import DayFileSystem

if TYPE_CHECKING:
    from .world import World

BAD_ROWS = ("date", "alike", "differs", "unreadable")
INPUT = "input.jsonl"


def lines_of(rtin: str, records: list[tuple[str, dict[str, Any]]], bad_rows: tuple[str, ...]) -> list[str]:
    """
    Return the lines of an input file.

    :param records: section and record of each document that is wanted
    :param bad_rows: what else is in it; see :data:`BAD_ROWS`
    """
    rows = [{"rtin": rtin, "section": section, **record} for section, record in records]
    lines = [json.dumps(row) for row in rows]
    first = {"rtin": rtin, "section": records[0][0], **records[0][1]}
    number = "nt_num" if "nt_num" in first else "inum"
    date = "nt_dt" if "nt_dt" in first else "idt"
    for place, bad in enumerate(bad_rows):
        match bad:
            case "date":
                more = [{**first, number: f"B{place}", date: "31-02-2026"}]
            case "alike":
                more = [first]
            case "differs":
                more = [{**first, number: f"B{place}", "val": 10}, {**first, number: f"B{place}", "val": 20}]
            case _:
                lines.insert(place % (len(lines) + 1), '{"rtin": ')
                continue
        for row in more:
            lines.insert((place * 2 + 1) % (len(lines) + 1), json.dumps(row))
    return lines


def judge(world: World, flow: Any) -> None:
    """Judge the plan of a run: what ``plan.json`` names is there and whole, and each row is in exactly one place."""
    plan = flow.planner
    told = _file(f"{flow.planned_at}/plan.json")
    entries = world.airflow.xcom_of(plan)
    if told is not None and not flow.was_spoilt:
        named = [chunk for gstin in json.loads(told)["gstins"] for chunk in gstin["chunks"]]
        for chunk in named:
            content = _file(chunk["path"])
            if content is None or hashlib.sha256(content).hexdigest() != chunk["sha256"]:
                world.violate(f"the plan of {flow.plan.run_id} names {chunk['path']}, which is not there as it says")
        there = {path for path in DayFileSystem.files if _is_request(path, flow)}
        if there - {DayFileSystem._strip_protocol(chunk["path"]) for chunk in named}:
            world.violate(f"beside the plan of {flow.plan.run_id} there are requests that it does not name")
    if plan.state != "success" or plan.marked or not isinstance(entries, list):
        return
    if told is None:
        world.violate(f"{plan.name} went well, and there is no plan.json")
        return
    if not flow.was_spoilt:
        if json.loads(told)["gstins"] != entries:
            world.violate(f"{plan.name} returns something else than plan.json says")
        _each_row_is_in_one_place(world, flow, entries)


def _each_row_is_in_one_place(world: World, flow: Any, entries: list[dict[str, Any]]) -> None:
    in_requests: Counter[tuple[str, ...]] = Counter()
    for entry in entries:
        for chunk in entry["chunks"]:
            rtin, docs = docs_of(_file(chunk["path"]) or b"{}")
            in_requests.update(tuple(doc[1:]) for doc in docs)
            if len(docs) != chunk["documents"] or rtin != entry["rtin"]:
                world.violate(f"{chunk['path']} holds other documents than the plan says")
    rejected = Counter(_rejected_lines(flow))
    by_key: dict[tuple[str, ...], list[int]] = {}
    for number, line in enumerate(flow.lines, 1):
        try:
            row = json.loads(line)
        except ValueError:
            if not rejected[number]:
                world.violate(f"line {number} of the input of {flow.plan.run_id} cannot be read, and nobody says so")
            continue
        by_key.setdefault(_key_of(row), []).append(number)
    for key, numbers in by_key.items():
        out = sum(bool(rejected[number]) for number in numbers)
        if in_requests[key] > 1 or in_requests[key] + out != len(numbers):
            world.violate(
                f"{key[0]} {key[2]} stands in {len(numbers)} rows of the input of {flow.plan.run_id},"
                f" {in_requests[key]} times in requests and in {out} of the rejected rows"
            )
    for doc in flow.docs:
        if not flow.changed and not in_requests[tuple(doc[1:])]:
            world.violate(f"{doc.section} {doc.number} is right in the input of {flow.plan.run_id}, and in no request")
    if set(in_requests) - set(by_key):
        world.violate(f"the plan of {flow.plan.run_id} asks for documents that are not in its input")


def _rejected_lines(flow: Any) -> list[int]:
    text = _file(f"{flow.planned_at}/rejects.csv")
    if text is None:
        return []
    rows = csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline=""))
    return [int(found[1]) for row in rows if (found := re.search(r"(\d+)$", row["place"]))]


def _key_of(row: dict[str, Any]) -> tuple[str, ...]:
    number, date = row.get("nt_num") or row.get("inum"), row.get("nt_dt") or row.get("idt")
    return row["section"], row["stin"], str(number), row["rtnprd"], str(date)


def _is_request(path: str, flow: Any) -> bool:
    root = DayFileSystem._strip_protocol(flow.planned_at)
    return re.fullmatch(rf"{root}/{flow.plan.rtin}/\d+\.json", path) is not None


def _file(path: str) -> bytes | None:
    return DayFileSystem.files.get(DayFileSystem._strip_protocol(path))
