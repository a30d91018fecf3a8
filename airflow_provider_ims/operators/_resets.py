"""Which resets a task is given: those of a reconciliation, or those of them that a person approved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from airflow_provider_ims._compat import AirflowSkipException
from airflow_provider_ims.exceptions import GstnInvalidRequest
from airflow_provider_ims.operators._arguments import is_several
from airflow_provider_ims.snapshots.snapshot import in_hours, several

_APPROVE: Final = "Approve"
"""The answer of Airflow's ``ApprovalOperator`` after which what follows runs."""


class Resets(NamedTuple):
    """
    A ``resets.parquet``.

    :param path: where it is
    :param digest: SHA-256 of its bytes
    :param taken_at: when the oldest of the snapshots was taken from which it was made
    """

    path: str
    digest: str
    taken_at: datetime

    def to_json(self) -> dict[str, str]:
        """Return it as it goes from task to task."""
        return {"resets_path": self.path, "resets_digest": self.digest, "taken_at": self.taken_at.isoformat()}


def is_returned(source: Any) -> bool:
    """Say whether an argument is what tasks returned, and not a file's name or several."""
    return source is None or isinstance(source, Mapping) or (is_several(source) and any(map(_is_returned, source)))


def _is_returned(one: Any) -> bool:
    return one is None or isinstance(one, Mapping)


def resets_of(returned: Sequence[Any], name: str) -> list[Resets]:
    """
    Return the resets of reconciliations.

    :param returned: what ``ImsReconcileOperator`` returned, of each
    :param name: the argument's name, for the error
    :raises GstnInvalidRequest: when it is something else
    """
    found = []
    for each in returned:
        try:
            taken_at = datetime.fromisoformat(each["taken_at"]).astimezone(UTC)
            found.append(Resets(str(each["resets_path"]), str(each["resets_digest"]), taken_at))
        except (TypeError, KeyError, ValueError):
            raise GstnInvalidRequest(
                f"{name} is not what a reconciliation or an approval returned.\nIt is {each!r:.200}"
                "\nA task whose success was set by hand returned nothing. Clear the task that it comes from.",
                place=name,
            ) from None
    return found


def resets_to_plan(returned: Any, max_age: timedelta | None, log: Any) -> list[Resets]:
    """
    Return the resets of reconciliations, and those that were approved.

    :param returned: what ``ImsReconcileOperator`` or ``ImsApprovalOperator`` returned, or several
    :param max_age: how old the snapshots may be; ``None``: any age
    :param log: where it is told who approved what
    :raises AirflowSkipException: when all of it was rejected
    :raises GstnInvalidRequest: when it is something else, or too old
    """
    found: list[Resets] = []
    rejected = 0
    for each in several(returned):
        if not isinstance(each, Mapping) or "chosen_options" not in each:
            found += resets_of([each], "source")
            continue
        user = each.get("responded_by_user") or {}
        who = f"{user.get('name') or user.get('id') or 'nobody in time'}, {each.get('responded_at')}"
        resets = resets_of(several(each.get("resets")), "source")
        verdict = "Approved" if each["chosen_options"] == [_APPROVE] else "Rejected"
        for one in resets:
            log.info("%s by %s: %s, digest %.12s", verdict, who, one.path, one.digest)
        if verdict == "Approved":
            found += resets
        else:
            rejected += len(resets)
    if rejected and not found:
        raise AirflowSkipException("All of it was rejected. Nothing was planned.")
    _look_at_the_age(found, max_age)
    return found


def _look_at_the_age(resets: Sequence[Resets], max_age: timedelta | None) -> None:
    oldest = min(resets, key=lambda each: each.taken_at, default=None)
    if oldest is None or max_age is None or (age := datetime.now(UTC) - oldest.taken_at) <= max_age:
        return
    raise GstnInvalidRequest(
        f"What is to be reset was found {in_hours(age)} ago, and at most {in_hours(max_age)} is allowed (max_age)."
        f"\nIt is {oldest.path}\nGSTN may hold something else by now. Nothing was planned."
        "\nClear the run from the tasks that take the snapshots on, or start a new one."
    )
