"""A backlog that makes room: the rate follows the delay that receipts show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.clock import VirtualClock
from mqtt_bridge.pacing import Pace, Pacer
from mqtt_bridge.send_order import CHUNK, MAX_LAG, SendOrder
from mqtt_bridge.window import Window
from tests.mqtt_bridge.doubles import MemoryOutbox


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
    assert rates == [20.0, 40.0, 24.0, 32.6, 42.5, 42.5]


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


class Line:
    """An order with its outbox, window and clock; sends what it may."""

    def __init__(self, window: int = 100_000, first_per_s: float = 10.0) -> None:
        self.clock = VirtualClock()
        self.outbox = MemoryOutbox()
        self.window = Window(window, min_s=60, max_s=60, clock=self.clock)
        self.order = SendOrder(
            self.outbox, self.window, Pacer(Pace(first_per_s=first_per_s), self.clock)
        )

    def send(self) -> list[int]:
        seqs = []
        while (row := self.order.next()) is not None:
            self.window.sent(row, is_backlog=self.order.is_backlog(row))
            self.order.sent(row)
            seqs.append(row.seq)
        return seqs


def test_live_rows_go_at_once_and_the_backlog_is_paced_from_the_oldest() -> None:
    line = Line()
    line.outbox.put(1000)
    line.order.reset()
    assert line.send() == [1]
    line.outbox.put(3)
    assert line.send() == [1001, 1002, 1003]
    pass_s(line.clock, 0.2)
    line.outbox.put(1)
    assert line.send() == [1004, 2, 3]
    assert line.order.wait_s() == pytest.approx(0.1)


def test_a_backlog_of_many_chunks_goes_in_order_and_once() -> None:
    line = Line(first_per_s=1e6)
    line.outbox.put(3 * CHUNK + 7)
    line.order.reset()
    seqs = []
    for _ in range(10_000):
        pass_s(line.clock, 0.001)
        seqs += line.send()
    assert seqs == list(range(1, 3 * CHUNK + 8))
    assert line.order.wait_s() is None


def test_the_backlog_leaves_room_in_the_window_for_live_rows() -> None:
    line = Line(window=100, first_per_s=1e6)
    line.outbox.put(500)
    line.order.reset()
    seqs = []
    for _ in range(300):
        pass_s(line.clock, 0.01)
        seqs += line.send()
    assert len(seqs) == 75
    line.outbox.put(40)
    assert line.send() == list(range(501, 526))  # and no live rows shut the backlog out:
    line.outbox.apply_receipt(b"up_to 75")
    line.order.after_receipt()
    line.outbox.put(200)
    pass_s(line.clock, 1)
    assert sum(seq <= 500 for seq in line.send()) == 25


def test_live_rows_that_fall_behind_become_backlog() -> None:
    line = Line(window=10)
    line.order.reset()
    line.outbox.put(MAX_LAG + 50)
    line.send()
    line.outbox.put(2)
    for seq in list(line.outbox.seqs)[:5]:
        assert line.outbox.apply_receipt(b"up_to %d" % seq) == 1
    line.order.after_receipt()
    pass_s(line.clock, 1)
    assert line.send()[:2] == [MAX_LAG + 51, MAX_LAG + 52]


def test_a_new_connection_begins_with_the_oldest() -> None:
    line = Line()
    line.order.reset()
    line.outbox.put(5)
    assert line.send() == [1, 2, 3, 4, 5]
    line.window.clear()
    line.order.reset()
    pass_s(line.clock, 0.3)
    assert line.send()[:1] == [1]


@given(st.data())
def test_whatever_happens_every_row_goes_in_the_end(data: st.DataObject) -> None:
    line = Line(window=40, first_per_s=500.0)
    line.outbox.put(data.draw(st.integers(0, 60)))
    line.order.reset()
    for act in data.draw(st.lists(st.sampled_from(["put", "receipt", "reconnect", "time"]))):
        if act == "put":
            line.outbox.put(data.draw(st.integers(1, 30)))
        elif act == "receipt":
            held = line.outbox.seqs
            if held:
                line.outbox.apply_receipt(b"up_to %d" % data.draw(st.sampled_from(held)))
                line.order.after_receipt()
        elif act == "reconnect":
            line.window.clear()
            line.order.reset()
        else:
            pass_s(line.clock, 0.5)
        line.send()
    for _ in range(1500):
        if not line.outbox.seqs:
            break
        pass_s(line.clock, 1)
        line.send()
        first = line.outbox.seqs[0]
        assert first in line.window  # the central receipts what came without a hole
        line.outbox.apply_receipt(b"up_to %d" % first)
        line.order.after_receipt()
    assert line.outbox.seqs == []
