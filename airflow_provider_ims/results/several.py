"""One summary, and one error, over the results of several resets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_ims.exceptions import GstnError, GstnResetFailed, GstnResetPartial
from airflow_provider_ims.hooks.gstn import RESET, Call

_WORST_FIRST = ("failed", "partial", "processed")
_SHOWN = 10


def summary_of_failure(reference_id: str, error: GstnError) -> dict[str, Any]:
    """Return the summary of a request of which there is an error instead of a result."""
    return {
        "outcome": "failed",
        "reference_id": reference_id,
        "processed": 0,
        "errors": 0,
        "status_cd": "",
        "code": error.code,
        "failure": str(error).partition("\n")[0][:300],
    }


def summary_over(summaries: Sequence[Mapping[str, Any]], call: Call[Any, Any] = RESET) -> dict[str, Any]:
    """
    Return the summary of several resets, small enough for XCom.

    :param summaries: that of each reset
    :param call: which call they were of
    :return: the keys of one reset's summary: ``reference_id`` is the list, counts are added, ``outcome`` is the worst
        one and ``status_cd`` and ``code`` are those of the first reset that has it; and ``results``, the summaries
    """
    worst = min(summaries, key=lambda each: _WORST_FIRST.index(each["outcome"]))
    over: dict[str, Any] = {
        "outcome": worst["outcome"],
        "reference_id": [each["reference_id"] for each in summaries],
        "processed": sum(each["processed"] for each in summaries),
        "errors": sum(each["errors"] for each in summaries),
        "status_cd": worst["status_cd"],
        "code": worst["code"],
    }
    if any("simulator" in each for each in summaries):
        over["simulator"] = True
    sections: dict[str, dict[str, int]] = {}
    for each in summaries:
        for name, counts in each.get("sections", {}).items():
            known = sections.setdefault(name, dict.fromkeys(counts, 0))
            sections[name] = {said: known[said] + count for said, count in counts.items()}
    if sections:
        over["sections"] = sections
    if found := [each[call.found_key] for each in summaries if call.found_key in each]:
        over[call.found_key] = sum(found)
    return {**over, "results": [dict(each) for each in summaries]}


def error_over(
    summary: Mapping[str, Any], errors: Sequence[GstnError], call: Call[Any, Any] = RESET
) -> GstnError | None:
    """
    Return what is wrong with several resets: :class:`GstnResetFailed`, :class:`GstnResetPartial`, or nothing.

    :param summary: see :func:`summary_over`
    :param errors: those of the resets that did not end well
    :param call: which call they were of
    """
    if not errors:
        return None
    words = [each["outcome"] for each in summary["results"]]
    counts = ", ".join(f"{words.count(word)} {word}" for word in _WORST_FIRST if word in words)
    lines = [f"Of {len(words)} {call.noun}s: {counts}.", *map(str, errors[:_SHOWN])]
    if len(errors) > _SHOWN:
        lines.append(f"and {len(errors) - _SHOWN} more {call.noun}s that did not end well, all in the log")
    text = "\n".join(lines)
    refused = [row for error in errors for row in getattr(error, "refused", ())]
    advice = next((error.advice for error in errors if error.advice), "")
    if summary["outcome"] == "failed":
        return GstnResetFailed(text, code=summary["code"], advice=advice, refused=refused)
    code = summary["code"] or next((error.code for error in errors if error.code), "")
    return GstnResetPartial(text, code=code, advice=advice, refused=refused)
