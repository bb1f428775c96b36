from __future__ import annotations

from contract.clock import VirtualClock
from mqtt_bridge.replay import ReplayLimits, ReplayPace

LIMITS = ReplayLimits(start_per_s=20, min_per_s=5, max_per_s=100)


def test_tokens_come_at_the_rate_and_are_hardly_saved() -> None:
    clock = VirtualClock()
    pace = ReplayPace(clock, LIMITS)
    assert pace.available() == 1
    pace.take(1)
    assert pace.next_s() == 1 / 20
    clock.advance(100_000)
    assert pace.available() == 2
    clock.advance(60_000_000)
    assert pace.available() == 5  # a quarter of a second, not a minute


def test_soon_receipts_double_the_rate_and_late_ones_halve_it_within_limits() -> None:
    pace = ReplayPace(VirtualClock(), LIMITS)
    rates = []
    for delay_s in (0.1, 0.1, 0.1, 0.1, 0.7, 1.5, 1.5, 1.5, 1.5, 1.5):
        pace.heard(delay_s)
        rates.append(pace.per_s)
    assert rates == [40, 80, 100, 100, 100, 50, 25, 12.5, 6.25, 5]
    pace.restart()
    assert pace.per_s == 20
