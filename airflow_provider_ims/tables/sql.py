"""Names and texts inside SQL, where no parameter can stand."""

from __future__ import annotations

from pathlib import Path


def identifier(name: str) -> str:
    """Return a name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | Path) -> str:
    """Return a text as SQL takes it, whatever is in it."""
    return "'" + str(value).replace("'", "''") + "'"


def copy_to_parquet(rows: str, target: Path, *, row_group: int) -> str:
    """
    Return the statement that writes rows to a Parquet file.

    A dictionary only for columns of few words: to look for one in a column of numbers costs as much as writing it.

    :param rows: SQL of the rows
    :param target: the file, on the local disk
    :param row_group: number of rows that are held in memory until they are written
    """
    return f"COPY ({rows}) TO {literal(target)} (FORMAT parquet, ROW_GROUP_SIZE {row_group}, DICTIONARY_SIZE_LIMIT 300)"
