"""The simulated services behind one object, without HTTP."""

from __future__ import annotations

import functools
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from .clock import Clock
from .downloads import Wanted, download
from .errors import ServiceError, bad_parameter, gstn_error
from .ims import Documents, whole_failure
from .options import Document, InjectedFault, NextTask, Options
from .sessions import Sessions, check_gstin
from .tasks import Result, Task, Tasks
from .tokens import Tokens

_P = ParamSpec("_P")
_R = TypeVar("_R")

_COUNTED = (
    *("logins", "refreshes", "logouts", "pings"),
    *("otp_requests", "otp_verifications", "gstn_refreshes", "gstn_logouts"),
)
_COUNTED_BY_GSTIN = (
    *("resets", "reset_calls", "downloads", "download_calls"),
    *("status_calls", "result_calls", "page_calls"),
)


def _locked(method: Callable[Concatenate[Gst, _P], _R]) -> Callable[Concatenate[Gst, _P], _R]:
    """Serialise the server's thread and the test's; due tasks end before anything is looked at."""

    @functools.wraps(method)
    def wrapper(self: Gst, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        with self._lock:
            self._tasks.settle()
            return method(self, *args, **kwargs)

    return wrapper


class Gst:
    """theodore, Vayana's Enriched API and GSTN, as far as an IMS client meets them.

    :param options: how they behave; the object may be changed at any time
    :param on_otp: told (GSTIN, OTP) of each OTP that is sent
    """

    def __init__(self, options: Options | None = None, on_otp: Callable[[str, str], None] | None = None) -> None:
        self.options = options or Options()
        self.clock = Clock()
        self._first_options = self.options.model_copy(deep=True)
        self._on_otp = on_otp or (lambda gstin, otp: None)
        self._lock = threading.RLock()
        self._clear()

    def _clear(self) -> None:
        self._tokens = Tokens(self.options, self.clock)
        self._sessions = Sessions(self.options, self.clock, self._on_otp)
        self._tasks = Tasks(self.options, self.clock)
        self._documents = Documents(self.options)
        self._faults: list[InjectedFault] = []
        self._next_tasks: list[NextTask] = []
        self._counters: Counter[str] = Counter()
        self._counters_by_gstin: defaultdict[str, Counter[str]] = defaultdict(Counter)

    # What clients call

    @_locked
    def login(self, body: Any) -> dict[str, Any]:
        """Open a user session with a password."""
        reply = self._tokens.login(body)
        self._counters["logins"] += 1
        return reply

    @_locked
    def refresh(self, token: str | None) -> dict[str, Any]:
        """Replace a user token by a new one."""
        reply = self._tokens.refresh(token)
        self._counters["refreshes"] += 1
        return reply

    @_locked
    def logout(self, token: str | None) -> None:
        """End a user session."""
        self._tokens.logout(token)
        self._counters["logouts"] += 1

    @_locked
    def ping(self) -> None:
        """Count a sign of life that somebody asked for."""
        self._counters["pings"] += 1

    @_locked
    def authorise(self, org: str | None, token: str | None) -> str:
        """Return the organisation of a call whose headers are in order."""
        if org is None or org not in (self.options.org_id, self.options.second_org_id):
            raise ServiceError(403, "err-invalid-org", "Authorization")
        self._tokens.check(token)
        return org

    @_locked
    def authenticate(self, org: str, version: str, action: str | None, body: Any) -> dict[str, str]:
        """Carry out one step of a GSTN session."""
        if version not in self.options.gst_api_versions:
            raise ServiceError(400, "err-invalid-gst-returns-api-version", "ClientRequest", version=version)
        if not isinstance(body, dict):
            raise bad_parameter("body")
        if action == "OTPREQUEST":
            reply, counter = self._sessions.request_otp(org, body), "otp_requests"
        elif action == "AUTHTOKEN":
            reply, counter = self._sessions.verify_otp(org, body), "otp_verifications"
        elif action == "REFRESHTOKEN":
            reply, counter = self._sessions.refresh(org, body), "gstn_refreshes"
        elif action == "LOGOUT":
            self._tasks.fail_running(org, self._sessions.logout(org, body))
            reply, counter = {}, "gstn_logouts"
        else:
            raise bad_parameter("action")
        self._counters[counter] += 1
        return reply

    @_locked
    def submit_reset(self, org: str, gstin: str | None, body: Any) -> str:
        """Accept a reset and return the id of its task; a fault in the payload shows in the result only."""
        gstin = check_gstin(gstin, self.options.gstin_header)
        if not isinstance(body, dict) or body.get("rtin") != gstin:
            # Our invention: the documentation does not say that they must be equal, nor what happens if not.
            raise ServiceError(400, "err-invalid-gstin", "ClientRequest", **{"parameter-name": "rtin"})
        self._check_session(org, gstin)
        if self._tasks.running(gstin, "reset"):
            raise gstn_error("IMSSAV0015", "Previous Save or Reset request is already under progress")
        plan = self._take_next_task("reset", gstin)
        self._count("resets", gstin)
        return self._start(org, gstin, plan, lambda: self._reset_result(plan, body))

    def _reset_result(self, plan: NextTask, body: Any) -> Result:
        if plan.status_cd is not None:
            return Result({**whole_failure(plan.err_cd, plan.err_msg), "status_cd": plan.status_cd})
        return Result(self._documents.reset(body))

    @_locked
    def submit_download(self, org: str, gstin: str | None, section: str | None, status: str | None) -> str:
        """Accept a download of IMS invoices and return the id of its task, which looks at its end."""
        gstin = check_gstin(gstin, self.options.gstin_header)
        wanted = Wanted.checked(section, status)
        self._check_session(org, gstin)
        self._count("downloads", gstin)
        plan = self._take_next_task("download", gstin)
        return self._start(org, gstin, plan, lambda: download(self._documents, self.options, gstin, wanted))

    def _check_session(self, org: str, gstin: str) -> None:
        if self.options.require_session and not self._sessions.is_live(org, gstin):
            # Which code Vayana uses here is not published; this is GSTN's own.
            raise gstn_error("AUTH4033", "Invalid Session")

    def _take_next_task(self, kind: Literal["reset", "download"], gstin: str) -> NextTask:
        for plan in self._next_tasks:
            if plan.kind == kind and plan.gstin in (None, gstin):
                _use_up(self._next_tasks, plan)
                return plan
        return NextTask(kind=kind)

    def _start(self, org: str, gstin: str, plan: NextTask, work: Callable[[], Result]) -> str:
        started = self.clock.now()
        seconds = self.options.task_seconds if plan.task_seconds is None else plan.task_seconds
        task = Task(org, gstin, plan.kind, started, started + seconds, work)
        task.final_status = plan.final_status
        task.early_results = [{"status_cd": "IP", "transTypCd": "SAV"} for _ in range(plan.ip_results)]
        task.error = plan.error
        task.id = plan.reference_id or task.id
        self._tasks.add(task)
        return task.id

    @_locked
    def task_status(self, org: str, task_id: str) -> dict[str, Any]:
        """Return the ``data`` of a status reply."""
        return self._tasks.status(self._tasks.get(org, task_id))

    @_locked
    def task_result(self, org: str, task_id: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Return the ``data`` and the ``error`` of a result reply."""
        return self._tasks.result(self._tasks.get(org, task_id))

    @_locked
    def task_page(self, org: str, task_id: str, number: str) -> dict[str, Any]:
        """Return the ``data`` of one page of a result."""
        return self._tasks.page(self._tasks.get(org, task_id), number)

    # What the admin and tests call

    @_locked
    def gstin_of_task(self, task_id: str) -> str | None:
        """Return for whom a task works, if there is such a task."""
        return self._tasks.gstin_of(task_id)

    @_locked
    def count_call(self, call: str, gstin: str | None = None) -> None:
        """Count a call that starts a task or asks for one, be it answered or not."""
        if f"{call}_calls" in _COUNTED_BY_GSTIN:
            self._count(f"{call}_calls", gstin)

    def _count(self, name: str, gstin: str | None) -> None:
        self._counters[name] += 1
        if gstin is not None:
            self._counters_by_gstin[gstin][name] += 1

    @_locked
    def counters(self, gstin: str | None = None) -> dict[str, int]:
        """Return what happened so far; with a GSTIN, the tasks of that one and the calls for them."""
        if gstin is not None:
            counted = self._counters_by_gstin.get(gstin, Counter[str]())
            return {name: counted[name] for name in _COUNTED_BY_GSTIN}
        live = {"live_tokens": len(self._tokens.live()), "most_live_tokens": self._tokens.most_live}
        return {name: self._counters[name] for name in (*_COUNTED, *_COUNTED_BY_GSTIN)} | live

    @_locked
    def state(self) -> dict[str, Any]:
        """Return documents, sessions and tasks, without anything secret."""
        return {
            "now": self.clock.now(),
            "documents": self._documents.state(),
            "sessions": self._sessions.state(),
            "tasks": self._tasks.state(),
        }

    @_locked
    def last_otp(self, gstin: str) -> str | None:
        """Return the OTP that was last sent for a GSTIN."""
        return self._sessions.last_otps.get(gstin)

    @_locked
    def add_documents(self, documents: Iterable[Document | dict[str, Any]]) -> None:
        """Add documents; one of the same identity is replaced. A fault in one adds none."""
        # Copies, since a reset changes them.
        for document in [Document.model_validate(dict(document)) for document in documents]:
            self._documents.add(document)

    @_locked
    def add_document_lines(self, path: Path) -> None:
        """Add documents from a file of any size, one a line; their records stay in it. A fault in one adds none."""
        for document in list(Document.of_lines(path)):
            self._documents.add(document)

    @_locked
    def edit_document(self, rtin: str, section: str, stin: str, number: str, record: dict[str, Any]) -> int:
        """Let a supplier edit a document; return how many there were. The recipient's action is lost by it."""
        return self._documents.edit(rtin, section, stin, number, record)

    @_locked
    def withdraw_document(self, rtin: str, section: str, stin: str, number: str) -> int:
        """Let a supplier take a document back; return how many there were."""
        return self._documents.withdraw(rtin, section, stin, number)

    @_locked
    def document_counts(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return GSTIN -> section -> action -> number of documents."""
        return self._documents.counts()

    @_locked
    def open_session(self, gstin: str, org: str | None = None) -> None:
        """Open a GSTN session without an OTP."""
        self._sessions.open(org or self.options.org_id, gstin)

    @_locked
    def change_options(self, changes: dict[str, Any]) -> None:
        """Change some options; a fault in one changes none."""
        checked = Options.model_validate(self.options.model_dump() | changes)
        for name in changes:
            setattr(self.options, name, getattr(checked, name))

    @_locked
    def add_next_task(self, plan: NextTask) -> None:
        """Say how a coming task runs and ends."""
        self._next_tasks.append(plan.model_copy())

    @_locked
    def add_fault(self, fault: InjectedFault) -> None:
        """Disturb coming calls."""
        self._faults.append(fault.model_copy())

    @_locked
    def clear_faults(self) -> None:
        """Disturb nothing any more."""
        self._faults.clear()

    @_locked
    def take_fault(self, call: str, gstin: str | None = None) -> InjectedFault | None:
        """Return the fault that is due for a call, and use it up."""
        for fault in self._faults:
            if fault.call in ("any", call) and fault.gstin in (None, gstin):
                _use_up(self._faults, fault)
                return fault
        return None

    @_locked
    def expire_token(self, token: str | None) -> None:
        """Let a user token expire now."""
        self._tokens.expire(token)

    @_locked
    def advance(self, seconds: float) -> None:
        """Skip time; tasks that become due end before the next call is looked at."""
        self.clock.advance(seconds)

    @_locked
    def reset(self) -> None:
        """Forget everything and return to real time and to the options of the start."""
        self.change_options(self._first_options.model_dump())
        self.clock.reset()
        self._clear()


def _use_up(waiting: list[Any], taken: InjectedFault | NextTask) -> None:
    if taken.times == 1:
        waiting.remove(taken)
    else:
        taken.times -= 1
