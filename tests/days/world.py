"""One day's world: the clock, the service behind its network, Airflow behind its supervisor, and what goes wrong."""

from __future__ import annotations

import datetime as dt
import inspect
import json
import logging
import re
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_ims.simulator.options import NextTask, Options

from . import clock, oracle, organisations, sessions, snapshots, storage, supervisor
from .airflow import LittleAirflow, TaskInstance, watched
from .kernel import Kernel, Process
from .mishaps import Mishap, Mishaps
from .network import Answer, Exchange, NotConnected, ReplyLost, TooLate
from .service import Doc, Put, Service, docs_of

HOST = "service.example"
BEGIN = dt.datetime(2026, 11, 12, 9, 0, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))).timestamp()
_T = TypeVar("_T")

_PACKAGE = "airflow_provider_ims"
_PHASE = re.compile(r'\\?"phase\\?": ?\\?"(\w+)')
_HTML = b"<html><head><title>%d</title></head><body><h1>Please wait</h1></body></html>"


class World:
    """
    A day.

    :param seed: of everything that is left to chance
    :param mishaps: what goes wrong
    :param options: how the service behaves
    :param keeps_state: whether Airflow has a task state store
    :param second_org: see :class:`Service`
    """

    def __init__(
        self, seed: int, mishaps: Iterable[Mishap], options: Options, *, keeps_state: bool, second_org: str = ""
    ) -> None:
        self.kernel = Kernel(BEGIN, seed)
        self.kernel.on_switch = self._switch
        self.mishaps = Mishaps(mishaps)
        self.database = supervisor.Database()
        self.service = Service(options, lambda: self.kernel.now, self.kernel.at, second_org)
        self.service.is_known = lambda session_id: any(session_id in text for text in self.database.variables.values())
        self.airflow = LittleAirflow(self, keeps_state=keeps_state)
        self.story: list[tuple[float, str]] = []
        self.person = "Priya"
        self.violations: list[str] = []
        self.coverage: Counter[tuple[str, str]] = Counter()
        self.logs: list[str] = []
        self.shown: list[str] = []
        self.events: list[Any] = []
        self.graveyard: list[Any] = []
        self.polls: dict[tuple[Any, str], deque[float]] = {}
        self.away: dict[str, float] = {}
        self.hidden: dict[str, float] = {}
        self.stale: dict[str, float] = {}
        self.odd: set[str] = set()
        self.begun: set[str] = set()
        self.excuses: dict[str, set[str]] = {}
        self.session_runs: list[sessions.SessionRun] = []
        self.session_faults: Counter[tuple[str, str]] = Counter()
        self._folders: dict[str, str] = {}
        self.carry_out: Callable[[Mishap], None] = lambda mishap: None

    # The story

    def tell(self, text: str) -> None:
        """Write a line of the story."""
        self.story.append((self.kernel.now, text))

    def violate(self, text: str) -> None:
        """Write down that something happened that must not."""
        self.tell(f"VIOLATION: {text}")
        self.violations.append(text)

    def subject(self) -> TaskInstance | None:
        """Return the task for which something is being done."""
        process = self.kernel.current
        if process is None:
            return None
        return process.subject if process.subject is not None else watched()

    def _take(self, where: str) -> Mishap | None:
        instance = self.subject()
        mishap = self.mishaps.take(where, self.state_of(instance))
        if mishap is not None and instance is not None:
            self._note_session_fault(instance)
        return mishap

    def _note_session_fault(self, instance: TaskInstance) -> None:
        if isinstance(instance.flow, sessions.SessionRun):
            self.session_faults[instance.flow.owner] += 1

    def _meets(self, fault: str) -> None:
        self.coverage[fault, self.state_of(self.subject())] += 1

    def state_of(self, instance: TaskInstance | None) -> str:
        """Return how far the journal of a task's run says that the reset is."""
        if instance is None:
            return "no task"
        if not self.airflow.keeps_state:
            return "no store"
        if instance.flow is None or not instance.flow.instances:
            return "nothing"
        scope = instance.flow.instances[0].scope
        texts = [text for (owner, _), text in self.database.task_state.items() if owner == scope]
        phases = [phase for text in texts for phase in _PHASE.findall(text)]
        open_phases = [phase for phase in phases if phase != "ended"]
        return open_phases[-1] if open_phases else "ended" if phases else "nothing"

    def excuse(self, rtin: str, why: str) -> None:
        """Note that the truth about a taxpayer's request could not be learned from a reply."""
        self.excuses.setdefault(rtin, set()).add(why)

    # HTTP

    def exchange(self, method: str, url: str, headers: dict[str, str], body: bytes, timeout: float | None) -> Exchange:
        """Carry out one HTTP exchange; yields the seconds that pass."""
        self.kernel.check_alive()
        kernel, service = self.kernel, self.service
        call = call_of(method, url, headers)
        instance = self.subject()
        organisations.judge_a_request(self, instance, call, url, headers, body)
        reference_id = _task_of(url)
        if call in {"status"}:
            self._note_poll(instance, reference_id)
        mishap = self._take(call)
        what = mishap.what if mishap else ""
        rtin = docs_of(body)[0] if call == "PUT" else ""
        if rtin:
            self.begun.add(rtin)
        if call == "download" and instance is not None:
            oracle.judge_a_look(self, instance, _gstin_of(headers))
        if mishap:
            self._meets(f"{call}: {what}")
        if what == "dies before":
            self._die(f"before {call} reaches the service")
        yield kernel.rng.uniform(0.02, 0.2)
        self.kernel.check_alive()
        if what == "not connected" or self.is_away("service"):
            self._tell_of(call, instance, "finds no way to the service")
            raise NotConnected
        if what == "lost before":
            self._tell_of(call, instance, "loses its connection before it reaches the service")
            self._ambiguous(call, rtin)
            raise ReplyLost
        if what in {"late before"}:
            self._tell_of(call, instance, "gets no reply in time, and never reached the service")
            self._ambiguous(call, rtin)
            yield timeout or 60.0
            raise TooLate
        answer = self._answer(call, mishap, method, url, headers, body, reference_id, instance)
        if what == "dies after":
            self._die(f"after {call} was answered with {answer.status}")
        yield kernel.rng.uniform(0.02, 0.3)
        self.kernel.check_alive()
        if what == "lost after":
            self._tell_of(call, instance, f"loses the reply ({answer.status})")
            self._ambiguous(call, rtin)
            raise ReplyLost
        if what == "late after":
            self._tell_of(call, instance, f"gets the reply ({answer.status}) too late")
            self._ambiguous(call, rtin)
            yield timeout or 60.0
            raise TooLate
        if what == "dies with the reply":
            self._die(f"with the reply to {call} in its hands")
        if call == "PUT" and service.puts and service.puts[-1].docs == docs_of(body)[1]:
            service.puts[-1].heard = answer.status == 200 and what != "drips"
        return answer

    def _answer(
        self,
        call: str,
        mishap: Mishap | None,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes,
        reference_id: str,
        instance: TaskInstance | None,
    ) -> Answer:
        what = mishap.what if mishap else ""
        if what.startswith("HTTP ") and not what.endswith("passed on"):
            status = int(what[5:8])
            self._tell_of(call, instance, f"is answered by an intermediary with HTTP {status}")
            if status >= 500 or status < 400:
                self._ambiguous(call, docs_of(body)[0] if call == "PUT" else "")
            return Answer(status, {"Content-Type": "text/html"}, _HTML % status)
        if what == "code" and mishap:
            self._tell_of(call, instance, f"is refused by GSTN with {mishap.detail}")
            return _refusal(mishap.detail)
        if what == "token expires":
            token = next((value for name, value in headers.items() if name.lower() == "x-flynn-n-user-token"), "")
            self.service.expire_token(token)
        if reference_id and self.hidden.get(reference_id, 0.0) > self.kernel.now:
            self._tell_of(call, instance, f"does not find {reference_id[:8]} yet")
            error = {"message": "err-resource-not-found", "type": "ResourceNotFound", "args": {"task-id": reference_id}}
            text = json.dumps({"status": "0", "data": None, "error": error})
            return Answer(404, {"Content-Type": "application/json"}, text.encode())
        put = self._put_arrives(mishap, body, instance) if call == "PUT" else None
        self.service.asker = instance
        status, reply_headers, content = self.service.handle(method, url, headers, body)
        self._remember_secrets(call, content)
        if put is not None:
            self._put_answered(put, mishap, status, content)
        if call == "download" and what == "stale" and mishap:
            self.stale[json.loads(content).get("data", {}).get("task-id", "")] = self.kernel.now - mishap.lasts
            self.tell(f"a download will show what GSTN held {mishap.lasts:.0f} s ago")
        if reference_id in self.stale and call == "page":
            content = self._as_it_was(content, self.stale[reference_id], headers)
        if call == "result" and what == "counts" and mishap and status == 200:
            content = self._with_odd_counts(content, mishap, reference_id)
        if what.endswith("passed on"):
            code = int(what[5:8])
            self._tell_of(call, instance, f"is passed on, and answered by an intermediary with HTTP {code}")
            self._ambiguous(call, docs_of(body)[0] if call == "PUT" else "")
            return Answer(code, {"Content-Type": "text/html"}, _HTML % code)
        drip = 0.7 if what == "drips" else 0.0
        if drip:
            self._tell_of(call, instance, f"is answered ({status}) one byte in {drip} s")
            self._ambiguous(call, docs_of(body)[0] if call == "PUT" else "")
        return Answer(status, reply_headers, content, drip)

    def _put_arrives(self, mishap: Mishap | None, body: bytes, instance: TaskInstance | None) -> Put:
        rtin, docs = docs_of(body)
        put = Put(self.kernel.now, instance, instance and instance.flow, rtin, docs)
        if instance is not None:
            put.forced = bool(instance.force)
            put.attempt = instance.try_number, instance.max_tries
        if mishap and mishap.where == "PUT":
            plan = _plan_of(mishap, rtin)
            if plan is not None:
                self.tell(f"GSTN will end the next reset of {rtin} so: {mishap.what} {mishap.detail}")
                self.service.add_next_task(plan)
                if mishap.what != "result code":
                    self.excuse(rtin, mishap.what)
        self.service.put_arrives(put)
        return put

    def _put_answered(self, put: Put, mishap: Mishap | None, status: int, content: bytes) -> None:
        if put.reference_id:
            name = put.by.name if put.by else "?"
            self.tell(f"{name}: PUT of {len(put.docs)} documents of {put.rtin} accepted as {put.reference_id[:8]}")
            if mishap and mishap.what == "not there yet":
                self.hidden[put.reference_id] = self.kernel.now + mishap.lasts
        else:
            put.refusal = content.decode()[:200]
            self.tell(f"{put.by.name if put.by else '?'}: PUT of {put.rtin} refused with {status}: {put.refusal[:120]}")

    def _as_it_was(self, content: bytes, moment: float, headers: dict[str, str]) -> bytes:
        reply = json.loads(content)
        for section, records in (reply.get("data") or {}).items():
            for record in records:
                number = record.get("nt_num") or record.get("inum")
                for doc, changes in self.service.history.items():
                    date = record.get("nt_dt") or record.get("idt")
                    if doc[2:] != (record["stin"], number, record["rtnprd"], date):
                        continue
                    if section not in {doc.section, doc.section.removeprefix("b2b")}:
                        continue
                    before = [change.status for change in changes if change.moment <= moment]
                    record["action"] = before[-1] if before else record["action"]
        return json.dumps(reply).encode()

    def _with_odd_counts(self, content: bytes, mishap: Mishap, reference_id: str) -> bytes:
        reply = json.loads(content)
        data = reply.get("data")
        if not isinstance(data, dict) or "status_cd" not in data or data["status_cd"] == "IP":
            return content
        match mishap.detail:
            case "short":
                data["proc_cnt"] = "0"
            case "word":
                data["status_cd"] = "XX"
            case "P with a code":
                data["err_cd"] = "IMSSAV005"
            case other:
                data["proc_cnt"] = other
        self.tell(f"the result of {reference_id[:8]} comes with odd counts ({mishap.detail})")
        self.odd.add(reference_id)
        for put in self.service.puts:
            if put.reference_id == reference_id:
                self.excuse(put.rtin, "odd counts")
        return json.dumps(reply).encode()

    def _remember_secrets(self, call: str, content: bytes) -> None:
        if call in {"login", "refresh", "verify", "gstn_refresh", "gstn_logout", "otp"}:
            try:
                data = json.loads(content).get("data") or {}
            except ValueError:
                return
            for name in ("token", "gst-session-id"):
                if data.get(name):
                    self.service.secrets.add(data[name])

    def _note_poll(self, instance: TaskInstance | None, reference_id: str) -> None:
        times = self.polls.setdefault((instance and instance.scope, reference_id), deque(maxlen=12))
        if len(times) == 12 and self.kernel.now - times[0] < 10.0:
            self.violate(f"12 polls of {reference_id[:8]} within 10 seconds")
            times.clear()
        times.append(self.kernel.now)

    def _ambiguous(self, call: str, rtin: str) -> None:
        if call == "PUT":
            self.excuse(rtin, "lost reply")

    def _tell_of(self, call: str, instance: TaskInstance | None, text: str) -> None:
        self.tell(f"{instance.name if instance else 'somebody'}: {call} {text}")

    def _die(self, when: str) -> None:
        process = self.kernel.current
        name = process.name if process else "?"
        self.tell(f"{name} dies {when}")
        instance = self.subject()
        if instance is not None:
            self.excuse_deaths(instance)
        self.kernel.die()

    def excuse_deaths(self, instance: TaskInstance) -> None:
        """Note that a worker died, so that a reply it was about to get is lost."""
        self._note_session_fault(instance)
        if instance.task_id == "plan":
            return  # it sends nothing
        for rtin in {doc.rtin for doc in instance.flow.docs} if instance.flow else ():
            self.excuse(rtin, "death")

    # Airflow

    def ask_airflow(self, where: str, about: str, act: Callable[[], _T]) -> Generator[float, None, _T]:
        """Have Airflow's API server do something; yields the seconds that pass."""
        self.kernel.check_alive()
        mishap = self._take(where)
        what = mishap.what if mishap else ""
        if mishap:
            self._meets(f"{where}: {what}")
        if what == "dies before":
            self._die(f"before {where} ({_short(about)})")
        yield self.kernel.rng.uniform(0.002, 0.02)
        self.kernel.check_alive()
        if what == "fails before" or self.is_away("airflow"):
            self.tell(f"Airflow does not answer: {where} ({_short(about)})")
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 503}))
        result = act()
        if what == "fails after":
            self.tell(f"Airflow did it, but does not say so: {where} ({_short(about)})")
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 504}))
        if what == "dies after":
            self._die(f"after {where} ({_short(about)})")
        yield self.kernel.rng.uniform(0.002, 0.02)
        self.kernel.check_alive()
        return result

    def ask_airflow_here(self, where: str, about: str, act: Callable[[], _T]) -> _T:
        """Do :meth:`ask_airflow` in a worker."""
        steps = self.ask_airflow(where, about, act)
        try:
            while True:
                self.kernel.sleep(next(steps))
        except StopIteration as end:
            result: _T = end.value
            return result

    def report(self, instance: TaskInstance, hear: Callable[[], None]) -> None:
        """Have a worker tell Airflow how its task ended. The supervisor repeats it for as long as Airflow is away."""
        mishap = self._take("report")
        if mishap:
            self._meets(f"report: {mishap.what}")
        if mishap and mishap.what == "dies before":
            self._die("before Airflow hears how the task ended")
        while self.is_away("airflow"):
            self.kernel.sleep(5.0)
        process = self.kernel.check_alive()
        if instance.state == "running" and instance.process is process:
            hear()

    def scope_of(self, ti_id: Any) -> Any:
        """Return whose task state it is."""
        for instance in self.airflow.instances:
            if instance.id == ti_id:
                return instance.scope
        process = self.kernel.current
        return process.subject.scope if process and process.subject else None

    def worker_ended(self, instance: TaskInstance) -> None:
        """Look at how long a worker was held; what is planned for this moment happens."""
        mishap = self.mishaps.take("worker ends")
        if mishap is not None:
            self.kernel.after(mishap.at, lambda: self.carry_out(mishap))
        held = self.kernel.now - instance.began
        if (
            held > 1200.0
            and self.away.get("airflow", 0.0) < instance.began
            and instance.flow is not None
            and instance.flow.deferrable
        ):
            self.violate(f"{instance.name} held a worker for {held:.0f} s although it is deferrable")

    def tried_again(self, instance: TaskInstance, error: BaseException) -> None:
        """Judge a task that fails and is tried again."""
        oracle.judge_a_retry(self, instance, error)

    def gave_up(self, instance: TaskInstance, error: BaseException) -> None:
        """Judge a task that fails without another try."""
        oracle.judge_a_failure(self, instance, error)

    def deferring(self, instance: TaskInstance, trigger: tuple[str, str], kwargs: str) -> None:
        """Keep what a deferral shows."""
        self.shown.append(trigger[1])
        self.shown.append(kwargs)
        self.tell(f"{instance.name} defers to {trigger[0].rpartition('.')[2]}")

    def trigger_fired(self, instance: TaskInstance, payload: Any) -> None:
        """Keep what a trigger shows."""
        text = json.dumps(payload)
        self.shown.append(text)
        self.tell(f"the trigger of {instance.name} fires: {text[:160]}")

    def trigger_timed_out(self, instance: TaskInstance) -> None:
        """Airflow gives up a trigger; that is for triggerers that are away."""
        self.tell(f"Airflow gives up the trigger of {instance.name}")
        if self.airflow.triggerer.is_up and not self.airflow.triggerer.deaths:
            self.violate(f"the trigger of {instance.name} did not report its own deadline")

    # Storage

    def touch_file(self, where: str, path: str, act: Callable[[], _T]) -> _T:
        """Read or write a file; the edge of :class:`storage.DayFileSystem`."""
        if self.kernel.current is None:
            return act()
        self.kernel.check_alive()
        mishap = self._take(where)
        what = mishap.what if mishap else ""
        if mishap:
            self._meets(f"{where}: {what}")
        if what == "dies before":
            self._die(f"before {where} {path}")
        self.kernel.sleep(self.kernel.rng.uniform(0.005, 0.05) + (mishap.lasts if mishap and what == "slow" else 0.0))
        if mishap and what == "fails before":
            self.tell(f"{where} {path} fails ({mishap.detail or 'error'})")
            raise storage.storage_error(mishap, path)
        if self.is_away("storage"):
            self.tell(f"{where} {path} fails: the storage is away")
            raise storage.storage_error(Mishap(where, "fails before"), path)
        result = act()
        instance = self.subject()
        if where == "file write" and path.endswith("/snapshot.json") and instance is not None:
            snapshots.judge_a_head(self, instance.flow)
        if mishap and what == "fails after":
            self.tell(f"{where} {path} is done, but answered with an error")
            raise storage.storage_error(mishap, path)
        if what == "dies after":
            self._die(f"after {where} {path}")
        return result

    # What lasts

    def is_away(self, whom: str) -> bool:
        """Say whether the service, Airflow's API server or the storage cannot be reached now."""
        is_away = self.away.get(whom, 0.0) > self.kernel.now
        instance = self.subject()
        if is_away and instance is not None:
            self._note_session_fault(instance)
        return is_away

    def awaiting_input(self, instance: TaskInstance) -> None:
        """Have a person see what a task asks."""
        self.tell(f"{instance.name} asks for a one-time password")
        sessions.be_asked(self, instance)

    def session_run_ended(self, instance: TaskInstance) -> None:
        """Do what waits for a session."""
        run = instance.flow
        if isinstance(run, sessions.SessionRun) and run.is_over and run.has_served:
            then, run.then = run.then, lambda: None
            then()

    # Processes

    def _switch(self, process: Process) -> None:
        """Give a process the memory that is its own."""
        for namespace, name, fresh in _MEMORIES:
            key = namespace["__name__"], name
            if key not in process.memory:
                process.memory[key] = fresh()
            namespace[name] = process.memory[key]
        if process.host not in self._folders:
            self._folders[process.host] = tempfile.mkdtemp(prefix="day-", dir=_shared_folder())
        tempfile.tempdir = self._folders[process.host]


_MEMORIES: list[tuple[dict[str, Any], str, Any]] = []
_MADE_ONCE: list[Any] = []


def find_memories() -> None:
    """
    Find what each process of the package keeps for itself.

    It is in module-level containers that begin empty, and behind cached functions without arguments, such as a salt
    that is drawn once: to draw it or not changes what comes after it.
    """
    _MEMORIES.clear()
    _MADE_ONCE.clear()
    for name, module in sorted(sys.modules.items()):
        if name.startswith(f"{_PACKAGE}.") and ".simulator" not in name:
            for attribute, value in list(vars(module).items()):
                if type(value) in (dict, list, set) and not value and not attribute.startswith("__"):
                    _MEMORIES.append((vars(module), attribute, type(value)))
                elif hasattr(value, "cache_clear") and not inspect.signature(value).parameters:
                    _MADE_ONCE.append(value)


def forget_memories() -> None:
    """Leave nothing of a process behind."""
    for namespace, name, fresh in _MEMORIES:
        namespace[name] = fresh()
    for function in _MADE_ONCE:
        function.cache_clear()


def _shared_folder() -> str:
    return _FOLDER.name


_FOLDER = tempfile.TemporaryDirectory(prefix="ims-days-")


class Listener(logging.Handler):
    """Hears what the package and Airflow log."""

    world: World | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.world is not None:
            self.world.logs.append(record.getMessage())


def call_of(method: str, url: str, headers: dict[str, str]) -> str:
    """Return the kind of a call."""
    path = url.partition("?")[0]
    if path.endswith("/ims-invoice-status-reset"):
        return "PUT"
    if path.endswith("/ims-invoices"):
        return "download"
    if "/status/" in path:
        return "status"
    if "/page/" in path:
        return "page"
    if "/result/" in path:
        return "result"
    if path.endswith("/authtokens"):
        return "login" if method == "POST" else "refresh"
    if path.endswith("/logout"):
        return "logout"
    if path.endswith("/authenticate") and method == "POST":
        action = next((value for name, value in headers.items() if name.lower() == "action"), "")
        return {"OTPREQUEST": "otp", "AUTHTOKEN": "verify", "REFRESHTOKEN": "gstn_refresh"}.get(action, "gstn_logout")
    return "ping"


def _gstin_of(headers: dict[str, str]) -> str:
    return next((value for name, value in headers.items() if name.lower() == "x-flynn-n-gstin"), "")


def _task_of(url: str) -> str:
    found = re.search(r"/tasks/v1\.0/(?:status|result)/([^/?]+)", url)
    return found[1] if found else ""


def _refusal(code: str) -> Answer:
    details = {"status-code": "0", "gstn-err": {"code": code, "message": "as GSTN says"}}
    error = {"message": "err-gstn-returned", "type": "Gstn", "args": details}
    text = json.dumps({"status": "0", "data": None, "error": error})
    return Answer(502, {"Content-Type": "application/json"}, text.encode())


def _plan_of(mishap: Mishap, rtin: str) -> NextTask | None:
    match mishap.what:
        case "result code":
            return NextTask(gstin=rtin, status_cd="ER", err_cd=mishap.detail, err_msg="as GSTN says")
        case "result word":
            return NextTask(gstin=rtin, status_cd=mishap.detail)
        case "task fails":
            return NextTask(gstin=rtin, final_status=mishap.detail or "failed")
        case "takes long":
            return NextTask(gstin=rtin, task_seconds=mishap.lasts)
        case "result not ready":
            return NextTask(gstin=rtin, ip_results=2)
    return None


def _short(text: str) -> str:
    return re.sub(r"[0-9a-f]{12,}", "...", text)[:60]


def begin(world: World, seed: int) -> None:
    """Let this process live in a world."""
    clock.begin(lambda: world.kernel.now, world.kernel.sleep, seed)
    supervisor.install(world)
    storage.DayFileSystem.files = {}
    storage.DayFileSystem.edge = staticmethod(world.touch_file)


def doc_names(docs: Iterable[Doc]) -> str:
    """Return documents in words."""
    return ", ".join(f"{doc.section} {doc.number} of {doc.stin}" for doc in docs)
