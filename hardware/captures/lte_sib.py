"""SIB3, SIB5, SIB6 and SIB7 inside an LTE SystemInformation message (TS 36.331 section 6.3.1).

A message packs several SIBs without saying how long each is, so SIB2, which often stands before
SIB3, is walked through too. Where a SIB of another kind comes, the rest is left unread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hardware.captures.bits import BitReader
from hardware.captures.refusal import passed_over

_LONGER_EARFCN = 65535
"""Stands where the EARFCN needs 18 bits and comes in an extension (ARFCN-ValueEUTRA-v9e0)."""
_Q_HYST_DB = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24)


@dataclass(slots=True)
class Steering:
    """Where a cell sends idle phones."""

    hysteresis_db: int | None = None
    priority: int | None = None
    priority_lte: int | None = None
    priority_utra: int | None = None
    priority_geran: int | None = None
    lte_channels: tuple[int, ...] | None = None


@dataclass(slots=True)
class _Found:
    steering: Steering = field(default_factory=Steering)
    priorities: list[int] = field(default_factory=list)

    def highest(self) -> int | None:
        """Highest priority noted since the last call."""
        highest = max(self.priorities, default=None)
        self.priorities.clear()
        return highest


def read_information(bits: BitReader) -> Steering:
    """Read a SystemInformation after its message type; raises Refused."""
    if bits.take(1, "criticalExtensions"):
        raise passed_over("LTE system information of a later release")
    bits.take(1, "nonCriticalExtension")
    found = _Found()
    for _ in range(bits.take(5, "sib-TypeAndInfo") + 1):
        if bits.take(1, "sib-TypeAndInfo"):
            break  # SIB12 and later
        read = _SIBS.get(bits.take(4, "sib-TypeAndInfo") + 2)
        if read is None:
            break
        read(bits, found)
    return found.steering


def _sib2(bits: BitReader, _found: _Found) -> None:
    what = "SIB2"
    is_extended, has_barring, has_mbsfn = bits.flags(3, what)
    if has_barring:
        has_signalling, has_data = bits.flags(2, what)
        bits.take(1 + 12 * has_signalling + 12 * has_data, what)
    _radio_resources(bits)
    is_timers_extended = bool(bits.take(1, what))
    bits.take(3 + 3 + 3 + 3 + 3 + 3, what)
    bits.skip_extensions(is_timers_extended, what)
    has_frequency, has_bandwidth = bits.flags(2, what)
    bits.take(16 * has_frequency + 3 * has_bandwidth + 5, what)
    if has_mbsfn:
        for _ in range(bits.take(3, what) + 1):
            bits.take(3 + 3, what)
            bits.take(24 if bits.take(1, what) else 6, what)
    bits.take(3, what)  # timeAlignmentTimerCommon
    bits.skip_extensions(is_extended, what)


def _radio_resources(bits: BitReader) -> None:
    """RadioResourceConfigCommonSIB, section 6.3.2."""
    what = "radioResourceConfigCommon"
    is_extended = bool(bits.take(1, what))
    is_rach_extended = bool(bits.take(1, what))
    has_group_a = bool(bits.take(1, what))
    bits.take(4, what)
    if has_group_a:
        is_group_extended = bool(bits.take(1, what))
        bits.take(4 + 2 + 3, what)
        bits.skip_extensions(is_group_extended, what)
    bits.take(2 + 4 + 4 + 3 + 3 + 3, what)
    bits.skip_extensions(is_rach_extended, what)
    bits.take(2, what)  # bcch
    bits.take(2 + 3, what)  # pcch
    bits.take(10 + 6 + 1 + 4 + 7, what)  # prach
    bits.take(7 + 2, what)  # pdsch
    bits.take(2 + 1 + 7 + 1 + 1 + 5 + 1 + 3, what)  # pusch
    bits.take(2 + 7 + 3 + 11, what)  # pucch
    if bits.take(1, what):  # sounding set up
        bits.take(1 + 3 + 4 + 1, what)
    bits.take(8 + 3 + 5 + 2 + 2 + 2 + 2 + 2 + 3, what)  # uplink power
    bits.take(1, what)
    bits.skip_extensions(is_extended, what)


def _sib3(bits: BitReader, found: _Found) -> None:
    what = "SIB3"
    is_extended = bool(bits.take(1, what))
    has_speed = bool(bits.take(1, what))
    found.steering.hysteresis_db = _Q_HYST_DB[bits.take(4, "q-Hyst")]
    if has_speed:
        bits.take(3 + 3 + 4 + 4 + 2 + 2, what)
    has_non_intra = bool(bits.take(1, what))
    bits.take(5 * has_non_intra + 5, what)
    found.steering.priority = bits.take(3, "cellReselectionPriority")
    has_p_max, has_intra, has_bandwidth, has_speed = bits.flags(4, what)
    bits.take(6 + 6 * has_p_max + 5 * has_intra + 3 * has_bandwidth + 1 + 2 + 3, what)
    bits.take(4 * has_speed, what)
    bits.skip_extensions(is_extended, what)


def _sib5(bits: BitReader, found: _Found) -> None:
    what = "SIB5"
    is_extended = bool(bits.take(1, what))
    channels: list[int] = []
    for _ in range(bits.take(3, what) + 1):
        is_item_extended, has_p_max, has_speed, has_priority, has_offset, has_cells, has_black = (
            bits.flags(7, what)
        )
        channel = bits.take(16, "dl-CarrierFreq")
        channels += [channel] if channel != _LONGER_EARFCN else []
        bits.take(6 + 6 * has_p_max + 3 + 4 * has_speed + 5 + 5 + 3 + 1, what)
        if has_priority:
            found.priorities.append(bits.take(3, "cellReselectionPriority"))
        bits.take(2 + 5 * has_offset, what)
        if has_cells:
            bits.take(14 * (bits.take(4, what) + 1), what)
        if has_black:
            for _ in range(bits.take(4, what) + 1):
                has_range = bool(bits.take(1, what))
                bits.take(9 + 4 * has_range, what)
        bits.skip_extensions(is_item_extended, what)
    found.steering.priority_lte = found.highest()
    found.steering.lte_channels = tuple(channels)
    bits.skip_extensions(is_extended, what)


def _sib6(bits: BitReader, found: _Found) -> None:
    what = "SIB6"
    is_extended, has_fdd, has_tdd, has_speed = bits.flags(4, what)
    for is_there, quality in ((has_fdd, 5), (has_tdd, 0)):
        for _ in range(bits.take(4, what) + 1 if is_there else 0):
            is_item_extended, has_priority = bits.flags(2, what)
            bits.take(14, "carrierFreq")
            if has_priority:
                found.priorities.append(bits.take(3, "cellReselectionPriority"))
            bits.take(5 + 5 + 6 + 7 + quality, what)
            bits.skip_extensions(is_item_extended, what)
    found.steering.priority_utra = found.highest()
    bits.take(3 + 4 * has_speed, what)
    bits.skip_extensions(is_extended, what)


def _sib7(bits: BitReader, found: _Found) -> None:
    what = "SIB7"
    is_extended, has_speed, has_list = bits.flags(3, what)
    bits.take(3 + 4 * has_speed, what)
    for _ in range(bits.take(4, what) + 1 if has_list else 0):
        is_item_extended = bool(bits.take(1, what))
        bits.take(10 + 1, "startingARFCN")
        match bits.take(2, "followingARFCNs"):
            case 0:
                bits.take(10 * bits.take(5, what), what)
            case 1:
                bits.take(3 + 5, what)
            case _:
                bits.take(8 * (bits.take(4, what) + 1), what)
        has_priority, has_p_max = bits.flags(2, what)
        if has_priority:
            found.priorities.append(bits.take(3, "cellReselectionPriority"))
        bits.take(8 + 6 + 6 * has_p_max + 5 + 5, what)
        bits.skip_extensions(is_item_extended, what)
    found.steering.priority_geran = found.highest()
    bits.skip_extensions(is_extended, what)


_SIBS: dict[int, Callable[[BitReader, _Found], None]] = {
    2: _sib2,
    3: _sib3,
    5: _sib5,
    6: _sib6,
    7: _sib7,
}
