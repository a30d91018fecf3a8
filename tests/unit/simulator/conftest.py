from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from airflow_provider_ims.simulator.gst import Gst
from airflow_provider_ims.simulator.options import Options
from airflow_provider_ims.simulator.server import SimulatorServer

RTIN = "20MAYAS0100J1ZX"
STIN = "24MAYAS0100J1JD"


@pytest.fixture
def rtin() -> str:
    return RTIN


@pytest.fixture
def otps() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def gst(otps: list[tuple[str, str]]) -> Gst:
    return Gst(Options(), lambda gstin, otp: otps.append((gstin, otp)))


@pytest.fixture(scope="session")
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        yield server


@pytest.fixture
def sim(server: SimulatorServer) -> SimulatorServer:
    server.gst.reset()
    return server


class Client(requests.Session):
    """A session whose URLs are paths of one server."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def request(self, method: Any, url: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        return super().request(method, self._url + url, timeout=10, **kwargs)


@pytest.fixture
def client(sim: SimulatorServer) -> Iterator[requests.Session]:
    with Client(sim.url) as client:
        yield client


@pytest.fixture
def record() -> Callable[..., dict[str, Any]]:
    """Build a good record of a section; keywords replace or add fields, None removes one."""

    def build(section: str = "b2b", number: str = "INV-1", **changes: Any) -> dict[str, Any]:
        amounts = dict.fromkeys(("val", "txval", "iamt", "camt", "samt", "cess"), 10)
        common = {"stin": STIN, "rtnprd": "012023", "srcform": "R1", "pos": "24", "prev_status": "A", **amounts}
        names = ("nt_num", "nt_dt") if section.startswith(("b2bdn", "b2bcn")) else ("inum", "idt")
        fields = common | {names[0]: number, names[1]: "23-01-2023"}
        if section.endswith("a"):
            fields |= {f"o{names[0]}": "OLD-1", f"o{names[1]}": "24-02-2023"}
        if not section.startswith("ecom"):
            fields["inv_typ"] = "R"
        return {name: value for name, value in (fields | changes).items() if value is not None}

    return build


@pytest.fixture
def payload() -> Callable[..., dict[str, Any]]:
    def build(**sections: Any) -> dict[str, Any]:
        return {"rtin": RTIN, "reqtyp": "RESET", "invdata": sections}

    return build


@pytest.fixture
def run(gst: Gst) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Submit a reset, wait for it and return the result's data."""
    gst.open_session(RTIN)
    org = gst.options.org_id

    def submit(body: dict[str, Any]) -> dict[str, Any]:
        task_id = gst.submit_reset(org, RTIN, body)
        gst.advance(gst.options.task_seconds)
        data, error = gst.task_result(org, task_id)
        assert error is None
        assert data is not None
        return data

    return submit
