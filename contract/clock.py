"""Clocks: every part takes its time from one, so that a replay or a scenario can bring its own."""

from __future__ import annotations

import ctypes
import functools
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import NewType, Protocol

UnixMicros = NewType("UnixMicros", int)
"""Microseconds since 1970-01-01T00:00:00Z, without leap seconds."""

MonoMicros = NewType("MonoMicros", int)
"""Microseconds of a clock that never steps; comparable only within one boot."""

_TIME_ERROR = 5  # adjtimex(2): the kernel's word for "not synchronised"
_TIMEX_BYTES = 256
_TIMEX_ESTERROR = 4  # index in longs: modes, offset, freq, maxerror, esterror


@dataclass(frozen=True, slots=True)
class ClockQuality:
    """What a device knows of its own clock: disciplined or not, and the estimated error."""

    is_synced: bool
    estimated_error_ms: int | None = None


class Clock(Protocol):
    """A source of wall time, monotonic time and an honest word about both."""

    def wall(self) -> UnixMicros:
        """Wall time now."""

    def mono(self) -> MonoMicros:
        """Monotonic time now."""

    def quality(self) -> ClockQuality:
        """How far the wall time may be trusted."""


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)  # opening it took longer than the question


class SystemClock:
    """The machine's own clocks; on Linux the kernel is asked whether it is disciplined."""

    def wall(self) -> UnixMicros:
        """Wall time now, from the operating system."""
        return UnixMicros(time.time_ns() // 1000)

    def mono(self) -> MonoMicros:
        """Time since an arbitrary point of this boot."""
        return MonoMicros(time.monotonic_ns() // 1000)

    def quality(self) -> ClockQuality:
        """Ask adjtimex(2); elsewhere than on Linux say "not synced" rather than guess."""
        if not sys.platform.startswith("linux"):
            return ClockQuality(is_synced=False)
        buffer = (ctypes.c_long * (_TIMEX_BYTES // ctypes.sizeof(ctypes.c_long)))()
        state = _libc().adjtimex(ctypes.byref(buffer))
        if state in {-1, _TIME_ERROR}:
            return ClockQuality(is_synced=False)
        return ClockQuality(is_synced=True, estimated_error_ms=buffer[_TIMEX_ESTERROR] // 1000)


class VirtualClock:
    """A clock that moves only when told to: for replays, scenarios and tests."""

    def __init__(self, wall: UnixMicros = UnixMicros(0), mono: MonoMicros = MonoMicros(0)) -> None:
        self._wall = int(wall)
        self._mono = int(mono)

    def wall(self) -> UnixMicros:
        """Virtual wall time."""
        return UnixMicros(self._wall)

    def mono(self) -> MonoMicros:
        """Virtual monotonic time."""
        return MonoMicros(self._mono)

    def quality(self) -> ClockQuality:
        """A virtual clock is exact by definition."""
        return ClockQuality(is_synced=True, estimated_error_ms=0)

    def advance(self, microseconds: int) -> None:
        """Move both clocks forward; backwards is refused, as for a real monotonic clock."""
        if microseconds < 0:
            raise ValueError(f"a clock does not run backwards: {microseconds} us")
        self._wall += microseconds
        self._mono += microseconds


@functools.cache
def machine_boot_id() -> bytes:
    """Sixteen bytes that change with each boot (with each process where the kernel has none)."""
    path = Path("/proc/sys/kernel/random/boot_id")
    try:
        return uuid.UUID(path.read_text(encoding="ascii").strip()).bytes
    except (OSError, ValueError):
        return uuid.uuid4().bytes
