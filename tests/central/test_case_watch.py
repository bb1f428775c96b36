"""Open cases follow the air: silence, a station's word, a sighting, an alert where a lead is."""

from __future__ import annotations

from typing import Any

import pytest

from central.case_desk import CaseDesk
from central.case_states import CaseAction
from central.case_watch import SILENT_AFTER_US, CaseWatch
from central.case_work import SeenCase
from central.store.cases import CaseRow
from contract import UnixMicros
from contract.messages import Detection, Reason
from contract.topics import Lane
from contract.words import AlertKind, TimeBasis
from tests.central.kit import START, Central, Station, a_health
from tests.central.test_alert_desk import raised, seen, sighting
from tests.central.test_case_desk import DUTY, desk_of

MINUTE_US = 60_000_000
NOW: dict[str, Any] = {"first_seen": START, "last_seen": START}


def watch_of(central: Central) -> CaseWatch:
    return CaseWatch(central.store, central.clock, central.events.extend)


def case_of(central: Central, **changes: Any) -> tuple[Station, CaseRow]:
    van, alert = raised(central, **{**NOW, **changes})
    return van, desk_of(central).open_from_alert(DUTY, seen(alert))


def now_of(central: Central) -> CaseRow:
    row = central.store.case(1)
    assert row is not None
    return row


def wait(central: Central, us: int, van: Station | None = None) -> None:
    """Let time pass; a van that is given goes on speaking, of nothing."""
    central.clock.advance(us)
    if van is not None:
        central.take(van.topic(Lane.HEALTH), van.next(a_health()))


def test_a_case_sleeps_after_an_hour_of_silence_and_wakes_with_the_next_sighting(
    either: Central,
) -> None:
    van, case = case_of(either)
    watch = watch_of(either)
    wait(either, SILENT_AFTER_US - MINUTE_US, van)
    assert watch.step() == 0
    wait(either, 2 * MINUTE_US, van)
    assert watch.step() == 1
    assert (now_of(either).shown_state, now_of(either).state) == ("DORMANT", "DISCOVERED")
    assert watch.step() == 0
    wait(either, MINUTE_US)
    back = UnixMicros(int(either.clock.wall()))
    either.take(van.topic(), van.next(sighting(1, first_seen=START, last_seen=back)))
    assert watch.step() == 1
    assert now_of(either).shown_state == "DISCOVERED"
    history = [(e.actor, e.action) for e in either.store.case_events(case.id)]
    assert history == [("lin", "open"), ("central", "sleep"), ("central", "wake")]


def test_the_silence_of_a_station_that_is_away_means_nothing(either: Central) -> None:
    case_of(either)
    wait(either, 10 * SILENT_AFTER_US)
    assert watch_of(either).step() == 0
    assert now_of(either).shown_state == "DISCOVERED"


@pytest.mark.parametrize("basis", [TimeBasis.RECORDED, TimeBasis.SYNTHETIC])
def test_a_recording_is_never_silent(central: Central, basis: TimeBasis) -> None:
    van, _ = case_of(central, time_basis=basis)
    wait(central, 2 * SILENT_AFTER_US, van)
    assert watch_of(central).step() == 0


def told(state: str, revision: int) -> Detection:
    """A further word of a station on a broadcast: its case's state stands in its reason."""
    reason = Reason(rule="FM-DWELL", family="dwell", weight=3.0, values={"state": state})
    found: Detection = sighting(
        0, revision=revision, reasons=(reason,), alert=AlertKind.BLACK_BROADCAST_SUSPECTED, **NOW
    )
    return found


def test_a_case_sleeps_at_once_when_each_of_its_stations_says_so(either: Central) -> None:
    van, _ = case_of(either, alert=AlertKind.BLACK_BROADCAST_SUSPECTED)
    other = either.enrol(Station(device="fix-1", seed=9))
    second = sighting(5, station="fix-1", alert=AlertKind.BLACK_BROADCAST_SUSPECTED, **NOW)
    either.take(other.topic(), other.next(second))
    watch = watch_of(either)
    either.take(van.topic(), van.next(told("DORMANT", 1)))
    assert watch.step() == 0  # the other one still hears it
    off = Reason(rule="FM-DWELL", family="dwell", weight=3.0, values={"state": "DORMANT"})
    silent = sighting(
        5, station="fix-1", revision=1, reasons=(off,),
        alert=AlertKind.BLACK_BROADCAST_SUSPECTED, **NOW,
    )  # fmt: skip
    either.take(other.topic(), other.next(silent))
    assert watch.step() == 1
    assert now_of(either).shown_state == "DORMANT"


def test_an_alert_where_a_lead_says_discovers_it_and_one_elsewhere_does_not(
    either: Central,
) -> None:
    desk = CaseDesk(either.store, either.clock)
    lead = desk.open_lead(DUTY, "GOIP_DEN", "000000", {"radius_m": 500}, "", (25.0, 102.7))
    watch = watch_of(either)
    either.clock.advance(MINUTE_US)
    den = {"alert": AlertKind.GOIP_DEN_SUSPECTED, **NOW}
    ingest = either.new_ingest(area="000000")
    either.ingest = ingest
    van = either.enrol(Station())
    far = sighting(1, subject={"lat": 25.1, "lon": 102.7}, **den)
    other = sighting(2, subject={"arfcn": 62, "lat": 25.0, "lon": 102.7}, **NOW)
    either.take(van.topic(), van.next(far), van.next(other))
    assert watch.step() == 0
    near = sighting(3, subject={"lat": 25.003, "lon": 102.7}, **den)
    either.take(van.topic(), van.next(near))
    assert watch.step() == 1
    assert now_of(either).state == "DISCOVERED"
    (linked,) = either.store.case_alerts(lead.id)
    assert linked.subject == {"lat": 25.003, "lon": 102.7}
    assert watch.step() == 0


def test_what_a_person_put_to_sleep_wakes_with_a_sighting_too(either: Central) -> None:
    van, case = case_of(either)
    desk_of(either).act(DUTY, SeenCase(case.id, case.version), CaseAction.SLEEP)
    watch = watch_of(either)
    assert watch.step() == 0
    wait(either, MINUTE_US)
    later = UnixMicros(int(either.clock.wall()))
    either.take(van.topic(), van.next(sighting(1, first_seen=later, last_seen=later)))
    assert watch.step() == 1
    assert now_of(either).shown_state == "DISCOVERED"
