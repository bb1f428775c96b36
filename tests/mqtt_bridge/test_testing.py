"""The test tools themselves: each trick and each fault is what it says."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqtt_bridge.connection import Connection, Protocol, Session
from mqtt_bridge.events import Acked, Arrived, Ended, Event, Granted, Taken
from mqtt_bridge.packets import Kind, packet
from mqtt_bridge.ports import BrokerAddress
from mqtt_bridge.testing import FaultProxy, Faults, HostileBroker, Trick
from mqtt_bridge.testing.packets import Packet, Reader, matches
from mqtt_bridge.testing.peer import Server
from tests.mqtt_bridge.doubles import next_event, opened


@pytest.fixture
def broker() -> Iterator[HostileBroker]:
    broker = HostileBroker()
    yield broker
    broker.close()


def guests(broker: HostileBroker, protocol: Protocol) -> tuple[Connection, Connection]:
    """A publisher and a subscriber of everything below ``a``."""
    address = broker.address
    publisher = opened(Session(address=address, client_id="p", protocol=protocol))
    subscriber = opened(Session(address=address, client_id="s", protocol=protocol))
    subscriber.subscribe(["a/#"])
    assert isinstance(next_event(subscriber, Granted), Granted)
    return publisher, subscriber


def arrivals(connection: Connection) -> list[bytes]:
    payloads = []
    while isinstance(event := next_event(connection, Arrived, 0.3), Arrived):
        payloads.append(event.payload)
        connection.acknowledge(event.mid)
    return payloads


@pytest.mark.parametrize("protocol", list(Protocol))
@pytest.mark.parametrize(
    ("trick", "came"),
    [
        (Trick.NONE, [b"1", b"2"]),
        (Trick.REFUSE, [b"2"]),
        (Trick.NOBODY, [b"2"]),
        (Trick.SWALLOW, [b"2"]),
        (Trick.WRONG_ID, [b"1", b"2"]),
        (Trick.SILENCE, [b"1", b"2"]),
        (Trick.DOUBLE, [b"1", b"1", b"2"]),
        (Trick.LATE, [b"2", b"1"]),
    ],
)
def test_each_trick_is_played_on_the_message_it_is_meant_for(
    broker: HostileBroker, trick: Trick, came: list[bytes], protocol: Protocol
) -> None:
    broker.trick = lambda message: trick if message.payload == b"1" else Trick.NONE
    publisher, subscriber = guests(broker, protocol)
    first, second = publisher.publish("a/b", b"1"), publisher.publish("a/b", b"2")
    taken: set[int | None] = set()
    denied: set[int | None] = set()
    while (event := next_event(publisher, (Acked, Taken), 0.3)) is not None:
        if isinstance(event, Taken):
            taken.update(event.mids)
        elif isinstance(event, Acked):
            denied.add(event.mid)
    is_denied = protocol is Protocol.MQTT_5 and trick in {Trick.REFUSE, Trick.NOBODY}
    assert denied == ({first} if is_denied else set())
    assert second in taken
    assert (first in taken) is not (is_denied or trick in {Trick.WRONG_ID, Trick.SILENCE})
    assert arrivals(subscriber) == came
    assert [m.payload for m in broker.published] == [b"1", b"2"]
    publisher.close()
    subscriber.close()


@pytest.mark.parametrize("trick", [Trick.HANG_UP, Trick.HALF])
def test_some_tricks_end_the_connection(broker: HostileBroker, trick: Trick) -> None:
    broker.trick = lambda message: trick
    publisher, subscriber = guests(broker, Protocol.MQTT_3_1_1)
    publisher.publish("a/b", b"1")
    seen: list[Event] = []
    while not (seen and isinstance(seen[-1], Ended)):
        seen.append(publisher.events.get(timeout=30))
    assert any(isinstance(event, Taken) for event in seen) is (trick is Trick.HANG_UP)
    assert arrivals(subscriber) == ([b"1"] if trick is Trick.HALF else [])
    publisher.close()
    subscriber.close()


@given(st.binary(max_size=60), st.integers(1, 7))
def test_packets_are_read_whatever_the_pieces_are(noise: bytes, size: int) -> None:
    raw = packet(Kind.PUBLISH, noise * 5) + packet(Kind.PINGREQ)
    reader = Reader()
    found = [p for at in range(0, len(raw), size) for p in reader.feed(raw[at : at + size])]
    assert found == [Packet(0x30, noise * 5), Packet(0xC0, b"")]


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=80))
def test_a_broker_of_tests_survives_any_bytes(noise: bytes) -> None:
    with HostileBroker() as broker:
        end = socket.create_connection((broker.address.host, broker.address.port), 5)
        end.sendall(noise)
        end.shutdown(socket.SHUT_WR)
        end.recv(100)
        end.close()


def test_filters_are_matched_level_by_level() -> None:
    assert matches("v1/+/up/#", "v1/demo/up/van-1/evt")
    assert matches("#", "a")
    assert not matches("v1/+", "v1/demo/up")
    assert not matches("v1/+/up", "v1/demo")


# -- the line -----------------------------------------------------------------------------------


@pytest.fixture
def echo() -> Iterator[Server]:
    def serve(guest: socket.socket) -> None:
        while data := guest.recv(4096):
            guest.sendall(data)
        guest.shutdown(socket.SHUT_WR)

    with Server(serve) as server:
        yield server


@pytest.fixture
def line(echo: Server) -> Iterator[Callable[..., socket.socket]]:
    proxies: list[FaultProxy] = []
    ends: list[socket.socket] = []

    def make(**faults: Faults) -> socket.socket:
        proxies.append(FaultProxy(echo.address, **faults))
        address: BrokerAddress = proxies[-1].address
        ends.append(socket.create_connection((address.host, address.port), 5))
        return ends[-1]

    yield make
    for end in ends:
        end.close()
    for proxy in proxies:
        proxy.close()


def said(end: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (piece := end.recv(4096)):
        data += piece
    return data


def test_a_good_line_passes_everything(line: Callable[..., socket.socket]) -> None:
    end = line()
    end.sendall(b"x" * 10_000)
    assert said(end, 10_000) == b"x" * 10_000


def test_a_slow_line_takes_its_time(line: Callable[..., socket.socket]) -> None:
    end = line(up=Faults(delay_s=0.1), down=Faults(bytes_per_s=1000))
    started = time.monotonic()
    end.sendall(b"x" * 100)
    assert said(end, 100) == b"x" * 100
    assert time.monotonic() - started >= 0.19


def test_a_dead_line_says_nothing(line: Callable[..., socket.socket]) -> None:
    end = line(up=Faults(is_dropping=True))
    end.sendall(b"x")
    end.settimeout(0.2)
    with pytest.raises(TimeoutError):
        end.recv(1)


def test_a_line_is_cut_at_a_byte(line: Callable[..., socket.socket]) -> None:
    end = line(up=Faults(cut_at_byte=5))
    end.sendall(b"123456789")
    assert said(end, 9) in {b"12345", b""}


def test_one_way_ends_and_the_other_stays(line: Callable[..., socket.socket]) -> None:
    end = line(up=Faults(half_close_at_byte=5))
    end.sendall(b"123456789")
    assert said(end, 9) == b"12345"
