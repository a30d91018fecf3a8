"""Opens sessions on a day: a person starts the DAG and types what GSTN sends; judged by what GSTN was asked for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_ims.operators._otp_form import OTP_PARAM
from airflow_provider_ims.operators.session import GstnRequestOtpOperator, GstnVerifyOtpOperator

from .airflow import DONE, TaskInstance

if TYPE_CHECKING:
    from .plan import Flow
    from .service import Doc
    from .world import World

TASKS = ("request_otp", "verify_otp")
_RETRIES = 1


class SessionRun:
    """
    A run of the DAG that opens a taxpayer's session, or extends it.

    :param flow: for whose taxpayer and organisation
    :param only_if_needed: whether to extend a session that is known
    :param then: called when it has come to its end
    """

    kind = "session"

    def __init__(
        self, world: World, flow: Flow, *, only_if_needed: bool = True, then: Callable[[], None] = lambda: None
    ) -> None:
        self.world = world
        self.only_if_needed = only_if_needed
        self.then = then
        self.plan = replace(flow, run_id=f"session{len(world.session_runs) + 1}", kind="session", verify=False)
        self.deferrable = False
        self.docs: list[Doc] = []
        self.instances: list[TaskInstance] = []
        self.was_tidied = 0

    @property
    def owner(self) -> tuple[str, str]:
        """Organisation and GSTIN: what a session belongs to."""
        return self.world.service.owner_of(self.plan)

    @property
    def is_over(self) -> bool:
        """Whether every task has ended."""
        return all(instance.state in DONE for instance in self.instances)

    @property
    def has_served(self) -> bool:
        """Whether the session was opened, or extended."""
        request, verify = self.instances
        return verify.state == "success" or request.state == "skipped"

    def begin(self, moment: float) -> None:
        """Add its tasks to Airflow."""
        airflow = self.world.airflow
        request = airflow.add_task(self, "request_otp", self._request, _RETRIES)
        airflow.add_task(self, "verify_otp", self._verify, 0, request)
        self.world.session_runs.append(self)
        airflow.begin(moment, self.plan.run_id)

    def _request(self, instance: TaskInstance) -> Any:
        return GstnRequestOtpOperator(
            task_id="request_otp",
            gstin=self.plan.rtin,
            username="portal.user",
            only_if_needed=self.only_if_needed,
            gstn_conn_id=self.plan.conn_id,
        )

    def _verify(self, instance: TaskInstance) -> Any:
        return GstnVerifyOtpOperator(
            task_id="verify_otp",
            gstin=self.plan.rtin,
            otp_request_id=self.world.airflow.xcom_of(self.instances[0]),
            gstn_conn_id=self.plan.conn_id,
        )


def open_session(
    world: World, flow: Flow, *, only_if_needed: bool = True, then: Callable[[], None] = lambda: None
) -> SessionRun | None:
    """Have a person start the DAG, unless one runs for this taxpayer."""
    owner = world.service.owner_of(flow)
    if any(run.owner == owner and not run.is_over for run in world.session_runs):
        return None
    run = SessionRun(world, flow, only_if_needed=only_if_needed, then=then)
    world.tell(f"{world.person} starts {run.plan.run_id}, which opens a session for {flow.rtin} ({flow.conn_id})")
    run.begin(world.kernel.now)
    return run


def be_asked(world: World, instance: TaskInstance) -> None:
    """Have a person see the question, and answer it."""
    number = instance.deferrals
    mishap = world._take("typed")
    what = mishap.what if mishap else ""
    if mishap:
        world._meets(f"typed: {what}")
    if what == "never":
        world.tell(f"nobody answers {instance.name}")
        return
    delay = 660.0 if what == "too late" else world.kernel.rng.uniform(15.0, 200.0)

    def answer() -> None:
        if instance.state != "awaiting_input" or instance.deferrals != number:
            return
        otp = world.service.otp_of(*instance.flow.owner)
        typed = {"mistyped": f"{(int(otp or 0) + 1) % 1_000_000:06}", "nothing": ""}.get(what, otp)
        world.tell(f"{world.person} answers {instance.name}" + (f" ({what})" if what else ""))
        world.airflow.answer(instance, number, {OTP_PARAM: typed})

    world.kernel.after(delay, answer)


def clean_up(world: World) -> bool:
    """Do what a run that opens a session says when it failed; return whether there was anything to do."""
    acted = False
    for run in world.session_runs:
        if not run.is_over or run.has_served or run.was_tidied:
            continue
        if any(each.owner == run.owner and not each.is_over for each in world.session_runs):
            continue  # another one is asking for a password: a newer one would make that one void
        run.was_tidied += 1
        if not world.service.is_open(*run.owner):
            world.airflow.clear(run.instances[0])
            acted = True
    return acted


def judge(world: World) -> None:
    """Judge how often taxpayers were sent a password: once for each session that it opened, but for what went wrong."""
    asked: Counter[tuple[str, str]] = Counter()
    by_try: Counter[tuple[Any, int, int]] = Counter()
    for each in world.service.otp_requests:
        asked[each.owner] += 1
        name = each.by.name if each.by is not None else "somebody"
        if each.by is None or each.by.task_id != "request_otp":
            world.violate(f"{name} has a password sent to a taxpayer's phone")
            continue
        by_try[each.by, each.attempt, each.clears] += 1
        if each.is_needless and each.by.flow.only_if_needed and not world.session_faults[each.owner]:
            world.violate(f"{name} has a password sent although the session could be extended")
    for (instance, attempt, _), count in by_try.items():
        if count > 1:
            world.violate(f"try {attempt} of {instance.name} has {count} passwords sent")
    for owner, count in asked.items():
        opened, excused = world.service.opened[owner], world.session_faults[owner]
        if count > opened + excused:
            world.violate(
                f"{count} passwords were sent to {owner[1]} for {opened} sessions ({excused} things went wrong)"
            )


def judge_the_end(world: World) -> None:
    """Judge that a session is open wherever somebody wanted one, and that no password is left anywhere."""
    judge(world)
    last = {run.owner: run for run in world.session_runs}
    for run in last.values():
        if not run.has_served and not world.service.is_open(*run.owner):
            states = ", ".join(f"{each.name} {each.state}: {each.error or ''}" for each in run.instances)
            world.violate(f"no session comes to be opened for {run.plan.rtin} ({states[:300]})")
    typed = {otp for _, _, otp in world.service.otps}
    kept = {name: str(each.get("params_input") or "") for name, each in world.database.hitl.items()}
    for run in world.session_runs:
        # While it waits for somebody, or for the worker, Airflow has to keep it.
        if run.is_over and any(
            otp in kept.get(each.id, "") for each in run.instances for otp in typed if each.state == "success"
        ):
            world.violate(f"Airflow still keeps what was typed for {run.plan.run_id}")
    for place, text in (("a log", "\n".join(world.logs)), ("a deferral or an event", "\n".join(world.shown))):
        for otp in typed:
            if re.search(rf"(?<![\w.-]){otp}(?![\w.-])", text):
                world.violate(f"{place} shows a one-time password")
