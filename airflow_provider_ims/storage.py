"""Writes files that are whole or not there at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeGuard
from uuid import uuid4

from airflow.sdk import ObjectStoragePath


def write_whole(path: ObjectStoragePath, content: bytes) -> None:
    """
    Write a file so that nobody ever sees a part of it.

    :param path: where to; its folder is made if it is missing
    :param content: all that is in it
    :raises OSError: when it cannot be written; an earlier file of that name is then as it was
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.protocol not in {"file", "local", ""}:
        path.write_bytes(content)  # an object store shows an object once it is complete
        return
    target = Path(path.path)
    part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def is_given(path: str | None) -> TypeGuard[str]:
    """Say whether a templated path names a place; an empty one and a rendered ``None`` do not."""
    return bool(path) and path != "None"
