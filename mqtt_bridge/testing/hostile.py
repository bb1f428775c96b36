"""A broker that delivers, and plays a trick on the messages that a rule names."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from mqtt_bridge.packets import Kind, Publish, packet, puback, publish, read_publish
from mqtt_bridge.testing import packets
from mqtt_bridge.testing.packets import Packet, Reader
from mqtt_bridge.testing.peer import Server

NOT_AUTHORISED = 0x87
NO_MATCHING_SUBSCRIBERS = 0x10
_WRONG_ID = 0x7777


class Trick(StrEnum):
    """What becomes of one published message."""

    NONE = "none"
    """Acknowledged and delivered."""
    REFUSE = "refuse"
    """PUBACK with reason 0x87 in MQTT 5 (3.1.1 sees success); delivered to nobody."""
    NOBODY = "nobody"
    """PUBACK with reason 0x10, no matching subscribers; delivered to nobody."""
    SWALLOW = "swallow"
    """A good PUBACK, and delivered to nobody."""
    HANG_UP = "hang_up"
    """A good PUBACK, then the connection ends; delivered to nobody (mosquitto 2.0, 3.1.1)."""
    WRONG_ID = "wrong_id"
    """The PUBACK names a message that never was; delivered."""
    HALF = "half"
    """Half a PUBACK, then the connection ends; delivered."""
    SILENCE = "silence"
    """No PUBACK; delivered."""
    DOUBLE = "double"
    """Acknowledged and delivered, and delivered again."""
    LATE = "late"
    """Acknowledged; delivered after the next one."""


@dataclass(eq=False)
class _Guest:
    socket: socket.socket
    version: int = 4
    filters: list[str] = field(default_factory=list)
    sending: threading.Lock = field(default_factory=threading.Lock)
    next_id: int = 1

    def say(self, data: bytes) -> None:
        with self.sending, contextlib.suppress(OSError):
            self.socket.sendall(data)


class HostileBroker(Server):
    """Speaks MQTT 3.1.1 and 5, QoS 0 and 1, clean sessions only, in the clear on the loopback.

    ``trick`` is asked for every published message. Nothing is kept: who is not connected when a
    message comes will never get it.
    """

    def __init__(self, trick: Callable[[Publish], Trick] = lambda message: Trick.NONE) -> None:
        self.trick = trick
        self.published: list[Publish] = []
        """All that came, in order, tricked or not."""
        self._present: list[_Guest] = []
        self._late: list[Publish] = []
        self._lock = threading.Lock()
        super().__init__(self._converse)

    def _converse(self, end: socket.socket) -> None:
        guest, reader = _Guest(end), Reader()
        with self._lock:
            self._present.append(guest)
        try:
            while data := end.recv(65536):
                for got in reader.feed(data):
                    if not self._answer(guest, got):
                        return
        except (ValueError, IndexError):
            return  # no MQTT: the guest is shown out
        finally:
            with self._lock:
                self._present.remove(guest)
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _answer(self, guest: _Guest, got: Packet) -> bool:
        """Answer one packet; False ends the connection."""
        match got.kind:
            case Kind.CONNECT:
                guest.version = packets.read_version(got.body)
                guest.say(packets.connack(guest.version))
            case Kind.SUBSCRIBE:
                packet_id, filters = packets.read_subscribe(got.body, guest.version)
                guest.filters += filters
                guest.say(packets.suback(packet_id, len(filters), guest.version))
            case Kind.PINGREQ:
                guest.say(packet(Kind.PINGRESP))
            case Kind.PUBLISH:
                return self._take(guest, read_publish(got.first, got.body, guest.version))
            case Kind.DISCONNECT:
                return False
        return True

    def _take(self, guest: _Guest, message: Publish) -> bool:
        self.published.append(message)
        trick = self.trick(message)
        lost = {Trick.REFUSE, Trick.NOBODY, Trick.SWALLOW, Trick.HANG_UP}
        if trick not in lost:
            self._deliver(message, trick)
        if not message.packet_id:
            return trick is not Trick.HANG_UP
        reason = {Trick.REFUSE: NOT_AUTHORISED, Trick.NOBODY: NO_MATCHING_SUBSCRIBERS}
        answer = puback(message.packet_id, guest.version, reason.get(trick, 0))
        match trick:
            case Trick.SILENCE:
                return True
            case Trick.WRONG_ID:
                answer = puback(_WRONG_ID, guest.version)
            case Trick.HALF:
                answer = answer[:2]
        guest.say(answer)
        return trick not in {Trick.HANG_UP, Trick.HALF}

    def _deliver(self, message: Publish, trick: Trick) -> None:
        with self._lock:
            if trick is Trick.LATE:
                self._late.append(message)
                return
            going = [message, *([message] if trick is Trick.DOUBLE else []), *self._late]
            self._late.clear()
            for each in going:
                for guest in self._present:
                    if any(packets.matches(wanted, each.topic) for wanted in guest.filters):
                        guest.next_id = guest.next_id % 65535 + 1
                        guest.say(publish(each.topic, each.payload, guest.next_id, guest.version))
