"""
Runs the tests on each mutant: in a process of its own, forked once the tests are collected.

A mutant is put in place by giving the function that it is of another code, so nothing is imported anew, and whoever
holds the function has the mutant. Only tests that pass through the changed statement are run, the fastest first, until
one fails.
"""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from types import FunctionType
from typing import Any

import coverage
import pytest

from tests.mutants.making import Mutant

SECONDS = 20.0
"""Of a mutant's tests: processor time over ten times what they take, and as much again asleep. A loop without end."""


class Judge:
    """
    A plugin of pytest that judges mutants in place of running the tests.

    :param paths: the modules that are mutated
    :param work: is called with the judge once the tests are collected and were run on the package as it is
    """

    def __init__(self, paths: Sequence[Path], work: Callable[[Judge], None]) -> None:
        self._paths = [path.resolve() for path in paths]
        self._work = work
        self._session: Any = None
        self._failed: str | None = None
        self._through: dict[tuple[str, int], list[int]] = {}
        self._seconds: dict[int, float] = {}
        self._functions: dict[tuple[str, str], list[FunctionType]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Judge; no test is run in this process."""
        self._session = session
        if session.testsfailed:
            raise pytest.UsageError("The tests could not be collected.")
        self._learn()
        self._functions = _functions()
        gc.freeze()  # or each forked process would begin by touching, and so copying, all memory
        gc.disable()
        self._work(self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of a failure."""
        if report.failed:
            self._failed = f"{report.nodeid} ({report.when})\n{report.longreprtext[-3000:]}"

    def notices(self, path: Path, mutant: Mutant, tests: Sequence[Path]) -> bool:
        """Say whether one of these tests fails, or never ends, with this mutant."""
        functions = self._functions[str(path.resolve()), mutant.function]
        functions = [each for each in functions if each.__code__.co_firstlineno in mutant.near]
        if not functions:
            raise LookupError(f"{mutant.function} of {path} is not to be found")
        indexes = {index for line in mutant.lines for index in self._through.get((str(path.resolve()), line), ())}
        order = sorted(
            (index for index in indexes if any(self._items[index].path.is_relative_to(each) for each in tests)),
            key=lambda index: self._seconds[index],
        )
        allowed = SECONDS + 10 * sum(self._seconds[index] for index in order)

        def judged(_: int) -> int:
            resource.setrlimit(resource.RLIMIT_CPU, (int(allowed), int(allowed) + 5))
            for function in functions:
                function.__code__ = mutant.code.replace(co_freevars=function.__code__.co_freevars)
            for _ in self._run(order):
                if self._failed:
                    return 1
            return 0

        with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
            pid, read = _forked(lambda write: os.chdir(folder) or judged(write))  # a mutant may write to any name
            os.close(read)
            return _status(pid, 2 * allowed) != 0

    @property
    def _items(self) -> list[pytest.Item]:
        return self._session.items

    def _learn(self) -> None:
        """Run every test once on the package as it is, and see through which lines it passes."""

        def learned(write: int) -> int:
            measured = coverage.Coverage(data_file=None, include=[str(path) for path in self._paths], config_file=False)
            measured.start()
            measured.switch_context("0")
            seconds = []
            start = time.process_time()
            for index in self._run(range(len(self._items))):
                seconds.append(time.process_time() - start)
                if self._failed:
                    break
                measured.switch_context(str(index + 1))
                start = time.process_time()
            measured.stop()
            data = measured.get_data()
            lines = [
                [path, line, [int(context) for context in contexts if context]]
                for path in data.measured_files()
                for line, contexts in data.contexts_by_lineno(path).items()
            ]
            with os.fdopen(write, "w") as told:
                json.dump({"failed": self._failed, "seconds": seconds, "lines": lines}, told)
            return 0

        pid, read = _forked(learned)
        with os.fdopen(read) as heard:
            text = heard.read()
        os.waitpid(pid, 0)
        told = json.loads(text)
        if told["failed"]:
            raise pytest.UsageError(f"A test fails on the package as it is: {told['failed']}")
        self._seconds = dict(enumerate(told["seconds"]))
        self._through = {(path, line): indexes for path, line, indexes in told["lines"]}

    def _run(self, indexes: Sequence[int]) -> Iterator[int]:
        """Run tests, and yield after each."""
        for index, following in zip_longest(indexes, indexes[1:]):
            item = self._items[index]
            random.seed(index)
            # After the last one, what many tests share stays up: the process ends without tearing it down.
            after: Any = item.parent if following is None else self._items[following]
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            yield index


def _functions() -> dict[tuple[str, str], list[FunctionType]]:
    """Return the functions of this process by file and name, wherever they are held: as a property, a method ..."""
    found: dict[tuple[str, str], list[FunctionType]] = {}
    for each in gc.get_objects():
        if type(each) is FunctionType:
            found.setdefault((each.__code__.co_filename, each.__code__.co_qualname), []).append(each)
    return found


def _forked(work: Callable[[int], int]) -> tuple[int, int]:
    """Begin something in a forked process that can write into a pipe; return its id and the pipe's other end."""
    read, write = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(nowhere, number)
            os.close(read)
            status = work(write)
        finally:
            os._exit(status)
    os.close(write)
    return pid, read


def _status(pid: int, seconds: float) -> int:
    """Return how a process ended, after so many seconds by force."""
    handle = os.pidfd_open(pid)
    try:
        if not select.select([handle], [], [], seconds)[0]:
            os.killpg(pid, signal.SIGKILL)
    finally:
        os.close(handle)
    return os.waitpid(pid, 0)[1]
