"""A worker may die at any call and any write of the loop: no half file under its final name, and a retry goes on."""

from __future__ import annotations

import csv
import json
import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb  # noqa: TID253
import pytest

from airflow_provider_ims.hooks import gstn
from airflow_provider_ims.matching import output
from airflow_provider_ims.operators import download as download_operator
from airflow_provider_ims.operators.download import ImsDownloadOperator
from airflow_provider_ims.owner import SUFFIX
from airflow_provider_ims.results import verified_files
from tests.contract.task_instance import Killed, TaskInstance
from tests.contract.test_deaths import Moments
from tests.contract.test_loop import GSTIN, PER_GSTIN, Company
from tests.unit.matching.builders import read

SECTIONS = ["b2b", "b2bcn"]


@pytest.fixture(autouse=True)
def quiet(no_jitter: None) -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def company(simulator: Any, tmp_path: Path) -> Company:
    return Company(simulator, tmp_path)


def whole(folder: Path) -> list[str]:
    """The names of what is there, each of which must be whole: nothing else may bear a final name."""
    names = (
        [path.name for path in sorted(folder.iterdir()) if not path.name.endswith(SUFFIX)] if folder.exists() else []
    )
    for name in names:
        path = folder / name
        if name.endswith(".parquet"):
            duckdb.read_parquet(str(path)).fetchall()
        elif name.endswith(".json"):
            json.loads(path.read_text())
        elif name.endswith(".xlsx"):
            assert zipfile.ZipFile(path).testzip() is None
        else:
            assert name.endswith(".csv"), name
            with path.open(newline="") as file:
                assert len({len(row) for row in csv.reader(file)}) == 1
    return names


def test_a_download_at_any_call_and_any_write(company, simulator, tmp_path, monkeypatch):
    moments = Moments()
    monkeypatch.setattr(gstn, "send", moments.around(gstn.send))
    for name in ("remove", "copy_whole", "write_whole"):
        monkeypatch.setattr(download_operator, name, moments.around(getattr(download_operator, name)))
    held = None
    for death in range(1000):
        folder = tmp_path / str(death)
        named = {"gstin": GSTIN, "output_path": str(folder), "sections": SECTIONS, "deferrable": True}
        task = TaskInstance(simulator, ImsDownloadOperator, task_id="download", **named)
        task.store.set = moments.around(task.store.set)
        asked = simulator["downloads"]
        moments.left = death
        try:
            summary = task.attempt()
            died = False
        except Killed:
            died = True
            moments.left = None
            names = whole(folder / GSTIN)
            # snapshot.json is the last: where it is, the documents are, too.
            assert "snapshot.json" not in names or "documents.parquet" in names
            summary = task.attempt()
        # One more if the worker died between a request and the note of it.
        assert simulator["downloads"] - asked <= len(SECTIONS) + died, f"death {death}"
        assert whole(folder / GSTIN) == ["documents.parquet", "snapshot.json"]
        rows = read(folder / GSTIN / "documents.parquet")
        assert {row["snapshot"] for row in rows} == {summary["snapshot"]}
        numbers = sorted(row["number"] for row in rows)
        assert numbers == (held := held or numbers)
        if not died:
            break
    assert death > 20
    moments.left = None


def test_a_reconciliation_at_any_write_also_over_an_earlier_one(company, monkeypatch):
    snapshot = company.download()
    folder = company.folder / "reconciled"
    expected = company.reconcile(snapshot)
    moments = Moments()
    for name in ("copy_whole", "write_whole"):
        monkeypatch.setattr(output, name, moments.around(getattr(output, name)))
    for death in range(1000):
        moments.left = death
        try:
            company.reconcile(snapshot)
            break
        except Killed:
            moments.left = None
            names = whole(folder)
            # reconciliation.json is the last: where it is, the others are, too, and nothing is of the earlier one.
            assert "reconciliation.json" not in names or set(output.FILES) <= set(names)
            assert len(names) <= death // 2 + 1
        assert company.reconcile(snapshot) == expected
        assert set(whole(folder)) >= set(output.FILES)
    assert death >= 10
    assert len(read(folder / "reconciliation.parquet")) == PER_GSTIN


def test_a_verification_at_any_write(company, monkeypatch):
    outcomes = company.reset(company.plan(company.reconcile(company.download())))
    after = company.download("after")
    moments = Moments()
    monkeypatch.setattr(verified_files, "copy_whole", moments.around(verified_files.copy_whole))
    for death in range(100):
        moments.left = death
        try:
            found = company.verify(outcomes, after)
            break
        except Killed:
            assert len(whole(company.folder / "verified")) <= death // 2 + 1
    assert death >= 2
    assert found["verified"] == found["documents"] == len(company.verified) > 0
