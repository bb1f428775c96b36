"""As much of MQTT 3.1.1 and 5 as a broker of tests has to read and write. Sans I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

MQTT_5 = 5


class Kind(IntEnum):
    """Control packet types, MQTT 5 section 2.1.2."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: first byte and the bytes after the length."""

    first: int
    body: bytes

    @property
    def kind(self) -> int:
        """Type of the packet."""
        return self.first >> 4


@dataclass(frozen=True, slots=True)
class Publish:
    """A message that a client published."""

    topic: str
    payload: bytes
    packet_id: int
    """0 for QoS 0."""
    is_retained: bool


class Reader:
    """Bytes in, packets out, whatever the pieces are."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Packet]:
        """Return the packets that are complete; raises ValueError for a length of five bytes."""
        self._buffer += data
        packets = []
        while (found := _take(self._buffer)) is not None:
            packet, size = found
            packets.append(packet)
            self._buffer = self._buffer[size:]
        return packets


def _take(data: bytes) -> tuple[Packet, int] | None:
    length = 0
    for index in range(1, len(data)):
        if index > 4:
            raise ValueError("a remaining length has four bytes at most")
        length |= (data[index] & 0x7F) << (7 * (index - 1))
        if data[index] < 0x80:
            end = index + 1 + length
            return (Packet(data[0], data[index + 1 : end]), end) if len(data) >= end else None
    return None


def packet(kind: Kind, body: bytes = b"", flags: int = 0) -> bytes:
    """Return the bytes of a packet."""
    length, rest = b"", len(body)
    while True:
        rest, digit = rest >> 7, rest & 0x7F
        length += bytes([digit | (0x80 if rest else 0)])
        if not rest:
            return bytes([kind << 4 | flags]) + length + body


def text(value: str) -> bytes:
    """Return a UTF-8 string with its length."""
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def read_version(body: bytes) -> int:
    """Return the protocol level of a CONNECT."""
    name = int.from_bytes(body[:2], "big")
    return body[2 + name]


def read_publish(source: Packet, version: int) -> Publish:
    """Return what was published."""
    size = int.from_bytes(source.body[:2], "big")
    topic, at, packet_id = source.body[2 : 2 + size].decode(), 2 + size, 0
    if source.first & 0x06:
        packet_id, at = int.from_bytes(source.body[at : at + 2], "big"), at + 2
    at = _after_properties(source.body, at, version)
    return Publish(topic, source.body[at:], packet_id, bool(source.first & 0x01))


def read_subscribe(body: bytes, version: int) -> tuple[int, list[str]]:
    """Return the packet id and the filters of a SUBSCRIBE."""
    packet_id, at, filters = int.from_bytes(body[:2], "big"), 2, []
    at = _after_properties(body, at, version)
    while at < len(body):
        size = int.from_bytes(body[at : at + 2], "big")
        filters.append(body[at + 2 : at + 2 + size].decode())
        at += 2 + size + 1
    return packet_id, filters


def _after_properties(body: bytes, at: int, version: int) -> int:
    if version != MQTT_5:
        return at
    length = shift = 0
    while True:
        digit, at = body[at], at + 1
        length |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            return at + length


def connack(version: int) -> bytes:
    """A session that is taken, without a former one."""
    return packet(Kind.CONNACK, b"\0\0" + (b"\0" if version == MQTT_5 else b""))


def puback(packet_id: int, version: int, reason: int = 0) -> bytes:
    """An acknowledgement; 3.1.1 has no word for a reason."""
    words = bytes([reason]) if version == MQTT_5 and reason else b""
    return packet(Kind.PUBACK, packet_id.to_bytes(2, "big") + words)


def suback(packet_id: int, count: int, version: int) -> bytes:
    """All filters granted with QoS 1."""
    properties = b"\0" if version == MQTT_5 else b""
    return packet(Kind.SUBACK, packet_id.to_bytes(2, "big") + properties + b"\x01" * count)


def publish(topic: str, payload: bytes, packet_id: int, version: int) -> bytes:
    """A QoS 1 message to a subscriber."""
    properties = b"\0" if version == MQTT_5 else b""
    body = text(topic) + packet_id.to_bytes(2, "big") + properties + payload
    return packet(Kind.PUBLISH, body, flags=0x02)


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a filter with ``+`` and ``#`` takes a topic."""
    wanted, given = topic_filter.split("/"), topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(given) or level not in {"+", given[index]}:
            return False
    return len(wanted) == len(given)
