"""The HTTP face of the simulated services: routes, headers and envelopes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

from fastapi import Depends, FastAPI, Request  # noqa: TID253 - the program itself; no operator imports this
from fastapi.responses import JSONResponse, Response  # noqa: TID253
from starlette.exceptions import HTTPException

from .admin import admin_routes
from .disturbance import Disturbance, Drop
from .errors import ServiceError, bad_parameter
from .gst import Gst

_THEODORE = "/theodore/apis/v1"


def create_app(gst: Gst, drop: Drop | None = None) -> FastAPI:
    """Return the application.

    :param drop: closes the TCP connection of a request; without it (no real server) a dropped call raises
        ``ConnectionResetError``
    """
    app = FastAPI(title="IMS simulator", docs_url="/admin/docs", openapi_url="/admin/openapi.json", redoc_url=None)
    app.add_exception_handler(ServiceError, _refused)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_middleware(Disturbance, gst=gst, drop=drop)
    _theodore_routes(app, gst)
    _enriched_routes(app, gst)
    admin_routes(app, gst)
    return app


def _theodore_routes(app: FastAPI, gst: Gst) -> None:
    @app.get("/theodore/apis/health")
    async def health() -> dict[str, Any]:
        gst.ping()
        return {"data": {"status": "UP"}}

    @app.post(f"{_THEODORE}/authtokens")
    async def login(request: Request) -> dict[str, Any]:
        return {"data": gst.login(await _json(request))}

    @app.put(f"{_THEODORE}/authtokens")
    async def refresh(request: Request) -> dict[str, Any]:
        return {"data": gst.refresh(_bearer(request))}

    @app.post(f"{_THEODORE}/logout")
    async def logout(request: Request) -> Response:
        gst.logout(_bearer(request))
        return Response()  # no body is documented, so a client must not need one


def _enriched_routes(app: FastAPI, gst: Gst) -> None:
    async def organisation(request: Request) -> str:
        accept = request.headers.get("accept", "*/*")
        if "application/json" not in accept and "*/*" not in accept:
            raise ServiceError(400, "err-content-type-not-set-correctly", "ClientRequest")
        headers = request.headers
        return gst.authorise(headers.get("X-FLYNN-N-ORG-ID"), headers.get("X-FLYNN-N-USER-TOKEN"))

    async def gstn_organisation(request: Request, org: str = Depends(organisation)) -> str:
        if request.headers.get("X-FLYNN-N-GSTN-GSP-CODE") != "vay":
            raise bad_parameter("X-FLYNN-N-GSTN-GSP-CODE")
        return org

    @app.get("/ping")
    async def ping() -> dict[str, Any]:
        gst.ping()
        return {"data": {"message": "pong"}}

    @app.get("/authenticate", dependencies=[Depends(organisation)])
    async def authenticated_ping() -> dict[str, Any]:
        gst.ping()
        return {"data": {"message": "pong"}}

    @app.post("/basic/gstn/v3.0/taxpayerapi/{version}/authenticate")
    async def authenticate(request: Request, version: str, org: str = Depends(gstn_organisation)) -> dict[str, Any]:
        body = await _json(request)
        return _envelope(gst.authenticate(org, version, request.headers.get("action"), body))

    @app.put("/enriched/gstn/v1.0/ims-invoice-status-reset")
    async def reset(request: Request, org: str = Depends(gstn_organisation)) -> dict[str, Any]:
        body = await _json(request, gst.options.max_body_bytes)
        gstin = request.headers.get(gst.options.gstin_header)
        return _envelope({"task-id": gst.submit_reset(org, gstin, body)})

    @app.get("/enriched/gstn/v1.0/ims-invoices")
    async def download(request: Request, org: str = Depends(gstn_organisation)) -> dict[str, Any]:
        gstin = request.headers.get(gst.options.gstin_header)
        wanted = request.query_params
        return _envelope({"task-id": gst.submit_download(org, gstin, wanted.get("section"), wanted.get("status"))})

    @app.get("/enriched/tasks/v1.0/status/{task_id}")
    async def status(task_id: str, org: str = Depends(organisation)) -> dict[str, Any]:
        return _envelope(gst.task_status(org, task_id))

    @app.get("/enriched/tasks/v1.0/result/{task_id}")
    async def result(task_id: str, org: str = Depends(organisation)) -> dict[str, Any]:
        return _envelope(*gst.task_result(org, task_id))

    @app.get("/enriched/tasks/v1.0/result/{task_id}/page/{number}")
    async def page(task_id: str, number: str, org: str = Depends(organisation)) -> dict[str, Any]:
        return _envelope(gst.task_page(org, task_id, number))


def _envelope(data: dict[str, Any] | None, error: dict[str, Any] | None = None) -> dict[str, Any]:
    status = "1" if error is None else "0"
    return {
        "status": status,
        "data": data,
        "error": error,
        "info": None,
        "additionalInfo": None,
        "alert": None,
    }


async def _json(request: Request, max_bytes: int | None = None) -> Any:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ServiceError(400, "err-content-type-not-set-correctly", "ClientRequest")
    raw = await request.body()
    if max_bytes is not None and len(raw) > max_bytes:
        # The limit is documented; what happens beyond it is not, so status and code are our invention.
        raise ServiceError(413, "err-request-too-large", "ClientRequest", **{"maximum-bytes": max_bytes})
    try:
        # Decimal, so that the decimals of an amount are seen as they were written.
        return json.loads(raw, parse_float=Decimal, parse_constant=_refuse_constant)
    except ValueError as error:
        raise bad_parameter("body") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme == "Bearer" else None


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)  # noqa: S101 - registered for this class only
    if request.url.path.startswith(("/basic/", "/enriched/")):
        return JSONResponse(_envelope(None, error.body()), error.status)
    return JSONResponse({"error": error.body()}, error.status)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    code = "err-resource-not-found" if error.status_code == 404 else "err-method-not-allowed"
    return await _refused(request, ServiceError(error.status_code, code, "ResourceNotFound", path=request.url.path))
