"""
The page *GST* in Airflow's navigation: three static files and nothing else.

What the page shows it asks of Airflow's own REST API in the browser, as the user who is logged in: this module reads no
data, so that there is nothing here that could show what a user may not see.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_ims._compat import conf

__all__ = ["GstPlugin"]

PREFIX: Final = "/gst"
ROUTE: Final = "gst"
"""The page is ``<Airflow>/plugin/gst``; the frame in it is ``<Airflow>/gst/``."""

_STATIC: Final = Path(__file__).parent / "static"
_FILES: Final = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
    "icon-dark.svg": ("icon-dark.svg", "image/svg+xml"),
}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def base_path() -> str:
    """Return the path under which Airflow is served, without a slash at its end; empty if it is the root."""
    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")


class _App:
    """
    The app that serves the files, made at its first request.

    Every process of Airflow imports its plugins, and only the API server has use for FastAPI.
    """

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            self._app = _make_app()
        await self._app(scope, receive, send)


def _make_app() -> Any:
    from fastapi import FastAPI, HTTPException, Response

    app = FastAPI(title="GST", openapi_url=None, docs_url=None, redoc_url=None)
    content = {name: (_STATIC.joinpath(file).read_bytes(), kind) for name, (file, kind) in _FILES.items()}

    def file(name: str) -> Response:
        if name not in content:
            raise HTTPException(404)
        body, kind = content[name]
        return Response(body, media_type=kind, headers=_HEADERS)

    app.add_api_route("/{name:path}", file, methods=["GET"])
    return app


class GstPlugin(AirflowPlugin):
    """The page *GST*."""

    name = "gst"
    fastapi_apps = [{"app": _App(), "url_prefix": PREFIX, "name": "GST"}]  # noqa: RUF012  Airflow's own spelling
    external_views = [  # noqa: RUF012
        {
            "name": "GST",
            "href": f"{base_path()}{PREFIX}/",
            "url_route": ROUTE,
            "destination": "nav",
            "nav_top_level": True,
            "icon": f"{base_path()}{PREFIX}/icon.svg",
            "icon_dark_mode": f"{base_path()}{PREFIX}/icon-dark.svg",
        }
    ]
