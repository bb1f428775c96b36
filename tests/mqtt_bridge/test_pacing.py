"""A backlog that makes room: the rate follows the delay that receipts show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.clock import VirtualClock
from mqtt_bridge.pacing import Pace, Pacer


def pass_s(clock: VirtualClock, seconds: float) -> None:
    clock.advance(round(seconds * 1e6))


def taken(pacer: Pacer) -> int:
    count = 0
    while pacer.take():
        count += 1
    return count


def test_rows_go_at_the_rate_and_no_burst_is_saved_up() -> None:
    clock = VirtualClock()
    pacer = Pacer(Pace(first_per_s=10.0, burst_s=0.25), clock)
    assert taken(pacer) == 1
    assert pacer.wait_s() == pytest.approx(0.1)
    pass_s(clock, 0.1)
    assert taken(pacer) == 1
    pass_s(clock, 60)
    assert taken(pacer) == 2


def test_the_rate_doubles_until_a_delay_shows_and_then_grows_slowly() -> None:
    pacer = Pacer(Pace(first_per_s=10.0), VirtualClock())
    rates = []
    for delay_s in (0.05, 0.05, 0.9, 0.05, 0.05, None):
        pacer.heard(delay_s)
        rates.append(round(pacer.rate_per_s, 1))
    assert rates == [20.0, 40.0, 24.0, 28.1, 32.8, 32.8]


def test_silence_of_receipts_slows_down_and_never_stops() -> None:
    clock = VirtualClock()
    pacer = Pacer(Pace(first_per_s=100.0, least_per_s=2.0), clock)
    pass_s(clock, 2.9)
    pacer.check_silence(is_waiting=True)
    assert pacer.rate_per_s == 100.0
    for _ in range(50):
        pass_s(clock, 3.1)
        pacer.check_silence(is_waiting=True)
    assert pacer.rate_per_s == 2.0
    pass_s(clock, 1)
    assert taken(pacer) >= 1


def test_before_the_first_receipt_only_a_few_rows_go() -> None:
    clock = VirtualClock()
    pacer = Pacer(Pace(first_rows=3, first_per_s=100.0), clock)
    pass_s(clock, 2)
    assert taken(pacer) == 3
    pass_s(clock, 2)
    assert pacer.available == 0
    assert pacer.wait_s() is None
    pacer.check_silence(is_waiting=True)  # they may be lost: one more asks again
    assert taken(pacer) == 1
    pacer.heard(0.1)
    assert pacer.wait_s() == 0.0
    assert taken(pacer) > 3


def test_rows_are_looked_for_by_the_handful() -> None:
    clock = VirtualClock()
    pacer = Pacer(Pace(first_per_s=1000.0), clock)
    pacer.heard(None)
    taken(pacer)
    wait_s = pacer.wait_s()
    assert wait_s is not None
    assert 0.04 < wait_s < 0.06
    pass_s(clock, wait_s)
    assert taken(pacer) >= 40


def test_no_rows_out_is_no_silence() -> None:
    clock = VirtualClock()
    pacer = Pacer(Pace(first_per_s=100.0), clock)
    for _ in range(5):
        pass_s(clock, 10)
        pacer.check_silence(is_waiting=False)
    assert pacer.rate_per_s == 100.0


@given(st.lists(st.one_of(st.none(), st.floats(0, 100)), max_size=60))
def test_the_rate_stays_within_its_limits(delays_s: list[float | None]) -> None:
    pace = Pace()
    pacer = Pacer(pace, VirtualClock())
    for delay_s in delays_s:
        pacer.heard(delay_s)
        assert pace.least_per_s <= pacer.rate_per_s <= pace.most_per_s


# -- which row goes next -------------------------------------------------------------------------
