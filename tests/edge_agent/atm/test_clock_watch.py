"""Cash waits for a clock that is known to be right."""

from __future__ import annotations

from contract.clock import ClockQuality, UnixMicros, VirtualClock
from edge_agent.atm.clock_watch import MAX_JUMP_US, ClockWatch
from edge_agent.central_time import CentralTime

BOOT = b"\x01" * 16
SECOND = 1_000_000
NOW = UnixMicros(1_764_000_000 * SECOND)


class Clock(VirtualClock):
    is_synced = False
    jump_us = 0

    def wall(self) -> UnixMicros:
        return UnixMicros(super().wall() + self.jump_us)

    def quality(self) -> ClockQuality:
        return ClockQuality(is_synced=self.is_synced)


def test_neither_disciplined_nor_told_is_not_trusted() -> None:
    clock = Clock(NOW)
    watch = ClockWatch(clock, CentralTime(clock, BOOT))
    assert not watch.is_trusted()
    clock.is_synced = True
    assert watch.is_trusted()


def test_a_jump_is_not_trusted_until_the_central_agrees() -> None:
    clock = Clock(NOW)
    clock.is_synced = True
    time = CentralTime(clock, BOOT)
    watch = ClockWatch(clock, time)
    clock.jump_us = MAX_JUMP_US
    assert watch.is_trusted()
    clock.jump_us = MAX_JUMP_US + 1
    assert not watch.is_trusted()
    clock.advance(SECOND)
    assert time.note(clock.wall(), BOOT, clock.mono())
    assert watch.is_trusted()  # the jump put it right
    clock.jump_us = 0
    assert not watch.is_trusted()  # and back again is off from the signed time


def test_signed_time_alone_is_enough() -> None:
    clock = Clock(NOW)
    time = CentralTime(clock, BOOT)
    watch = ClockWatch(clock, time)
    assert time.note(clock.wall(), BOOT, clock.mono())
    assert watch.is_trusted()
