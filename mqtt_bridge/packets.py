"""The packets that carry messages, as bytes (section 3 of MQTT 3.1.1 and of 5). Sans I/O."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import IntEnum

MQTT_5 = 5
MAX_PACKET_BYTES = 1 << 20
"""No message of ours is longer than 64 KiB, and nobody shall fill the memory with one packet."""

_QOS_1 = 0x02
_QOS = 0x06
_RETAIN = 0x01
_MAX_LENGTH_BYTES = 4


class MalformedPacketError(ValueError):
    """Bytes that MQTT does not allow, or not from this side."""


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
class Publish:
    """A message."""

    topic: str
    payload: bytes
    packet_id: int
    """0 for QoS 0."""
    is_retained: bool


def span_at(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the body of the packet that begins at ``at`` begins and ends.

    None: its bytes are not all there. Raises MalformedPacketError for a length that is too long.
    """
    length, have = 0, len(data)
    for index in range(_MAX_LENGTH_BYTES):
        place = at + 1 + index
        if place >= have:
            return None
        digit = data[place]
        length |= (digit & 0x7F) << (7 * index)
        if digit < 0x80:
            if length > MAX_PACKET_BYTES:
                raise MalformedPacketError(f"a packet of {length} bytes")
            end = place + 1 + length
            return (place + 1, end) if end <= have else None
    raise MalformedPacketError("a remaining length has four bytes at most")


def packet(kind: Kind, body: bytes = b"", flags: int = 0) -> bytes:
    """Return the bytes of a packet."""
    return bytes((kind << 4 | flags,)) + _length(len(body)) + body


def _length(size: int) -> bytes:
    length = b""
    while True:
        size, digit = size >> 7, size & 0x7F
        length += bytes((digit | (0x80 if size else 0),))
        if not size:
            return length


def text(value: str) -> bytes:
    """Return a UTF-8 string with its length."""
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


@functools.lru_cache(maxsize=256)  # a sender has few topics
def _topic(topic: str) -> bytes:
    return text(topic)


def publish(
    topic: str, payload: bytes, packet_id: int, version: int, *, is_retained: bool = False
) -> bytes:
    """A QoS 1 message."""
    name = _topic(topic)
    properties = b"\0" if version == MQTT_5 else b""
    size = len(name) + 2 + len(properties) + len(payload)
    first = Kind.PUBLISH << 4 | _QOS_1 | is_retained
    return b"".join(
        (bytes((first,)), _length(size), name, packet_id.to_bytes(2, "big"), properties, payload)
    )


def puback(packet_id: int, version: int, reason: int = 0) -> bytes:
    """An acknowledgement; 3.1.1 has no word for a reason."""
    words = bytes((reason,)) if version == MQTT_5 and reason else b""
    return packet(Kind.PUBACK, packet_id.to_bytes(2, "big") + words)


def read_publish(first: int, body: bytes, version: int) -> Publish:
    """Return what was published with QoS 0 or 1; raises MalformedPacketError for anything else."""
    end = 2 + int.from_bytes(body[:2], "big")
    at, packet_id = end, 0
    if qos := first & _QOS:
        if qos != _QOS_1:
            raise MalformedPacketError("a message of a quality that nobody asked for")
        at += 2
        packet_id = int.from_bytes(body[end:at], "big")
        if not packet_id:
            raise MalformedPacketError("a message without a packet id")
    if version == MQTT_5:
        at = after_properties(body, at)
    if at > len(body) or end == 2:
        raise MalformedPacketError("a message that ends before its topic")
    try:
        topic = body[2:end].decode()
    except UnicodeDecodeError as error:
        raise MalformedPacketError("a topic that is not UTF-8") from error
    return Publish(topic, body[at:], packet_id, bool(first & _RETAIN))


def read_puback(body: bytes) -> tuple[int, int]:
    """Return the packet id and the reason, 0 where none is given."""
    if len(body) < 2:
        raise MalformedPacketError("a PUBACK without a packet id")
    return int.from_bytes(body[:2], "big"), body[2] if len(body) > 2 else 0


def after_properties(body: bytes, at: int) -> int:
    """Where the properties of MQTT 5 that begin at ``at`` end."""
    length = 0
    for index in range(_MAX_LENGTH_BYTES):
        if at + index >= len(body):
            break
        digit = body[at + index]
        length |= (digit & 0x7F) << (7 * index)
        if digit < 0x80:
            return at + index + 1 + length
    raise MalformedPacketError("properties without an end")
