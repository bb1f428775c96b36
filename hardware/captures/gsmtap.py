"""GSMTAP version 2 out of captured packets: link layer, IP, UDP port 4729, GSMTAP header.

Sources: libosmocore ``gsmtap.h`` for the header, LINKTYPE_ descriptions of tcpdump.org for the link
layers. Anything else in a capture is passed over with a reason, never an error.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from hardware.captures.refusal import Refused, passed_over

GSMTAP_PORT = 4729

ETHERNET, RAW_IP, LINUX_SLL, RAW_IPV4, RAW_IPV6, LINUX_SLL2 = 1, 101, 113, 228, 229, 276
BSD_NULL, BSD_LOOP = 0, 108
GSMTAP_UM = 217
_RAW_IP = frozenset({RAW_IP, RAW_IPV4, RAW_IPV6, 12, 14})  # 12 and 14: raw IP of some systems

_IPV4, _IPV6, _VLAN_TAGS = 0x0800, 0x86DD, frozenset({0x8100, 0x88A8})
_BSD_FAMILIES = {2: _IPV4, 24: _IPV6, 28: _IPV6, 30: _IPV6}  # 24, 28, 30: the BSDs' and macOS'
_UDP = 17
_HEADER = struct.Struct(">BBBBHbbIBBBB")
_ARFCN_MASK, _UPLINK_FLAG = 0x3FFF, 0x4000


class GsmtapType(IntEnum):
    """Payload types that this reader knows."""

    UM = 1
    LTE_RRC = 13
    LTE_NAS = 18


_TYPES = frozenset(GsmtapType)


@dataclass(frozen=True, slots=True)
class GsmtapFrame:
    """One GSMTAP payload and what its header says; None means that the header says nothing."""

    type: GsmtapType
    sub_type: int
    """Channel of the payload: GSMTAP_CHANNEL_ or GSMTAP_LTE_RRC_SUB_."""
    channel: int | None
    """ARFCN or EARFCN. The field has 14 bits: writers leave 0 where an EARFCN is longer."""
    level_dbm: float | None
    is_uplink: bool
    timeslot: int
    sub_slot: int
    payload: bytes


def unwrap(link_type: int, data: bytes) -> GsmtapFrame:
    """Return the GSMTAP frame in a packet; raises Refused where there is none to be read."""
    return parse(data if link_type == GSMTAP_UM else _udp_payload(_ip_packet(link_type, data)))


def parse(data: bytes) -> GsmtapFrame:
    """Read a GSMTAP header and return the frame; raises Refused."""
    if data and data[0] != 2:
        raise passed_over(f"GSMTAP version {data[0]}")
    if len(data) < _HEADER.size:
        raise Refused(f"GSMTAP header of {len(data)} bytes, {_HEADER.size} are needed")
    _, words, kind, timeslot, arfcn, signal, _, _, sub_type, _, sub_slot, _ = _HEADER.unpack_from(
        data
    )
    start = 4 * words
    if not _HEADER.size <= start <= len(data):
        raise Refused(f"GSMTAP header claims {start} bytes of a packet of {len(data)}")
    if kind not in _TYPES:
        raise passed_over(f"GSMTAP type {kind}")
    return GsmtapFrame(
        type=GsmtapType(kind),
        sub_type=sub_type,
        channel=arfcn & _ARFCN_MASK or None,
        level_dbm=float(signal) if signal < 0 else None,  # no receiver is above 0 dBm: not said
        is_uplink=bool(arfcn & _UPLINK_FLAG),
        timeslot=timeslot,
        sub_slot=sub_slot,
        payload=data[start:],
    )


def _ip_packet(link_type: int, data: bytes) -> bytes:
    """Strip the link layer."""
    if link_type in _RAW_IP:
        return data
    if link_type == ETHERNET:
        start = 12
        while int.from_bytes(data[start : start + 2]) in _VLAN_TAGS:
            start += 4
        protocol, start = int.from_bytes(data[start : start + 2]), start + 2
    elif link_type == LINUX_SLL:
        protocol, start = int.from_bytes(data[14:16]), 16
    elif link_type == LINUX_SLL2:
        protocol, start = int.from_bytes(data[:2]), 20
    elif link_type in {BSD_NULL, BSD_LOOP}:
        # The loopback of BSD and macOS: NULL is in the byte order of the machine that captured.
        family = min(int.from_bytes(data[:4], "little"), int.from_bytes(data[:4], "big"))
        protocol, start = _BSD_FAMILIES.get(family, 0), 4
    else:
        raise passed_over(f"link type {link_type}")
    if protocol not in {_IPV4, _IPV6}:
        raise passed_over("no IP packet")
    return data[start:]


def _udp_payload(packet: bytes) -> bytes:
    """Strip IP and UDP; the length is UDP's own, for Ethernet pads short frames."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        protocol, start = packet[9], (packet[0] & 0x0F) * 4
        if int.from_bytes(packet[6:8]) & 0x3FFF:  # more fragments, or not the first
            raise passed_over("IP fragment")
    elif version == 6 and len(packet) >= 40:
        protocol, start = packet[6], 40
    else:
        raise passed_over("no IP packet")
    if protocol != _UDP:
        raise passed_over("IP protocol other than UDP")
    header = packet[start : start + 8]
    if len(header) < 8:
        raise Refused("UDP header is cut short")
    source, destination, length, _ = struct.unpack(">HHHH", header)
    if GSMTAP_PORT not in {source, destination}:
        raise passed_over("UDP port other than GSMTAP's")
    payload = packet[start + 8 : start + max(length, 8)]
    if len(payload) != length - 8:
        raise Refused(f"UDP payload of {length - 8} bytes, {len(payload)} of them captured")
    return payload
