"""Capture bytes to readings: the same reader for a recording and for a live stream."""

from __future__ import annotations

from collections.abc import Iterable

from hardware.captures.gsm_rr import decode_system_information
from hardware.captures.gsmtap import GsmtapFrame, GsmtapType, unwrap
from hardware.captures.lte_rrc import BCCH_DL_SCH, decode_sib1
from hardware.captures.nas_eps import decode_nas
from hardware.captures.pcap import Packet, PcapReader
from hardware.captures.refusal import Refused, passed_over
from hardware.readings import Item, Reading, Stamp, Unreadable

USER1 = 148
"""Link type for private use; a packet is taken as one NAS message, as FBSDetector writes them."""

_GSM_CHANNELS = frozenset({1, 2})  # GSMTAP_CHANNEL_BCCH, GSMTAP_CHANNEL_CCCH
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
            return _decode(packet, stamp)
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


def _decode(packet: Packet, stamp: Stamp) -> Reading:
    """Find the decoder for a packet; raises Refused."""
    if packet.link_type == USER1:
        return decode_nas(packet.data, stamp)
    frame = unwrap(packet.link_type, packet.data)
    if frame.type is GsmtapType.LTE_NAS:
        return decode_nas(frame.payload, stamp)
    if frame.type is GsmtapType.LTE_RRC:
        return _decode_rrc(frame, stamp)
    if frame.is_uplink or frame.sub_type not in _GSM_CHANNELS:
        raise passed_over("GSM channel other than BCCH and CCCH")
    return decode_system_information(
        frame.payload, stamp, arfcn=frame.channel, level_dbm=frame.level_dbm
    )


def _decode_rrc(frame: GsmtapFrame, stamp: Stamp) -> Reading:
    if frame.sub_type != BCCH_DL_SCH:
        raise passed_over("LTE RRC channel other than BCCH-DL-SCH")
    return decode_sib1(frame.payload, stamp, earfcn=frame.channel, level_dbm=frame.level_dbm)
