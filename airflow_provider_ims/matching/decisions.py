"""What is to be done with a document: a table of match x present action, and a team's own function."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from airflow_provider_ims.matching.errors import MatchError
from airflow_provider_ims.matching.passes import MATCHES
from airflow_provider_ims.storage import read_whole
from airflow_provider_ims.tables.sql import literal

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

Decision = Literal["keep", "reset", "review"]
DECISIONS: Final[tuple[Decision, ...]] = ("keep", "reset", "review")
ACTIONS: Final = ("A", "R", "P", "N")

NO_DOCUMENT: Final = ""
"""The action of a row of the books for which there is no document."""

Rule = Callable[[dict[str, Any]], str | None]

_DOUBTFUL = ("mismatch", "probable", "ambiguous")

DEFAULT: Final[dict[tuple[str, str], Decision]] = {
    **{(match, action): "keep" for match in MATCHES for action in (*ACTIONS, NO_DOCUMENT)},
    **{(match, action): "reset" for match in ("matched", "within_tolerance") for action in "RP"},
    **{(match, action): "review" for match in _DOUBTFUL for action in "ARP"},
    ("only_in_ims", "A"): "review",
    ("ambiguous", NO_DOCUMENT): "review",
}
"""What is decided unless a team says otherwise."""


@dataclass(frozen=True)
class Decisions:
    """
    Decides what is to be done with each document.

    Three things no table and no function changes: a document at "no action" is never reset, one that its supplier has
    not filed is kept, and one that GSTN shows more than once, with different records, is for review.

    :param table: what differs from :data:`DEFAULT`: match -> decision for every action, or match -> action ->
        decision: ``{"probable": {"P": "reset"}, "only_in_ims": "review"}``
    :param function: gets each document's row as a dict, with ``decision`` as the table has it, and returns ``keep``,
        ``reset`` or ``review``; ``None`` leaves the table's
    :raises MatchError: with all that is wrong with it
    """

    table: Mapping[str, Any] = field(default_factory=dict)
    function: Rule | None = None
    of: dict[tuple[str, str], Decision] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        merged = dict(DEFAULT)
        problems = []
        for match, meaning in self.table.items():
            of_actions = meaning if isinstance(meaning, Mapping) else dict.fromkeys(ACTIONS, meaning)
            if match not in MATCHES:
                problems.append(f"{match!r} is no match; there are {', '.join(MATCHES)}")
            elif match == "only_in_books":
                problems.append("only_in_books has no document to decide about")
            for action, decision in of_actions.items():
                if action not in ACTIONS:
                    problems.append(f"{match}: {action!r} is no action; there are {', '.join(ACTIONS)}")
                elif decision not in DECISIONS:
                    problems.append(f"{match}, {action}: {decision!r} is none of {', '.join(DECISIONS)}")
                elif action == "N" and decision == "reset" and isinstance(meaning, Mapping):
                    problems.append(f"{match}, N: a document at no action cannot be reset")
                elif not (action == "N" and decision == "reset"):
                    merged[match, action] = cast("Decision", decision)
        if problems:
            raise MatchError("decisions: " + "\n  ".join(problems))
        object.__setattr__(self, "of", merged)

    @classmethod
    def of_csv(cls, text: str, function: Rule | None = None) -> Decisions:
        """
        Read a table with the heading ``match,action,decision``; ``*`` or an empty action means every one.

        :param text: the file
        :param function: as above
        :raises MatchError: with all that is wrong with it
        """
        reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
        if not {"match", "action", "decision"} <= set(reader.fieldnames or ()):
            raise MatchError("decisions: the table has the heading match,action,decision")
        table: dict[str, dict[str, str]] = {}
        for row in reader:
            match, action, decision = (str(row[name] or "").strip() for name in ("match", "action", "decision"))
            if not (match or action or decision):  # a spreadsheet leaves such rows below its own
                continue
            every = [one for one in ACTIONS if not (one == "N" and decision == "reset")]
            table.setdefault(match, {}).update(dict.fromkeys(every if action in {"", "*"} else [action], decision))
        return cls(table, function)

    @classmethod
    def of_file(cls, path: ObjectStoragePath | str) -> Decisions:
        """
        Read a CSV file, as :meth:`of_csv` does.

        :param path: the file, also as ``ObjectStoragePath`` takes it
        :raises CannotRead: when it cannot be read
        :raises MatchError: with all that is wrong with it
        """
        return cls.of_csv(read_whole(path).decode("utf-8-sig", "replace"))

    def sql(self) -> str:
        """
        Return the SQL of the decision from ``match``, ``action``, ``filed``, ``is_doubled`` and ``rtin``, a document's.

        A null ``filed`` is not known.
        """
        of_match = []
        for match in MATCHES:
            cases = " ".join(
                f"WHEN {literal(action)} THEN {literal(self.of[match, action])}" for action in (*ACTIONS, NO_DOCUMENT)
            )
            # An action that nobody knows is not left to a machine.
            of_match.append(f"WHEN {literal(match)} THEN CASE coalesce(action, '') {cases} ELSE 'review' END")
        decision = f"CASE match {' '.join(of_match)} END"
        return (
            # Only a row of the books has no action by right: it has no document.
            "CASE WHEN filed = false THEN 'keep' WHEN is_doubled OR (rtin IS NOT NULL AND action IS NULL) THEN 'review'"
            f" WHEN filed IS NULL AND {decision} = 'reset' THEN 'review'"
            f" ELSE {decision} END"
        )

    def of_row(self, row: dict[str, Any]) -> Decision:
        """
        Ask the function about a document.

        :param row: the document's row; ``decision`` is the table's
        :raises MatchError: when the answer is none of the three
        """
        proposed = cast("Decision", row["decision"])
        if self.function is None or row["filed"] is False:
            return proposed
        answer = self.function(dict(row))
        if answer is None:
            return proposed
        if answer not in DECISIONS:
            raise MatchError(
                f"The function of decisions returned {answer!r} for {row['section']} {row['number']} of {row['stin']}"
                f" (GSTIN {row['rtin']}); it takes {', '.join(DECISIONS)} or None"
            )
        if answer == "reset" and row["action"] not in {"A", "R", "P"}:
            return "keep" if row["action"] == "N" else "review"
        return answer
