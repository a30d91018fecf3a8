"""Which kind of file it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.csv_rows import CsvFile
from airflow_provider_ims.planning.sources.json_rows import JsonArray, JsonLines
from airflow_provider_ims.planning.sources.parquet_rows import ParquetFile
from airflow_provider_ims.planning.sources.rows import Source
from airflow_provider_ims.tables.files import format_of

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


def file_source(
    path: ObjectStoragePath, columns: Columns, file_format: str | None = None, delimiter: str = ","
) -> Source:
    """
    Return the rows of a file.

    :param path: the file; ``.gz`` after its suffix says that it is compressed
    :param columns: the names of its columns
    :param file_format: one of :data:`tables.files.FORMATS`; ``None``: the file's suffix
    :param delimiter: what stands between two cells of a CSV file
    :raises FileUnusable: when nobody knows the format
    """
    match format_of(path, file_format):
        case "json":
            return JsonArray(path, columns)
        case "csv":
            return CsvFile(path, columns, delimiter)
        case "parquet":
            return ParquetFile(path, columns)
        case _:
            return JsonLines(path, columns)
