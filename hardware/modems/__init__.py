"""Cellular modems: AT dialects without I/O, and the poller that drives one over a port.

A further modem is one file with a :class:`ModemDialect` and one line in ``DIALECTS``.
"""

from __future__ import annotations

from typing import Protocol

from hardware.modems.interface import Arrival, ModemDialect
from hardware.modems.poller import ModemPoller, PollerCounters
from hardware.modems.quectel import QuectelDialect, looks_like_transcript, read_transcript


class DialectFactory(Protocol):
    """Makes the dialect of one attached modem."""

    def __call__(self, *, sensor: str, file: str) -> ModemDialect:
        """``sensor`` and ``file`` go into every reading's stamp."""


DIALECTS: dict[str, DialectFactory] = {"quectel": QuectelDialect}
"""Dialects by the name that a configuration gives."""

__all__ = [
    "DIALECTS",
    "Arrival",
    "DialectFactory",
    "ModemDialect",
    "ModemPoller",
    "PollerCounters",
    "QuectelDialect",
    "looks_like_transcript",
    "read_transcript",
]
