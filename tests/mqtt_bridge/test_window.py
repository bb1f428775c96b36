from __future__ import annotations

from contract.clock import VirtualClock
from contract.topics import Lane
from mqtt_bridge.ports import OutboxRow
from mqtt_bridge.window import PROBE, Window


def row(seq: int) -> OutboxRow:
    return OutboxRow(seq, Lane.EVIDENCE, b"%d" % seq)


def a_window(clock: VirtualClock, jitter: float = 0.0) -> Window:
    return Window(3, min_s=2.0, max_s=30.0, clock=clock, random=lambda: jitter)


def seconds(clock: VirtualClock, count: float) -> None:
    clock.advance(round(count * 1e6))


def due(window: Window) -> list[int]:
    return [r.seq for r in window.due()]


def test_nothing_is_due_before_its_time_and_everything_after() -> None:
    clock = VirtualClock()
    window = a_window(clock)
    assert window.next_due_s() is None
    for seq in (3, 1, 2):
        window.sent(row(seq))
    assert window.is_full
    seconds(clock, 1.99)
    assert due(window) == []
    seconds(clock, 0.01)
    assert window.next_due_s() == 0
    assert due(window) == [1, 2, 3]


def test_the_wait_doubles_for_each_try_up_to_the_limit() -> None:
    clock = VirtualClock()
    window = a_window(clock)
    waits = []
    for _ in range(7):
        window.sent(row(1))
        waits.append(window.next_due_s())
        seconds(clock, 60)
    assert waits == [2, 4, 8, 16, 30, 30, 30]


def test_jitter_lengthens_a_wait_by_half_but_not_beyond_the_limit() -> None:
    clock = VirtualClock()
    window = a_window(clock, jitter=1.0)
    waits = []
    for _ in range(5):
        window.sent(row(1))
        waits.append(window.next_due_s())
    assert waits == [3, 6, 12, 24, 30]


def test_while_nothing_is_receipted_only_a_few_go_again() -> None:
    clock = VirtualClock()
    window = Window(100, min_s=2.0, max_s=30.0, clock=clock, random=lambda: 0.0)
    for seq in range(1, 101):
        window.sent(row(seq))
    seconds(clock, 2)
    assert due(window) == list(range(1, PROBE + 1))
    assert due(window) == []
    seconds(clock, 2)
    assert len(due(window)) == PROBE
    seconds(clock, 2)
    assert due(window) == []  # the third only after twice the time
    seconds(clock, 2)
    assert len(due(window)) == PROBE


def test_while_receipts_come_late_nothing_goes_twice() -> None:
    """Copies of what waits in a queue make the queue longer: a fleet once drowned in them."""
    clock = VirtualClock()
    window = Window(1000, min_s=2.0, max_s=30.0, clock=clock, random=lambda: 0.0)
    copies = 0
    for number in range(1, 200):  # a row each 0.1 s, a receipt each second, eight seconds late
        window.sent(row(number))
        seconds(clock, 0.1)
        if number % 10 == 0 and number > 80:
            window.keep_only(range(number - 79, number + 1))
        again = window.due()
        copies += len(again)
        for late in again:
            window.sent(late)
    assert copies <= 3 * PROBE  # before the first receipt


def test_rows_that_were_lost_all_together_go_again_by_and_by() -> None:
    clock = VirtualClock()
    window = Window(1000, min_s=2.0, max_s=30.0, clock=clock, random=lambda: 0.0)
    for seq in range(1, 501):
        window.sent(row(seq))
    rounds = []
    while len(window):
        seconds(clock, 1)
        again = window.due()
        for lost in again:
            window.sent(lost)
        if again:
            rounds.append(len(again))
            gone = {lost.seq for lost in again}
            window.keep_only([seq for seq in window.seqs if seq not in gone])
    assert rounds == [PROBE, 4 * PROBE, 16 * PROBE, 64 * PROBE, 500 - 85 * PROBE]
    assert clock.mono() < 30e6


def test_a_row_that_later_ones_overtook_goes_again_and_that_is_counted() -> None:
    clock = VirtualClock()
    window = a_window(clock)
    window.sent(row(1), is_replay=True)
    window.sent(row(2), is_replay=True)
    seconds(clock, 1)
    window.sent(row(3), is_replay=True)
    seconds(clock, 0.5)
    landed = window.keep_only([1, 2])
    assert (landed.rows, landed.delay_s) == (1, 0.5)
    seconds(clock, 0.5)
    assert due(window) == [1, 2]
    assert (window.passes(1), window.passes(3)) == (1, 0)
    window.sent(row(1))
    window.sent(row(2))
    seconds(clock, 60)
    assert due(window) == [1, 2]  # a probe: nothing sent after them was receipted
    assert window.passes(1) == 1


def test_rows_that_are_not_sent_when_due_are_due_again_later() -> None:
    clock = VirtualClock()
    window = a_window(clock)
    window.sent(row(1))
    seconds(clock, 2)
    assert due(window) == [1]
    assert due(window) == []
    assert window.next_due_s() == 2
    seconds(clock, 2)
    assert due(window) == [1]


def test_bytes_fill_a_window_as_rows_do() -> None:
    window = Window(100, min_s=2.0, max_s=30.0, max_bytes=10, clock=VirtualClock())
    window.sent(OutboxRow(1, Lane.EVIDENCE, bytes(6)))
    assert (window.room(1.0), window.room(0.5), window.is_full) == (99, 0, False)
    window.sent(OutboxRow(2, Lane.EVIDENCE, bytes(6)))
    assert (window.size_bytes, window.is_full) == (12, True)
    window.drop(1)
    window.drop(7)
    assert (window.size_bytes, len(window)) == (6, 1)


def test_a_delay_is_measured_on_rows_that_were_sent_once() -> None:
    clock = VirtualClock()
    window = a_window(clock)
    window.sent(row(1), is_replay=True)
    window.sent(row(2), is_replay=True)
    seconds(clock, 2)
    window.sent(row(2), is_replay=True)
    assert window.keep_only([]).delay_s == 2
    window.sent(row(3), is_replay=True)
    window.sent(row(3), is_replay=True)
    assert window.keep_only([]).delay_s is None


def test_receipted_rows_make_room_and_are_never_due_again() -> None:
    clock = VirtualClock()
    window = a_window(clock)
    for seq in (1, 2, 3):
        window.sent(row(seq))
    window.keep_only([3, 4])
    assert (len(window), window.is_full) == (1, False)
    assert 3 in window
    assert 1 not in window
    seconds(clock, 10)
    assert due(window) == [3]
    window.clear()
    assert due(window) == []
    assert window.next_due_s() is None


def test_live_rows_do_not_overtake_replayed_ones_and_say_nothing_of_their_way() -> None:
    clock = VirtualClock()
    window = a_window(clock)
    window.sent(row(1), is_replay=True)
    for seq in range(2, 7):
        seconds(clock, 1)
        window.sent(row(seq))
        landed = window.keep_only([1])
        assert (landed.rows, landed.replayed, landed.delay_s) == (1, 0, None)
    assert (window.due(), window.passes(1), window.replayed) == ([], 0, 1)


def test_a_replayed_row_goes_again_as_live_where_its_kind_is_silent_for_long() -> None:
    clock = VirtualClock()
    window = a_window(clock)
    window.sent(row(1), is_replay=True)
    went = []
    for seq in range(2, 40):
        seconds(clock, 1)
        window.sent(row(seq))
        window.keep_only([1])
        again = [r.seq for r in window.due()]
        went += [(seq, again)] if again else []
        for one in again:
            window.sent(row(one))
            assert window.replayed == 0
    assert went[0] == (1 + 3 * 2, [1])
    assert window.passes(1) > 0, "from then on live rows overtake it"
