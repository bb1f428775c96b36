"""Capture bytes to readings: the same reader for a recording and for a live stream."""

from __future__ import annotations

from collections.abc import Iterable

from hardware.captures.gsm_broadcast import BroadcastReader
from hardware.captures.gsm_mm import decode_layer3
from hardware.captures.gsmtap import GsmtapFrame, GsmtapType, unwrap
from hardware.captures.lapdm import LinkName, Reassembly
from hardware.captures.lte_dcch import DL_CCCH, DL_DCCH, decode_downlink
from hardware.captures.lte_rrc import BCCH_BCH, BCCH_DL_SCH, decode_bcch, decode_mib
from hardware.captures.nas_eps import decode_nas
from hardware.captures.pcap import Packet, PcapReader
from hardware.captures.refusal import Refused, passed_over
from hardware.readings import Item, Reading, Stamp, Unreadable

USER1 = 148
"""Link type for private use; a packet is taken as one NAS message, as FBSDetector writes them."""

_BROADCAST = frozenset({1, 2})  # GSMTAP_CHANNEL_BCCH, GSMTAP_CHANNEL_CCCH
_DEDICATED = frozenset({6, 7, 8, 9, 10})  # SDCCH, SDCCH/4, SDCCH/8, FACCH of TCH/F and TCH/H
_ACCH = 0x80
_L1_HEADER_BYTES = 2
"""A SACCH frame may begin with the ordered power and timing advance (TS 44.004 section 7)."""
_YEAR_2000_US = 946_684_800 * 1_000_000
"""No capture of GSMTAP is older: a time before it comes from a clock that was never set."""


class CaptureReader:
    """Sans-I/O: pcap or pcapng bytes in, one item for every packet and every bad place out.

    Times are the capture's own (``recorded``). Packets with times before the year 2000 carry no
    date: they keep their distances and start at ``start_us``, or say ``synthetic`` where none is
    given.
    """

    def __init__(self, sensor: str, file: str, *, start_us: int | None = None) -> None:
        self._sensor = sensor
        self._file = file
        self._start_us = start_us
        self._first_us: int | None = None
        self._packets = PcapReader(file)
        self._links = Reassembly()
        self._broadcast = BroadcastReader()

    def feed(self, data: bytes, received_us: int | None = None) -> list[Item]:
        """Take the next bytes; ``received_us`` is the agent's wall time when they came in."""
        return self._items(self._packets.feed(data), received_us)

    def close(self, received_us: int | None = None) -> list[Item]:
        """Say that no more bytes come; return what is left."""
        return self._items(self._packets.close(), received_us)

    def _items(self, packets: Iterable[Packet | Unreadable], received_us: int | None) -> list[Item]:
        return [
            packet if isinstance(packet, Unreadable) else self._item(packet, received_us)
            for packet in packets
        ]

    def _item(self, packet: Packet, received_us: int | None) -> Item:
        stamp = self._stamp(packet, received_us)
        try:
            return self._decode(packet, stamp)
        except Refused as refused:
            return refused.item(stamp.file, stamp.place, packet.data)

    def _stamp(self, packet: Packet, received_us: int | None) -> Stamp:
        at_us, has_date = packet.at_us, packet.at_us >= _YEAR_2000_US
        if not has_date and self._start_us is not None:
            if self._first_us is None:
                self._first_us = at_us
            at_us, has_date = self._start_us + at_us - self._first_us, True
        return Stamp(
            at_us=at_us,
            time_basis="recorded" if has_date else "synthetic",
            sensor=self._sensor,
            file=self._file,
            place=f"packet {packet.number}",
            is_checked=True,
            received_us=received_us,
        )

    def _decode(self, packet: Packet, stamp: Stamp) -> Reading:
        """Find the decoder for a packet; raises Refused."""
        if packet.link_type == USER1:
            return decode_nas(packet.data, stamp)
        frame = unwrap(packet.link_type, packet.data)
        if frame.type is GsmtapType.LTE_NAS:
            return decode_nas(frame.payload, stamp)
        if frame.type is GsmtapType.LTE_RRC:
            return _decode_rrc(frame, stamp)
        if frame.sub_type in _BROADCAST and not frame.is_uplink:
            return self._broadcast.system_information(
                frame.payload, stamp, arfcn=frame.channel, level_dbm=frame.level_dbm
            )
        if frame.sub_type & ~_ACCH in _DEDICATED:
            return self._dedicated(frame, stamp)
        raise passed_over("GSM channel other than BCCH, CCCH and the dedicated ones")

    def _dedicated(self, frame: GsmtapFrame, stamp: Stamp) -> Reading:
        payload, is_associated = frame.payload, bool(frame.sub_type & _ACCH)
        if is_associated and _has_l1_header(payload):
            payload = payload[_L1_HEADER_BYTES:]
        channel = frame.sub_type
        name = LinkName(
            frame.channel, frame.timeslot, frame.sub_slot, channel, frame.is_uplink, sapi=0
        )
        layer3 = self._links.feed(payload, name)
        if is_associated and not frame.is_uplink and layer3.sapi == 0:
            return self._broadcast.associated(
                layer3.message, payload, stamp, arfcn=frame.channel, level_dbm=frame.level_dbm
            )
        return decode_layer3(layer3, payload, stamp, arfcn=frame.channel, is_uplink=frame.is_uplink)


def _has_l1_header(payload: bytes) -> bool:
    """Whether two octets stand before the layer 2 of a SACCH frame: an address, UI, a length."""
    if len(payload) < _L1_HEADER_BYTES + 3:
        return False
    address, control, length = payload[_L1_HEADER_BYTES : _L1_HEADER_BYTES + 3]
    is_ui = control & ~0x10 == 0x03
    return address in {0x01, 0x03, 0x0D, 0x0F} and is_ui and length & 0x03 == 0x01


def _decode_rrc(frame: GsmtapFrame, stamp: Stamp) -> Reading:
    earfcn, level_dbm = frame.channel, frame.level_dbm
    if frame.sub_type == BCCH_DL_SCH:
        return decode_bcch(frame.payload, stamp, earfcn=earfcn, level_dbm=level_dbm)
    if frame.sub_type == BCCH_BCH:
        return decode_mib(frame.payload, stamp, earfcn=earfcn, level_dbm=level_dbm)
    if frame.sub_type in {DL_CCCH, DL_DCCH}:
        return decode_downlink(frame.payload, stamp, sub_type=frame.sub_type, earfcn=earfcn)
    raise passed_over("LTE RRC channel that carries nothing a rule asks for")
