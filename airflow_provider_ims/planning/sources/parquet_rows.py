"""Rows of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_ims.planning.errors import PlanError, SourceUnusable
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.rows import NumberedRow, empty_file, opened
from airflow_provider_ims.planning.sources.table_rows import table_rows
from airflow_provider_ims.storage import CannotRead

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_BATCH = 4096


class ParquetFile:
    """
    A Parquet file.

    :param path: the file
    :param columns: the names of its columns
    """

    unit = "row"
    text_amounts = False

    def __init__(self, path: ObjectStoragePath, columns: Columns) -> None:
        self.name = str(path)
        self._path = path
        self._columns = columns

    def rows(self) -> Iterator[NumberedRow]:
        """Yield each row with its number, from 1."""
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise PlanError(
                f"{self.name}: Parquet files need pyarrow. Install airflow-provider-ims[parquet] on the workers."
            ) from None
        with opened(self._path) as stream:
            try:
                if not stream.read(1):
                    raise empty_file(self.name)
                stream.seek(0)
                file = parquet.ParquetFile(pyarrow.PythonFile(stream, mode="r"))
                yield from table_rows(
                    file.schema_arrow.names, self._cells(file), columns=self._columns, name=self.name, nothing=None
                )
            except CannotRead:
                raise  # the storage's fault; pyarrow's own OSErrors are about the content
            except (pyarrow.ArrowException, OSError) as error:
                raise SourceUnusable(self.name, f"is not a whole Parquet file ({error}); write it again") from None

    @staticmethod
    def _cells(file: Any) -> Iterator[tuple[int, Sequence[Any]]]:
        number = 0
        for batch in file.iter_batches(batch_size=_BATCH):
            columns = [column.to_pylist() for column in batch.columns]
            for row in zip(*columns, strict=True):
                number += 1
                yield number, row
