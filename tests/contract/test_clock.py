"""Clocks: monotonic where they say so, honest where they cannot know."""

from __future__ import annotations

import pytest

from contract import MonoMicros, SystemClock, UnixMicros, VirtualClock
from contract.clock import machine_boot_id


def test_the_system_clock_runs_and_answers_for_itself() -> None:
    clock = SystemClock()
    first = clock.mono()
    assert clock.mono() >= first
    assert clock.wall() > 1_700_000_000_000_000
    quality = clock.quality()
    assert quality.is_synced or quality.estimated_error_ms is None


def test_a_virtual_clock_moves_only_when_told() -> None:
    clock = VirtualClock(UnixMicros(10), MonoMicros(1))
    clock.advance(5)
    assert (clock.wall(), clock.mono()) == (15, 6)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_the_boot_id_stays_within_one_boot() -> None:
    assert len(machine_boot_id()) == 16
    assert machine_boot_id() == machine_boot_id()
