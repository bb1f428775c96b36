from __future__ import annotations

from contract.clock import VirtualClock
from contract.topics import Lane
from mqtt_bridge.feed import Feed
from mqtt_bridge.pacing import Pace, Pacer
from mqtt_bridge.window import Window
from tests.mqtt_bridge.doubles import MemoryOutbox


class Fed:
    """A feed over an outbox in memory, on a clock that stands still."""

    def __init__(self, size: int = 100) -> None:
        self.clock = VirtualClock()
        self.outbox = MemoryOutbox()
        self.window = Window(size, min_s=2.0, max_s=30.0, clock=self.clock)
        self.pace = Pacer(Pace(first_per_s=4000, most_per_s=4000), self.clock)
        self.feed = Feed(self.outbox, self.window, self.pace)

    def put(self, *lanes: Lane) -> None:
        for lane in lanes:
            self.outbox.put(lane=lane)

    def sent(self) -> list[int]:
        seqs = []
        self.clock.advance(1_000_000)
        for row in self.feed.rows():
            self.window.sent(row)
            seqs.append(row.seq)
        return seqs

    def land(self) -> None:
        for seq in list(self.window.seqs):
            self.outbox.forget(seq)
        self.window.keep_only([])

    def receipted(self, seq: int) -> None:
        self.outbox.apply_receipt(b"up_to %d" % seq)
        self.window.keep_only(self.outbox.held(self.window.seqs))


def test_lanes_go_by_priority_and_each_in_its_order() -> None:
    fed = Fed()
    fed.feed.restart()
    fed.put(Lane.HEALTH, Lane.TELEMETRY, Lane.EVIDENCE, Lane.DECISIONS, Lane.EVIDENCE)
    assert fed.sent() == [3, 5, 4, 2, 1]
    assert fed.sent() == []
    fed.put(Lane.HEALTH, Lane.EVIDENCE)
    assert fed.sent() == [7, 6]


def test_what_is_new_goes_before_what_waited_whatever_its_lane() -> None:
    fed = Fed()
    fed.put(Lane.TELEMETRY, Lane.EVIDENCE)
    fed.feed.restart()
    fed.put(Lane.HEALTH)
    assert fed.sent() == [3, 2, 1]
    assert not fed.feed.has_backlog


def test_the_backlog_leaves_a_quarter_of_the_window_to_what_is_new() -> None:
    fed = Fed(size=8)
    fed.outbox.put(30)
    fed.feed.restart()
    assert fed.sent() == [1, 2, 3, 4, 5, 6]
    fed.put(*[Lane.HEALTH] * 9)
    assert fed.sent() == [31, 32]
    assert fed.window.is_full
    fed.receipted(6)
    assert fed.sent() == [33, 34, 35, 36, 37, 38]  # the rest of the window, and nothing old


def test_the_backlog_goes_at_its_pace() -> None:
    fed = Fed()
    fed.pace = Pacer(Pace(first_per_s=8, most_per_s=8), fed.clock)
    fed.feed = Feed(fed.outbox, fed.window, fed.pace)
    fed.outbox.put(10)
    fed.feed.restart()
    assert fed.sent() == [1, 2]
    assert fed.sent() == [3, 4]
    fed.put(*[Lane.TELEMETRY] * 5)
    assert fed.sent() == [11, 12, 13, 14, 15, 5, 6]


def test_after_a_silence_what_was_not_sent_is_backlog_and_nothing_goes_twice() -> None:
    fed = Fed(size=3)
    fed.outbox.put(3)
    fed.feed.restart()
    assert fed.sent() == [1, 2]
    fed.put(*[Lane.TELEMETRY] * 6)  # 4 to 9
    assert fed.sent() == [4]
    fed.land()
    fed.feed.rebase()
    fed.put(Lane.HEALTH)
    assert fed.sent() == [10, 3]
    sent: list[int] = []
    while fed.outbox.seqs:
        fed.land()
        sent += fed.sent()
    assert sent == [5, 6, 7, 8, 9]


def test_a_limit_holds_back_everything() -> None:
    fed = Fed()
    fed.outbox.put(5)
    fed.feed.restart()
    fed.feed.limit = 1
    assert fed.sent() == [1]
    assert fed.sent() == []
