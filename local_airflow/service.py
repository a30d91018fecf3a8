"""What is started and stopped: one life cycle for Airflow, PostgreSQL and whatever else runs beside them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Service(ABC):
    """
    Something that runs while a ``with`` block does.

    A start that fails or is interrupted leaves nothing behind: :meth:`stop` follows it in any case.
    """

    @abstractmethod
    def start(self) -> None:
        """Start, and return when it can be used."""

    @abstractmethod
    def stop(self) -> None:
        """Stop; harmless when it has been stopped or was never started."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # Ctrl-C included: what has been started must not stay
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
