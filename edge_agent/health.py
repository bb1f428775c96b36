"""The health book: every part of the agent writes its own line, the report reads them all."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from contract.clock import Clock
from contract.codec import Scalar, Values
from contract.messages import Health, PartHealth
from contract.words import PartState

MAX_DETAIL_CHARS = 200
"""A report stays small; the whole text of an error is in the log."""


@dataclass(slots=True)
class _Line:
    state: PartState = PartState.DEGRADED
    detail: str = "starting"
    counters: Values = field(default_factory=dict)


class HealthBook:
    """State, detail and counters of the parts; all methods may be called from any thread."""

    def __init__(self, *, clock: Clock, version: str) -> None:
        """Begin to count the uptime."""
        self._clock = clock
        self._version = version
        self._began = clock.mono()
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}

    def register(self, part: str) -> None:
        """Enter a part as starting, so that one that never reports is seen; never resets one."""
        with self._lock:
            self._lines.setdefault(part, _Line())

    def report(
        self,
        part: str,
        state: PartState,
        detail: str = "",
        counters: Mapping[str, Scalar] | None = None,
    ) -> None:
        """Set a part's state and detail, and those counters that are named."""
        with self._lock:
            line = self._lines.setdefault(part, _Line())
            line.state = state
            line.detail = _shortened(detail)
            _set(line.counters, counters or {})

    def set(self, part: str, counters: Mapping[str, Scalar]) -> None:
        """Set counters and gauges of a part; a number that is not finite is taken out."""
        with self._lock:
            _set(self._lines.setdefault(part, _Line()).counters, counters)

    def count(self, part: str, counter: str, by: int = 1) -> None:
        """Add to a counter, which begins at 0."""
        with self._lock:
            counters = self._lines.setdefault(part, _Line()).counters
            before = counters.get(counter, 0)
            counters[counter] = (int(before) if isinstance(before, int | float) else 0) + by

    def state(self, part: str) -> PartState | None:
        """State of a part, None if nobody ever entered it."""
        with self._lock:
            line = self._lines.get(part)
            return None if line is None else line.state

    def snapshot(self) -> Health:
        """Return the report of this moment, parts in the order in which they came."""
        with self._lock:
            parts = tuple(
                PartHealth(
                    name=name, state=line.state, detail=line.detail, counters=dict(line.counters)
                )
                for name, line in self._lines.items()
            )
        uptime_s = (self._clock.mono() - self._began) // 1_000_000
        return Health(uptime_s=uptime_s, version=self._version, parts=parts)


def _shortened(detail: str) -> str:
    if len(detail) <= MAX_DETAIL_CHARS:
        return detail
    return detail[: MAX_DETAIL_CHARS - 1] + "…"


def _set(counters: Values, news: Mapping[str, Scalar]) -> None:
    """A message holds no NaN: such a gauge has no value now, and an old one would be a lie."""
    for name, value in news.items():
        if isinstance(value, float) and not math.isfinite(value):
            counters.pop(name, None)
        else:
            counters[name] = value
