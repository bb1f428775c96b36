"""The path of a message over real brokers under mutual TLS: the same promises on each."""

from __future__ import annotations

import collections
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from central.authority import Authority
from contract.topics import Lane, receipts, state, up
from mqtt_bridge.brokers import DeviceGrant
from mqtt_bridge.brokers.mosquitto import MosquittoBroker
from mqtt_bridge.connection import Connection, Protocol, Session
from mqtt_bridge.diagnosis import ProblemKind
from mqtt_bridge.events import Arrived, Ended, Granted
from mqtt_bridge.testing import FaultProxy
from mqtt_bridge.uplink import Uplink, UplinkSettings
from tests.mqtt_bridge.doubles import (
    PATIENCE_S,
    TENANT,
    MemoryOutbox,
    Site,
    eventually,
    every_broker,
    make_broker,
    next_event,
    opened,
    receipt_everything,
    running,
    take,
)

PATIENT = UplinkSettings(resend_min_s=60, resend_max_s=60)
"""No resending while the test lasts."""


def _kind_of(uplink: Uplink) -> ProblemKind | None:
    return uplink.problem.kind if uplink.problem else None


@every_broker
def test_what_happens_now_overtakes_what_had_to_wait(site: Site) -> None:
    outbox, intake = MemoryOutbox(), site.intake()
    outbox.put(5)
    uplink = site.uplink(outbox, settings=PATIENT)
    waited = up(TENANT, "van-1", Lane.EVIDENCE, is_replay=True)
    with running(intake, uplink):
        assert eventually(lambda: uplink.status().pubacks >= 5)
        outbox.put(1)
        assert eventually(lambda: intake.status().arrived >= 7)  # its birth is the seventh
        came = take(intake, 6)
        while len({d.payload for d in came}) < 6 and (more := take(intake, 1)):
            came += more  # a broker that was not heard in time says one again
    payloads = [d.payload for d in came]  # a slow machine's broker may deliver again
    assert set(payloads) == {b"message %d" % n for n in range(1, 7)}
    assert {d.topic for d in came if d.payload != b"message 6"} == {waited}
    if not isinstance(site.broker, MosquittoBroker):  # there both share one session's queue
        assert payloads[0] == b"message 6"


@every_broker
def test_a_message_reaches_the_intake_and_its_receipt_empties_the_outbox(site: Site) -> None:
    outbox, intake = MemoryOutbox(), site.intake()
    uplink = site.uplink(outbox, settings=PATIENT)
    with running(intake, uplink):
        assert eventually(lambda: uplink.status().pubacks >= 1)  # from here on rows are live
        outbox.put(3)
        taken = take(intake, 3)
        assert [d.payload for d in taken] == [b"message 1", b"message 2", b"message 3"]
        assert {d.topic for d in taken} == {up(TENANT, "van-1", Lane.EVIDENCE)}
        assert intake.publish(receipts(TENANT, "van-1"), b"up_to 2")
        assert eventually(lambda: outbox.seqs == [3])
        assert intake.publish(receipts(TENANT, "van-1"), b"up_to 3")
        assert eventually(lambda: outbox.seqs == [])
        assert eventually(lambda: uplink.status().in_flight == 0)
        status = uplink.status()
    assert (status.published, status.resent, status.receipts, status.rows_receipted) == (3, 0, 2, 3)
    assert status.last_receipt_age_s is not None
    assert status.last_receipt_age_s < 5
    assert status.problem is None


@every_broker
def test_a_line_on_which_nothing_happens_costs_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[Connection] = []
    turn = Connection._turn

    def counted(self: Connection, *args: Any) -> int:
        turns.append(self)
        return turn(self, *args)

    monkeypatch.setattr(Connection, "_turn", counted)
    outbox, intake = MemoryOutbox(), site.intake()
    uplink = site.uplink(outbox, settings=PATIENT)
    with running(intake, uplink):
        assert eventually(lambda: uplink.status().pubacks >= 1)
        outbox.put(3)
        take(intake, 3)
        assert eventually(lambda: uplink.status().pubacks >= 4)
        before = len(turns)
        time.sleep(1.0)
        # Three links that wake once a second; one that spins turns ten thousand times.
        assert len(turns) - before < 100


@every_broker
def test_a_puback_removes_nothing_and_the_message_comes_again(site: Site) -> None:
    outbox, intake = MemoryOutbox(), site.intake()
    uplink = site.uplink(outbox)
    with running(intake, uplink):
        outbox.put(2)
        came = collections.Counter(d.payload for d in take(intake, 4))
        while min(came[b"message 1"], came[b"message 2"]) < 2:  # a slow machine repeats one first
            came.update(d.payload for d in take(intake, 1))
        assert set(came) == {b"message 1", b"message 2"}
        assert eventually(lambda: uplink.status().pubacks >= 3)  # the birth, both messages at least
        assert eventually(lambda: uplink.status().resent >= 2)
        assert outbox.seqs == [1, 2]


@every_broker
def test_no_more_than_the_window_is_under_way_without_a_receipt(site: Site) -> None:
    outbox, intake = MemoryOutbox(), site.intake()
    uplink = site.uplink(outbox, settings=UplinkSettings(window=5, resend_min_s=60))
    with running(intake, uplink):
        assert eventually(lambda: uplink.status().pubacks >= 1)  # from here on rows are live
        outbox.put(12)
        assert len(take(intake, 5)) == 5
        assert [d for d in intake.batch(10, 0.3) if "/up/" in d.topic] == []
        assert uplink.status().in_flight == 5
        intake.publish(receipts(TENANT, "van-1"), b"up_to 5")
        assert take(intake, 5)[0].payload == b"message 6"


@every_broker
def test_a_forged_receipt_is_counted_and_removes_nothing(site: Site) -> None:
    outbox, intake = MemoryOutbox(), site.intake()
    uplink = site.uplink(outbox, settings=PATIENT)
    outbox.put()
    with running(intake, uplink):
        assert take(intake, 1)  # the subscription came before it
        intake.publish(receipts(TENANT, "van-1"), b"nonsense")
        assert eventually(lambda: uplink.status().receipts_refused == 1)
        assert uplink.is_connected
    assert outbox.seqs == [1]


@every_broker
def test_messages_wait_at_the_broker_while_the_central_is_away(site: Site) -> None:
    outbox = MemoryOutbox()
    with running(site.intake()):
        pass
    uplink = site.uplink(outbox, settings=PATIENT)
    with running(uplink):
        assert eventually(lambda: uplink.status().pubacks >= 1)  # from here on rows are live
        outbox.put(30)
        intake = site.intake()
        with running(intake):
            assert len(take(intake, 30)) == 30


@every_broker
def test_what_was_not_acknowledged_comes_again_to_the_next_intake(site: Site) -> None:
    outbox, first = MemoryOutbox(), site.intake()
    with running(first), running(site.uplink(outbox, settings=PATIENT)):
        outbox.put(2)
        kept, acked = take(first, 2, is_acked=False)
        acked.ack()
        time.sleep(0.2)
    second = site.intake()
    with running(second):
        assert [d.payload for d in take(second, 1)] == [kept.payload]
        late = [d.payload for d in second.batch(5, 0.5) if "/up/" in d.topic]
        assert late == []


@every_broker
def test_an_intake_that_is_not_emptied_reads_no_further(site: Site) -> None:
    outbox, intake = MemoryOutbox(), site.intake(capacity=5)
    uplink = site.uplink(outbox, settings=UplinkSettings(window=200, resend_min_s=60))
    with running(intake, uplink):
        assert eventually(lambda: uplink.status().pubacks >= 1)  # what comes now is live
        outbox.put(200)
        assert eventually(lambda: intake.status().waiting >= 5)
        time.sleep(0.3)
        assert intake.status().waiting <= 6
        taken: set[bytes] = set()

        def are_all_in() -> bool:
            for delivery in intake.batch(5, 0.1):
                delivery.ack()
                if "/up/" in delivery.topic:
                    taken.add(delivery.payload)
            return len(taken) == 200

        assert eventually(are_all_in, 4 * PATIENCE_S)


@every_broker
def test_kill_9_of_the_broker_in_the_middle_loses_nothing(site: Site) -> None:
    outbox, intake = MemoryOutbox(), site.intake()
    quick = UplinkSettings(window=50, resend_min_s=0.5, resend_max_s=2.0)
    uplink = site.uplink(outbox, settings=quick)
    seen: list[bytes] = []
    with running(intake, uplink):
        outbox.put(300)
        receipt_everything(intake, "van-1", seen, 100)
        pid = site.broker.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: not site.broker.is_running)
        assert eventually(lambda: not uplink.is_connected)
        assert site.broker.ensure()
        receipt_everything(intake, "van-1", seen, 300)
        assert eventually(lambda: outbox.seqs == [])
        assert uplink.status().connects >= 2
    assert {int(p.split()[1]) for p in seen} == set(range(1, 301))


@every_broker
def test_a_cut_line_starts_again_with_the_oldest(site: Site) -> None:
    outbox, intake = MemoryOutbox(), site.intake()
    cable = FaultProxy(site.address("van-1"))
    uplink = site.uplink(outbox, address=cable.address, settings=PATIENT)
    with running(intake, uplink):
        outbox.put(3)
        assert len(take(intake, 3)) == 3
        cable.cut()
        assert [d.payload for d in take(intake, 3)] == [b"message 1", b"message 2", b"message 3"]
        assert uplink.status().connects == 2
    cable.close()


@every_broker
def test_birth_will_and_goodbye_are_seen_by_the_central(site: Site) -> None:
    intake = site.intake()
    cable = FaultProxy(site.address("van-1"))
    uplink = site.uplink(MemoryOutbox(), address=cable.address)
    states: list[tuple[str, bytes]] = []

    def last_is(presence: bytes) -> bool:
        for delivery in intake.batch(10, 0.05):
            states.append((delivery.topic, delivery.payload))
            delivery.ack()
        return states[-1:] == [(state(TENANT, "van-1"), presence)]

    with running(intake):
        with running(uplink):
            assert eventually(lambda: last_is(b"online"))
            cable.cut()
            assert eventually(lambda: uplink.status().connects == 2)
            assert eventually(lambda: last_is(b"online"))
            assert (state(TENANT, "van-1"), b"offline") in states
        assert eventually(lambda: last_is(b"offline"))
    cable.close()


@every_broker
def test_a_late_central_learns_of_births_by_their_retained_message(site: Site) -> None:
    intake = site.intake()
    with running(site.uplink(MemoryOutbox())):
        with running(intake):
            assert eventually(lambda: intake.status().arrived == 1)
            (birth,) = intake.batch(1, 1.0)
    assert (birth.topic, birth.payload, birth.is_retained) == (
        state(TENANT, "van-1"),
        b"online",
        True,
    )


@pytest.mark.parametrize(
    "topic", [up(TENANT, "van-1", Lane.EVIDENCE), state(TENANT, "van-1"), receipts(TENANT, "van-1")]
)
@every_broker
def test_a_device_cannot_publish_in_the_name_of_another(site: Site, topic: str) -> None:
    intake = site.intake()
    victim = opened(Session(address=site.address("van-1"), client_id="victim"))
    victim.subscribe([receipts(TENANT, "van-1")])
    assert next_event(victim, Granted)
    with running(intake):
        thief = opened(Session(address=site.address("atm-1"), client_id="thief"))
        thief.publish(topic, b"forged")
        time.sleep(0.3)
        thief.close()
        honest = opened(Session(address=site.address("atm-1"), client_id="honest"))
        honest.publish(up(TENANT, "atm-1", Lane.EVIDENCE), b"own")
        assert [(d.topic, d.payload) for d in take(intake, 1)] == [
            (up(TENANT, "atm-1", Lane.EVIDENCE), b"own")
        ]
        assert intake.status().arrived == 1
        honest.close()
    assert next_event(victim, Arrived, 0.2) is None
    victim.close()


@every_broker
def test_a_device_cannot_read_the_receipts_of_another(site: Site) -> None:
    intake = site.intake()
    with running(intake):
        thief = opened(Session(address=site.address("atm-1"), client_id="thief"))
        thief.subscribe([receipts(TENANT, "van-1")])
        thief.subscribe(["#"])
        thief.subscribe([receipts(TENANT, "atm-1")])
        for _ in range(3):
            assert next_event(thief, Granted)
        intake.publish(receipts(TENANT, "van-1"), b"not for you")
        intake.publish(receipts(TENANT, "atm-1"), b"for you")
        arrived = next_event(thief, Arrived)
        assert isinstance(arrived, Arrived)
        assert arrived.payload == b"for you"
        assert next_event(thief, Arrived, 0.3) is None
        thief.close()


def test_a_device_without_its_grant_is_not_heard_any_more(site: Site, broker_kind: str) -> None:
    intake, outbox = site.intake(), MemoryOutbox()
    kept, revoked = site.uplink(MemoryOutbox(), "atm-1"), site.uplink(outbox)
    with running(intake, kept, revoked):
        site.broker.reload([DeviceGrant(TENANT, "atm-1")])
        time.sleep(0.3)
        outbox.put()
        assert [d for d in intake.batch(10, 0.7) if "/up/" in d.topic] == []
        assert eventually(lambda: kept.is_connected)
        assert outbox.seqs == [1]
        if broker_kind == "nats":  # mosquitto knows the certificate still, and only denies
            assert eventually(lambda: _kind_of(revoked) is ProblemKind.NOT_AUTHORISED)


def test_a_reload_with_the_same_grants_disturbs_nobody(site: Site) -> None:
    uplink, intake = site.uplink(MemoryOutbox()), site.intake()
    with running(intake, uplink):
        site.broker.reload()
        time.sleep(0.5)
        assert (uplink.status().connects, intake.status().connects) == (1, 1)


@every_broker
def test_an_unreachable_broker_is_reported_and_found_when_it_appears(site: Site) -> None:
    site.broker.stop()
    outbox, intake = MemoryOutbox(), site.intake()
    uplink = site.uplink(outbox)
    outbox.put()
    uplink.start()
    intake.start()
    assert eventually(lambda: uplink.problem is not None)
    problem = uplink.status().problem
    assert problem is not None
    assert problem.kind is ProblemKind.REFUSED
    assert str(site.broker.port) in problem.detail
    site.broker.start()
    assert [d.payload for d in take(intake, 1)] == [b"message 1"]
    assert uplink.status().problem is None
    assert uplink.stop()
    assert intake.stop()


@pytest.mark.mosquitto
def test_mqtt_5_says_when_nobody_would_get_a_message(
    mosquitto: str, authority: Authority, tmp_path: Path
) -> None:
    site = Site(make_broker("mosquitto", tmp_path / "broker", authority), authority, tmp_path)
    site.broker.start()
    outbox = MemoryOutbox()
    outbox.put()
    with_5 = UplinkSettings(protocol=Protocol.MQTT_5, resend_min_s=0.2, resend_max_s=0.2)
    uplink = site.uplink(outbox, settings=with_5)
    with running(uplink):
        # 0x10, no matching subscribers: for the birth, the message, and the message again
        assert eventually(lambda: uplink.status().not_delivered >= 3)
        intake = site.intake(protocol=Protocol.MQTT_5)
        with running(intake):
            assert take(intake, 1)[0].payload == b"message 1"
            assert eventually(lambda: uplink.status().in_flight == 1)
            site.broker.reload([])
            before = uplink.status().not_delivered
            # 0x87, not authorised
            assert eventually(lambda: uplink.status().not_delivered > before)
    assert outbox.seqs == [1]
    site.broker.stop()


def test_a_broker_that_knows_no_mqtt_5_is_named(authority: Authority, tmp_path: Path) -> None:
    site = Site(make_broker("nats", tmp_path / "broker", authority), authority, tmp_path)
    site.broker.start()
    uplink = site.uplink(MemoryOutbox(), settings=UplinkSettings(protocol=Protocol.MQTT_5))
    uplink.start()
    assert eventually(lambda: _kind_of(uplink) is ProblemKind.PROTOCOL)
    assert uplink.problem is not None
    assert "protocol version" in uplink.problem.detail
    assert uplink.stop()
    site.broker.stop()


def test_a_broker_without_tls_serves_tests(
    broker_kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    broker = make_broker(broker_kind, tmp_path_factory.mktemp("plain"), None)
    broker.start()
    connection = opened(Session(address=broker.address(), client_id="anyone"))
    connection.subscribe(["v1/#"])
    assert next_event(connection, Granted)
    connection.publish("v1/demo/up/van-1/evt", b"hello")
    arrived = next_event(connection, Arrived)
    assert isinstance(arrived, Arrived)
    assert arrived.payload == b"hello"
    assert connection.close()
    ended = next_event(connection, Ended, 1.0)
    assert isinstance(ended, Ended)
    assert ended.problem is None
    broker.stop()
