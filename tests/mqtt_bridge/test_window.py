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
    assert not window.has_room(row(4))
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


def test_each_row_waits_for_its_own_turn() -> None:
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
    assert len(window) == 1
    assert window.has_room(row(4))
    assert 3 in window
    assert 1 not in window
    seconds(clock, 10)
    assert due(window) == [3]
    window.clear()
    assert due(window) == []


def test_the_window_is_bounded_in_bytes_and_takes_one_row_of_any_size() -> None:
    clock = VirtualClock()
    window = Window(100, size_bytes=10, min_s=2.0, max_s=30.0, clock=clock)
    long = OutboxRow(1, Lane.EVIDENCE, b"x" * 50)
    assert window.has_room(long)
    window.sent(long)
    window.sent(long)  # again: its bytes count once
    assert not window.has_room(row(2))
    window.keep_only([])
    window.sent(OutboxRow(2, Lane.EVIDENCE, b"x" * 7))
    assert window.has_room(row(3))
    assert not window.has_room(row(3), share=0.75)
    assert not window.has_room(OutboxRow(3, Lane.EVIDENCE, b"xxxx"))


def test_the_youngest_row_that_went_tells_the_delay() -> None:
    clock = VirtualClock()
    window = Window(100, min_s=60.0, max_s=60.0, clock=clock)
    for seq in (1, 2, 3):
        window.sent(row(seq))
        seconds(clock, 1)
    assert window.keep_only([3]) == 2.0
    window.sent(row(3))
    assert window.keep_only([]) is None  # sent twice: nobody knows which one came
    assert window.keep_only([]) is None
