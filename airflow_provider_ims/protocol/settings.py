"""What the connection says: where the service is, who we are, and how we speak to it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_ims.models.faults import Fault
from airflow_provider_ims.protocol.wire import fits_header

EAS_URLS = {
    "sandbox": "https://solo.enriched-api.vayana.com",
    "production": "https://live.enriched-api.vayana.com",
}
AUTH_URLS = {
    "sandbox": "https://sandbox.services.vayananet.com/theodore/apis/v1",
    "production": "https://services.vayana.com/theodore/apis/v1",
}
CONNECT_TIMEOUT = 10.0

_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PATH_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]+)?")

_KNOWN_EXTRA = frozenset(
    {
        "environment",
        "org_id",
        "auth_url",
        "gsp_code",
        "gstn_api_version",
        "gstin_header",
        "extra_headers",
        "timeout",
        "verify_ssl",
        "token_minutes",
        "max_requests_per_second",
    }
)


class InvalidConnection(ValueError):
    """
    The connection cannot be used.

    :param conn_id: id of the connection
    :param faults: everything that is wrong with it
    """

    def __init__(self, conn_id: str, faults: list[Fault]) -> None:
        self.faults = faults
        lines = "\n".join(f"  {fault}" for fault in faults)
        super().__init__(f"The connection {conn_id!r} cannot be used:\n{lines}")


@dataclass(frozen=True)
class Settings:
    """
    A connection of type ``gstn``, checked.

    :param eas_url: base URL of the Enriched API
    :param auth_url: base URL of theodore, the login server
    :param handle: e-mail address or mobile number of the theodore user
    :param password: password of the theodore user
    :param org_id: organisation to act for; ``None`` when the user has only one
    :param gsp_code: value of ``X-FLYNN-N-GSTN-GSP-CODE``
    :param gstn_api_version: GSTN's API version on ``basic`` routes; the default is the example in Vayana's
        documentation of the authenticate calls
    :param gstin_header: name of the header that carries the taxpayer's GSTIN (inferred: gstin-header; two clients in
        use send this name, the page that lists the headers was not seen)
    :param extra_headers: further headers for every call of the Enriched API
    :param timeout: seconds to wait for a reply once connected
    :param verify_ssl: whether to check certificates, or the absolute path of a CA bundle
    :param token_minutes: life that we ask for a theodore token, minutes (20 by default, 360 at most)
    :param max_requests_per_second: limit for all requests of one process; ``None`` for no limit
    :param unknown: names in the extra that mean nothing to us, perhaps mistyped
    """

    eas_url: str
    auth_url: str
    handle: str
    password: str = field(repr=False)
    org_id: str | None = None
    gsp_code: str = "vay"
    gstn_api_version: str = "v0.2"
    gstin_header: str = "X-FLYNN-N-GSTIN"
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 60.0
    verify_ssl: bool | str = True
    token_minutes: int = 20
    max_requests_per_second: float | None = None
    unknown: tuple[str, ...] = ()

    @property
    def plain_http(self) -> list[str]:
        """The hosts beyond this machine that the password or the token would reach unencrypted."""
        urls = {urlsplit(url) for url in (self.eas_url, self.auth_url)}
        return sorted(str(url.hostname) for url in urls if url.scheme == "http" and url.hostname not in _LOCAL)

    @property
    def is_production(self) -> bool:
        """Whether Vayana's production service is reached: with real documents, or a password that opens them."""
        return self.eas_url == EAS_URLS["production"] or self.auth_url == AUTH_URLS["production"]

    @classmethod
    def from_connection(
        cls,
        conn_id: str,
        *,
        host: str | None,
        port: int | None = None,
        scheme: str | None = None,
        login: str | None,
        password: str | None,
        extra: str | None,
    ) -> Settings:
        """
        Read an Airflow connection's fields.

        :param conn_id: id of the connection, for the error
        :param host: base URL of the Enriched API, or empty when ``environment`` decides
        :param port: port, if it is not in the host (as in the URI form of a connection)
        :param scheme: ``http`` or ``https``, if it is not in the host (the URI form's path)
        :param login: theodore user
        :param password: password of that user
        :param extra: JSON object with the other settings
        :raises InvalidConnection: naming every field that is missing or wrong
        """
        fields = _Fields(extra)
        environment = fields.choice("environment", EAS_URLS)
        eas_url = _base_url(host, port, scheme) or EAS_URLS.get(environment or "")
        of_host = next((name for name, url in EAS_URLS.items() if url == eas_url), None)
        auth_url = _base_url(fields.text("auth_url"), None, None) or AUTH_URLS.get(environment or of_host or "")
        faults = fields.faults
        unclear = bool(faults)  # an environment that nobody knows explains the URLs that are missing
        if environment and of_host and environment != of_host:
            faults.append(Fault("environment", environment, f"{of_host}, which is what the host is"))
        if not login:
            faults.append(Fault("login", None, "is missing: e-mail address or mobile number of the theodore user"))
        if not password:
            faults.append(Fault("password", None, "is missing: password of the theodore user"))
        if not eas_url and not unclear:
            faults.append(
                Fault(
                    "host",
                    None,
                    "is missing: give the Enriched API's URL, or environment sandbox or production",
                )
            )
        elif not auth_url and not unclear:
            faults.append(
                Fault(
                    "auth_url",
                    None,
                    "is missing: with a host of your own, give theodore's URL or an environment",
                )
            )
        for name, url, typed in (("host", eas_url, host), ("auth_url", auth_url, fields.values.get("auth_url"))):
            if url and (rule := _url_fault(url, typed, EAS_URLS if name == "host" else AUTH_URLS, scheme)):
                # The URL is not shown: somebody may have put a password or a token into it.
                faults.append(Fault(name, None, rule))
        settings = cls(
            eas_url=eas_url or "",
            auth_url=auth_url or "",
            handle=login or "",
            password=password or "",
            org_id=fields.header_value("org_id"),
            gsp_code=fields.header_value("gsp_code") or cls.gsp_code,
            gstn_api_version=fields.path_segment("gstn_api_version") or cls.gstn_api_version,
            gstin_header=fields.header_name("gstin_header") or cls.gstin_header,
            extra_headers=fields.headers("extra_headers"),
            timeout=fields.number("timeout", cls.timeout, low=1, high=600),
            verify_ssl=fields.flag_or_bundle("verify_ssl"),
            token_minutes=int(fields.number("token_minutes", cls.token_minutes, low=1, high=360)),
            max_requests_per_second=fields.number("max_requests_per_second", 0.0, low=0.01, high=1000) or None,
            unknown=tuple(sorted(fields.values.keys() - _KNOWN_EXTRA)),
        )
        if faults:
            raise InvalidConnection(conn_id, faults)
        return settings


class _Fields:
    """Reads the extra's values, as a form, JSON or the URI form gives them, and collects what is wrong."""

    def __init__(self, extra: str | None) -> None:
        self.faults: list[Fault] = []
        self.values: Mapping[str, Any] = {}
        try:
            values = json.loads(extra) if extra and extra.strip() else {}
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, dict):
            self.values = values
        else:
            # The text is not shown: it may hold a secret.
            self.faults.append(Fault("extra", None, "is not a JSON object"))

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or not value.isprintable():
            self._fault(name, "text of one line")
            return None
        return value.strip() or None

    def choice(self, name: str, choices: Mapping[str, str]) -> str | None:
        value = self.text(name)
        if value is not None and value.lower() not in choices:
            self._fault(name, f"one of {', '.join(choices)}")
            return None
        return value.lower() if value else None

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        value = self.values.get(name)
        if value is None or value == "":
            return default
        try:
            number = float(value) if not isinstance(value, bool) else float("nan")
        except (TypeError, ValueError, OverflowError):
            number = float("nan")
        if low <= number <= high:
            return number
        self._fault(name, f"a number from {low:g} to {high:g}")
        return default

    def flag_or_bundle(self, name: str) -> bool | str:
        value = self.values.get(name)
        if value is None or value == "":
            return True
        if isinstance(value, bool):
            return value
        text = value.strip() if isinstance(value, str) and value.isprintable() else ""
        if text.lower() in {"true", "false"}:
            return text.lower() == "true"
        if PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute():
            return text
        self._fault(name, "true, false or the absolute path of a CA bundle")
        return True

    def header_value(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not fits_header(value):
            self._fault(name, "text in plain ASCII, as it goes into an HTTP header")
            return None
        return value

    def path_segment(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not _PATH_SEGMENT.fullmatch(value):
            self._fault(name, "letters, digits, dots, dashes and underscores, as it goes into a URL")
            return None
        return value

    def header_name(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not _HEADER_NAME.fullmatch(value):
            self._fault(name, "the name of an HTTP header")
            return None
        return value

    def headers(self, name: str) -> Mapping[str, str]:
        value = self.values.get(name)
        if isinstance(value, str) and value.strip():
            with suppress(ValueError, RecursionError):  # told below
                value = json.loads(value)
        if not value:
            return {}
        if isinstance(value, dict) and all(
            _HEADER_NAME.fullmatch(key) and isinstance(text, str) and fits_header(text) for key, text in value.items()
        ):
            return value
        # What stands there is not shown: a header may hold a secret.
        self.faults.append(
            Fault(name, None, "is not a JSON object of header names and values in plain ASCII, without space around")
        )
        return {}

    def _fault(self, name: str, rule: str) -> None:
        self.faults.append(Fault(name, self.values.get(name), rule))


def _base_url(host: str | None, port: int | None, scheme: str | None) -> str | None:
    if not host or not host.strip():
        return None
    url = host.strip().rstrip("/")
    if "://" not in url:
        url = f"{scheme or 'https'}://{url}"
    try:
        parts = urlsplit(url)
        if port and parts.hostname and parts.port is None:
            url = parts._replace(netloc=f"{parts.netloc}:{port}").geturl()
    except ValueError:
        pass  # told by _is_http
    return url


def _url_fault(url: str, typed: object, usual: Mapping[str, str], scheme: str | None) -> str | None:
    """Say what is wrong with a base URL, in words that go behind the field's name."""
    example = usual["sandbox"]
    if not _is_http(url):
        return f"is not a URL like {example}"
    name = str(urlsplit(url).hostname)
    if name in {"http", "https"}:
        return f"is not a URL like {example}: after http or https come a colon and two slashes"
    if name in EAS_URLS:
        return f"is no host: leave it empty, and set the field environment to {name}"
    if name in _LOCAL and not scheme and "://" not in str(typed):
        # https would be tried, and a service on this machine, such as the simulator, rarely speaks it.
        return f"needs http:// before it (or https://), as it is on this machine: http://{urlsplit(url).netloc}"
    return None


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    plain = not parts.query and not parts.fragment and parts.username is None
    # What neither HTTP library can ask for, such as a host with a space or an umlaut (its punycode can be given).
    possible = fits_header(url) and " " not in url and _HOST.fullmatch(parts.hostname or "")
    return parts.scheme in {"http", "https"} and bool(possible) and has_port and plain
