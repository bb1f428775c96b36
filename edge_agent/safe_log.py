"""A log that never fails its caller: a full disk under the log must not stop what is logged."""

from __future__ import annotations

import contextlib
from typing import Any

import structlog


class SafeLog:
    """The words of a structlog logger that the outbox's writer thread uses."""

    def __init__(self, name: str) -> None:
        self._log = structlog.get_logger(name)

    def warning(self, event: str, **values: Any) -> None:
        """Say it, or lose the line."""
        with contextlib.suppress(Exception):
            self._log.warning(event, **values)

    def error(self, event: str, **values: Any) -> None:
        """Say it, or lose the line."""
        with contextlib.suppress(Exception):
            self._log.error(event, **values)

    def exception(self, event: str, **values: Any) -> None:
        """Say it with the exception at hand, or lose the line."""
        with contextlib.suppress(Exception):
            self._log.exception(event, **values)
