from __future__ import annotations

from contract.clock import VirtualClock
from contract.topics import Lane
from mqtt_bridge.ports import OutboxRow
from mqtt_bridge.window import Window


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


def test_rows_after_a_due_one_go_again_unless_they_were_sent_just_now() -> None:
    clock = VirtualClock()
    window = a_window(clock)
    window.sent(row(1))
    window.sent(row(2))
    window.sent(row(2))  # its own turn comes after 4 s
    seconds(clock, 1.5)
    window.sent(row(3))
    seconds(clock, 0.5)
    assert due(window) == [1, 2]


def test_rows_before_a_due_one_wait_for_their_own_turn() -> None:
    clock = VirtualClock()
    window = a_window(clock)
    window.sent(row(1))
    window.sent(row(1))
    window.sent(row(2))
    seconds(clock, 2)
    assert due(window) == [2]


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
