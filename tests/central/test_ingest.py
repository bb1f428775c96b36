"""Ingest over a real file: what is stored, what is refused, what is acknowledged and receipted."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import cbor2
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from central import admission, ingest
from central.admission import Admitted, Unchecked
from central.checking import CheckBeside, Results
from central.receipts import MAX_RANGES, pick_ranges
from central.record import Recorder
from central.store import EventKind, Run
from central.views import gaps
from contract import Detection, Refusal, UnixMicros, open_envelope
from contract.codec import plan, to_map
from contract.envelope import NO_PREVIOUS, Signed, message_digest
from contract.messages import Receipt
from contract.topics import Lane
from contract.words import AlertKind, Level, Presence, Severity
from tests.central.kit import (
    START,
    Central,
    MemoryIntake,
    Station,
    a_decision,
    a_health,
    an_attack,
)
from tests.samples import a_detection


def reasons(central: Central, device: str = "van-1") -> dict[Refusal, int]:
    return central.store.refusal_counts(device)


def test_a_signed_detection_becomes_evidence_an_alert_and_a_receipt(
    central: Central, van: Station
) -> None:
    raw = van.next(a_detection(fired_at=UnixMicros(START - 40_000)))
    central.take(van.topic(), raw)

    message = central.store.message("van-1", 1)
    assert message is not None
    assert message.cose == raw
    (alert,) = central.store.alerts(10)
    assert (alert.kind, alert.level, alert.severity, alert.count) == (
        AlertKind.FAKE_BTS_CONFIRMED,
        Level.CONFIRMED,
        Severity.CRITICAL,
        1,
    )
    assert central.store.totals().alert_latencies_ms == (40.0,)
    assert not central.intake.unacknowledged
    assert central.intake.receipts() == [
        Receipt(device="van-1", up_to=1, head=message_digest(raw), ranges=())
    ]
    (event,) = [e for e in central.events if e.kind is EventKind.ALERT]
    assert event.data["change"] == "raised"
    assert event.data["alert"]["id"] == alert.id


def test_the_same_message_again_is_receipted_again_and_stored_once(
    central: Central, van: Station
) -> None:
    raw = van.next(a_detection())
    for _ in range(3):
        central.take(van.topic(), raw)
    totals = central.store.totals()
    assert (totals.messages, totals.detections, totals.duplicates) == (1, 1, 2)
    assert [r.up_to for r in central.intake.receipts()] == [1, 1, 1]
    assert central.store.alerts(10)[0].count == 1
    assert sum(e.kind is EventKind.ALERT for e in central.events) == 1


def test_two_copies_in_one_batch_are_stored_once(central: Central, van: Station) -> None:
    raw = van.next(a_detection())
    central.take(van.topic(), raw, raw)
    assert central.store.totals().messages == 1
    assert central.ingest.status.duplicates == 1


def test_a_higher_revision_updates_and_an_old_one_adds_nothing(
    central: Central, van: Station
) -> None:
    suspected = a_detection(
        level=Level.SUSPECTED, severity=Severity.HIGH, alert=AlertKind.FAKE_BTS_SUSPECTED
    )
    central.take(van.topic(), van.next(suspected))
    central.take(van.topic(), van.next(a_detection(revision=1)))
    central.take(van.topic(), van.next(suspected))

    (alert,) = central.store.alerts(10)
    assert (alert.kind, alert.count, alert.seq) == (AlertKind.FAKE_BTS_CONFIRMED, 1, 2)
    (detection,) = central.store.detections_of(alert.id)
    assert detection.revision == 1
    assert central.store.totals().messages == 3
    changes = [e.data["change"] for e in central.events if e.kind is EventKind.ALERT]
    assert changes == ["raised", "escalated"]


def test_the_same_emitter_seen_by_two_stations_is_one_alert(central: Central, van: Station) -> None:
    other = central.enrol(Station(device="van-2", seed=9))
    central.take(van.topic(), van.next(a_detection()))
    central.take(other.topic(), other.next(a_detection()))
    (alert,) = central.store.alerts(10)
    assert alert.count == 2
    assert len(central.store.detections_of(alert.id)) == 2


def test_an_observed_detection_is_kept_without_an_alert(central: Central, van: Station) -> None:
    observed = a_detection(level=Level.OBSERVED, severity=Severity.WARNING, alert=None)
    central.take(van.topic(), van.next(observed))
    assert central.store.totals().detections == 1
    assert not central.store.alerts(10)


def test_decisions_are_kept_and_only_a_failed_liveness_alerts(central: Central) -> None:
    atm = central.enrol(Station(device="atm-1", seed=5))
    central.take(atm.topic(Lane.DECISIONS), atm.next(a_decision()), atm.next(an_attack()))
    assert [d.visit for d in central.store.snapshot(9, 9).decisions] == ["000018", "000017"]
    (alert,) = central.store.alerts(10)
    assert alert.kind is AlertKind.PRESENTATION_ATTACK
    assert alert.subject == {"atm": "atm-1", "visit": "000018", "card": "**** 7894"}


# -- refusals ----------------------------------------------------------------------------------


def test_no_single_flipped_bit_is_ever_stored(central: Central, van: Station) -> None:
    raw = van.next(dataclasses.replace(a_health(), parts=()))
    for position in range(len(raw)):
        touched = bytearray(raw)
        touched[position] ^= 1 << position % 8
        central.intake.arrive(van.topic(Lane.HEALTH), bytes(touched))
    while central.ingest.step():
        pass
    totals = central.store.totals()
    assert (totals.messages, totals.refused) == (0, len(raw))
    assert central.store.device("van-1").health is None  # type: ignore[union-attr]
    assert not central.intake.unacknowledged
    assert not central.intake.published

    central.take(van.topic(Lane.HEALTH), raw)
    assert central.store.totals().messages == 1


def test_a_refusal_is_shown_but_its_content_is_never_kept(central: Central, van: Station) -> None:
    secret = b"4563-canary-7781"
    central.take(van.topic(), secret)
    (refusal,) = central.store.refusals(10, "van-1")
    assert (refusal.reason, refusal.size_bytes) == (Refusal.MALFORMED, len(secret))
    assert refusal.sha256 == message_digest(secret)
    central.store.close()
    for file in central.path.parent.iterdir():
        assert secret not in file.read_bytes()
        assert secret.hex().encode() not in file.read_bytes()


def test_an_unknown_key_is_refused_and_acknowledged(central: Central, van: Station) -> None:
    stranger = Station(seed=99)
    central.take(van.topic(), stranger.next(a_detection()))
    assert reasons(central) == {Refusal.UNKNOWN_KEY: 1}
    assert not central.intake.unacknowledged
    assert not central.intake.published


def test_a_revoked_device_is_refused_and_its_former_evidence_stays(
    central: Central, van: Station
) -> None:
    central.take(van.topic(), van.next(a_detection()))
    assert central.store.revoke("van-1", START)
    central.take(van.topic(), van.next(a_health()))
    assert reasons(central) == {Refusal.UNKNOWN_KEY: 1}
    assert central.store.totals().messages == 1
    assert not central.store.revoke("nobody", START)


def test_a_device_on_anothers_topic_is_refused_under_that_topic(
    central: Central, van: Station
) -> None:
    other = central.enrol(Station(device="van-2", seed=9))
    central.take(other.topic(), van.next(a_detection()))
    assert reasons(central, "van-2") == {Refusal.WRONG_SENDER: 1}
    assert reasons(central, "van-1") == {}
    assert central.store.totals().messages == 0


def test_a_key_of_another_device_is_refused(central: Central, van: Station) -> None:
    central.enrol(Station(device="van-2", seed=9))
    central.take(van.topic(), Station(device="van-1", seed=9).next(a_detection()))
    assert reasons(central) == {Refusal.WRONG_SENDER: 1}


def test_another_content_under_a_used_number_is_refused(central: Central, van: Station) -> None:
    first = van.next(a_detection())
    central.take(van.topic(), first)
    twin = van.seal(a_health(), seq=1, prev=NO_PREVIOUS)
    central.take(van.topic(), twin)
    assert reasons(central) == {Refusal.SEQUENCE_REUSED: 1}
    assert central.store.message("van-1", 1).cose == first  # type: ignore[union-attr]


def test_a_message_that_names_another_predecessor_is_refused(
    central: Central, van: Station
) -> None:
    central.take(van.topic(), van.next(a_health()))
    central.take(van.topic(), van.seal(a_detection(), prev=b"\x01" * 32))
    assert reasons(central) == {Refusal.BROKEN_CHAIN: 1}
    central.take(van.topic(), van.seal(a_detection(), prev=NO_PREVIOUS))
    assert reasons(central) == {Refusal.BROKEN_CHAIN: 2}
    assert central.store.totals().messages == 1


def test_a_late_message_must_fit_the_one_stored_after_it(central: Central, van: Station) -> None:
    van.next(a_health())
    second = van.next(a_detection())
    central.take(van.topic(), second)
    forged = van.seal(a_decision(), seq=1, prev=NO_PREVIOUS)
    central.take(van.topic(), forged)
    assert reasons(central) == {Refusal.BROKEN_CHAIN: 1}


def test_the_first_message_has_nothing_before_it(central: Central, van: Station) -> None:
    central.take(van.topic(), van.seal(a_detection(), seq=1, prev=b"\x01" * 32))
    assert reasons(central) == {Refusal.BROKEN_CHAIN: 1}


@pytest.mark.parametrize(
    "topic",
    ["v1/demo/up/van-1/nope", "v1/demo/up/VAN/evt", "elsewhere", "v1/demo/state/van-1/x", ""],
)
def test_a_topic_that_is_none_is_malformed(central: Central, van: Station, topic: str) -> None:
    central.take(topic, van.next(a_detection()))
    assert reasons(central, "") == {Refusal.MALFORMED: 1}
    assert central.store.totals().messages == 0


def test_another_tenants_topic_is_refused(central: Central, van: Station) -> None:
    central.take("v1/other/up/van-1/evt", van.next(a_detection()))
    assert reasons(central, "") == {Refusal.WRONG_SENDER: 1}


def test_messages_in_the_wrong_place_are_malformed(central: Central, van: Station) -> None:
    receipt = Receipt(device="van-1", up_to=1, head=b"", ranges=())
    central.take(van.topic(), van.outside(a_detection()))
    central.take(van.topic(), van.outside(receipt))
    central.take(van.topic(), van.state(Presence.ONLINE))
    central.take(van.state_topic, van.outside(a_health()))
    assert reasons(central) == {Refusal.MALFORMED: 4}


@pytest.mark.parametrize("where", ["prepare", "conclude", "Recorder.apply"])
def test_a_fault_of_the_central_in_one_message_keeps_no_other_out(
    central: Central, van: Station, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    first, second, third = (van.next(a_detection()) for _ in range(3))
    owner: Any = Recorder if "Recorder" in where else admission
    name = where.rpartition(".")[2]
    real = getattr(owner, name)

    def fails(*args: Any, **options: Any) -> Any:
        raw = [getattr(one, "payload", None) for one in args]
        raw += [one.delivery.payload for one in args if isinstance(one, Unchecked)]
        raw += [one.envelope.raw for one in args if isinstance(one, Admitted)]
        if second in raw:
            raise RuntimeError("a bug of ours")
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fails)
        if owner is admission:
            patch.setattr(ingest, name, fails)
        central.take(van.topic(), first, second, third)
    assert not central.intake.unacknowledged
    assert reasons(central) == {Refusal.CENTRAL_FAULT: 1}
    assert central.store.runs("van-1") == [Run(1, 1), Run(3, 3)]
    central.take(van.topic(), second)  # once the bug is mended, from what the device kept
    assert central.store.runs("van-1") == [Run(1, 3)]


def test_a_signed_time_outside_the_calendar_is_refused_and_the_rest_goes_on(
    central: Central, van: Station
) -> None:
    (last_seen,) = (f.key for f in plan(Detection) if f.name == "last_seen")
    absurd = van.seal(a_detection(), packed={**to_map(a_detection()), last_seen: 2**62})
    central.take(van.topic(), absurd, van.next(a_health()))
    assert reasons(central) == {Refusal.MALFORMED: 1}
    assert central.store.totals().messages == 1


def test_refusals_are_bounded_and_counted_without_bound(central: Central, van: Station) -> None:
    for number in range(620):
        central.intake.arrive(van.topic(), b"%d" % number)
    while central.ingest.step():
        pass
    assert reasons(central) == {Refusal.MALFORMED: 620}
    assert len(central.store.refusals(2000, "van-1")) == 500
    assert central.store.device("van-1").refused == 620  # type: ignore[union-attr]


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(topic=st.text(max_size=60), payload=st.binary(max_size=200))
def test_arbitrary_deliveries_never_stop_ingest(
    central: Central, topic: str, payload: bytes
) -> None:
    before = central.store.totals().refused
    central.intake.arrive(topic, payload)
    assert central.ingest.step() == 1
    assert central.store.totals().refused == before + 1
    assert not central.intake.unacknowledged


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_arbitrary_signed_payloads_never_stop_ingest(central: Central, data: st.DataObject) -> None:
    """Even a device with a good key cannot make ingest fall over."""
    van = central.enrol(Station())
    raw = van.seal(a_detection())
    outer = cbor2.loads(raw)
    payload = cbor2.loads(outer.value[2])
    values = st.one_of(
        st.integers(-(2**63), 2**63 - 1), st.binary(max_size=40), st.text(max_size=20), st.none()
    )
    key = data.draw(st.sampled_from(sorted(payload)))
    payload[key] = data.draw(values)
    content = cbor2.dumps(payload, canonical=True)
    protected = outer.value[0]
    to_sign = cbor2.dumps(["Signature1", protected, b"qianshao/1\0demo", content], canonical=True)
    signed = cbor2.CBORTag(18, [protected, {}, content, van.key.sign(to_sign)])
    central.take(van.topic(), cbor2.dumps(signed, canonical=True))
    assert not central.intake.unacknowledged


# -- receipts ----------------------------------------------------------------------------------


def test_islands_beyond_a_hole_are_ranges_until_it_is_filled(
    central: Central, van: Station
) -> None:
    one, two, three, four = (van.next(a_health(depth)) for depth in range(4))
    central.take(van.topic(), one)
    central.take(van.topic(), four)
    central.take(van.topic(), three)
    central.take(van.topic(), two)
    told = [
        (r.up_to, r.head, [(run.first, run.last) for run in r.ranges])
        for r in central.intake.receipts()
    ]
    assert told == [
        (1, message_digest(one), []),
        (1, message_digest(one), [(4, 4)]),
        (1, message_digest(one), [(3, 4)]),
        (4, message_digest(four), []),
    ]
    assert central.store.runs("van-1") == [Run(1, 4)]


def test_a_chain_begun_anew_is_receipted_and_its_gap_stays_visible(
    central: Central, van: Station
) -> None:
    central.take(van.topic(), van.next(a_health()))
    lost = van.next(a_detection())
    van.lose_store(next_seq=1001)
    anew = van.next(a_health(depth=9))
    central.take(van.topic(), anew)
    receipt = central.intake.receipts()[-1]
    assert (receipt.up_to, receipt.head) == (1001, message_digest(anew))
    assert gaps(central.store.runs("van-1")) == [Run(2, 1000)]

    central.take(van.topic(), lost)  # it was still on its way
    assert gaps(central.store.runs("van-1")) == [Run(3, 1000)]
    assert central.store.totals().detections == 1


def test_without_a_chain_start_everything_stored_is_named_as_a_range(
    central: Central, van: Station
) -> None:
    """The central's own store was replaced: the device goes on where it was."""
    for _ in range(5):
        van.next(a_health())
    central.take(van.topic(), van.next(a_health()))
    receipt = central.intake.receipts()[-1]
    assert (receipt.up_to, receipt.head) == (0, b"")
    assert [(r.first, r.last) for r in receipt.ranges] == [(6, 6)]


def test_a_device_gets_one_receipt_a_second_and_the_pending_one_later(
    central: Central, van: Station
) -> None:
    for depth in range(3):
        central.intake.arrive(van.topic(Lane.HEALTH), van.next(a_health(depth)))
        central.ingest.step()
        central.clock.advance(100_000)
    assert [r.up_to for r in central.intake.receipts()] == [1]
    central.clock.advance(699_999)
    central.ingest.step()
    assert len(central.intake.published) == 1
    central.clock.advance(1)
    central.ingest.step()
    assert [r.up_to for r in central.intake.receipts()] == [1, 3]
    central.clock.advance(5_000_000)
    central.ingest.step()
    assert len(central.intake.published) == 2


def test_a_receipt_waits_for_the_connection(central: Central, van: Station) -> None:
    central.intake.is_connected = False
    central.take(van.topic(), van.next(a_detection()))
    assert not central.intake.published
    central.intake.is_connected = True
    central.ingest.step()
    assert [r.up_to for r in central.intake.receipts()] == [1]
    device = central.store.device("van-1")
    assert device is not None
    assert device.receipt_up_to == 1


def test_every_island_that_just_came_is_named_even_among_many(
    central: Central, van: Station
) -> None:
    raws = [van.next(a_health()) for _ in range(640)]
    for raw in raws[1::2]:
        central.intake.arrive(van.topic(Lane.HEALTH), raw)
    while central.ingest.step():
        pass
    central.clock.advance(1_000_000)
    central.ingest.step()
    named = [r.first for receipt in central.intake.receipts() for r in receipt.ranges]
    assert set(named) == set(range(2, 641, 2))
    central.clock.advance(1_000_000)
    central.take(van.topic(Lane.HEALTH), raws[1])
    assert [r.first for r in central.intake.receipts()[-1].ranges] == [2]


def test_a_receipt_names_the_islands_that_came_first_of_all() -> None:
    islands = tuple(Run(seq, seq) for seq in range(2, 6002, 2))
    ranges = pick_ranges(islands, {2, 4})
    assert len(ranges) == MAX_RANGES
    assert [r.first for r in ranges[:3]] == [2, 4, 6000 - 2 * (MAX_RANGES - 3)]
    assert [r.last for r in ranges[-1:]] == [6000]


# -- presence and health -----------------------------------------------------------------------


def test_birth_and_will_set_presence_and_an_old_will_is_ignored(
    central: Central, van: Station
) -> None:
    old_will = van.state(Presence.OFFLINE, b"1" * 8)
    central.take(van.state_topic, van.state(Presence.ONLINE, b"1" * 8))
    new_will = van.state(Presence.OFFLINE, b"2" * 8)
    central.take(van.state_topic, van.state(Presence.ONLINE, b"2" * 8))
    central.take(van.state_topic, old_will)
    assert central.store.device("van-1").presence is Presence.ONLINE  # type: ignore[union-attr]
    central.take(van.state_topic, new_will)
    assert central.store.device("van-1").presence is Presence.OFFLINE  # type: ignore[union-attr]
    assert central.store.totals().messages == 0
    told = [e.data["device"]["presence"] for e in central.events if e.kind is EventKind.DEVICE]
    assert told == ["online", "online", "offline"]


def test_an_older_birth_of_the_same_boot_does_not_come_back(central: Central, van: Station) -> None:
    old = van.state(Presence.ONLINE, b"1" * 8)
    central.take(van.state_topic, van.state(Presence.ONLINE, b"2" * 8))
    central.take(van.state_topic, old)
    assert central.store.device("van-1").session == b"2" * 8  # type: ignore[union-attr]


def test_a_retained_birth_is_no_sign_of_life_now(central: Central, van: Station) -> None:
    central.take(van.state_topic, van.state(Presence.ONLINE), is_retained=True)
    device = central.store.device("van-1")
    assert device is not None
    assert (device.presence, device.last_seen) == (Presence.ONLINE, None)


def test_the_latest_health_counts_in_or_outside_the_chain(central: Central, van: Station) -> None:
    old = van.outside(a_health(depth=1))
    central.take(van.topic(Lane.HEALTH), van.next(a_health(depth=2)))
    central.take(van.topic(Lane.HEALTH), old)
    device = central.store.device("van-1")
    assert device is not None
    assert device.health is not None
    assert device.health["parts"][1]["counters"]["depth"] == 2


# -- a store that is away ------------------------------------------------------------------------


def test_while_the_store_is_locked_nothing_is_acknowledged(central: Central, van: Station) -> None:
    seen: list[str | None] = []
    raw = van.next(a_detection())
    central.intake.arrive(van.topic(), raw)
    with closing(sqlite3.connect(central.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ingest = central.new_ingest(first_retry_s=0.0)

        class Released:
            """Stands for the stop event: looks at the status, then frees the lock."""

            def wait(self, _timeout: float) -> bool:
                seen.append(ingest.status.store_problem)
                assert central.intake.unacknowledged
                other.execute("ROLLBACK")
                return False

            def is_set(self) -> bool:
                return False

        ingest._stop = Released()  # type: ignore[assignment]
        ingest.step()
    assert seen == ["database is locked"]
    assert not central.intake.unacknowledged
    assert (ingest.status.store_problem, ingest.status.store_retries) == (None, 1)
    assert central.store.message("van-1", 1).cose == raw  # type: ignore[union-attr]


def test_signatures_checked_beside_change_nothing(central: Central, van: Station) -> None:
    """Each of three batches is begun with while the one before it is stored."""
    check = CheckBeside()
    work = central.new_ingest(batch_messages=130, signatures=check)
    raws = [van.next(a_health()) for _ in range(350)]
    for number, raw in enumerate(raws):
        if number in {77, 200}:
            central.intake.arrive(van.topic(), raw[:-1] + bytes((raw[-1] ^ 1,)))
        central.intake.arrive(van.topic(), raw)
    while work.step():
        pass
    assert check.pid is not None
    check.close()
    assert not central.intake.unacknowledged
    assert central.store.runs("van-1") == [Run(1, 350)]
    assert [central.store.message("van-1", n + 1).cose for n in range(350)] == raws  # type: ignore[union-attr]
    assert reasons(central) == {Refusal.BAD_SIGNATURE: 2}


class _Slow:
    """Checks when asked, and remembers what the broker had back by then."""

    def __init__(self, central: Central) -> None:
        self._central = central
        self.said: list[tuple[str, int]] = []

    def begin(self, messages: Sequence[Signed]) -> Results:
        self.said.append(("begin", len(self._central.intake.unacknowledged)))

        def results() -> list[bool]:
            self.said.append(("results", len(self._central.intake.unacknowledged)))
            return [message.is_good() for message in messages]

        return results

    def close(self) -> None:
        self.said.append(("close", 0))


def test_the_next_batch_is_begun_before_the_present_one_is_stored(
    central: Central, van: Station
) -> None:
    slow = _Slow(central)
    for _ in range(60):
        central.intake.arrive(van.topic(), van.next(a_health()))
    work = central.new_ingest(batch_messages=30, signatures=slow)
    assert [work.step(), work.step(), work.step()] == [30, 30, 0]
    assert slow.said == [("begin", 60), ("results", 60), ("begin", 60), ("results", 30)]
    for _ in range(3):
        central.intake.arrive(van.topic(), van.next(a_health()))
    assert work.step() == 3
    assert len(slow.said) == 4, "a few are checked at once"


def test_what_was_checked_before_the_store_was_away_is_checked_again(
    central: Central, van: Station
) -> None:
    """Its device may have been revoked meanwhile."""
    for _ in range(60):
        central.intake.arrive(van.topic(), van.next(a_health()))
    engine = central.store._engine
    work = central.new_ingest(batch_messages=30, first_retry_s=0.0, signatures=_Slow(central))
    failures = iter([True])

    def away(connection: sa.Connection) -> None:
        if work._next is not None and next(failures, False):
            raise sa.exc.OperationalError("BEGIN", None, sqlite3.OperationalError("away"))

    class Revoked:
        """Stands for the stop event: revokes while the store is waited for."""

        def wait(self, _timeout: float) -> bool:
            central.store.revoke("van-1", START)
            return False

        def is_set(self) -> bool:
            return False

    work._stop = Revoked()  # type: ignore[assignment]
    sa.event.listen(engine, "begin", away)
    assert [work.step(), work.step()] == [30, 30]
    sa.event.remove(engine, "begin", away)
    assert work.status.store_retries == 1
    assert central.store.totals().messages == 0
    assert reasons(central) == {Refusal.UNKNOWN_KEY: 60}


def test_a_full_disk_is_waited_out_and_a_stop_leaves_the_batch_with_the_broker(
    central: Central, van: Station
) -> None:
    engine = central.store._engine
    with engine.connect() as connection:
        used = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def fill(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {used}")

    for _ in range(100):
        central.intake.arrive(van.topic(), van.next(a_health()))
    sa.event.listen(engine, "begin", fill)
    ingest = central.new_ingest(first_retry_s=0.0)
    ingest.stop()
    assert ingest.step() == 0
    assert ingest.status.store_problem == "database or disk is full"
    assert len(central.intake.unacknowledged) == 100
    assert not central.intake.published

    sa.event.remove(engine, "begin", fill)
    engine.dispose()
    central.intake.reconnect()
    assert central.new_ingest().step() == 100
    assert central.store.totals().messages == 100
    assert not central.intake.unacknowledged


def test_the_loop_ends_when_asked(central: Central, van: Station) -> None:
    intake = MemoryIntake()
    central.intake = intake
    ingest = central.new_ingest()
    done = threading.Event()
    intake.on_ack = done.set
    intake.arrive(van.topic(), van.next(a_detection()))
    thread = threading.Thread(target=ingest.run)
    thread.start()
    assert done.wait(30)
    ingest.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert [r.up_to for r in intake.receipts()] == [1]


def test_a_message_that_comes_late_counts_by_the_key_that_signed_it(
    central: Central, van: Station
) -> None:
    """Certificates end and are renewed; the evidence key says who spoke, and when it was void."""
    early, before = van.next(a_detection()), van.next(a_detection())
    renewed = dataclasses.replace(van, seed=8)
    central.enrol(renewed)  # a further evidence key of the same device
    central.clock.advance(90 * 24 * 3600 * 1_000_000)  # three lives of a certificate
    central.take(van.topic(), early)
    central.take(van.topic(), renewed.next(a_detection()))
    assert (reasons(central), central.store.totals().messages) == ({}, 2)
    assert central.store.revoke("van-1", int(central.clock.wall()))
    for void in (before, van.next(a_detection()), renewed.next(a_detection())):
        central.take(van.topic(), void)  # nobody can tell an earlier one from one dated back
    assert reasons(central) == {Refusal.UNKNOWN_KEY: 3}
    stored = central.store.message("van-1", 1)
    assert stored is not None
    assert open_envelope(stored.cose, tenant="demo", find_key=central.store.known_key)
