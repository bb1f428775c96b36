"""What a broker of tests has to read and write beside messages. Sans I/O."""

from __future__ import annotations

from dataclasses import dataclass

from mqtt_bridge.packets import MQTT_5, Kind, after_properties, packet, span_at


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: first byte and the bytes after the length."""

    first: int
    body: bytes

    @property
    def kind(self) -> int:
        """Type of the packet."""
        return self.first >> 4


class Reader:
    """Bytes in, packets out, whatever the pieces are."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Packet]:
        """Return the packets that are complete; raises ValueError for a length that is too long."""
        self._buffer += data
        packets, at = [], 0
        while (span := span_at(self._buffer, at)) is not None:
            packets.append(Packet(self._buffer[at], self._buffer[slice(*span)]))
            at = span[1]
        self._buffer = self._buffer[at:]
        return packets


def read_version(body: bytes) -> int:
    """Return the protocol level of a CONNECT."""
    name = int.from_bytes(body[:2], "big")
    return body[2 + name]


def read_subscribe(body: bytes, version: int) -> tuple[int, list[str]]:
    """Return the packet id and the filters of a SUBSCRIBE."""
    packet_id, at, filters = int.from_bytes(body[:2], "big"), 2, []
    if version == MQTT_5:
        at = after_properties(body, at)
    while at < len(body):
        size = int.from_bytes(body[at : at + 2], "big")
        filters.append(body[at + 2 : at + 2 + size].decode())
        at += 2 + size + 1
    return packet_id, filters


def connack(version: int) -> bytes:
    """A session that is taken, without a former one."""
    return packet(Kind.CONNACK, b"\0\0" + (b"\0" if version == MQTT_5 else b""))


def suback(packet_id: int, count: int, version: int) -> bytes:
    """All filters granted with QoS 1."""
    properties = b"\0" if version == MQTT_5 else b""
    return packet(Kind.SUBACK, packet_id.to_bytes(2, "big") + properties + b"\x01" * count)


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a filter with ``+`` and ``#`` takes a topic."""
    wanted, given = topic_filter.split("/"), topic.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(given) or level not in {"+", given[index]}:
            return False
    return len(wanted) == len(given)
