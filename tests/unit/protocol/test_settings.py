"""What an Airflow connection of type ``gstn`` says, in each form in which Airflow stores one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_ims.protocol.settings import InvalidConnection, Settings
from tests.unit.builders import PASSWORD

SANDBOX = "https://solo.enriched-api.vayana.com"
PRODUCTION = "https://live.enriched-api.vayana.com"
SANDBOX_AUTH = "https://sandbox.services.vayananet.com/theodore/apis/v1"
PRODUCTION_AUTH = "https://services.vayana.com/theodore/apis/v1"
OWN = {"auth_url": "https://auth.acme.test"}


def read(extra: Any = None, **fields: Any) -> Settings:
    """Read a connection; the sandbox's, unless something else is said."""
    values: dict[str, Any] = {"host": None, "login": "tax@acme.test", "password": PASSWORD}
    if extra is None:
        extra = {"environment": "sandbox"}
    text = extra if isinstance(extra, str) else json.dumps(extra)
    return Settings.from_connection("gstn_default", **(values | {"extra": text} | fields))


def faults(extra: Any = None, **fields: Any) -> dict[str, str]:
    """What is wrong with a connection: field -> what is said of it."""
    with pytest.raises(InvalidConnection) as caught:
        read(extra, **fields)
    assert PASSWORD not in str(caught.value)
    assert len({fault.place for fault in caught.value.faults}) == len(caught.value.faults)
    return {fault.place: str(fault) for fault in caught.value.faults}


@pytest.mark.parametrize(
    ("environment", "eas_url", "auth_url"),
    [
        ("sandbox", SANDBOX, SANDBOX_AUTH),
        ("production", PRODUCTION, PRODUCTION_AUTH),
        ("Sandbox", SANDBOX, SANDBOX_AUTH),
        (" PRODUCTION ".strip(), PRODUCTION, PRODUCTION_AUTH),
    ],
)
def test_the_environment_decides_both_urls(environment: str, eas_url: str, auth_url: str):
    settings = read({"environment": environment})
    assert (settings.eas_url, settings.auth_url) == (eas_url, auth_url)


@pytest.mark.parametrize(("host", "auth_url"), [(SANDBOX, SANDBOX_AUTH), (PRODUCTION, PRODUCTION_AUTH)])
def test_a_host_of_vayanas_is_enough(host: str, auth_url: str):
    for written in (host, host + "/", host.removeprefix("https://"), f" {host} "):
        settings = read({}, host=written)
        assert (settings.eas_url, settings.auth_url) == (host, auth_url)


def test_a_host_of_ones_own_comes_before_the_environment():
    settings = read({"environment": "sandbox"}, host="https://proxy.acme.test/eas/")
    assert settings.eas_url == "https://proxy.acme.test/eas"
    assert settings.auth_url == SANDBOX_AUTH


def test_the_login_server_can_be_another_one():
    settings = read({"environment": "sandbox", **OWN})
    assert (settings.eas_url, settings.auth_url) == (SANDBOX, "https://auth.acme.test")


def test_the_defaults():
    settings = read()
    assert settings.handle == "tax@acme.test"
    assert settings.password == PASSWORD
    assert settings.org_id is None
    assert settings.gsp_code == "vay"
    assert settings.gstn_api_version == "v0.2"
    assert settings.gstin_header == "X-FLYNN-N-GSTIN"
    assert settings.extra_headers == {}
    assert settings.timeout == 60
    assert settings.verify_ssl is True
    assert settings.token_minutes == 20
    assert settings.unknown == ()


EVERYTHING = {
    "environment": "production",
    "org_id": "org-1",
    "auth_url": "https://auth.acme.test/v1/",
    "gsp_code": "other",
    "gstn_api_version": "v0.3",
    "gstin_header": "X-GSTIN",
    "extra_headers": {"X-Trace": "airflow"},
    "timeout": 30,
    "verify_ssl": False,
    "token_minutes": 360,
}


def test_every_setting_as_json():
    assert_everything(read(EVERYTHING))


def test_every_setting_as_text_as_forms_and_uris_give_them():
    as_text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in EVERYTHING.items()}
    assert all(isinstance(value, str) for value in as_text.values())
    assert_everything(read(as_text))


def assert_everything(settings: Settings) -> None:
    assert settings.eas_url == PRODUCTION
    assert settings.auth_url == "https://auth.acme.test/v1"
    assert settings.org_id == "org-1"
    assert settings.gsp_code == "other"
    assert settings.gstn_api_version == "v0.3"
    assert settings.gstin_header == "X-GSTIN"
    assert settings.extra_headers == {"X-Trace": "airflow"}
    assert settings.timeout == 30
    assert settings.verify_ssl is False
    assert settings.token_minutes == 360
    assert settings.unknown == ()


@pytest.mark.parametrize("empty", [None, ""])
def test_a_setting_left_empty_in_the_form_is_its_default(empty: Any):
    blank = dict.fromkeys(EVERYTHING, empty) | {"environment": "sandbox"}
    assert read(blank) == read()


@pytest.mark.parametrize("extra", [None, "", "  ", "{}"])
def test_an_extra_may_be_empty(extra: str | None):
    settings = Settings.from_connection("c", host=SANDBOX, login="a@b.test", password=PASSWORD, extra=extra)
    assert settings.eas_url == SANDBOX


@pytest.mark.parametrize(
    ("host", "port", "scheme", "url"),
    [
        ("eas.acme.test", None, None, "https://eas.acme.test"),
        ("eas.acme.test", 8443, None, "https://eas.acme.test:8443"),
        ("127.0.0.1", 8000, "http", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000", None, None, "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000", 8000, None, "http://127.0.0.1:8000"),
        ("http://127.0.0.1", 8000, "https", "http://127.0.0.1:8000"),
        ("https://eas.acme.test/base", 8443, None, "https://eas.acme.test:8443/base"),
        ("[::1]", 8000, "http", "http://[::1]:8000"),
    ],
)
def test_port_and_scheme_may_stand_apart_as_in_the_uri_form(host: str, port: Any, scheme: Any, url: str):
    assert read(OWN, host=host, port=port, scheme=scheme).eas_url == url


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("True", True),
        ("false", False),
        ("FALSE", False),
        ("/etc/ssl/acme.pem", "/etc/ssl/acme.pem"),
    ],
)
def test_certificates_are_checked_or_not_or_against_a_bundle(given: Any, meant: Any):
    assert read({"environment": "sandbox", "verify_ssl": given}).verify_ssl == meant


@pytest.mark.parametrize(("given", "meant"), [(1, 1), (600, 600), ("2.5", 2.5), (0.5e2, 50)])
def test_the_timeout_is_a_number_of_seconds(given: Any, meant: float):
    assert read({"environment": "sandbox", "timeout": given}).timeout == meant


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("timeout", value) for value in [0, -1, 601, "soon", "nan", True, [], {}, "inf"]),
        *(("token_minutes", value) for value in [0, 361, "short", True]),
        *(("environment", value) for value in ["live", "solo", "test", 1, ["sandbox"]]),
        *(("org_id", value) for value in [1, ["org-1"], "org-1\nX-Other: 1", "संस्था"]),
        *(("gsp_code", value) for value in [1, "vay\r\nX: y", "väy"]),
        *(("gstn_api_version", value) for value in [0.2, "v0.2\n", "v0.2/../x", "v 2", ".."]),
        *(("gstin_header", value) for value in [1, "X-A\nX-B"]),
        *(("verify_ssl", value) for value in [1, {}, [True], "no", "yes", "0", "on", "ca.pem", "/etc/ca\n.pem"]),
        *(("auth_url", value) for value in [1, "ftp://auth.test", "https://auth.test?x=1"]),
        *(
            ("auth_url", value)
            for value in ["https://auth test", "https://ä.test", "https://a..b", "https://a.test/\x00"]
        ),
        *(
            ("extra_headers", value)
            for value in ["X: y", "[]x", ["X"], {"X": 1}, {"X": "a\nb"}, {"X": None}, {"X": "é"}, {"X": " a"}, 5]
        ),
    ],
)
def test_a_setting_that_is_wrong_is_named(name: str, value: Any):
    assert list(faults({**OWN, name: value}, host=SANDBOX)) == [name]


@pytest.mark.parametrize("extra", ["{", "[]", "null", '"sandbox"', "environment=sandbox"])
def test_an_extra_that_is_no_json_object_is_named(extra: str):
    assert list(faults(extra, host=SANDBOX)) == ["extra"]


@pytest.mark.parametrize(
    ("fields", "extra", "named"),
    [
        ({"login": None}, None, ["login"]),
        ({"login": ""}, None, ["login"]),
        ({"password": None}, None, ["password"]),
        ({"password": ""}, None, ["password"]),
        ({}, {}, ["host"]),
        ({"host": "https://eas.acme.test"}, {}, ["auth_url"]),
        ({"host": "ftp://eas.acme.test"}, OWN, ["host"]),
        ({"host": "https://eas.test?x=1"}, OWN, ["host"]),
    ],
)
def test_a_field_that_is_missing_or_wrong_is_named(fields: dict, extra: Any, named: list[str]):
    assert list(faults(extra, **fields)) == named


def test_all_faults_are_told_at_once():
    extra = {"environment": "live", "timeout": "soon", "org_id": 7, "verify_ssl": [], "extra_headers": ["X"], **OWN}
    found = faults(extra, login=None, password="", host="ftp://eas.test")
    wrong = {"environment", "timeout", "org_id", "verify_ssl", "extra_headers", "login", "password", "host"}
    assert set(found) == wrong
    assert "sandbox, production" in found["environment"]
    assert "1 to 600" in found["timeout"]
    assert "a URL like https://" in found["host"]


def test_without_host_and_environment_the_error_says_what_to_give():
    assert "environment sandbox or production" in faults({})["host"]


def test_the_error_names_the_connection():
    with pytest.raises(InvalidConnection, match="'gstn_default'"):
        read({})


def test_names_that_mean_nothing_are_listed():
    assert read({"environment": "sandbox", "org": "x", "Timeout": 5, "token_minutes": 20}).unknown == ("Timeout", "org")


def test_no_secret_shows_in_the_settings():
    settings = read({"environment": "sandbox", "extra_headers": {"X-Key": "a-key-nobody-may-see"}})
    assert PASSWORD not in repr(settings) + str(settings)
    assert "a-key-nobody-may-see" not in repr(settings) + str(settings)


def test_no_secret_shows_in_an_error():
    with pytest.raises(InvalidConnection) as caught:
        read('{"api_token": "a-token-nobody-may-see"', login=None)
    assert "nobody-may-see" not in str(caught.value) + repr(caught.value)
    with pytest.raises(InvalidConnection) as caught:
        read({"environment": "nowhere", "extra_headers": {"X-Key": ["a-key-nobody-may-see"]}})
    assert "nobody-may-see" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(
    ("host", "auth_url", "exposed"),
    [
        ("https://eas.test", "https://auth.test", []),
        ("http://eas.test", "https://auth.test", ["eas.test"]),
        ("http://eas.test", "http://auth.test", ["auth.test", "eas.test"]),
        ("http://localhost:8000", "http://127.0.0.1:8000", []),
        ("http://[::1]:8000", "http://10.0.0.1:8000", ["10.0.0.1"]),
    ],
)
def test_hosts_that_would_get_the_password_unencrypted_are_known(host: str, auth_url: str, exposed: list[str]):
    assert read({"auth_url": auth_url}, host=host).plain_http == exposed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", "https://user:topsecret@eas.test"),
        ("host", "https://eas.test/?token=topsecret"),
        ("extra_headers", "{X-Key: topsecret"),
        ("extra_headers", '{"X-Key": ["topsecret"]}'),
    ],
)
def test_a_field_that_may_hold_a_secret_is_named_and_not_shown(field, value):
    extra = {"auth_url": "https://auth.test"} | ({field: value} if field != "host" else {})
    with pytest.raises(InvalidConnection) as caught:
        Settings.from_connection(
            "c",
            host=value if field == "host" else "https://eas.test",
            login="a@b.in",
            password="p",
            extra=json.dumps(extra),
        )
    assert [fault.place for fault in caught.value.faults] == [field]
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize("host", ["https://", "https://h:abc", "https://h#f", "https://@h", "[bad", "ftp://h"])
def test_a_host_that_is_no_base_url_is_told(host):
    with pytest.raises(InvalidConnection, match="host"):
        Settings.from_connection(
            "c", host=host, port=9000, login="a@b.in", password="p", extra='{"auth_url": "https://auth.test"}'
        )


@pytest.mark.parametrize("field", ["host", "auth_url"])
@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("localhost:8765", "needs http:// before it (or https://), as it is on this machine: http://localhost:8765"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("[::1]:8765/x", "http://[::1]:8765"),
        ("https//eas.test", "come a colon and two slashes"),
        ("http:/eas.test", "come a colon and two slashes"),
        ("http:eas.test", "is not a URL like https://"),
        ("sandbox", "set the field environment to sandbox"),
        ("https://production", "set the field environment to production"),
    ],
)
def test_a_host_that_cannot_be_completed_is_told_with_what_to_type(field: str, typed: str, told: str):
    fields = {"host": "https://eas.test", "auth_url": "https://auth.test"} | {field: typed}
    assert told in faults({"auth_url": fields["auth_url"]}, host=fields["host"])[field]


def test_a_port_of_its_own_is_part_of_what_is_to_be_typed():
    assert "http://localhost:8765" in faults(OWN, host="localhost", port=8765)["host"]
    assert "http://localhost" in faults(OWN, host="localhost", port=0)["host"]


@pytest.mark.parametrize("typed", ["auth.acme.test/v1", "auth.acme.test:8443/v1"])
def test_a_login_server_without_a_scheme_gets_https(typed: str):
    assert read({"environment": "sandbox", "auth_url": typed}).auth_url == f"https://{typed}"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_of_this_machine_may_have_its_scheme_in_the_uri(scheme: str):
    assert read(OWN, host="localhost", port=8765, scheme=scheme).eas_url == f"{scheme}://localhost:8765"


def test_a_live_host_with_the_sandboxs_environment_is_refused():
    with pytest.raises(InvalidConnection, match="environment"):
        Settings.from_connection(
            "c",
            host="https://live.enriched-api.vayana.com",
            login="a@b.in",
            password="p",
            extra='{"environment": "sandbox"}',
        )


@pytest.mark.parametrize("headers", [{"X Y": "a"}, {"X\nY": "a"}, {"X": "a\nb"}, {"X": "₹"}])
def test_headers_that_http_does_not_carry_are_refused(headers):
    with pytest.raises(InvalidConnection, match="extra_headers"):
        Settings.from_connection(
            "c",
            host="https://eas.test",
            login="a@b.in",
            password="p",
            extra=json.dumps({"auth_url": "https://auth.test", "extra_headers": headers}),
        )
