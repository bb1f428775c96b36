"""A peer that accepts the connection and answers anything: always a problem, never a crash."""

from __future__ import annotations

import contextlib
import time
from queue import Empty

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.authority import Authority
from contract.clock import SystemClock, UnixMicros, VirtualClock
from mqtt_bridge.connection import Connection, Protocol, Session
from mqtt_bridge.diagnosis import ProblemKind, of_disconnect
from mqtt_bridge.events import Ended, Event
from mqtt_bridge.ports import BrokerAddress
from mqtt_bridge.testing import RawPeer
from mqtt_bridge.uplink import Uplink
from tests.mqtt_bridge.doubles import (
    TENANT,
    MemoryOutbox,
    a_state,
    enrolled,
    eventually,
    quick_backoff,
)

CONNACK = b"\x20\x02\x00\x00"
CONNACK_5 = b"\x20\x03\x00\x00\x00"


def events_until_the_end(
    address: BrokerAddress, protocol: Protocol = Protocol.MQTT_3_1_1
) -> list[Event]:
    session = Session(address=address, client_id="guest", protocol=protocol, connect_timeout_s=0.5)
    connection = Connection(session)
    connection.start()
    events: list[Event] = []
    until = time.monotonic() + 5.0
    while time.monotonic() < until and not any(isinstance(e, Ended) for e in events):
        with contextlib.suppress(Empty):
            events.append(connection.events.get(timeout=0.1))
    assert connection.close()
    return events


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (b"", ProblemKind.LOST),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ProblemKind.LOST),
        (b"\x20", ProblemKind.LOST),
        (b"\x20\xff\xff\xff\xff\xff", ProblemKind.PROTOCOL),
        (b"\x20\x00", ProblemKind.LOST),
        (b"\x20\x02\x00\x05", ProblemKind.NOT_AUTHORISED),
        (b"\x20\x02\x00\x03", ProblemKind.BUSY),
        (CONNACK, ProblemKind.LOST),
        (CONNACK + b"\x90\x01\x00", ProblemKind.LOST),
        (CONNACK + b"\x40\x00", ProblemKind.PROTOCOL),
        (CONNACK + b"\x30\x04\x00\x02\xff\xfe", ProblemKind.PROTOCOL),
        (CONNACK + CONNACK + b"\xf0\x00", ProblemKind.LOST),
    ],
)
def test_every_answer_ends_in_a_named_problem(lines: bytes, kind: ProblemKind) -> None:
    with RawPeer(lines) as broker:
        last = events_until_the_end(broker.address)[-1]
    assert isinstance(last, Ended)
    assert last.problem is not None
    assert last.problem.kind is kind
    assert last.problem.detail


def test_a_peer_that_accepts_and_says_nothing_is_given_up() -> None:
    with RawPeer(b"", stays=True) as broker:
        last = events_until_the_end(broker.address)[-1]
    assert isinstance(last, Ended)
    assert last.problem is not None
    assert last.problem.kind is ProblemKind.TIMEOUT


@settings(max_examples=60, deadline=None)
@given(noise=st.binary(max_size=64), is_welcomed=st.booleans(), protocol=st.sampled_from(Protocol))
def test_any_bytes_end_in_one_problem(noise: bytes, is_welcomed: bool, protocol: Protocol) -> None:
    welcome = {Protocol.MQTT_3_1_1: CONNACK, Protocol.MQTT_5: CONNACK_5}[protocol]
    with RawPeer((welcome if is_welcomed else b"") + noise) as broker:
        events = events_until_the_end(broker.address, protocol)
    assert [type(e) for e in events].count(Ended) == 1
    last = events[-1]
    assert isinstance(last, Ended)
    assert last.problem is not None
    assert last.problem.kind is not ProblemKind.INTERNAL


def test_garbage_instead_of_tls_is_a_problem_too(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    papers = enrolled(authority, tmp_path_factory.mktemp("dev"), "van-1")
    for lines in (b"", b"\x15\x03\x01\x00\x02\x02\x28", b"garbage garbage"):
        with RawPeer(lines) as broker:
            address = BrokerAddress(host="127.0.0.1", port=broker.address.port, tls=papers)
            last = events_until_the_end(address)[-1]
        assert isinstance(last, Ended)
        assert last.problem is not None
        assert last.problem.kind in {ProblemKind.TLS, ProblemKind.LOST}


def test_an_expired_certificate_is_named_even_if_the_broker_only_hangs_up(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    long_ago = VirtualClock(UnixMicros(SystemClock().wall() - 60 * 86400 * 1_000_000))
    old = Authority.load(authority.certificate_path.parent, clock=long_ago)
    address = BrokerAddress(
        host="b", port=1, tls=enrolled(old, tmp_path_factory.mktemp("dev"), "van-1")
    )
    before = of_disconnect("Unspecified error", "", address, SystemClock(), was_open=False)
    assert before.kind is ProblemKind.OWN_CERTIFICATE_EXPIRED
    later = of_disconnect("Unspecified error", "", address, SystemClock(), was_open=True)
    assert later.kind is ProblemKind.LOST


def test_an_uplink_survives_a_hostile_broker_and_stops_when_told() -> None:
    outbox = MemoryOutbox()
    outbox.put(3)
    with RawPeer(CONNACK + b"\x40\x02\x00\x63" + b"\xff\xff") as broker:
        uplink = Uplink(broker.address, TENANT, "van-1", outbox, a_state, backoff=quick_backoff())
        uplink.start()
        assert eventually(lambda: uplink.status().connects >= 3)
        assert uplink.is_running
        assert uplink.stop()  # in time: False says that a thread still runs
    assert outbox.seqs == [1, 2, 3]


def test_stop_is_bounded_while_a_peer_keeps_silent() -> None:
    with RawPeer(b"", stays=True) as broker:
        uplink = Uplink(
            broker.address, TENANT, "van-1", MemoryOutbox(), a_state, backoff=quick_backoff()
        )
        uplink.start()
        time.sleep(0.2)
        assert uplink.stop()
