"""What may go wrong between a client and the services: latency, an edge policy, lost connections."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .gst import Gst
from .odd_replies import odd_error, oversized, quoting, with_odd_text
from .options import Call, InjectedFault

Drop = Callable[[Scope], None]

_CALLS: dict[tuple[str, str], Call] = {
    ("POST", "/theodore/apis/v1/authtokens"): "login",
    ("PUT", "/theodore/apis/v1/authtokens"): "refresh",
    ("POST", "/theodore/apis/v1/logout"): "logout",
    ("GET", "/theodore/apis/health"): "ping",
    ("GET", "/ping"): "ping",
    ("GET", "/authenticate"): "ping",
    ("PUT", "/enriched/gstn/v1.0/ims-invoice-status-reset"): "reset",
    ("GET", "/enriched/gstn/v1.0/ims-invoices"): "download",
}
_TASK_CALL = re.compile(r"/enriched/tasks/v1\.0/(?P<call>status|result)/(?P<task_id>[^/]+)(?P<page>/page/[^/]+)?")
_ACTIONS: dict[str, Call] = {
    "OTPREQUEST": "otp",
    "AUTHTOKEN": "verify",
    "REFRESHTOKEN": "gstn_refresh",
    "LOGOUT": "gstn_logout",
}
MARK = (b"x-simulator", b"airflow-provider-ims")
"""A header of every reply, so that nobody takes it for one of the true service."""

_HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class Disturbance:
    """ASGI middleware that stands for the network and the edge; calls of the admin pass untouched."""

    def __init__(self, app: ASGIApp, gst: Gst, drop: Drop | None) -> None:
        self._app = app
        self._gst = gst
        self._drop = drop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, disturbed if a fault is due."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _marked(send)
        if scope["path"].startswith("/admin"):
            await self._app(scope, receive, send)
            return
        # Only the end of the server cancels a call, and then its connection is cut already.
        with contextlib.suppress(asyncio.CancelledError):
            await self._handle(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        call, task_id = _call_of(scope)
        if task_id is None:
            gstin = Headers(scope=scope).get(self._gst.options.gstin_header)
        else:
            gstin = self._gst.gstin_of_task(task_id)
        self._gst.count_call(call, gstin)
        await asyncio.sleep(self._gst.options.latency_seconds)
        fault = self._gst.take_fault(call, gstin)
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await self._disturb(fault, scope, receive, send)

    async def _disturb(self, fault: InjectedFault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "http":
            await _edge_reply(fault)(scope, receive, send)
        elif fault.kind == "garbage":
            await Response(_HTML.format("Welcome"), 200, media_type="text/html")(scope, receive, send)
        elif fault.kind == "drop_before":
            await self._lose(scope, receive)
        elif fault.kind == "drop_after":
            await self._app(scope, receive, _nowhere)
            await self._lose(scope, receive)
        elif fault.kind in ("slow_after", "drip", "odd_text"):
            await self._disturb_reply(fault, scope, receive, send)
        elif fault.kind in ("large", "gzip_bomb"):
            await oversized(fault.megabytes, compressed=fault.kind == "gzip_bomb")(scope, receive, send)
        elif fault.kind == "quote":
            await quoting(fault.code, Headers(scope=scope), await _body(receive))(scope, receive, send)
        else:
            if fault.kind == "slow":
                await asyncio.sleep(fault.seconds)
            elif fault.kind == "expire_token":
                headers = Headers(scope=scope)
                bearer = headers.get("authorization", "").removeprefix("Bearer ")
                self._gst.expire_token(headers.get("X-FLYNN-N-USER-TOKEN") or bearer)
            await self._app(scope, receive, send)

    async def _disturb_reply(self, fault: InjectedFault, scope: Scope, receive: Receive, send: Send) -> None:
        """Spoil the reply of a call that is handled as ever."""
        if fault.kind == "odd_text" and fault.code is not None:
            await odd_error(fault.code)(scope, receive, send)
            return
        held: list[Message] = []
        await self._app(scope, receive, _into(held))
        if fault.kind == "slow_after":
            await asyncio.sleep(fault.seconds)
            for message in held:
                await send(message)
            return
        start, body = held[0], b"".join(message.get("body", b"") for message in held)
        if fault.kind == "odd_text":
            await with_odd_text(start["status"], body)(scope, receive, send)
            return
        await send(start)
        for position in range(len(body)):
            await send({"type": "http.response.body", "body": body[position : position + 1], "more_body": True})
            await asyncio.sleep(fault.seconds)
        await send({"type": "http.response.body", "body": b""})

    async def _lose(self, scope: Scope, receive: Receive) -> None:
        if self._drop is None:
            raise ConnectionResetError("dropped by a fault")
        self._drop(scope)
        # Returning before uvicorn has noticed would make it complain of a missing reply.
        while (await receive())["type"] != "http.disconnect":
            pass


def _call_of(scope: Scope) -> tuple[str, str | None]:
    """Return the kind of a call, and the task that its path names."""
    method, path = scope["method"], scope["path"]
    if path.startswith("/basic/gstn/") and path.endswith("/authenticate"):
        return _ACTIONS.get(Headers(scope=scope).get("action", ""), "other"), None
    task = _TASK_CALL.fullmatch(path)
    if task is not None:
        return "page" if task["page"] else task["call"], task["task_id"]
    return _CALLS.get((method, path), "other"), None


def _edge_reply(fault: InjectedFault) -> Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if 300 <= fault.status < 400:
        headers["Location"] = "http://proxy.invalid/login"
    if fault.status >= 500:
        return Response(_HTML.format(f"{fault.status} Unavailable"), fault.status, headers, "text/html")
    return PlainTextResponse(f"{fault.status}\n", fault.status, headers)


def _marked(send: Send) -> Send:
    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), MARK]}
        await send(message)

    return marked


async def _body(receive: Receive) -> bytes:
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


def _into(held: list[Message]) -> Send:
    async def hold(message: Message) -> None:
        held.append(message)

    return hold


async def _nowhere(message: Message) -> None:
    """Take a reply that nobody shall get."""
