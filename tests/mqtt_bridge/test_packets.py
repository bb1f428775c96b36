"""Packets as bytes, and the flow of messages that is made of them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from mqtt_bridge.buffered import BufferedSocket
from mqtt_bridge.connection import Protocol, Session
from mqtt_bridge.events import Acked, Arrived, Taken
from mqtt_bridge.flow import MAX_UNACKED, Flow
from mqtt_bridge.packets import (
    MAX_PACKET_BYTES,
    MQTT_5,
    Kind,
    MalformedPacketError,
    Publish,
    packet,
    puback,
    publish,
    read_puback,
    read_publish,
    span_at,
    text,
)
from mqtt_bridge.testing import HostileBroker, RawPeer
from mqtt_bridge.testing.packets import Packet, matches
from tests.mqtt_bridge.doubles import next_event, opened

VERSIONS = (4, MQTT_5)
TOPICS = st.text(min_size=1, max_size=20)


@given(TOPICS, st.binary(max_size=300), st.integers(1, 0xFFFF), st.booleans())
@pytest.mark.parametrize("version", VERSIONS)
def test_a_message_is_read_as_it_was_written(
    version: int, topic: str, payload: bytes, packet_id: int, is_retained: bool
) -> None:
    raw = publish(topic, payload, packet_id, version, is_retained=is_retained)
    span = span_at(raw, 0)
    assert span is not None
    assert span[1] == len(raw)
    assert all(span_at(raw[:end], 0) is None for end in range(len(raw)))
    found = read_publish(raw[0], raw[slice(*span)], version)
    assert found == Publish(topic, payload, packet_id, is_retained)


def test_the_bytes_of_a_message_are_those_of_the_standard() -> None:
    """MQTT 3.1.1 section 3.3: type and flags, length, topic, packet id, payload."""
    assert publish("a/b", b"hi", 10, 4) == b"\x32\x09\x00\x03a/b\x00\x0ahi"
    assert publish("a/b", b"hi", 10, MQTT_5) == b"\x32\x0a\x00\x03a/b\x00\x0a\x00hi"
    assert publish("a", b"", 1, 4, is_retained=True)[0] == 0x33
    assert publish("a", bytes(200), 1, 4)[:3] == b"\x32\xcd\x01"
    assert puback(10, 4, 0x87) == b"\x40\x02\x00\x0a"
    assert puback(10, MQTT_5, 0x87) == b"\x40\x03\x00\x0a\x87"


def test_properties_are_passed_over() -> None:
    properties = b"\x0b\x26\x00\x01k\x00\x05value"
    body = text("a") + b"\x00\x01" + properties + b"rest"
    assert read_publish(0x32, body, MQTT_5) == Publish("a", b"rest", 1, False)
    assert read_puback(b"\x00\x07\x10\x00") == (7, 0x10)
    assert read_puback(b"\x00\x07") == (7, 0)


@pytest.mark.parametrize("version", VERSIONS)
@given(first=st.integers(0x30, 0x3F), body=st.binary(max_size=40))
def test_no_bytes_are_read_as_more_than_they_hold(version: int, first: int, body: bytes) -> None:
    try:
        found = read_publish(first, body, version)
    except MalformedPacketError:
        return
    assert found.topic
    assert len(found.payload) < len(body)
    assert (found.packet_id > 0) == bool(first & 0x06)
    assert body.endswith(found.payload)


@pytest.mark.parametrize(
    ("first", "body"),
    [
        (0x34, b"\x00\x01a\x00\x01"),  # QoS 2
        (0x36, b"\x00\x01a\x00\x01"),  # both bits
        (0x32, b"\x00\x01a\x00\x00"),  # packet id 0
        (0x32, b"\x00\x01a\x01"),
        (0x30, b"\x00\x05a"),
        (0x30, b"\x00"),
        (0x30, b"\x00\x00payload"),
        (0x30, b"\x00\x01\xff"),
    ],
)
def test_a_message_that_the_standard_forbids_is_refused(first: int, body: bytes) -> None:
    with pytest.raises(MalformedPacketError):
        read_publish(first, body, 4)


def test_a_packet_beyond_any_of_ours_is_refused_before_it_fills_the_memory() -> None:
    longest = packet(Kind.PUBLISH, bytes(MAX_PACKET_BYTES))
    assert span_at(longest, 0) == (4, len(longest))
    with pytest.raises(MalformedPacketError):
        span_at(packet(Kind.PUBLISH, bytes(MAX_PACKET_BYTES + 1))[:8], 0)
    with pytest.raises(MalformedPacketError):
        span_at(b"\x30\xff\xff\xff\xff\x01", 0)
    with pytest.raises(MalformedPacketError):
        read_publish(0x32, b"\x00\x01a\x00\x01\xff\xff\xff\xff\xff\x00", MQTT_5)


@given(
    st.lists(st.sampled_from(["a", "b", "+", "#"]), min_size=1, max_size=4),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4),
)
def test_the_broker_of_tests_matches_filters_as_paho_does(
    levels: list[str], given_levels: list[str]
) -> None:
    if "#" in levels[:-1]:
        return  # no filter
    wanted, topic = "/".join(levels), "/".join(given_levels)
    assert matches(wanted, topic) == topic_matches_sub(wanted, topic)


# -- the flow ---------------------------------------------------------------------------------


@pytest.fixture
def ends() -> Iterator[tuple[BufferedSocket, socket.socket]]:
    here, there = socket.socketpair()
    here.setblocking(False)
    yield BufferedSocket(here), there
    here.close()
    there.close()


def a_flow(version: int = 4) -> tuple[Flow, list[Arrived], list[Acked]]:
    arrived: list[Arrived] = []
    acked: list[Acked] = []
    return Flow(version, arrived.append, acked.append), arrived, acked


def never() -> bool:
    return False


def test_ids_are_never_shared_by_two_messages_on_their_way(
    ends: tuple[BufferedSocket, socket.socket],
) -> None:
    pipe, peer = ends
    flow, _, _ = a_flow()

    def send() -> int | None:
        mid = flow.publish(pipe, "a", b"", is_retained=False)
        pipe._unsent.clear()
        return mid

    first = send()
    assert first is not None
    assert first > 255, "what is below is paho's, for subscriptions"
    for _ in range(70_000):
        mid = send()
        assert mid not in {None, first}
        assert mid is not None
        assert mid > 255
        peer.sendall(puback(mid, 4))
        pipe.fill()
        flow.read(pipe, never)
    flow.take_taken()
    others = [send() for _ in range(MAX_UNACKED - 1)]
    assert len({first, *others}) == MAX_UNACKED
    assert send() is None
    peer.sendall(puback(first, 4) + puback(first, 4) + puback(77, 4))
    pipe.fill()
    flow.read(pipe, never)
    assert flow.take_taken() == (first,), "once, and not of a message that never was"
    assert flow.take_taken() == ()
    assert send() is not None


def test_reading_stops_where_it_is_told_to_and_goes_on_there(
    ends: tuple[BufferedSocket, socket.socket],
) -> None:
    pipe, peer = ends
    flow, arrived, _ = a_flow()
    peer.sendall(b"".join(publish("a", b"%d" % n, n, 4) for n in range(1, 6)))
    pipe.fill()
    assert not flow.read(pipe, lambda: len(arrived) >= 2)
    assert [a.payload for a in arrived] == [b"1", b"2"]
    assert pipe.is_pending
    assert not flow.read(pipe, never)
    assert [(a.payload, a.mid) for a in arrived] == [(b"%d" % n, n) for n in range(1, 6)]
    assert not pipe.is_pending


def test_what_does_not_flow_is_left_where_it_lies(
    ends: tuple[BufferedSocket, socket.socket],
) -> None:
    pipe, peer = ends
    flow, arrived, _ = a_flow()
    peer.sendall(publish("a", b"x", 1, 4) + packet(Kind.PINGRESP) + publish("a", b"y", 2, 4)[:-1])
    pipe.fill()
    assert flow.read(pipe, never)
    assert pipe.recv(2) == packet(Kind.PINGRESP)
    assert not flow.read(pipe, never)
    assert (len(arrived), pipe.is_pending) == (1, False)
    peer.sendall(b"y")
    peer.close()
    pipe.fill()
    assert not flow.read(pipe, never)
    assert [a.payload for a in arrived] == [b"x", b"y"]
    assert pipe.has_ended
    assert pipe.recv(1) == b""


@pytest.mark.parametrize(
    ("reason", "is_refused", "words"),
    [
        (0x10, False, "No matching subscribers"),
        (0x87, True, "Not authorized"),
        (0x97, False, "Quota exceeded"),
    ],
)
def test_a_bad_puback_says_why(
    ends: tuple[BufferedSocket, socket.socket], reason: int, is_refused: bool, words: str
) -> None:
    pipe, peer = ends
    flow, _, acked = a_flow(MQTT_5)
    mid = flow.publish(pipe, "a", b"", is_retained=False)
    assert mid is not None
    peer.sendall(puback(mid, MQTT_5, reason))
    pipe.fill()
    flow.read(pipe, never)
    assert acked == [Acked(mid, False, words, is_refused)]
    assert flow.take_taken() == ()


def test_a_reason_that_no_standard_knows_ends_the_connection(
    ends: tuple[BufferedSocket, socket.socket],
) -> None:
    pipe, peer = ends
    flow, _, _ = a_flow(MQTT_5)
    mid = flow.publish(pipe, "a", b"", is_retained=False)
    assert mid is not None
    peer.sendall(puback(mid, MQTT_5, 0xEE))
    pipe.fill()
    with pytest.raises(MalformedPacketError):
        flow.read(pipe, never)


@given(st.binary(max_size=60), st.sampled_from(VERSIONS))
def test_whatever_a_broker_sends_is_a_packet_or_no_mqtt(noise: bytes, version: int) -> None:
    here, there = socket.socketpair()
    here.setblocking(False)
    pipe = BufferedSocket(here)
    flow, _, _ = a_flow(version)
    there.sendall(noise)
    there.close()
    pipe.fill()
    try:
        while flow.read(pipe, never):
            head = pipe.packet()
            assert head is not None
            pipe.take(head)
    except MalformedPacketError:
        pass
    pipe.close()


def test_no_more_is_on_its_way_than_the_broker_takes() -> None:
    receive_maximum = b"\x21\x00\x03"
    connack = packet(Kind.CONNACK, b"\0\0" + bytes((len(receive_maximum),)) + receive_maximum)
    with RawPeer(connack, stays=True) as broker:
        sender = opened(Session(address=broker.address, client_id="p", protocol=Protocol.MQTT_5))
        mids = [sender.publish("a", b"") for _ in range(4)]
        assert None not in mids[:3]
        assert mids[3] is None
        sender.close()


class _Listing(HostileBroker):
    """Remembers the kinds of the packets that come."""

    def __init__(self) -> None:
        self.kinds: list[int] = []
        super().__init__()

    def _answer(self, guest: object, got: Packet) -> bool:
        self.kinds.append(got.kind)
        return super()._answer(guest, got)  # type: ignore[arg-type]


def test_a_subscription_goes_before_what_is_published_after_it() -> None:
    """Or the receipt of a message comes to nobody, because nobody has subscribed yet."""
    with _Listing() as broker:
        sender = opened(Session(address=broker.address, client_id="p"))
        with sender._talking:  # the connection's thread looks only when both are there
            sender.subscribe(["a"])
            sender.publish("a", b"x")
        assert isinstance(next_event(sender, Taken), Taken)
        assert broker.kinds[:3] == [Kind.CONNECT, Kind.SUBSCRIBE, Kind.PUBLISH]
        sender.close()


class _Mute(HostileBroker):
    """Takes and delivers messages, and never answers a ping."""

    def _answer(self, guest: object, got: Packet) -> bool:
        is_ping = got.kind == Kind.PINGREQ
        return True if is_ping else super()._answer(guest, got)  # type: ignore[arg-type]


def test_messages_that_flow_are_a_sign_of_life() -> None:
    with _Mute() as broker:
        sender = opened(Session(address=broker.address, client_id="p", keepalive_s=1))
        until = time.monotonic() + 3.5
        while time.monotonic() < until:
            assert sender.publish("a/b", b"x") is not None
            time.sleep(0.1)
        assert sender.is_open
        sender.close()
