"""Finds out which documents are to be reset, and afterwards whether they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from airflow_provider_ims._compat import AirflowSkipException
from airflow_provider_ims.assets import IMS_ALIAS, Sums
from airflow_provider_ims.bulk.plan_entry import plan_of
from airflow_provider_ims.exceptions import (
    GstnError,
    GstnInvalidPayload,
    GstnInvalidRequest,
    GstnPermanentError,
    GstnStorageUnavailable,
    GstnTransientError,
    of_storage_error,
)
from airflow_provider_ims.links import LINKS
from airflow_provider_ims.matching import (
    BookColumns,
    BookFile,
    BookQuery,
    Decisions,
    MatchError,
    MatchRules,
    Options,
    RowsRejected,
    reconcile,
)
from airflow_provider_ims.matching.books import DateOrder, OtherGstins
from airflow_provider_ims.matching.engine import OnInvalid
from airflow_provider_ims.matching.sources import Books
from airflow_provider_ims.models.calendar import Calendar, OnWindow
from airflow_provider_ims.models.choices import check_choice
from airflow_provider_ims.models.faults import CountsDisagree
from airflow_provider_ims.models.plan import GstinPlan
from airflow_provider_ims.models.printable import counted
from airflow_provider_ims.operators._arguments import REPORT_FORMATS, check_formats, folder, instance_of, is_true
from airflow_provider_ims.operators._assets import AssetEvents, declare_assets
from airflow_provider_ims.operators._ending import end_task, succeeds
from airflow_provider_ims.operators._page_summary import SUMMARY, ShowsSummary
from airflow_provider_ims.operators._sources import files_of, sql_hook
from airflow_provider_ims.operators._window import look_at_the_calendar
from airflow_provider_ims.owner import FolderTaken, Owner
from airflow_provider_ims.results.verified_files import VerifiedFiles
from airflow_provider_ims.snapshots.errors import SnapshotUnavailable, SnapshotUnusable
from airflow_provider_ims.snapshots.snapshot import MAX_AGE, FoundSnapshot, newest_of_each_place, several, usable
from airflow_provider_ims.snapshots.verification import COLUMNS, VERIFICATIONS, Held, Reported, verify
from airflow_provider_ims.storage import StorageError, names_in, place
from airflow_provider_ims.tables.database import MEMORY_LIMIT, checked_memory_limit, open_database, workspace
from airflow_provider_ims.tables.documents import TAXES
from airflow_provider_ims.tables.errors import FileUnavailable, FileUnusable, NoRoom, TableError
from airflow_provider_ims.tables.files import local_file

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["ImsReconcileOperator", "ImsVerifyOperator"]


class ImsReconcileOperator(ShowsSummary):
    """
    Match the documents of snapshots with the books, and decide what is to be done with each. Nothing is sent.

    Every document and every row of the books is in ``reconciliation.parquet`` exactly once, with ``match``, ``rule``,
    ``reason``, ``candidates`` and ``decision``. ``resets.parquet`` has the documents to reset, as
    :class:`ImsPlanOperator` takes them; ``review.csv`` what a person has to look at, the largest tax first;
    ``rejects.csv`` the rows of the books that cannot be read; ``reconciliation.json`` the counts. Each file is whole or
    not there.

    :param snapshot: what :class:`ImsDownloadOperator` returned, or the path of a snapshot, or a list of either, at most
        one for each GSTIN (templated)
    :param books: path or URI of a file of books, or a list of them; ``*`` stands for any part of a file's name
        (templated)
    :param sql: instead of ``books``: a query that returns rows (templated, also from a ``.sql`` file)
    :param conn_id: the query's connection, of any type that Airflow can query (templated)
    :param parameters: values for the query's placeholders (templated)
    :param output_path: directory for this reconciliation alone: an earlier one in it is removed, one of another task of
        the same run is an error (templated)
    :param columns: the books' name of a column -> field; see :class:`~airflow_provider_ims.matching.BookColumns`
        (templated)
    :param file_format: ``csv``, ``json``, ``jsonl`` or ``parquet``, when the file's name does not say
    :param delimiter: what stands between two cells of a CSV file; ``None``: what its heading shows
    :param encoding: of a text file; ``None``: UTF-8, UTF-16 by its mark, else Windows' cp1252 with a warning
    :param rules: how much the two may differ: :class:`~airflow_provider_ims.matching.MatchRules` or its arguments
    :param decisions: what is to be done: :class:`~airflow_provider_ims.matching.Decisions`, its table, or the path of a
        CSV file with ``match,action,decision`` (a path is templated)
    :param on_invalid: when rows of the books cannot be read: ``fail`` with nothing matched, or ``skip`` them and warn
    :param other_gstins: rows of the books for a GSTIN without a snapshot: ``reject``, or ``leave_out``
    :param date_order: ``DMY`` or ``MDY`` for dates such as 04/10/2026; ``None``: what other dates of the file show
    :param allow_empty_books: books without a row are no fault
    :param allow_incomplete: take snapshots of some sections or of one action
    :param max_age: how old a snapshot may be; ``None``: any age
    :param on_window: when GSTR-3B is due shortly or was due, and there is something to reset: ``warn``, ``fail``, or
        ``ignore``
    :param calendar: how the company files: :class:`~airflow_provider_ims.models.calendar.Calendar` or its arguments
    :param memory_limit: of the tables, such as ``1GB``; what is more goes to the worker's disk
    :param report_formats: without ``xlsx`` among them ``review.xlsx`` and ``rejects.xlsx`` are not written
    :param emit_assets: tell Airflow's assets what happened; see :mod:`airflow_provider_ims.assets`
    """

    template_fields: Sequence[str] = (
        "snapshot",
        "books",
        "sql",
        "conn_id",
        "parameters",
        "output_path",
        "columns",
        SUMMARY,
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers = {"sql": "sql", SUMMARY: "md"}  # noqa: RUF012  Airflow's own spelling
    ui_color = "#e3e7f7"
    operator_extra_links = LINKS

    def __init__(
        self,
        *,
        snapshot: Any,
        output_path: str,
        books: str | Sequence[str] | None = None,
        sql: str | None = None,
        conn_id: str | None = None,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        columns: Mapping[str, Any] | None = None,
        file_format: str | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
        rules: MatchRules | Mapping[str, Any] | None = None,
        decisions: Decisions | Mapping[str, Any] | str | None = None,
        on_invalid: OnInvalid = "fail",
        other_gstins: OtherGstins = "reject",
        date_order: DateOrder | None = None,
        allow_empty_books: bool = False,
        allow_incomplete: bool = False,
        max_age: timedelta | None = MAX_AGE,
        on_window: OnWindow = "warn",
        calendar: Calendar | Mapping[str, Any] | None = None,
        memory_limit: str = MEMORY_LIMIT,
        report_formats: Sequence[str] = REPORT_FORMATS,
        emit_assets: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.report_formats = check_formats(report_formats)
        if (books is None) == (sql is None):
            raise ValueError("Give either books or sql")
        if (sql is None) != (conn_id is None):
            raise ValueError("sql and conn_id go together")
        check_choice("on_window", on_window, OnWindow)
        # A wrong value is told when the DAG is read.
        Options(on_invalid=on_invalid)
        checked_memory_limit(memory_limit)
        self.calendar = Calendar.of(calendar)
        self.rules = rules if isinstance(rules, MatchRules) else MatchRules(**(rules or {}))
        self.decisions = Decisions(decisions) if isinstance(decisions, Mapping) else decisions
        self.snapshot = snapshot
        self.output_path = output_path
        self.books = books
        self.sql = sql
        self.conn_id = conn_id
        self.parameters = parameters
        self.columns = columns
        self.file_format = file_format
        self.delimiter = delimiter
        self.encoding = encoding
        self.on_invalid = on_invalid
        self.other_gstins = other_gstins
        self.date_order = date_order
        self.allow_empty_books = allow_empty_books
        self.allow_incomplete = allow_incomplete
        self.max_age = max_age
        self.on_window = on_window
        self.memory_limit = memory_limit
        self.emit_assets = declare_assets(self, emit_assets, IMS_ALIAS)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Match and decide.

        :return: the content of ``reconciliation.json`` (see :func:`~airflow_provider_ims.matching.reconcile`) with
            ``path``, ``resets_path``, ``review_path``, ``taken_at`` (of the oldest snapshot), and ``notes``: what a
            person should know of the calendar
        :raises GstnInvalidPayload: when rows of the books are rejected, or a file is not what it must be
        :raises GstnInvalidRequest: when a snapshot cannot be worked on, an argument is wrong, or ``on_window`` is
            ``fail``
        :raises GstnTransientError: when a file cannot be read or written now
        """
        output = folder("output_path", self.output_path)
        with told_to_airflow("Nothing was matched."):
            decisions = self._decisions(context)
            found = usable(
                several(self.snapshot),
                max_age=self.max_age,
                allow_incomplete=is_true("allow_incomplete", self.allow_incomplete),
            )
            summary = reconcile(
                [each.documents for each in found],
                self._sources(),
                output,
                columns=BookColumns(self.columns),
                rules=self.rules,
                decisions=decisions,
                options=Options(
                    on_invalid=self.on_invalid,
                    other_gstins=self.other_gstins,
                    date_order=self.date_order,
                    allow_empty_books=is_true("allow_empty_books", self.allow_empty_books),
                    memory_limit=self.memory_limit,
                    workbooks="xlsx" in self.report_formats,
                ),
                rtins=[each.head.gstin for each in found],
                by=instance_of(context),
                expected={(each.head.gstin, each.head.snapshot): each.head.documents for each in found},
            )
        warnings = [text for each in found for text in each.head.warnings]
        for warning in [*warnings, *summary["warnings"]]:
            self.log.warning("%s", warning)
        notes = self._look_at_the_calendar(summary)
        self.log.info("%s", ", ".join(f"{name} {count:,}" for name, count in sorted(summary["matches"].items())))
        self.log.info("Decided: %s", ", ".join(f"{name} {count:,}" for name, count in summary["decisions"].items()))
        paths = {"path": "reconciliation.json", "resets_path": "resets.parquet", "review_path": "review.csv"}
        if "xlsx" in self.report_formats:
            paths["review_xlsx_path"] = "review.xlsx"
        by_rtin = summary.pop("by_rtin")
        path = str(output / paths.get("review_xlsx_path", "review.csv"))
        events = ({"gstin": rtin, "path": path, **sums} for rtin, sums in by_rtin.items())
        AssetEvents(self, context).ims("reconciled", events)
        taken_at = min(each.head.taken_at for each in found).isoformat()
        told = {
            **{key: str(output / name) for key, name in paths.items()},
            **summary,
            "taken_at": taken_at,
            "notes": notes,
        }
        self.show_summary(told)
        return told

    def _look_at_the_calendar(self, summary: Mapping[str, Any]) -> list[str]:
        if not summary["decisions"].get("reset"):
            return []
        refusal = 'Nothing was sent, and with on_window="fail" nothing will be.'
        return look_at_the_calendar(self.calendar, summary["rtins"], self.on_window, self.log, refusal=refusal)

    def _decisions(self, context: Context) -> Decisions | None:
        if not isinstance(self.decisions, str):
            return self.decisions
        return Decisions.of_file(str(self.render_template(self.decisions, context)))

    def _sources(self) -> list[Books]:
        if self.sql is not None:
            return [BookQuery(sql_hook(str(self.conn_id)).get_conn, self.sql, self.parameters)]
        return [BookFile(path, self.file_format, self.delimiter, self.encoding) for path in files_of(self.books)]


OnDifference = Literal["fail", "warn"]


class Snapshots(NamedTuple):
    """
    What outcomes are compared with.

    :param fresh: GSTIN -> its snapshot
    :param earlier: GSTIN -> the one from which its requests were made, if it was given
    :param wrong: GSTIN, or what was given in place of a snapshot -> why it cannot be compared with
    """

    fresh: dict[str, FoundSnapshot]
    earlier: dict[str, FoundSnapshot]
    wrong: dict[str, str]


class Compared:
    """What a comparison has found so far: ``not_compared`` holds GSTINs, ``faults`` says why, for who must act."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.by_rtin: dict[str, Sums] = {}
        self.differences = 0
        self.not_compared: dict[str, None] = {}
        self.faults: list[str] = []

    def add(self, rtin: str, row: Mapping[str, Any]) -> None:
        """Count a document, a row of ``verified.csv``."""
        outcome, word = row["outcome"], row["verification"]
        self.counts[outcome, word] += 1
        is_gone = word == "gone"
        tax = (row[f"{name}_{'sent' if is_gone else 'now'}"] for name in TAXES)
        self.by_rtin.setdefault(rtin, Sums.empty()).add(word, tax)
        self.differences += outcome == "reset" and not is_gone and row["action"] != "N"


class ImsVerifyOperator(ShowsSummary):
    """
    Compare what bulk said of each document with a fresh snapshot.

    Each document is ``verified`` (it stands at "no action"), ``not_reset``, ``changed_by_supplier`` (an amount or the
    place of supply is another one than was sent, whatever its action) or ``gone`` (its supplier took it back).
    ``verified.csv`` has all of them. A GSTIN without a snapshot that can tell keeps no other from being compared; the
    task names it, and fails.

    :param outcomes: what :class:`ImsBulkResetOperator` returned, or a list of it, such as the output of a mapped task
        (templated)
    :param snapshot: what :class:`ImsDownloadOperator` returned after the reset, or the path of a snapshot, or a list of
        either, one for each GSTIN (templated)
    :param output_path: directory for ``verified.csv``; one of another task of the same run in it is an error
        (templated)
    :param plan: what :class:`ImsPlanOperator` returned, such as ``plan.output``. Then what Airflow still keeps of an
        earlier plan, from before the run was cleared, is left out, and the documents of a GSTIN whose task ended
        without an outcome are compared as ``unknown`` (templated)
    :param before: the snapshots from which the resets were made, in the same forms: then a document whose hash is
        another one now is changed, too (templated). That GSTN's hash does not follow the action is inferred (hash)
    :param on_difference: when a document that was said to be reset does not stand at "no action": ``fail`` or ``warn``.
        One that is gone is no difference
    :param max_age: how old the snapshot may be; ``None``: any age
    :param memory_limit: of the tables, such as ``1GB``
    :param report_formats: without ``xlsx`` among them ``verified.xlsx`` is not written
    :param emit_assets: tell Airflow's assets what happened; see :mod:`airflow_provider_ims.assets`
    """

    template_fields: Sequence[str] = ("outcomes", "snapshot", "output_path", "plan", "before", SUMMARY)
    ui_color = "#dff7d7"
    operator_extra_links = LINKS

    def __init__(
        self,
        *,
        outcomes: Any,
        snapshot: Any,
        output_path: str,
        plan: Any = None,
        before: Any = None,
        on_difference: OnDifference = "fail",
        max_age: timedelta | None = MAX_AGE,
        memory_limit: str = MEMORY_LIMIT,
        report_formats: Sequence[str] = REPORT_FORMATS,
        emit_assets: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.report_formats = check_formats(report_formats)
        check_choice("on_difference", on_difference, OnDifference)
        checked_memory_limit(memory_limit)
        self.outcomes = outcomes
        self.snapshot = snapshot
        self.output_path = output_path
        self.plan = plan
        self.before = before
        self.on_difference = on_difference
        self.max_age = max_age
        self.memory_limit = memory_limit
        self.emit_assets = declare_assets(self, emit_assets, IMS_ALIAS)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Compare.

        :return: ``path`` of ``verified.csv``, ``documents``, the number of each word, ``differences`` (documents that
            were said to be reset and do not stand at "no action"), ``not_compared`` (GSTINs whose documents could not
            be looked at) and ``counts`` (``outcome``, ``verification``, ``documents``). On failure it is pushed to XCom
            before the task fails
        :raises AirflowSkipException: when nothing was sent
        :raises GstnPermanentError: when there are differences and ``on_difference`` is ``fail``
        :raises GstnInvalidRequest: when a snapshot is missing, was taken before the last request was sent, or does not
            hold what is to be compared: with all that is wrong, once the documents of all other GSTINs are compared
        :raises GstnTransientError: when a file cannot be read or written now; nothing was compared
        """
        entries: list[Any] = several(self.plan) if self.plan is not None else []
        plans = {plan.rtin: plan for plan in map(plan_of, entries)} or None
        outcomes = self._outcomes(plans)
        target = folder("output_path", self.output_path)
        owner = Owner(target, "verified", instance_of(context))
        with told_to_airflow("Nothing was verified."):
            owner.take()
            snapshots = self._snapshots(plans)
            with workspace() as local:
                with VerifiedFiles(local, workbook="xlsx" in self.report_formats) as files:
                    found = self._compare(outcomes, snapshots, files, local)
                if not found.by_rtin and found.faults:
                    raise SnapshotUnusable("\n".join(found.faults))
                owner.check()
                paths = files.copy_to(target)
        summary = {**self._summary(paths["path"], found), **paths}
        told_of = ", ".join(f"{summary[word]:,} {word}" for word in VERIFICATIONS if summary[word])
        text = f"Of {summary['documents']:,} documents {told_of or 'none is left'}. Every document: {paths['path']}"
        error: GstnError | None = None
        if found.differences:
            error = GstnPermanentError(
                f"{found.differences:,} documents were said to be reset and do not stand at no action. {text}"
            )
        # Whether documents are reset that nobody has looked at is not known, whatever on_difference says.
        policy = "fail" if found.faults else self.on_difference
        if found.faults:
            others = [str(error)] if error else [f"The others were compared. {text}"]
            error = GstnInvalidRequest("\n".join([*found.faults, *others]))
        file = summary.get("xlsx_path", summary["path"])
        told_by = (
            {"gstin": rtin, "documents": sum(sums.counts.values()), "path": file, **sums.as_extra()}
            for rtin, sums in found.by_rtin.items()
        )
        AssetEvents(self, context).ims("verified", told_by, succeeds=succeeds(error, policy))
        self.show_summary(summary)
        if error is None:
            self._tell(text, left=summary["not_reset"], gone=found.counts["reset", "gone"])
        return end_task(context, summary, error, policy, self.log)

    def _compare(self, outcomes: Sequence[Any], snapshots: Snapshots, files: VerifiedFiles, local: Path) -> Compared:
        """Compare all that can be compared: what is wrong with one GSTIN's snapshot keeps no other from it."""
        found = Compared()
        absent: list[str] = []
        for number, outcome in enumerate(outcomes):
            rtin = self._rtin(outcome)
            if rtin in snapshots.wrong or rtin not in snapshots.fresh:
                found.not_compared[rtin] = None
                if rtin not in snapshots.wrong:
                    absent.append(rtin)
                continue
            own = local / str(number)
            own.mkdir()
            try:
                reported = self._fetch(outcome, rtin, snapshots, own)
                with open_database(own, readable=reported.files, memory_limit=self.memory_limit) as database:
                    for row in verify(database, reported, own):
                        found.add(rtin, dict(zip(COLUMNS, row, strict=True)))
                        files.write(row)
            except (SnapshotUnusable, FileUnusable, StorageError) as error:  # none comes after the first row
                if isinstance(error, StorageError) and error.passes:
                    raise
                found.not_compared[rtin] = None
                snapshots.wrong[rtin] = str(error)
        if absent:
            found.faults.append(
                f"There is no snapshot of GSTIN {', '.join(absent)}, whose documents were reset.\nClear the task that"
                " takes it, and then this one."
            )
        found.faults += dict.fromkeys(snapshots.wrong.values())
        if found.not_compared:
            many = counted(len(found.not_compared), "GSTIN was", "GSTINs were")
            found.faults.insert(0, f"{many} not compared: nobody knows whether the documents are reset.")
        return found

    def _tell(self, text: str, *, left: int, gone: int) -> None:
        """
        Say how it ended: that no difference was found does not mean that every document is reset.

        :param text: the counts
        :param left: number of documents that are not reset
        :param gone: number of those that were reset and that the snapshot does not have
        """
        if gone:
            self.log.warning(
                "%s not in the snapshot any more: taken back by a supplier, or GSTR-3B was filed meanwhile.",
                counted(gone, "document that was reset is", "documents that were reset are"),
            )
        if left:
            self.log.warning(
                "%s not reset: refused, not sent, or unknown. %s", counted(left, "document is", "documents are"), text
            )
        else:
            self.log.info("%s", text)

    def _outcomes(self, plans: Mapping[str, GstinPlan] | None) -> list[Any]:
        """
        Return each outcome once, and of a GSTIN of the plan that has none its plan.

        Airflow keeps what a mapped task returned also when the run was cleared and fewer are mapped than before: then
        there are outcomes of another plan, and several that name one file. Those of now come first.
        """
        kept: dict[object, Any] = {}
        told, dry = set(), set()
        for number, each in enumerate(each for each in several(self.outcomes) if each is not None):
            if not isinstance(each, Mapping):
                kept[number] = each  # what it is, is told where it is read
                continue
            rtin, key = str(each.get("rtin")), str(each.get("csv_path") or number)
            if each.get("outcome") == "dry_run":
                dry.add(rtin)
            elif key not in kept and (plans is None or rtin in plans):
                kept[key] = each
                told.add(rtin)
        for rtin, plan in (plans or {}).items():
            if rtin not in told | dry:
                self.log.warning(
                    "GSTIN %s: the task that sends its resets ended without an outcome. Its %s compared as unknown.",
                    *(rtin, counted(plan.documents, "document is", "documents are")),
                )
                kept[rtin] = plan
        if not kept:
            why = "This was a dry run" if dry else "No task said that anything was sent"
            raise AirflowSkipException(f"{why}, so there is nothing to verify.")
        return list(kept.values())

    def _snapshots(self, plans: Mapping[str, GstinPlan] | None) -> Snapshots:
        wrong: dict[str, str] = {}
        fresh = self._by_gstin(self.snapshot, self.max_age, plans, wrong)
        earlier = self._by_gstin(self.before, None, plans, wrong) if self.before is not None else {}
        for warning in [text for each in fresh.values() for text in each.head.warnings]:
            self.log.warning("%s", warning)
        return Snapshots(fresh, earlier, wrong)

    @staticmethod
    def _by_gstin(
        source: Any, max_age: timedelta | None, plans: Mapping[str, GstinPlan] | None, wrong: dict[str, str]
    ) -> dict[str, FoundSnapshot]:
        """
        Find snapshots, each by itself.

        :param wrong: takes what is wrong with the others, by GSTIN or, where that is not known, by what was given
        """
        found: dict[str, FoundSnapshot] = {}
        for each in newest_of_each_place(several(source)):
            gstin = str(each.get("gstin")) if isinstance(each, Mapping) else ""
            if plans is not None and gstin and gstin not in plans:
                continue
            try:
                [one] = usable([each], max_age=max_age, allow_incomplete=True)
                gstin = one.head.gstin
                if one.head.status:
                    raise SnapshotUnusable(
                        f"The snapshot {one.head.snapshot} of GSTIN {gstin} holds only documents with the action"
                        f" {one.head.status}, so that nobody knows what became of the others.\nTake it without status."
                    )
                if gstin in found:
                    raise SnapshotUnusable(
                        f"There are several snapshots of GSTIN {gstin}, and nobody knows which of them counts."
                        "\nGive the newest snapshot of each GSTIN."
                    )
                found[gstin] = one
            except SnapshotUnusable as error:
                wrong.setdefault(gstin or str(each), str(error))
        return found

    @staticmethod
    def _rtin(outcome: Any) -> str:
        try:
            return outcome.rtin if isinstance(outcome, GstinPlan) else str(outcome["rtin"])
        except (TypeError, KeyError):
            raise MatchError(f"outcomes holds {outcome!r:.200}; it takes what ImsBulkResetOperator returns.") from None

    @staticmethod
    def _fetch(outcome: Any, rtin: str, snapshots: Snapshots, local: Path) -> Reported:
        table, sent_at = None, None
        try:
            if isinstance(outcome, GstinPlan):
                requests = [place(chunk.path) for chunk in outcome.chunks]
            else:
                table = place(str(outcome["csv_path"]))
                names = names_in(table.parent)
                requests = [table.parent / name for name in names if re.fullmatch(r"[0-9]+\.json", name)]
                said = outcome.get("last_sent_at")
                sent_at = datetime.fromisoformat(said) if said else None
        except (TypeError, KeyError, ValueError, AttributeError):
            raise MatchError(f"outcomes holds {outcome!r:.200}; it takes what ImsBulkResetOperator returns.") from None
        fresh, earlier = snapshots.fresh[rtin], snapshots.earlier.get(rtin)
        head = fresh.head
        if sent_at is not None and head.taken_at < sent_at:
            raise SnapshotUnusable(
                f"The snapshot {head.snapshot} of GSTIN {rtin} was taken at {head.taken_at.isoformat(' ')},"
                f" before the last request\nwas sent at {sent_at.isoformat(' ')}: it cannot show what came of"
                " it.\nClear the task that takes the snapshot, and then this one."
            )
        return Reported(
            rtin,
            local_file(table, local) if table else None,
            [local_file(each, local) for each in requests],
            Held(head, local_file(fresh.documents, local)),
            Held(earlier.head, local_file(earlier.documents, local)) if earlier else None,
        )

    @staticmethod
    def _summary(path: str, found: Compared) -> dict[str, Any]:
        counts = found.counts
        words: dict[str, int] = {}
        words |= {word: sum(count for (_, said), count in counts.items() if said == word) for word in VERIFICATIONS}
        return {
            "path": path,
            "documents": sum(counts.values()),
            **words,
            "differences": found.differences,
            "not_compared": list(found.not_compared),
            "counts": [
                {"outcome": outcome, "verification": word, "documents": count}
                for (outcome, word), count in sorted(counts.items())
            ],
        }


@contextmanager
def told_to_airflow(then: str) -> Iterator[None]:
    """
    Raise what tables, snapshots and matching say as what Airflow retries or does not.

    :param then: what that means for the person who must act
    """
    try:
        yield
    except RowsRejected as error:
        raise GstnInvalidPayload(str(error), error.faults) from None
    except CountsDisagree as error:
        raise GstnPermanentError(str(error)) from error
    except StorageError as error:
        raise of_storage_error(error, then) from error
    except NoRoom as error:
        raise GstnStorageUnavailable(str(error)) from error
    except (FileUnavailable, SnapshotUnavailable) as error:
        raise GstnTransientError(f"{error}\n{then}") from error
    except FileUnusable as error:
        raise GstnInvalidPayload(f"{error}\n{then}") from None
    except (MatchError, TableError, SnapshotUnusable, FolderTaken) as error:
        raise GstnInvalidRequest(f"{error}\n{then}") from None
