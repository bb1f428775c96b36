from __future__ import annotations

import pytest

from contract.clock import VirtualClock
from mqtt_bridge.backoff import CAP_S, STABLE_S, Backoff


def highest(clock: VirtualClock) -> Backoff:
    """A back-off whose dice always fall highest."""
    return Backoff(base_s=1.0, random=lambda: 1.0, clock=clock)


def test_the_ceiling_doubles_and_stops_at_the_cap() -> None:
    backoff = highest(VirtualClock())
    assert [backoff.next_delay_s() for _ in range(7)] == [1, 2, 4, 8, 16, CAP_S, CAP_S]


def test_the_delay_is_anywhere_between_nothing_and_the_ceiling() -> None:
    dice = iter([0.0, 0.25, 0.5])
    backoff = Backoff(base_s=4.0, random=lambda: next(dice), clock=VirtualClock())
    assert [backoff.next_delay_s() for _ in range(3)] == [0.0, 2.0, 8.0]


@pytest.mark.parametrize(("lasted_s", "next_s"), [(STABLE_S - 1, 8.0), (STABLE_S, 1.0)])
def test_only_a_stable_connection_starts_the_count_again(lasted_s: float, next_s: float) -> None:
    clock = VirtualClock()
    backoff = highest(clock)
    for _ in range(3):
        backoff.next_delay_s()
    backoff.opened()
    clock.advance(int(lasted_s * 1e6))
    assert backoff.next_delay_s() == next_s


def test_time_spent_without_a_connection_does_not_count_as_stable() -> None:
    clock = VirtualClock()
    backoff = highest(clock)
    backoff.opened()
    backoff.next_delay_s()
    clock.advance(int(10 * STABLE_S * 1e6))
    assert backoff.next_delay_s() == 2.0


def test_a_thousand_failures_do_not_overflow() -> None:
    backoff = highest(VirtualClock())
    assert [backoff.next_delay_s() for _ in range(1000)][-1] == CAP_S


def test_two_machines_do_not_knock_in_step() -> None:
    ours, theirs = Backoff(clock=VirtualClock()), Backoff(clock=VirtualClock())
    assert [ours.next_delay_s() for _ in range(8)] != [theirs.next_delay_s() for _ in range(8)]
