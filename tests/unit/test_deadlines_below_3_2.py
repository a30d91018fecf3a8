"""An Airflow that cannot keep deadline references of others says so. Here it is played where it is newer."""

from __future__ import annotations

import pytest

from airflow_provider_ims import deadlines
from airflow_provider_ims.deadlines import ReturnPeriodDeadline


def test_an_airflow_that_cannot_keep_it_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(deadlines, "BaseDeadlineReference", object)
    with pytest.raises(RuntimeError, match=r"needs Airflow 3\.2"):
        ReturnPeriodDeadline()
