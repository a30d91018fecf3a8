"""Notices that the simulator answers in the service's place, so that nobody takes its word for GSTN's."""

from __future__ import annotations

import logging
from collections.abc import Mapping

MARK = "X-Simulator"
"""A header of each of the simulator's replies."""

log = logging.getLogger(__name__)

_told: set[str] = set()


def is_marked(headers: Mapping[str, str], url: str) -> bool:
    """
    Say whether a reply is the simulator's; warn of it once in a process for each host.

    :param headers: of the reply, looked up in any letter case
    :param url: what was asked for
    """
    if MARK not in headers:
        return False
    scheme, _, rest = url.partition("://")
    host = f"{scheme}://{rest.partition('/')[0]}"
    if host not in _told:
        _told.add(host)
        log.warning("%s is the IMS simulator: nothing that is sent there reaches GSTN, and no answer is GSTN's.", host)
    return True
