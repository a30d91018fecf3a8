"""Names of files that are made from texts of others: a reference id, or what somebody typed."""

from __future__ import annotations

import hashlib
import os
import re

__all__ = ["below"]


_ORDINARY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_DEVICE = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")
"""Windows takes these for devices, with any suffix."""
_LONGEST_SLUG = 40

_NOT_ON_WINDOWS = re.compile(r'[<>:"|]|[. ]$')
"""What no name has there."""
_PATTERN = re.compile(r"[*?\[]")
"""Names of files to read; no file is made under them."""

_NO_NAME = re.compile(r"[\x00-\x1f\x7f\\]|://|::|^[A-Za-z]:")


def file_name(text: str) -> str:
    """
    Return the name of a file for a text that the service chose, such as a reference id, without a suffix.

    An ordinary id (letters in small, digits, ``-``, ``_``, as in a UUID) is its own name. Of any other one the name
    keeps what is readable and gets a digest. The name holds no separator and no blank, is never ``.`` or ``..``, has
    73 characters at most, and different texts have different names, also where small and capital letters are one.

    :param text: any text
    """
    text = str(text)
    if _ORDINARY.fullmatch(text) and not _DEVICE.fullmatch(text):
        return text
    slug = re.sub(r"[^a-z0-9_-]", "_", text[:_LONGEST_SLUG].lower()).lstrip("-") or "_"
    if _DEVICE.fullmatch(slug):
        slug += "_"
    # Ordinary ids hold no dot, so that none of them is the name of an odd one.
    return f"{slug[:_LONGEST_SLUG]}.{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def below(folder: str, *names: str) -> str:
    """
    Return the path of a file below a folder that the deployment chose; for the templates of DAGs.

    Who may trigger a DAG then names a file of that folder, and no other file that the workers can read or write. A name
    that Windows does not take, such as a run id with its colons, is made one that it takes, unless something is there
    already under the name as it is: a run that began before goes on where it was. Object stores take any name.

    :param folder: path or URI of the folder
    :param names: names below it; each may have folders in it (``2026-11/reset.json``)
    :raises GstnInvalidRequest: when a name leads elsewhere (``..``, an absolute path, a URI), or there is no folder
    """
    # Airflow's: models and planning, which need none, may import this file.
    from airflow_provider_ims.exceptions import GstnInvalidRequest

    if not str(folder or "").strip():
        raise GstnInvalidRequest("No folder is set for the files of this DAG. Nothing was read or sent.")
    for name in names:
        parts = str(name).split("/")
        if _NO_NAME.search(str(name)) or any(part.strip() in {"", ".", ".."} for part in parts):
            shown = repr(name) if len(repr(name)) <= 60 else repr(name)[:57] + "..."
            raise GstnInvalidRequest(
                f"{shown} is not the name of a file in the DAG's folder. Nothing was read or sent.\n"
                f"Files are taken from and written to {folder} only.\n"
                "Give a name such as reset.json or 2026-11/reset.json: no '..', no absolute path, no URI."
            )
    path = str(folder).rstrip("/")
    for name in names:
        for part in str(name).split("/"):
            path = f"{path}/{_made_portable(path, part)}"
    return path


def _made_portable(folder: str, part: str) -> str:
    if "://" in folder or not _NOT_ON_WINDOWS.search(part) or _PATTERN.search(part):
        return part
    if os.path.lexists(f"{folder}/{part}"):
        return part
    # The digest keeps apart what the same letters are left of; its length makes two alike as good as impossible.
    readable = re.sub(r'[<>:"|+]', "-", part).rstrip(". ")
    return f"{readable}.{hashlib.sha256(part.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
