"""Lives one day: the runs begin, what is planned goes wrong, and in the evening somebody cleans up."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import json
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import structlog

from airflow_provider_ims.models.payload import ResetPayload
from airflow_provider_ims.operators.bulk import ImsBulkResetOperator
from airflow_provider_ims.operators.download import ImsDownloadOperator
from airflow_provider_ims.operators.ims import ImsResetOperator, ImsResultOperator
from airflow_provider_ims.operators.plan import ImsPlanOperator
from airflow_provider_ims.operators.reconcile import ImsVerifyOperator
from airflow_provider_ims.sensors.ims import ImsTaskSensor
from airflow_provider_ims.simulator.options import Options
from tests.unit.builders import NUMBER_FIELD, document, request

from . import clock, network, oracle, organisations, person, planning, sessions, storage, supervisor
from .airflow import DONE, TaskInstance
from .mishaps import Mishap
from .plan import OTHER_RTIN, DayPlan, Flow, Wanted
from .service import Doc
from .world import BEGIN, HOST, Listener, World, begin, find_memories, forget_memories

HOURS = 3600.0

_NOW: list[World] = []
_LISTENER = Listener(logging.INFO)


@dataclass
class Verdict:
    """
    How a day went.

    :param violations: what must not happen and did
    :param story: what happened, line by line
    :param coverage: how often a fault met a state of the journal
    """

    plan: DayPlan
    violations: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    coverage: Counter[tuple[str, str]] = field(default_factory=Counter)
    not_reset: int = 0
    fired: int = 0
    exchanges: int = 0


def _hear(logger: Any, method: str, event: dict[str, Any]) -> Any:
    """Hear what operators log: Airflow gives them loggers of structlog."""
    said = str(event.get("event", ""))
    arguments = event.pop("positional_args", None) or ()
    with contextlib.suppress(TypeError, ValueError):
        said = said % arguments if arguments else said
    if _LISTENER.world is not None:
        _LISTENER.world.logs.append(said)
    raise structlog.DropEvent


@contextlib.contextmanager
def laboratory() -> Iterator[None]:
    """Prepare this process for any number of days."""
    storage.install()
    undo = network.install(lambda: _NOW[-1])
    loggers = [logging.getLogger(name) for name in ("airflow_provider_ims", "airflow", "airflow.task")]
    before = [(logger, logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    for logger in loggers:
        logger.handlers = [_LISTENER]
        logger.propagate = False
        logger.setLevel(logging.INFO)
    quiet = logging.getLogger("asyncio").level
    structured = structlog.get_config()
    temporary = tempfile.tempdir
    structlog.configure(processors=[_hear], cache_logger_on_first_use=False)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    find_memories()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        with clock.simulated():
            yield
    finally:
        gc.enable()
        gc.unfreeze()
        tempfile.tempdir = temporary
        structlog.configure(**structured)
        for logger, level, propagate, handlers in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
        logging.getLogger("asyncio").setLevel(quiet)
        undo()
        storage.uninstall()
        supervisor.uninstall()


class FlowOfDay:
    """
    A run, as it goes on.

    :param flow: what was planned
    """

    def __init__(self, world: World, flow: Flow) -> None:
        self.world = world
        self.plan = flow
        self.deferrable = flow.deferrable
        self.requests = [[_doc(flow.rtin, wanted) for wanted in part] for part in flow.requests]
        self.docs = [doc for part in self.requests for doc in part]
        self.instances: list[TaskInstance] = []
        self.looked_up = False
        self.checked = False
        self.grown = False
        self.changed = False
        self.spoilt: dict[str, bytes] = {}
        self.was_spoilt = False
        self.strangers: list[Doc] = []
        root = f"{storage.ROOT}/{flow.run_id}"
        self.output, self.audit = f"{root}/out", f"{root}/audit" if flow.audit else None
        self.snapshots = f"{root}/snapshots"
        self.planned_at = f"{root}/plan"
        self.input = f"{root}/{planning.INPUT}"
        self.lines: list[str] = []
        self.planner: TaskInstance | None = None
        if flow.planned:
            self.own_entry: dict[str, Any] = {}
            self._write_input(flow.bad_rows)
        else:
            self.own_entry = self._write_requests(root)

    @property
    def entry(self) -> dict[str, Any] | None:
        """What the plan says of this taxpayer; nothing before there is one."""
        if self.planner is None:
            return self.own_entry
        entries = self.world.airflow.xcom_of(self.planner)
        return entries[0] if entries else None

    def _write_input(self, bad_rows: tuple[str, ...]) -> None:
        records = [(wanted.section, _record(wanted)) for part in self.plan.requests for wanted in part]
        self.lines = planning.lines_of(self.plan.rtin, records, bad_rows)
        content = "".join(f"{line}\n" for line in self.lines)
        storage.DayFileSystem.files[storage.DayFileSystem._strip_protocol(self.input)] = content.encode()

    def mend_input(self) -> None:
        """Take the rows out of the input that are rejected."""
        self._write_input(())

    def _write_requests(self, root: str) -> dict[str, Any]:
        chunks = []
        for number, part in enumerate(self.plan.requests, 1):
            chunks.append(self._write_request(f"{root}/{self.plan.rtin}/{number:04}.json", part))
        return {"rtin": self.plan.rtin, "chunks": chunks, "documents": len(self.docs)}

    def _write_request(self, path: str, part: tuple[Wanted, ...]) -> dict[str, Any]:
        body = ResetPayload.parse(_request(self.plan.rtin, part), allow_no_action=True).body()
        storage.DayFileSystem.files[storage.DayFileSystem._strip_protocol(path)] = body
        digest = hashlib.sha256(body).hexdigest()
        return {"path": path, "documents": len(part), "bytes": len(body), "sha256": digest}

    def begin(self) -> None:
        """Add the run's tasks to Airflow."""
        if self.plan.kind == "single":
            reset = self._task("reset", self._reset)
            wait = self._task("wait", self._wait, reset)
            self._task("result", self._result, wait)
        else:
            bulk = self._task("reset", self.bulk)
            bulk.map_index = 0
            if self.plan.planned:
                self.planner = self._task("plan", self._plan)
                bulk.upstream.append(self.planner)
            if self.plan.verify:
                download = self._task("download", self._download, bulk)
                self._task("verify", self._verify, download)
        self.world.airflow.begin(BEGIN + self.plan.at, self.plan.run_id)

    def _task(self, task_id: str, build: Any, *upstream: TaskInstance) -> TaskInstance:
        return self.world.airflow.add_task(self, task_id, build, self.plan.retries, *upstream)

    def _plan(self, instance: TaskInstance) -> Any:
        return ImsPlanOperator(
            task_id="plan",
            source=self.input,
            output_path=self.planned_at,
            on_invalid=self.plan.on_invalid,
            max_documents=self.plan.per_request,
            report_formats=("csv",),
        )

    def _reset(self, instance: TaskInstance) -> Any:
        return ImsResetOperator(
            task_id="reset",
            gstn_conn_id=self.plan.conn_id,
            payload=self.own_entry["chunks"][0]["path"],
            on_ambiguous=self.plan.on_ambiguous,
            force_resubmit=instance.force,
            busy_timeout=self.plan.busy_timeout,
            settle_time=self.plan.settle_time,
            audit_path=self.audit,
            deferrable=self.plan.deferrable,
        )

    def _wait(self, instance: TaskInstance) -> Any:
        return ImsTaskSensor(
            task_id="wait",
            gstn_conn_id=self.plan.conn_id,
            reference_id=self.world.airflow.xcom_of(self.instances[0]),
            deferrable=self.plan.deferrable,
            poke_interval=30,
            exponential_backoff=True,
            max_wait=300,
            timeout=6 * HOURS,
        )

    def _result(self, instance: TaskInstance) -> Any:
        return ImsResultOperator(
            task_id="result",
            gstn_conn_id=self.plan.conn_id,
            reference_id=self.world.airflow.xcom_of(self.instances[1]),
            payload=self.own_entry["chunks"][0]["path"],
            on_partial=self.plan.on_partial,
            output_path=self.output,
            audit_path=self.audit,
            deferrable=self.plan.deferrable,
        )

    def _download(self, instance: TaskInstance) -> Any:
        return ImsDownloadOperator(
            task_id="download",
            gstn_conn_id=self.plan.conn_id,
            gstin=self.plan.rtin,
            output_path=self.snapshots,
            deferrable=self.plan.deferrable,
            poke_interval=30,
        )

    def _verify(self, instance: TaskInstance) -> Any:
        return ImsVerifyOperator(
            task_id="verify",
            outcomes=self.world.airflow.xcom_of(self.instances[0]),
            snapshot=self.world.airflow.xcom_of(self.checks[0]),
            output_path=f"{self.snapshots}/verified",
        )

    @property
    def resets(self) -> list[TaskInstance]:
        """The tasks that send, wait and tell."""
        return [each for each in self.instances if each.task_id not in {"plan", "download", "verify"}]

    @property
    def checks(self) -> list[TaskInstance]:
        """The tasks that look at what came of it, and change nothing."""
        return [each for each in self.instances if each.task_id in {"download", "verify"}]

    def bulk(self, instance: TaskInstance) -> Any:
        return ImsBulkResetOperator(
            task_id="reset",
            gstn_conn_id=self.plan.conn_id,
            plan_entry=self.entry,
            on_failure=self.plan.on_failure,
            on_partial=self.plan.on_partial,
            on_ambiguous=self.plan.on_ambiguous,
            force_resubmit=instance.force,
            busy_timeout=self.plan.busy_timeout,
            settle_time=self.plan.settle_time,
            audit_path=self.audit,
        )

    def grow(self) -> FlowOfDay | None:
        """
        Have a taxpayer added to the plan before this one, and the plan cleared: the index of this one shifts.

        :return: the run of the new one, which has the old index
        """
        if not self.plan.grows or self.grown or not self.instances[0].try_number:
            return None
        self.grown = True
        other = FlowOfDay(self.world, replace(self.plan, rtin=OTHER_RTIN, requests=self.plan.grows, grows=()))
        first = self.instances[0]
        other.instances = [first]
        first.flow, first.build = other, other.bulk
        self.instances = []
        second = self._task("reset", self.bulk)
        second.map_index = first.map_index + 1
        self.world.airflow.clear(first)
        return other

    def change(self, number: int) -> None:
        """Have the team ask for another document in the place of a request's first one, and clear the reset."""
        if self.plan.planned:
            return  # that is a matter of its input
        path, first = self.own_entry["chunks"][number]["path"], self.requests[number][0]
        if self.changed or self.was_spoilt or not self.instances[0].try_number:
            return
        self.changed = True
        wanted = replace(self.plan.requests[number][0], number=f"{first.number}Y")
        other = first._replace(number=wanted.number)
        self.world.tell(f"{path} is written anew: it asks for {other.number} and no more for {first.number}")
        self.world.service.file(other, wanted.status, _record(wanted), by="the morning")
        self.strangers.append(first)
        self.requests[number][0] = other
        self.docs = [doc for part in self.requests for doc in part]
        chunks = list(self.own_entry["chunks"])
        chunks[number] = self._write_request(path, (wanted, *self.plan.requests[number][1:]))
        self.own_entry = {**self.own_entry, "chunks": chunks}
        self.world.airflow.clear(self.instances[0])

    def spoil(self, number: int, how: str) -> None:
        """
        Have somebody overwrite or remove the file of a request.

        ``swapped`` puts a document into it that was not sent, in place of one that was; before anything is sent that
        would be a request like any other.
        """
        entry = self.entry
        if entry is None or number >= len(entry["chunks"]):
            return
        path = storage.DayFileSystem._strip_protocol(entry["chunks"][number]["path"])
        content = storage.DayFileSystem.files.get(path)
        if content is None or path in self.spoilt:
            return
        was_sent = any(put.reference_id and put.docs[0] in self.requests[number] for put in self.world.service.puts)
        if how == "swapped" and (self.plan.kind == "bulk" or not was_sent):
            return
        self.world.tell(f"{path} is {how}")
        self.was_spoilt = True
        self.spoilt[path] = content
        if how == "missing":
            del storage.DayFileSystem.files[path]
        elif how == "overwritten":
            storage.DayFileSystem.files[path] = content.replace(b'"val":1180', b'"val":1190')
        else:
            first = self.requests[number][0]
            name = f"{first.number}X"
            for doc, wanted in zip(self.requests[number], self.plan.requests[number], strict=True):
                other = doc._replace(number=name)
                if doc.number == first.number and other not in self.strangers:
                    self.strangers.append(other)
                    record = _record(replace(wanted, number=name))
                    self.world.service.file(other, wanted.status, record, by="the supplier")
            storage.DayFileSystem.files[path] = content.replace(f'"{first.number}"'.encode(), f'"{name}"'.encode())

    def mend(self) -> None:
        """Bring the files back."""
        storage.DayFileSystem.files.update(self.spoilt)
        self.spoilt.clear()

    @property
    def is_over(self) -> bool:
        """Whether every task has ended, one way or another."""
        return all(instance.state in DONE for instance in self.instances)


@contextlib.contextmanager
def world_of(plan: DayPlan) -> Iterator[World]:
    """Let this process live in the world of a day, in a laboratory."""
    options = Options(**plan.options)
    world = World(plan.seed, plan.mishaps, options, keeps_state=plan.keeps_state, second_org=plan.second_org)
    _NOW.append(world)
    _LISTENER.world = world
    begin(world, plan.seed)
    service = world.service
    for conn_id in (organisations.FIRST, *([organisations.SECOND] if plan.second_org else [])):
        world.database.connections[conn_id] = {
            "conn_type": "gstn",
            "host": f"https://{HOST}",
            "login": service.login_of(conn_id),
            "password": service.options.password,
            "extra": json.dumps({"org_id": service.org_of(conn_id), "auth_url": f"https://{HOST}/theodore/apis/v1"}),
        }
    try:
        yield world
    finally:
        world.kernel.end()
        world.airflow.triggerer.end()
        _LISTENER.world = None
        _NOW.pop()
        clock.end()
        forget_memories()
        _bury(world)


def begin_flows(world: World, plan: DayPlan) -> list[FlowOfDay]:
    """Have the documents filed, the sessions opened, and the runs begun."""
    service = world.service
    flows = [FlowOfDay(world, flow) for flow in plan.flows]
    for flow in flows:
        if not flow.plan.opens_session:
            service.open_session(flow.plan.rtin, service.org_of(flow.plan.conn_id))
        for wanted, doc in zip([each for part in flow.plan.requests for each in part], flow.docs, strict=True):
            service.file(doc, wanted.status, _record(wanted), by="the morning")
        flow.begin()
        if flow.plan.grows:
            service.open_session(OTHER_RTIN, service.org_of(flow.plan.conn_id))
            for wanted in (each for part in flow.plan.grows for each in part):
                service.file(_doc(OTHER_RTIN, wanted), wanted.status, _record(wanted), by="the morning")
    return flows


def run(plan: DayPlan) -> Verdict:
    """Live a day."""
    with world_of(plan) as world:
        return _live(world, plan)


def _live(world: World, plan: DayPlan) -> Verdict:
    service = world.service
    flows = begin_flows(world, plan)
    world.carry_out = lambda mishap: _carry_out(world, flows, mishap)
    for flow in flows:
        if flow.plan.opens_session:
            world.kernel.at(BEGIN, partial(sessions.open_session, world, flow.plan))
    for mishap in plan.mishaps:
        if mishap.where == "clock":
            world.kernel.at(BEGIN + mishap.at, partial(world.carry_out, mishap))
    _until_quiet(world, flows, 14 * HOURS)
    world.mishaps.over = True
    world.away.clear()
    world.hidden.clear()
    oracle.judge(world, flows)
    world.tell("evening: what went wrong is over, and somebody cleans up")
    for _ in range(person.MOST_ROUNDS):
        if not person.clean_up(world, flows):
            break
        _until_quiet(world, flows, 14 * HOURS)
        oracle.judge(world, flows)
    oracle.judge_the_end(world, flows)
    return Verdict(
        plan,
        list(dict.fromkeys(world.violations)),
        [f"{_clock(moment)} {text}" for moment, text in world.story],
        world.coverage,
        sum(service.is_at(doc) != "N" for flow in flows for doc in flow.docs),
        len(world.mishaps.fired),
        sum(count for (_, state), count in world.mishaps.seen.items() if not state),
    )


def _until_quiet(world: World, flows: list[FlowOfDay], longest: float) -> None:
    end = world.kernel.now + longest
    while not all(run.is_over for run in (*flows, *world.session_runs)):
        following = world.kernel.next_event()
        if following is None or following > end:
            break
        world.kernel.run(min(end, following + 60.0))
    waiting = [each for each in world.airflow.instances if each.state not in DONE and each.state is not None]
    for instance in waiting:
        world.violate(f"{instance.name} is still {instance.state} after {longest / HOURS:.0f} hours")
    world.service.settle()


def _carry_out(world: World, flows: list[FlowOfDay], mishap: Mishap) -> None:
    """Let something happen that no exchange has to do with."""
    if world.mishaps.over:
        return
    if mishap.where == "clock":
        world.mishaps.fired.append(mishap)
    first, _, rest = mishap.detail.partition(" ")
    flow = next((each for each in flows if each.plan.run_id == first), flows[0])
    instance = next((each for each in flow.instances if each.task_id == rest), flow.instances[0])
    match mishap.what.split():
        case [("service" | "airflow" | "storage") as whom, "away"]:
            world.tell(f"{whom} is away for {mishap.lasts:.0f} s")
            world.away[whom] = world.kernel.now + mishap.lasts
        case ["triggerer", "dies"]:
            world.airflow.triggerer.die()
        case ["worker", "dies"]:
            running = [
                each for run in (*flows, *world.session_runs) for each in run.instances if each.state == "running"
            ]
            if running:
                instance = world.kernel.rng.choice(running)
                world.excuse_deaths(instance)
                world.airflow.kill_worker(instance)
        case [("supplier" | "taxpayer") as who, _, *forced]:
            number, _, status = rest.partition(" ")
            # Of two that only their date tells apart, the second.
            doc = [each for each in (*flow.docs, *flow.strangers) if each.number == number][-1]
            world.tell(f"the {who} sets {doc.section} {doc.number} to {status}")
            world.service.change(doc, status, who)
            if forced and instance.try_number:
                if instance.state == "running":
                    world.excuse_deaths(instance)
                world.airflow.clear(flow.instances[0], force=True)
        case ["session", "ends"]:
            world.tell(f"the GSTN session of {first} ends")
            world.service.end_session(first)
        case ["session", "opened"]:
            sessions.open_session(world, flow.plan)
        case ["token", "revoked"]:
            world.tell("the theodore tokens are revoked")
            world.service.revoke_tokens()
        case ["plan", "grows"]:
            if instance.state == "running":
                world.excuse_deaths(instance)
            world.tell(f"a taxpayer is added to the plan of {flow.plan.run_id}, and the plan is cleared")
            if (other := flow.grow()) is not None:
                flows.append(other)
        case ["request", "changed"]:
            if instance.state == "running":
                world.excuse_deaths(instance)
            flow.change(int(rest) - 1)
        case ["request", ("overwritten" | "missing" | "swapped") as how]:
            flow.spoil(int(rest) - 1, how)
        case ["clear", *how]:
            if not instance.try_number:
                return
            for each in (instance, *flow.resets):
                if each.state == "running" and (each is instance or instance.task_id == "plan"):
                    world.excuse_deaths(each)
            world.airflow.clear(instance, force=True if how and instance.task_id == "reset" else None)
        case ["mark", state]:
            if not instance.try_number or instance.state in DONE:
                return
            if instance.state == "running":
                world.excuse_deaths(instance)
            world.airflow.mark(instance, state)
    world.coverage[mishap.what, world.state_of(instance)] += 1


def _bury(world: World) -> None:
    """Take apart what a killed event loop leaves behind, now and not whenever memory is collected."""
    heard, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
    for loop, tasks in world.graveyard:
        asyncio._set_running_loop(loop)
        for task in tasks:
            with contextlib.suppress(BaseException):
                task.get_coro().close()
        asyncio._set_running_loop(None)
        loop._ready.clear()
        loop._scheduled.clear()
        loop.close()
    if world.graveyard or world.kernel.rng.random() < 0.05:
        world.graveyard.clear()
        gc.collect()
    sys.unraisablehook = heard
    with contextlib.suppress(ImportError):
        from airflow.sdk._shared.secrets_masker import reset_secrets_masker

        reset_secrets_masker()


def _clock(moment: float) -> str:
    whole = int(moment - BEGIN) + 9 * 3600
    day = f"day {whole // 86400 + 1} " if whole >= 86400 else ""
    return f"{day}{whole // 3600 % 24:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def _doc(rtin: str, wanted: Wanted) -> Doc:
    return Doc(rtin, wanted.section, wanted.stin, wanted.number, wanted.rtnprd, wanted.date)


def _record(wanted: Wanted) -> dict[str, Any]:
    number = NUMBER_FIELD[wanted.section]
    date = "nt_dt" if number == "nt_num" else "idt"
    values = {number: wanted.number, date: wanted.date, "stin": wanted.stin, "rtnprd": wanted.rtnprd}
    return document(wanted.section, **values, prev_status=wanted.status)


def _request(rtin: str, part: tuple[Wanted, ...]) -> dict[str, Any]:
    sections: dict[str, list[Any]] = {}
    for wanted in part:
        sections.setdefault(wanted.section, []).append(_record(wanted))
    return request(rtin, **sections)
