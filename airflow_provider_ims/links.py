"""Links on the page of a task: the file with its result, IMS on the GST portal, the taxpayer's row on the page GST."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from airflow.sdk import BaseOperatorLink

from airflow_provider_ims._compat import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["LINKS", "GstPageLink", "GstPortalLink", "ResultFileLink"]

GST_PORTAL: Final = "https://services.gst.gov.in/services/login"
"""Where a taxpayer logs in; IMS stands there below Services > Returns. It has no address of its own without a login."""


class Linked(NamedTuple):
    """
    What a task's links lead to; the task sets it as ``linked`` when it knows.

    :param gstin: the taxpayer, empty if there are several
    :param path: the file with the result
    """

    gstin: str = ""
    path: str = ""


def _linked(operator: Any) -> Linked:
    found = getattr(operator, "linked", None)
    return found if isinstance(found, Linked) else Linked()


class ResultFileLink(BaseOperatorLink):
    """The file with the result, where a browser can open it: ``http(s)://``, ``file://`` and paths."""

    name = "Result file"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return its URL; empty if there is none, or none that a browser can open."""
        path = _linked(operator).path
        if urlsplit(path).scheme in {"http", "https", "file"}:
            return path
        return PurePath(path).as_uri() if PurePath(path).is_absolute() else ""


class GstPortalLink(BaseOperatorLink):
    """The GST portal."""

    name = "GST portal (IMS)"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return its URL."""
        return GST_PORTAL


class GstPageLink(BaseOperatorLink):
    """The page GST in Airflow, with the taxpayer's row opened."""

    name = "GST page"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return its URL, below ``[api] base_url`` if the worker has that, else as Airflow's own pages resolve it."""
        base = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
        gstin = _linked(operator).gstin
        return f"{base}/plugin/gst#{gstin}".lstrip("/")


LINKS: Final = (ResultFileLink(), GstPageLink(), GstPortalLink())
"""The links of the operators."""
