"""The person who cleans up in the evening: reads what a failed task says, and does it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_ims.exceptions import GstnResetFailed, GstnResetPartial

from . import oracle, sessions
from .airflow import DONE

if TYPE_CHECKING:
    from .airflow import TaskInstance
    from .world import World

MOST_ROUNDS = 8


def clean_up(world: World, flows: list[Any]) -> bool:
    """Do what each failed task says; return whether there was anything to do."""
    acted = sessions.clean_up(world)
    for flow in flows:
        if flow.planner is not None and (flow.planner.state != "success" or flow.planner.marked):
            acted = _plan_again(world, flow) or acted
            continue
        if flow.looked_up or oracle.is_settled(world, flow):
            acted = _check(world, flow) or acted
            continue
        # What was marked success by hand has no result: it is cleared, too.
        failed = next((each for each in flow.resets if each.state in {"failed", "skipped"} or each.marked), None)
        if any(each.state not in DONE for each in flow.resets):
            continue  # it goes on by itself
        if failed is None and flow.spoilt:
            failed = flow.instances[0]  # all went well, with a file that somebody had put there
        if failed is None:
            if oracle.is_accounted(world, flow):
                world.tell(f"{world.person} looks up what {flow.plan.run_id} warns of")
                flow.looked_up = True
        else:
            acted = _act(world, flow, failed) or acted
        if flow.looked_up:
            acted = _check(world, flow) or acted
    return acted


def _act(world: World, flow: Any, instance: TaskInstance) -> bool:
    text = str(instance.error or "")
    if flow.spoilt:
        world.tell(f"{world.person} brings the files of {flow.plan.run_id} back")
        flow.mend()
        world.airflow.clear(instance)
        return True
    if _needs_session(text):
        _with_session(world, flow, instance)
        return True
    if instance.state == "skipped" and oracle.is_accounted(world, flow):
        world.tell(f"{world.person} looks up what {flow.plan.run_id} leaves open")
        flow.looked_up = True
        return False
    if "payload is not what was sent" in text:
        world.airflow.clear(flow.instances[0])  # the file is the right one again: another was sent
        return True
    if "payload was changed" in text and "set force_resubmit" in text:
        # The one before is to be had no more: it was changed on purpose, or what was sent was not meant.
        world.airflow.clear(flow.instances[0], force=True)
        return True
    if "portal" in text:
        if _is_all_reset(world, flow) or (
            isinstance(instance.error, GstnResetPartial) and oracle.is_accounted(world, flow)
        ):
            world.tell(f"{world.person} looks the documents of {flow.plan.run_id} up on the portal")
            flow.looked_up = True
            return False
        if "force_resubmit" in text or instance.task_id == "wait":
            world.airflow.clear(flow.instances[0], force=True)
            return True
    if isinstance(instance.error, GstnResetFailed) and instance.task_id == "result":
        # Clearing the result reads the same result: the reset has to be sent again.
        world.airflow.clear(flow.instances[0], force=True)
        return True
    world.airflow.clear(instance)
    return True


def _check(world: World, flow: Any) -> bool:
    """Have a snapshot taken and compared once more, where that failed."""
    failed = next((each for each in flow.checks if each.state == "failed"), None)
    if failed is None or flow.checked:
        return False
    text = str(failed.error or "")
    if "do not stand at no action" in text:
        world.tell(f"{world.person} looks up what {flow.plan.run_id} was found to differ in")
        flow.checked = True
        return False
    if flow.spoilt:
        flow.mend()
    if _needs_session(text):
        _with_session(world, flow, flow.checks[0])
        return True
    # A snapshot that cannot be used is taken anew.
    world.airflow.clear(flow.checks[0])
    return True


def _with_session(world: World, flow: Any, instance: TaskInstance) -> None:
    """Open a session for a run, and clear a task when it is there."""
    owner = world.service.owner_of(flow.plan)
    if world.service.is_open(*owner):
        world.airflow.clear(instance)  # somebody has opened one meanwhile
        return
    # One that was said to be extended, and is none, has to be opened.
    vain = any(run.owner == owner and run.instances[0].state == "skipped" for run in world.session_runs[-1:])
    then = partial(world.airflow.clear, instance)
    if sessions.open_session(world, flow.plan, only_if_needed=not vain, then=then) is None:
        under_way = [run for run in world.session_runs if run.owner == owner and not run.is_over]
        before = under_way[-1].then
        under_way[-1].then = lambda: (before(), then())[0]


def _plan_again(world: World, flow: Any) -> bool:
    if flow.planner.state not in DONE:
        return False
    if "rejected" in str(flow.planner.error or ""):
        world.tell(f"{world.person} takes the wrong rows out of the input of {flow.plan.run_id}")
        flow.mend_input()
    flow.mend()
    world.airflow.clear(flow.planner)
    return True


def _is_all_reset(world: World, flow: Any) -> bool:
    return all(world.service.is_at(doc) == "N" for doc in flow.docs)


def _needs_session(text: str) -> bool:
    return "gstn_session" in text or "Open a GSTN session" in text
