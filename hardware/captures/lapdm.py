"""LAPDm, the layer 2 of GSM's dedicated channels (TS 44.006): frames to whole layer 3 messages."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from hardware.captures.refusal import Refused, passed_over

_HEADER_BYTES = 3
MESSAGE_MAX_BYTES = 251
"""N201 times the window is less; the longest SMS is below."""
_LINKS_MAX = 64
_UI, _SABM, _UA = 0x03, 0x2F, 0x63
_POLL = 0x10


class LinkName(NamedTuple):
    """Which link a frame belongs to."""

    arfcn: int | None
    timeslot: int
    sub_slot: int
    channel: int
    is_uplink: bool
    sapi: int


@dataclass(slots=True)
class _Link:
    expected: int = 0
    part: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class Layer3:
    """One whole message and its service access point (3: short messages)."""

    sapi: int
    message: bytes


class Reassembly:
    """Puts segmented messages together, in bounded memory."""

    def __init__(self) -> None:
        self._links: OrderedDict[LinkName, _Link] = OrderedDict()

    def feed(self, frame: bytes, name: LinkName) -> Layer3:
        """Take a frame of 23 octets; raises Refused while a message is incomplete."""
        if len(frame) < _HEADER_BYTES:
            raise Refused(f"LAPDm frame of {len(frame)} bytes")
        address, control, indicator = frame[:_HEADER_BYTES]
        if not address & 1 or address & 0x60:
            raise passed_over("LAPDm frame of another format")
        sapi = address >> 2 & 0x07
        length, has_more = indicator >> 2, bool(indicator & 0x02)
        payload = frame[_HEADER_BYTES : _HEADER_BYTES + length]
        if len(payload) < length:
            raise Refused(f"LAPDm frame says {length} bytes, {len(payload)} are there")
        name = name._replace(sapi=sapi)
        unnumbered = control & ~_POLL
        if unnumbered in {_SABM, _UA}:
            self._links.pop(name, None)  # a new link begins
        if unnumbered in {_SABM, _UA, _UI}:
            if not payload:
                raise passed_over("LAPDm frame without a message")
            return Layer3(sapi, payload)
        if control & 0x01:
            raise passed_over("LAPDm supervisory frame")
        return self._information(name, control >> 1 & 0x07, payload, has_more=has_more)

    def _information(
        self, name: LinkName, number: int, payload: bytes, *, has_more: bool
    ) -> Layer3:
        link = self._links.pop(name, None)
        if link is None:
            link = _Link(expected=number)
        self._links[name] = link
        if len(self._links) > _LINKS_MAX:
            self._links.popitem(last=False)
        if number != link.expected:
            if number == (link.expected - 1) % 8:
                raise passed_over("LAPDm frame sent again")
            link.part.clear()  # one or more frames were not heard
        link.expected = (number + 1) % 8
        link.part += payload
        if len(link.part) > MESSAGE_MAX_BYTES:
            link.part.clear()
            raise Refused(f"a message of more than {MESSAGE_MAX_BYTES} bytes")
        if has_more:
            raise passed_over("LAPDm part of a message")
        message = bytes(link.part)
        link.part.clear()
        if not message:
            raise passed_over("LAPDm frame without a message")
        return Layer3(name.sapi, message)
