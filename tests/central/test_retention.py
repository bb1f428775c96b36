"""Each class of data has its time; what alerts rest on stays, and nothing counts twice after it."""

from __future__ import annotations

from central.store.retention import DAY_US, Retention, erase
from central.tending import Duty, Tending
from contract.topics import Lane
from contract.words import Level
from tests.central.kit import START, Central, Station, a_decision, a_health, an_attack
from tests.central.test_alert_desk import sighting


def bytes_of(central: Central) -> dict[int, int]:
    found = {}
    for seq in range(1, 6):
        message = central.store.message("van-1", seq)
        assert message is not None
        found[seq] = len(message.cose)
    return found


def test_what_is_old_goes_and_what_an_alert_rests_on_stays(either: Central) -> None:
    van = either.enrol(Station())
    observed = sighting(1, level=Level.OBSERVED, alert=None)
    raws = [van.next(body) for body in (a_health(), observed, sighting(2), a_decision())]
    either.take(van.topic(), *raws)
    either.take(van.topic(Lane.DECISIONS), van.next(an_attack()))
    keep = Retention(telemetry_days=1, detections_days=2, decisions_days=3, stream_days=1)
    assert erase(either.store, keep, START + DAY_US // 2) == 0
    assert erase(either.store, keep, START + 10 * DAY_US) > 0
    assert [seq for seq, size in bytes_of(either).items() if size] == [3, 5]
    totals = either.store.totals()
    assert (totals.messages, totals.detections, totals.decisions, totals.alerts) == (5, 1, 1, 2)
    assert either.store.events_after(0, 100)[0].id == either.store.last_event_id()
    assert erase(either.store, keep, START + 10 * DAY_US) == 0
    either.take(van.topic(), *raws)  # sent again after all: still known
    assert either.store.totals().duplicates == 4
    assert either.store.totals().detections == 1


def test_for_ever_is_for_ever(either: Central) -> None:
    van = either.enrol(Station())
    either.take(van.topic(), van.next(a_health()))
    never = Retention(
        telemetry_days=0, detections_days=0, decisions_days=0, stream_days=0, refusals_days=0
    )
    assert erase(either.store, never, START + 10_000 * DAY_US) == 0


def test_a_duty_that_fails_stops_no_other(central: Central) -> None:
    from central.store import StoreUnavailableError

    done: list[str] = []

    def fail() -> int:
        raise StoreUnavailableError("away")

    tending = Tending(
        central.clock,
        Duty("failing", 1.0, fail),
        Duty("calls", 5.0, lambda: len(done.append("calls") or done)),  # type: ignore[func-returns-value]
    )
    assert tending.step() == 2
    central.clock.advance(1_500_000)
    assert tending.step() == 1
    central.clock.advance(4_000_000)
    assert tending.step() == 2
    assert done == ["calls", "calls"]
