"""Takes a snapshot: every document that GSTN holds of a taxpayer, in one file."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from airflow.sdk import BaseOperator, ObjectStoragePath
from pydantic import BaseModel, ValidationError

from airflow_provider_ims._compat import AirflowException, conf
from airflow_provider_ims._metadata import task_state
from airflow_provider_ims.assets import IMS_ALIAS
from airflow_provider_ims.exceptions import (
    GstnError,
    GstnInvalidRequest,
    GstnNoDocuments,
    GstnPermanentError,
    GstnStorageUnavailable,
    GstnTaskFailed,
    GstnTaskNotFound,
    GstnTransientError,
    GstnUnreadableReply,
    of_storage_error,
)
from airflow_provider_ims.hooks.gstn import DOWNLOAD, GstnHook
from airflow_provider_ims.links import LINKS
from airflow_provider_ims.models.choices import check_choice
from airflow_provider_ims.models.documents import SECTIONS, Action, section_of
from airflow_provider_ims.models.gstin import GSTIN_PATTERN
from airflow_provider_ims.operators._arguments import folder, seconds
from airflow_provider_ims.operators._assets import AssetEvents, declare_assets
from airflow_provider_ims.operators._deferral import trigger_for
from airflow_provider_ims.progress import ProgressLog
from airflow_provider_ims.snapshots.errors import PageUnreadable
from airflow_provider_ims.snapshots.pages import MEMORY_LIMIT, DocumentsTable
from airflow_provider_ims.snapshots.snapshot import DOCUMENTS_FILE, SNAPSHOT_FILE, Snapshot
from airflow_provider_ims.storage import CannotWrite, copy_whole, remove, write_whole
from airflow_provider_ims.submissions.journal import Attempt
from airflow_provider_ims.tables.database import open_database, workspace
from airflow_provider_ims.tables.errors import NoRoom, TableError
from airflow_provider_ims.waits.events import read_event
from airflow_provider_ims.waits.on_worker import wait_here
from airflow_provider_ims.waits.steps import AwaitTasks

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["ImsDownloadOperator"]


_STATE: Final = "ims_download"
_KEPT: Final = timedelta(days=1)

_NOTHING_CHANGED: Final = "Nothing was changed at GSTN, and there is no snapshot."


class Begun(BaseModel):
    """
    Downloads that were asked for.

    :param wanted: what they are: GSTIN, sections, action
    :param max_tries: ``Attempt.max_tries`` of the try that asked: a person who clears the task wants a new snapshot
    :param at: when the first was asked for, seconds since the epoch
    :param ids: section -> reference id; empty if GSTN said at once that there is nothing
    """

    wanted: list[str]
    max_tries: int
    at: float
    ids: dict[str, str] = {}

    @property
    def running(self) -> list[str]:
        """The reference ids to wait for, always in one order: PostgreSQL gives the keys of JSON back in its own."""
        return [self.ids[section] for section in self.sections if self.ids[section]]

    @property
    def sections(self) -> list[str]:
        """The sections that were asked for, in GSTN's order."""
        return [section for section in SECTIONS if section in self.ids]


class ImsDownloadOperator(BaseOperator):
    """
    Download the documents that GSTN holds of a taxpayer; nothing is changed by it. Map it over GSTINs.

    Asks for every section, waits for all of them without holding a worker slot, and writes
    ``<output_path>/<gstin>/documents.parquet`` with one row a document (see
    :data:`~airflow_provider_ims.tables.documents.DOCUMENT_COLUMNS`), then ``snapshot.json``: where that is, the
    snapshot is whole. A section that does not complete makes no snapshot. Memory does not grow with the documents.

    A retry goes on with the downloads that were asked for (Airflow 3.3 and newer); a task that a person cleared takes
    the snapshot anew. One that is cleared while a worker runs it is to Airflow a retry like any other and goes on, so
    that ``taken_at`` can be before the clear: clear it once more when it has ended to have a newer snapshot.

    :param gstin: the taxpayer (templated)
    :param output_path: directory for snapshots, as ``ObjectStoragePath`` takes it; an earlier snapshot of the GSTIN in
        it is replaced (templated)
    :param sections: some of ``b2b``, ``b2ba``, ``b2bdn``, ``b2bdna``, ``b2bcn``, ``b2bcna``, ``ecom``, ``ecoma``;
        ``None``: all. Fewer than all make an incomplete snapshot (templated)
    :param status: only documents with this action: ``A``, ``R``, ``P`` or ``N``, which makes an incomplete snapshot;
        ``None``: all (templated)
    :param gstn_conn_id: id of the connection (templated)
    :param poke_interval: longest time between two polls, seconds or timedelta; the first comes after 5 s
    :param timeout: how long the downloads may take, seconds or timedelta
    :param memory_limit: of the table that takes the documents, such as ``192MB``
    :param deferrable: wait in the triggerer; the default is Airflow's ``[operators] default_deferrable``
    :param emit_assets: tell Airflow's assets what happened; see :mod:`airflow_provider_ims.assets`
    """

    template_fields: Sequence[str] = ("gstin", "output_path", "sections", "status", "gstn_conn_id")
    ui_color = "#d7e8f7"
    operator_extra_links = LINKS

    def __init__(
        self,
        *,
        gstin: str,
        output_path: str,
        sections: Sequence[str] | None = None,
        status: str | None = None,
        gstn_conn_id: str = GstnHook.default_conn_name,
        poke_interval: float | timedelta = timedelta(seconds=30),
        timeout: float | timedelta = timedelta(hours=2),
        memory_limit: str = MEMORY_LIMIT,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        emit_assets: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.gstin = gstin
        self.output_path = output_path
        self.sections = sections
        self.status = status
        self.gstn_conn_id = gstn_conn_id
        self.poke_interval = poke_interval
        self.timeout = timeout
        self.memory_limit = memory_limit
        self.deferrable = deferrable
        self.emit_assets = declare_assets(self, emit_assets, IMS_ALIAS)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Ask for the downloads, or go on with those of an earlier try, and wait for them.

        :return: the content of ``snapshot.json`` with its ``path``
        :raises GstnInvalidRequest: when an argument is wrong, or ``output_path`` is no place to write to
        :raises GstnSessionExpired: when there is no live GSTN session for the taxpayer
        :raises AirflowSensorTimeout: when the downloads take longer than ``timeout``
        :raises GstnTransientError: when one failed; a retry asks for it again
        """
        sections, status = self._wanted()
        target = folder("output_path", self.output_path) / self.gstin
        watching = AssetEvents(self, context).watching(self.gstin)
        with GstnHook(self.gstn_conn_id, gstin=self.gstin) as hook, watching:
            begun = self._begin(hook, context, sections, status)
            if begun.running and self.deferrable:
                self._hand_over(begun)
            if begun.running:
                try:
                    wait_here(hook, AwaitTasks(begun.running, begun.at + seconds(self.timeout)))
                except GstnError as error:
                    self._begin_anew(context, error)
            return self._take(context, hook, begun, target)

    def execute_complete(
        self, context: Context, event: Mapping[str, Any] | None = None, begun: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """
        Take the snapshot, now that the downloads have ended.

        :param event: the trigger's event
        :param begun: the downloads that were waited for
        """
        downloads = self._read(begun) or self._kept(context)
        if downloads is None:
            raise GstnTransientError(f"Which downloads were waited for was lost. {_NOTHING_CHANGED}")
        try:
            read_event(event, downloads.running, DOWNLOAD)
        except GstnError as error:
            self._begin_anew(context, error)
        target = folder("output_path", self.output_path) / self.gstin
        watching = AssetEvents(self, context).watching(self.gstin)
        with GstnHook(self.gstn_conn_id, gstin=self.gstin) as hook, watching:
            return self._take(context, hook, downloads, target)

    def on_kill(self) -> None:
        """Say what becomes of the downloads when the task is ended from outside."""
        self.log.warning("This task was ended from outside. The downloads go on; they change nothing.")

    def _wanted(self) -> tuple[list[str], str | None]:
        if not isinstance(self.gstin, str) or not re.fullmatch(GSTIN_PATTERN, self.gstin):
            raise GstnInvalidRequest(f"gstin is {self.gstin!r}, which is no GSTIN. Nothing was asked for.")
        named = [self.sections] if isinstance(self.sections, str) else self.sections
        sections = [section_of(name) for name in named] if named else list(SECTIONS)
        if unknown := [name for name in sections if name not in SECTIONS]:
            raise GstnInvalidRequest(
                f"sections names {', '.join(map(repr, unknown))}; there are {', '.join(SECTIONS)}."
                " Nothing was asked for."
            )
        status = None if self.status in (None, "", "None") else str(self.status).strip().upper()
        check_choice("status", status, Literal[Action, None], _not_asked)
        return [section for section in SECTIONS if section in sections], status

    def _begin(self, hook: GstnHook, context: Context, sections: Sequence[str], status: str | None) -> Begun:
        wanted = [self.gstin, status or "", *sections]
        max_tries = Attempt.of(context).max_tries
        begun = self._kept(context)
        expired = begun is not None and time.time() > begun.at + seconds(self.timeout)
        if begun is None or expired or (begun.wanted, begun.max_tries) != (wanted, max_tries):
            begun = Begun(wanted=wanted, max_tries=max_tries, at=time.time())
        elif begun.ids:
            self.log.info("Going on with %d downloads that an earlier try has asked for.", len(begun.ids))
        for section in sections:
            if section not in begun.ids:
                try:
                    begun.ids[section] = hook.submit_download(self.gstin, section, status)
                except GstnNoDocuments:
                    begun.ids[section] = ""
                self._keep(context, begun)
        return begun

    def _hand_over(self, begun: Begun) -> NoReturn:
        step = AwaitTasks(begun.running, begun.at + seconds(self.timeout))
        trigger, timeout = trigger_for(step, self.gstn_conn_id, seconds(self.poke_interval))
        self.defer(
            trigger=trigger, method_name="execute_complete", kwargs={"begun": begun.model_dump()}, timeout=timeout
        )

    def _take(self, context: Context, hook: GstnHook, begun: Begun, target: ObjectStoragePath) -> dict[str, Any]:
        gstin, status = begun.wanted[:2]
        taken_at = datetime.fromtimestamp(int(begun.at), UTC)
        digest = hashlib.sha256(" ".join(begun.running).encode()).hexdigest()[:8]
        name = f"{gstin}-{taken_at:%Y%m%dT%H%M%SZ}-{digest}"
        try:
            with workspace() as local, open_database(local, memory_limit=self.memory_limit, threads=1) as database:
                table = DocumentsTable(database, local, gstin=gstin, snapshot=name, taken_at=taken_at)
                self._read_pages(context, hook, begun, table)
                written = table.write(local / DOCUMENTS_FILE)
                by_action = table.by_action()
                snapshot = Snapshot(
                    snapshot=name,
                    gstin=gstin,
                    taken_at=taken_at,
                    finished_at=datetime.now(UTC),
                    complete=set(begun.ids) == set(SECTIONS) and not status,
                    sections=begun.sections,
                    status=status,
                    documents=written.documents,
                    repeated=written.repeated,
                    counts={section: written.counts.get(section, {}) for section in begun.sections},
                    reference_ids=begun.ids,
                    warnings=written.warnings,
                )
                remove(target / SNAPSHOT_FILE)  # until the new one is whole, there is none
                copy_whole(local / DOCUMENTS_FILE, target / DOCUMENTS_FILE)
                write_whole(target / SNAPSHOT_FILE, snapshot.model_dump_json(indent=1).encode())
        except PageUnreadable as error:
            # The download has ended: asked once more, it would show the same pages.
            told = f"GSTIN {gstin}: {error}. {_NOTHING_CHANGED} A retry asks for new downloads."
            self._begin_anew(context, GstnUnreadableReply(told))
        except NoRoom as error:
            raise GstnStorageUnavailable(str(error)) from error
        except TableError as error:
            raise GstnInvalidRequest(str(error)) from None
        except CannotWrite as error:
            raise of_storage_error(
                error, "The snapshot was not written.", "A retry reads the downloads again."
            ) from error
        for warning in snapshot.warnings:
            self.log.warning("%s", warning)
        self.log.info("GSTIN %s: %d documents in %s", gstin, snapshot.documents, target / DOCUMENTS_FILE)
        path = str(target / SNAPSHOT_FILE)
        about = {"gstin": gstin, "documents": snapshot.documents, "path": path, "at": snapshot.taken_at}
        AssetEvents(self, context).ims("snapshot_taken", [{**about, **by_action}])
        return {"path": str(target / SNAPSHOT_FILE), **snapshot.model_dump(mode="json")}

    def _read_pages(self, context: Context, hook: GstnHook, begun: Begun, table: DocumentsTable) -> None:
        for section in begun.sections:
            reference_id = begun.ids[section]
            count = pages = 0
            progress = ProgressLog(self.log, f"documents of {section}")
            try:
                for page in hook.get_task_pages_as_json(reference_id) if reference_id else ():
                    count += table.add(section, page.data, page.frame)
                    pages += 1
                    progress.reached(count)
            except GstnError as error:
                if isinstance(error, GstnPermanentError) or error.http_status == 200:
                    self._begin_anew(context, error)  # the task's own last word: it would say the same each time
                raise
            self.log.info("%s: %d records in %d pages", section, count, pages)

    def _begin_anew(self, context: Context, error: GstnError) -> NoReturn:
        """Forget the downloads, so that the next try asks for them again, and raise."""
        state = task_state(context)
        try:
            if state is not None:
                state.delete(_STATE)
        except GstnError as trouble:
            self.log.warning("The downloads could not be forgotten. %s", trouble)
        if isinstance(error, (GstnTaskFailed, GstnTaskNotFound)):
            raise GstnTransientError(
                f"GSTIN {self.gstin}: a download failed. {_NOTHING_CHANGED} A retry asks for it again.\n{error}",
                code=error.code,
            ) from error
        raise error

    def _kept(self, context: Context) -> Begun | None:
        state = task_state(context)
        try:
            return None if state is None else self._read(state.get(_STATE))
        except GstnError as error:
            self.log.warning("What an earlier try asked for is not known, so it is asked for again. %s", error)
            return None

    def _keep(self, context: Context, begun: Begun) -> None:
        state = task_state(context)
        try:
            if state is not None:
                state.set(_STATE, begun.model_dump(), retention=_KEPT)
        except AirflowException as error:
            self.log.warning("A retry will ask for the downloads again. %s", error)

    @staticmethod
    def _read(begun: Any) -> Begun | None:
        try:
            return None if begun is None else Begun.model_validate(begun)
        except ValidationError:
            return None


def _not_asked(text: str) -> GstnInvalidRequest:
    return GstnInvalidRequest(f"{text}. Nothing was asked for.")
