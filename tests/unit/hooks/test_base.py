"""What both hooks say of a connection."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from airflow_provider_ims.hooks.gstn import GstnHook


@pytest.mark.parametrize(
    ("environment", "verify_ssl", "warns"),
    [("production", False, True), ("production", True, False), ("sandbox", False, False)],
)
def test_unchecked_certificates_of_production_are_warned_of(monkeypatch, environment, verify_ssl, warns):
    extra = {"environment": environment, "verify_ssl": verify_ssl}
    connection = {"conn_type": "gstn", "login": "a@example.test", "password": "a-password", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_GSTN_DEFAULT", json.dumps(connection))
    hook, warned = GstnHook(), []
    monkeypatch.setattr(type(hook), "log", SimpleNamespace(warning=lambda text, *_: warned.append(text)))
    assert hook.settings.verify_ssl is verify_ssl
    assert ["verify_ssl is false" in text for text in warned] == [True] * warns
