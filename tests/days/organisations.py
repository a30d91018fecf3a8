"""
Judges that nothing goes out under the wrong organisation.

A day may know two: both of one theodore user, or the second of another. Each has a connection of its own. What a
request carries has to belong to the connection of the task that sends it: organisation, token, session, task.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .world import World

FIRST, SECOND = "gstn_default", "gstn_second"
SECOND_ORG = "0c7d4a1e-93b5-4d0a-8a53-6f2be0a94d17"
SECOND_LOGIN = "second@example.com"

_TASK = re.compile(r"/tasks/v1\.0/(?:status|result)/([^/?]+)")


def judge_a_request(world: World, instance: Any, call: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
    """Judge one request, before anybody answers it."""
    if instance is None or instance.flow is None:
        return
    conn_id = instance.flow.plan.conn_id
    service, name = world.service, f"{call} of {instance.name}"
    org, login = service.org_of(conn_id), service.login_of(conn_id)
    held = {key.lower(): value for key, value in headers.items()}
    if call == "login":
        handle = json.loads(body).get("handle")
        if handle != login:
            world.violate(f"{name} logs in as {handle}, which is not the user of {conn_id}")
        return
    token = held.get("x-flynn-n-user-token") or held.get("authorization", "").removeprefix("Bearer ")
    owner = service.owner_of_token(token)
    if owner not in {login, ""}:
        world.violate(f"{name} carries a token of {owner}, which is not the user of {conn_id}")
    if call in {"refresh", "logout"}:
        return
    if held.get("x-flynn-n-org-id") != org:
        world.violate(f"{name} goes out under another organisation than that of {conn_id}")
    if call in {"gstn_refresh", "gstn_logout"}:
        gstin = held.get("x-flynn-n-gstin")
        of_session = service.session_owners.get(json.loads(body).get("gst-session-id"), (org, gstin))
        if of_session != (org, gstin):
            world.violate(f"{name} uses the session of another organisation or taxpayer")
    found = _TASK.search(url)
    if found and service.task_owners.get(found[1], org) != org:
        world.violate(f"{name} asks for a task of another organisation")
