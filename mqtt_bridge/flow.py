"""The flow of QoS 1 messages and their PUBACKs over one connection, both ways.

paho opens and keeps the connection, subscribes and says goodbye. What flows goes past it: a message
and its PUBACK passed through so many of its hands that they cost more than a signature does.
Nothing here waits or knows a thread; the connection's lock is held by whoever calls.
"""

from __future__ import annotations

import collections
from collections.abc import Callable

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from mqtt_bridge.buffered import BufferedSocket
from mqtt_bridge.events import Acked, Arrived
from mqtt_bridge.packets import (
    Kind,
    MalformedPacketError,
    puback,
    publish,
    read_puback,
    read_publish,
)

MAX_UNACKED = 1000
"""Own QoS 1 messages without a PUBACK; more are refused instead of filling memory."""

_FIRST_ID = 256
"""Packet ids below are left to paho, for the few subscriptions of a connection."""
_LAST_ID = 0xFFFF
_FIRST_FAILURE_CODE = 0x80
_NO_MATCHING_SUBSCRIBERS = 0x10
_REFUSING_CODES = {0x80, 0x83, 0x87, 0x90, 0x99}
"""PUBACK reasons about the message itself (MQTT 5 section 3.4.2.1). 0x91 (packet id in use) and
0x97 (quota exceeded) are about the moment."""


class Flow:
    """Messages of one connection; a new connection has a new one."""

    def __init__(
        self, version: int, on_arrived: Callable[[Arrived], None], on_acked: Callable[[Acked], None]
    ) -> None:
        self._version = version
        self._on_arrived = on_arrived
        self._on_acked = on_acked
        self._last_id = _FIRST_ID - 1
        self._unacked: set[int] = set()
        self._owed: collections.deque[int] = collections.deque()
        self._taken: list[int] = []
        self._limit = MAX_UNACKED

    def limit_to(self, messages: int) -> None:
        """Keep to what the broker takes without a PUBACK (MQTT 5's Receive Maximum)."""
        self._limit = min(MAX_UNACKED, messages)

    def publish(
        self, pipe: BufferedSocket, topic: str, payload: bytes, *, is_retained: bool
    ) -> int | None:
        """Put a message into the buffer; returns its packet id, None if too many wait already."""
        if len(self._unacked) >= self._limit:
            return None
        mid = self._last_id
        while True:
            mid = mid + 1 if mid < _LAST_ID else _FIRST_ID
            if mid not in self._unacked:
                break
        pipe.put(publish(topic, payload, mid, self._version, is_retained=is_retained))
        self._last_id = mid
        self._unacked.add(mid)
        return mid

    def acknowledge(self, mid: int) -> None:
        """Owe the broker a PUBACK, without a lock; :meth:`write` puts it into the buffer."""
        self._owed.append(mid)

    def write(self, pipe: BufferedSocket) -> None:
        """Put the PUBACKs that are owed into the buffer."""
        while self._owed:
            pipe.put(puback(self._owed.popleft(), self._version))

    def read(self, pipe: BufferedSocket, is_paused: Callable[[], bool]) -> bool:
        """Take what flows out of the buffer; True: next in it is a packet of another kind.

        Raises MalformedPacketError.
        """
        while (head := pipe.packet()) is not None and not is_paused():
            match head.first >> 4:
                case Kind.PUBLISH:
                    sent = read_publish(head.first, pipe.take(head), self._version)
                    self._on_arrived(
                        Arrived(sent.topic, sent.payload, sent.is_retained, sent.packet_id)
                    )
                case Kind.PUBACK:
                    self._note_puback(*read_puback(pipe.take(head)))
                case _:
                    return True
        return False

    def take_taken(self) -> tuple[int, ...]:
        """Packet ids whose PUBACKs said nothing more, since the last call."""
        taken = tuple(self._taken)
        self._taken.clear()
        return taken

    def _note_puback(self, mid: int, reason: int) -> None:
        if mid not in self._unacked:
            return  # of a message that never was
        self._unacked.discard(mid)
        is_taken = reason < _FIRST_FAILURE_CODE and reason != _NO_MATCHING_SUBSCRIBERS
        if is_taken:
            self._taken.append(mid)
        else:
            self._on_acked(Acked(mid, is_taken, _word(reason), reason in _REFUSING_CODES))


def _word(reason: int) -> str:
    try:
        return str(ReasonCode(PacketTypes.PUBACK, identifier=reason))
    except (KeyError, AssertionError) as error:
        raise MalformedPacketError(f"a PUBACK of reason 0x{reason:02x}") from error
