"""The table of dialects: by name for a configuration, by content for a recording."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from hardware.modems.lines import LineDialect
from hardware.modems.quectel import QuectelDialect
from hardware.modems.simcom import SimcomDialect
from hardware.modems.stamps import unstamp
from hardware.modems.telit import TelitDialect
from hardware.modems.transcripts import BOM, read_rounds
from hardware.modems.ublox import UbloxDialect
from hardware.readings import Item


class DialectFactory(Protocol):
    """Makes the dialect of one attached modem."""

    def __call__(self, *, sensor: str, file: str) -> LineDialect:
        """``sensor`` and ``file`` go into every reading's stamp."""


DIALECTS: dict[str, DialectFactory] = {
    "quectel": QuectelDialect,
    "simcom": SimcomDialect,
    "telit": TelitDialect,
    "ublox": UbloxDialect,
}
"""Dialects by the name that a configuration gives."""

_MARKS = {
    "quectel": rb"^\s*(?:AT)?\+Q(?:ENG|SCAN)\b",
    "simcom": rb"^\s*(?:(?:AT)?\+(?:CENG|CPSI|CCINFO)\b|AT\+CNETSCAN\b|Operator:\")",
    "telit": rb"^\s*(?:(?:AT)?#(?:MONI|CSURV)|Network survey started)",
    "ublox": rb"^\s*(?:AT\+CGED\b|\+CGED:|MCC: ?[0-9]{3}, ?MNC:)",
}
_PATTERNS = {name: re.compile(mark, re.MULTILINE | re.IGNORECASE) for name, mark in _MARKS.items()}


def family_of(head: bytes) -> str | None:
    """Name of the dialect whose answers a log that begins like this holds; None: none of them."""
    if b"\0" in head:
        return None
    body = head.removeprefix(BOM)
    stamped = unstamp(body)
    body = body if stamped is None else stamped.content
    found = {name: pattern.search(body) for name, pattern in _PATTERNS.items()}
    first = {name: match.start() for name, match in found.items() if match is not None}
    return min(first, key=lambda name: first[name]) if first else None


def read_log(
    family: str, content: bytes, file: str, sensor: str, start_us: int | None = None
) -> Iterator[Item]:
    """Read a recorded log in one family's dialect; see :func:`read_rounds`."""
    return read_rounds(content, DIALECTS[family](sensor=sensor, file=file), start_us)
