"""The routes under ``/admin``, by which tests, the demo and a user look at the simulator and steer it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request  # noqa: TID253 - the program itself; no operator imports this
from fastapi.exceptions import RequestValidationError  # noqa: TID253
from fastapi.responses import JSONResponse, Response  # noqa: TID253
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .gst import Gst
from .options import Document, InjectedFault, NextTask, explain


class ClockMove(BaseModel):
    """How far to skip ahead."""

    model_config = ConfigDict(extra="forbid")
    advance_seconds: float = Field(ge=0)


class SessionOrder(BaseModel):
    """For whom to open a GSTN session without an OTP; the first organisation unless ``org_id`` is given."""

    model_config = ConfigDict(extra="forbid")
    gstin: str
    org_id: str | None = None


class DocumentName(BaseModel):
    """A document that its supplier takes back."""

    model_config = ConfigDict(extra="forbid")
    rtin: str
    section: str
    stin: str
    number: str


class DocumentEdit(DocumentName):
    """A document that its supplier edits; ``record`` holds the fields that change."""

    record: dict[str, Any]


def admin_routes(app: FastAPI, gst: Gst) -> None:
    """Add the routes. None of them asks who is calling: the simulator listens on 127.0.0.1."""
    router = APIRouter(prefix="/admin", tags=["admin"])

    @router.get("/counters")
    async def counters(gstin: str | None = None) -> dict[str, int]:
        return gst.counters(gstin)

    @router.get("/state")
    async def state() -> dict[str, Any]:
        return gst.state()

    @router.get("/otp/{gstin}")
    async def otp(gstin: str) -> dict[str, str]:
        last = gst.last_otp(gstin)
        if last is None:
            raise HTTPException(404)
        return {"gstin": gstin, "otp": last}

    @router.post("/options")
    async def options(changes: dict[str, Any]) -> dict[str, Any]:
        gst.change_options(changes)
        return gst.options.model_dump(mode="json", exclude={"password"})

    @router.post("/faults", status_code=204)
    async def add_fault(fault: InjectedFault) -> None:
        gst.add_fault(fault)

    @router.delete("/faults", status_code=204)
    async def clear_faults() -> None:
        gst.clear_faults()

    @router.post("/next-task", status_code=204)
    async def next_task(plan: NextTask) -> None:
        gst.add_next_task(plan)

    @router.post("/documents", status_code=204)
    async def documents(new: list[Document]) -> None:
        gst.add_documents(new)

    @router.get("/documents/counts")
    async def document_counts() -> dict[str, dict[str, dict[str, int]]]:
        return gst.document_counts()

    @router.post("/documents/edit")
    async def edit(order: DocumentEdit) -> dict[str, int]:
        return {"documents": gst.edit_document(order.rtin, order.section, order.stin, order.number, order.record)}

    @router.post("/documents/withdraw")
    async def withdraw(order: DocumentName) -> dict[str, int]:
        return {"documents": gst.withdraw_document(order.rtin, order.section, order.stin, order.number)}

    @router.post("/clock")
    async def clock(move: ClockMove) -> dict[str, float]:
        gst.advance(move.advance_seconds)
        return {"now": gst.clock.now()}

    @router.post("/sessions", status_code=204)
    async def open_session(order: SessionOrder) -> None:
        gst.open_session(order.gstin, order.org_id)

    @router.post("/reset", status_code=204)
    async def reset() -> None:
        gst.reset()

    app.include_router(router)
    app.add_exception_handler(RequestValidationError, _wrong_body)
    app.add_exception_handler(ValidationError, _wrong_body)


async def _wrong_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError | ValidationError)  # noqa: S101 - registered for these only
    return JSONResponse({"error": {"message": explain(error.errors())}}, 422)
