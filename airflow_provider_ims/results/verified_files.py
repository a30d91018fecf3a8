"""The files of a verification: ``verified.csv``, which later tasks read, and ``verified.xlsx``, which people open."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from airflow_provider_ims.snapshots.verification import COLUMNS
from airflow_provider_ims.spreadsheets import SheetWriter
from airflow_provider_ims.storage import copy_whole
from airflow_provider_ims.workbooks.columns import columns_of
from airflow_provider_ims.workbooks.writer import Workbook

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

CSV_FILE: Final = "verified.csv"
XLSX_FILE: Final = "verified.xlsx"


class VerifiedFiles:
    """
    Takes the rows of a verification one by one, into local files that are whole once it is closed.

    :param local: a local directory
    :param workbook: whether there is a workbook, too
    """

    def __init__(self, local: Path, *, workbook: bool) -> None:
        self._local = local
        self._has_workbook = workbook
        self._files = ExitStack()

    def __enter__(self) -> Self:
        with self._files:
            csv = self._files.enter_context((self._local / CSV_FILE).open("w", encoding="utf-8", newline=""))
            self._sheet, self._tab = SheetWriter(csv, COLUMNS), None
            if self._has_workbook:
                book = self._files.enter_context(Workbook(self._local / XLSX_FILE))
                self._tab = book.sheet("Documents", columns_of(COLUMNS))
            self._files = self._files.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._files.__exit__(*error)

    def write(self, row: Sequence[Any]) -> None:
        """Write a row with the columns of :data:`~airflow_provider_ims.snapshots.verification.COLUMNS`."""
        self._sheet.write(row)
        if self._tab:
            self._tab.write(row)

    def copy_to(self, folder: ObjectStoragePath) -> dict[str, str]:
        """
        Bring the files to where they are wanted, what later tasks read last.

        :return: the paths: ``path``, and ``xlsx_path`` of the workbook
        :raises CannotWrite: when one cannot be written
        """
        paths = {"path": CSV_FILE, **({"xlsx_path": XLSX_FILE} if self._has_workbook else {})}
        for name in reversed(paths.values()):
            copy_whole(self._local / name, folder / name)
        return {key: str(folder / name) for key, name in paths.items()}
