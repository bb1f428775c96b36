"""Technical alerts: who spoke for another, whose clock is off, and who is accused of nothing."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing

import pytest

from central.store.interface import AlertRow
from contract import PartHealth
from contract.access import Action
from contract.clock import UnixMicros
from contract.envelope import NO_PREVIOUS
from contract.words import AlertKind, PartState, Severity
from mqtt_bridge.brokers.violations import Violation
from tests.central.kit import START, Central, Station, a_health
from tests.samples import a_detection

ATM = Station(device="atm-1", seed=9)


def technical(central: Central, kind: AlertKind) -> list[AlertRow]:
    return [row for row in central.store.alerts(100) if row.kind is kind]


def test_a_message_of_a_under_the_topic_of_b_is_refused_and_accuses_a(
    central: Central, van: Station
) -> None:
    other = central.enrol(dataclasses.replace(ATM))
    central.take(other.topic(), van.next(a_detection()), van.next(a_health()))
    (alert,) = technical(central, AlertKind.TOPIC_ACL_VIOLATION)
    assert alert.subject == {"publisher": "van-1", "topic_of": "atm-1"}
    assert (alert.severity, alert.count, alert.device) == (Severity.HIGH, 2, "van-1")
    assert alert.summary["rules"] == ["WRONG_SENDER"]
    assert central.store.totals().messages == 0


def test_a_message_in_the_name_of_a_under_the_key_of_b_is_refused_and_accuses_b(
    central: Central, van: Station
) -> None:
    other = central.enrol(dataclasses.replace(ATM))
    forged = van.seal(a_detection(), device="atm-1")
    central.take(other.topic(), forged)
    (alert,) = technical(central, AlertKind.TOPIC_ACL_VIOLATION)
    assert alert.subject == {"publisher": "van-1", "topic_of": "atm-1"}


def test_two_messages_under_one_number_accuse_the_device_of_being_two(
    central: Central, van: Station
) -> None:
    """A cloned disk, or an old copy that was put back by hand: both sign well."""
    first = van.next(a_detection())
    clone = [van.seal(a_health(), seq=1, prev=NO_PREVIOUS), first]
    central.take(van.topic(), first, *clone)
    (alert,) = technical(central, AlertKind.REPLAY)
    assert (alert.subject, alert.device) == ({"device": "van-1"}, "van-1")
    assert (alert.severity, alert.count) == (Severity.HIGH, 1)
    assert alert.summary["rules"] == ["SEQUENCE_REUSED"]
    assert central.store.totals().messages == 1


def test_damage_strangers_and_repetitions_accuse_nobody(central: Central, van: Station) -> None:
    raw = van.next(a_health())
    stranger = dataclasses.replace(ATM, seed=77)
    central.take(van.topic(), raw, raw, raw[:-1] + bytes([raw[-1] ^ 1]), b"noise")
    central.take(stranger.topic(), stranger.next(a_health()))
    assert central.store.alerts(100) == []
    assert central.store.totals().refused == 3


def test_what_the_broker_refused_is_one_alert_for_each_pair_with_a_count(central: Central) -> None:
    wanted = Violation(client="van-1", action=Action.PUBLISH, topic="v1/demo/up/atm-1/evt")
    heard = Violation(client="van-1", action=Action.SUBSCRIBE, topic="#")
    nameless = Violation(client="", action=Action.PUBLISH, topic="x" * 200)
    central.ingest.note_violations([wanted] * 5)
    central.ingest.step()
    central.ingest.note_violations([wanted, heard, nameless])
    central.ingest.step()
    rows = technical(central, AlertKind.TOPIC_ACL_VIOLATION)
    found = {(r.subject["publisher"], r.subject.get("topic_of")): r.count for r in rows}
    assert found == {("van-1", "atm-1"): 6, ("van-1", None): 1, ("unknown", None): 1}
    assert {e.data["alert"]["kind"] for e in central.events} == {"TOPIC_ACL_VIOLATION"}


def test_violations_wait_for_a_store_that_is_away(central: Central) -> None:
    wanted = Violation(client="van-1", action=Action.PUBLISH, topic="v1/demo/up/atm-1/evt")
    with closing(sqlite3.connect(central.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        central.ingest.note_violations([wanted])
        central.ingest.step()
        other.execute("ROLLBACK")
    central.ingest.note_violations([wanted])
    central.ingest.step()
    assert technical(central, AlertKind.TOPIC_ACL_VIOLATION)[0].count == 2


@pytest.mark.parametrize(("ahead_s", "alerts"), [(95, 1), (61, 1), (60, 0), (0, 0), (-95, 0)])
def test_a_message_from_the_future_is_taken_and_warned_of(
    central: Central, van: Station, ahead_s: int, alerts: int
) -> None:
    """One from the past may only have waited in the outbox: the device's own word decides."""
    raw = van.seal(a_detection(), wall=UnixMicros(START + ahead_s * 1_000_000))
    central.take(van.topic(), raw)
    rows = technical(central, AlertKind.CLOCK_SKEW)
    assert len(rows) == alerts
    assert central.store.totals().messages == 1
    assert central.store.totals().detections == 1
    if rows:
        assert (rows[0].severity, rows[0].device) == (Severity.WARNING, "van-1")
        assert rows[0].summary["source_place"] == f"+{ahead_s} s"


def a_clock(skew_s: float) -> PartHealth:
    return PartHealth(
        name="clock", state=PartState.DEGRADED, counters={"skew_ms": round(skew_s * 1000)}
    )


def test_a_clock_that_lags_is_warned_of_by_the_device_s_own_word(
    central: Central, van: Station
) -> None:
    health = dataclasses.replace(a_health(), parts=(a_clock(-95),))
    for _ in range(5):
        central.take(van.topic(), van.seal(health))
        van.seq += 1
    (alert,) = technical(central, AlertKind.CLOCK_SKEW)
    assert alert.summary["source_place"] == "-95 s"
    assert alert.count == 1
    assert central.store.totals().messages >= 1


def test_a_clock_that_is_found_off_later_again_is_counted(central: Central, van: Station) -> None:
    health = dataclasses.replace(a_health(), parts=(a_clock(95),))
    central.take(van.topic(), van.next(health))
    central.clock.advance(601 * 1_000_000)
    central.take(van.topic(), van.next(health))
    assert technical(central, AlertKind.CLOCK_SKEW)[0].count == 2
