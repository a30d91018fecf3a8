"""Which kind of file it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_ims.planning.errors import SourceUnusable
from airflow_provider_ims.planning.sources.columns import Columns
from airflow_provider_ims.planning.sources.csv_rows import CsvFile
from airflow_provider_ims.planning.sources.json_rows import JsonArray, JsonLines
from airflow_provider_ims.planning.sources.parquet_rows import ParquetFile
from airflow_provider_ims.planning.sources.rows import Source

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

FORMATS = ("json", "jsonl", "ndjson", "csv", "parquet")


def file_source(
    path: ObjectStoragePath, columns: Columns, file_format: str | None = None, delimiter: str = ","
) -> Source:
    """
    Return the rows of a file.

    :param path: the file; ``.gz`` after its suffix says that it is compressed
    :param columns: the names of its columns
    :param file_format: one of :data:`FORMATS`; ``None``: the file's suffix
    :param delimiter: what stands between two cells of a CSV file
    :raises SourceUnusable: when nobody knows the format
    """
    found = (file_format or path.name.removesuffix(".gz").rpartition(".")[2]).lower()
    match found:
        case "json":
            return JsonArray(path, columns)
        case "jsonl" | "ndjson":
            return JsonLines(path, columns)
        case "csv":
            return CsvFile(path, columns, delimiter)
        case "parquet":
            return ParquetFile(path, columns)
    raise SourceUnusable(
        str(path), f"{found!r} is no format that is known here; give file_format as one of {', '.join(FORMATS)}"
    )
