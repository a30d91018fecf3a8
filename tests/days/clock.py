"""Time and randomness: whatever the package and its libraries ask them, the day's answer."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import random
import secrets
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

REAL = {name: getattr(time, name) for name in ("time", "monotonic", "sleep", "perf_counter")}

_PACKAGE = "airflow_provider_ims"
_ALSO = ("airflow.sdk._shared.timezones.timezone", "airflow._shared.timezones.timezone", "airflow.sdk.timezone")


class _Now:
    """Where the clocks look, in the thread that lives the days; all others keep their own time."""

    thread = 0
    now: Callable[[], float] = REAL["time"]
    sleep: Callable[[float], None] = REAL["sleep"]


def _is_ours() -> bool:
    # A server of other tests, in its own thread, would set its timers by the day's clock and sleep for decades after.
    return threading.get_ident() == _Now.thread


def _time() -> float:
    return _Now.now() if _is_ours() else REAL["time"]()


def _monotonic() -> float:
    return _Now.now() if _is_ours() else REAL["monotonic"]()


def _sleep(seconds: float) -> None:
    (_Now.sleep if _is_ours() else REAL["sleep"])(seconds)


class SimulatedDatetime(dt.datetime):
    """``datetime`` on the simulated clock."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
        return dt.datetime.fromtimestamp(_Now.now(), tz)

    @classmethod
    def utcnow(cls) -> dt.datetime:  # type: ignore[override]
        return dt.datetime.fromtimestamp(_Now.now(), dt.UTC).replace(tzinfo=None)


_randomness = random.Random(0)


def _uuid4() -> uuid.UUID:
    return uuid.UUID(int=_randomness.getrandbits(128), version=4)


def _token_hex(nbytes: int | None = None) -> str:
    return _randomness.randbytes(nbytes or 32).hex()


def _token_urlsafe(nbytes: int | None = None) -> str:
    return "tok" + _randomness.randbytes(nbytes or 32).hex()


def _randbelow(exclusive_upper_bound: int) -> int:
    return _randomness.randrange(exclusive_upper_bound)


_pbkdf2_hmac = hashlib.pbkdf2_hmac


def _stretched_once(hash_name: str, password: bytes, salt: bytes, iterations: int, dklen: int | None = None) -> bytes:
    """Stretch a key in one round: nobody tries keys here, and it would take a fifth of a day's time."""
    return _pbkdf2_hmac(hash_name, password, salt, 1, dklen)


_STAND_INS: dict[int, Any] = {
    id(REAL["time"]): _time,
    id(REAL["monotonic"]): _monotonic,
    id(REAL["sleep"]): _sleep,
}


@contextlib.contextmanager
def simulated() -> Iterator[None]:
    """Put every clock of this thread, and every source of randomness, under the day's command."""
    _Now.thread = threading.get_ident()
    undo: list[tuple[Any, str, Any]] = []

    def put(owner: Any, name: str, value: Any) -> None:
        undo.append((owner, name, owner.__dict__[name] if isinstance(owner, type) else getattr(owner, name)))
        setattr(owner, name, value)

    put(hashlib, "pbkdf2_hmac", _stretched_once)
    put(time, "time", _time)
    put(time, "monotonic", _monotonic)
    put(time, "sleep", _sleep)
    put(uuid, "uuid4", _uuid4)
    put(secrets, "token_hex", _token_hex)
    put(secrets, "token_urlsafe", _token_urlsafe)
    put(secrets, "randbelow", _randbelow)
    for name, module in list(sys.modules.items()):
        if name == _PACKAGE or name.startswith(f"{_PACKAGE}.") or name in _ALSO:
            _replace_in(module, put, undo)
    try:
        yield
    finally:
        for owner, name, value in reversed(undo):
            setattr(owner, name, value)


def _replace_in(module: ModuleType, put: Callable[..., None], undo: list[tuple[Any, str, Any]]) -> None:
    """Replace what a module took from ``time`` or ``datetime`` when it was imported: also as defaults."""
    for name, value in list(vars(module).items()):
        if id(value) in _STAND_INS:
            put(module, name, _STAND_INS[id(value)])
        elif value is dt.datetime:
            put(module, name, SimulatedDatetime)
        elif isinstance(value, type) and value.__module__ == module.__name__:
            for attribute, held in list(vars(value).items()):
                inner = held.__func__ if isinstance(held, staticmethod | classmethod) else held
                if id(inner) in _STAND_INS:
                    put(value, attribute, staticmethod(_STAND_INS[id(inner)]))
                elif isinstance(inner, FunctionType):
                    _replace_defaults(inner, put)
        elif isinstance(value, FunctionType) and value.__module__ == module.__name__:
            _replace_defaults(value, put)


def _replace_defaults(function: FunctionType, put: Callable[..., None]) -> None:
    if function.__kwdefaults__ and any(id(value) in _STAND_INS for value in function.__kwdefaults__.values()):
        put(
            function,
            "__kwdefaults__",
            {name: _STAND_INS.get(id(value), value) for name, value in function.__kwdefaults__.items()},
        )
    if function.__defaults__ and any(id(value) in _STAND_INS for value in function.__defaults__):
        put(function, "__defaults__", tuple(_STAND_INS.get(id(value), value) for value in function.__defaults__))


def begin(now: Callable[[], float], sleep: Callable[[float], None], seed: int) -> None:
    """Begin a day: from here on its clock and its seed answer."""
    _Now.now, _Now.sleep = staticmethod(now), staticmethod(sleep)
    random.seed(seed)
    _randomness.seed(seed + 1)


def end() -> None:
    """Go back to real time."""
    _Now.now, _Now.sleep = staticmethod(REAL["time"]), staticmethod(REAL["sleep"])
