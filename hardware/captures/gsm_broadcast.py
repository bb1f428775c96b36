"""Neighbour lists that go on from one GSM system information message to the next.

A BCCH list is SI2, with SI2bis where SI2 says so (EXT-IND) and SI2ter for other bands; the list on
the SACCH is SI5, SI5bis and SI5ter in the same way (TS 44.018 sections 9.1.32 to 9.1.39).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from hardware.captures.gsm_lists import carriers, is_continued
from hardware.captures.gsm_rr import (
    BROADCAST_LISTS,
    RADIO_RESOURCES,
    SACCH_LISTS,
    decode_associated,
    decode_system_information,
)
from hardware.captures.refusal import passed_over
from hardware.readings import CellReading, Rat, Stamp

MEMORY_US = 30_000_000
"""A part that was not repeated for so long is forgotten: each is sent within 2 s (TS 45.002)."""
CELLS_MAX = 1024


@dataclass(frozen=True, slots=True)
class _Heard:
    channels: tuple[int, ...]
    is_continued: bool
    at_us: int


@dataclass(slots=True)
class _Cell:
    """Parts heard on one carrier, and whose they are."""

    name: tuple[int | None, int | None] | None = None
    parts: dict[tuple[bool, int], _Heard] = field(default_factory=dict)


class BroadcastReader:
    """System information to readings; remembers the parts of lists, a bounded number of cells.

    A frame whose carrier is not known belongs to the one cell that its receiver listens to.
    """

    def __init__(self) -> None:
        self._cells: OrderedDict[tuple[str, int | None], _Cell] = OrderedDict()

    def system_information(
        self,
        frame: bytes,
        stamp: Stamp,
        *,
        arfcn: int | None = None,
        level_dbm: float | None = None,
    ) -> CellReading:
        """Return what a BCCH or CCCH frame says, its list whole; raises Refused."""
        number = BROADCAST_LISTS.get(frame[2]) if len(frame) > 2 and frame[0] & 0x03 == 1 else None
        if number is not None and frame[1] & 0x0F == RADIO_RESOURCES:
            channels = self._list((False, number), frame[3:19], stamp, arfcn)
            return _reading(channels, frame, stamp, arfcn, level_dbm)
        reading = decode_system_information(frame, stamp, arfcn=arfcn, level_dbm=level_dbm)
        self._name(reading)
        return reading

    def associated(
        self,
        message: bytes,
        raw: bytes,
        stamp: Stamp,
        *,
        arfcn: int | None,
        level_dbm: float | None,
    ) -> CellReading:
        """Return what a SACCH message says, its list whole; raises Refused."""
        number = SACCH_LISTS.get(message[1]) if len(message) > 1 else None
        if number is not None and message[0] & 0x0F == RADIO_RESOURCES:
            channels = self._list((True, number), message[2:18], stamp, arfcn)
            return _reading(channels, raw, stamp, arfcn, level_dbm)
        reading = decode_associated(message, raw, stamp, arfcn=arfcn, level_dbm=level_dbm)
        self._name(reading)
        return reading

    def _cell(self, stamp: Stamp, arfcn: int | None) -> _Cell:
        key = (stamp.sensor, arfcn)
        cell = self._cells.pop(key, None) or _Cell()
        self._cells[key] = cell
        while len(self._cells) > CELLS_MAX:
            self._cells.popitem(last=False)
        return cell

    def _name(self, reading: CellReading) -> None:
        """Forget the parts of a list when another cell is heard on the carrier."""
        if reading.cell_id is None:
            return
        cell, name = self._cell(reading.stamp, reading.channel), (reading.lac_tac, reading.cell_id)
        if cell.name not in {None, name}:
            cell.parts.clear()
        cell.name = name

    def _list(
        self, part: tuple[bool, int], description: bytes, stamp: Stamp, arfcn: int | None
    ) -> tuple[int, ...]:
        if part[1] == 3 and description:  # multiband reporting: two bits of the first octet
            description = bytes((description[0] & 0x9F,)) + description[1:]
        parts = self._cell(stamp, arfcn).parts
        parts[part] = _Heard(carriers(description), is_continued(description), stamp.at_us)
        channels = _whole(
            {
                number: heard
                for (is_sacch, number), heard in parts.items()
                if is_sacch is part[0] and abs(stamp.at_us - heard.at_us) <= MEMORY_US
            }
        )
        if channels is None:
            raise passed_over("a part of a neighbour list whose rest was not heard yet")
        return channels


def _reading(
    channels: tuple[int, ...],
    raw: bytes,
    stamp: Stamp,
    arfcn: int | None,
    level_dbm: float | None,
) -> CellReading:
    return CellReading(
        stamp=stamp,
        raw=raw,
        rat=Rat.GSM,
        is_serving=False,
        channel=arfcn,
        level_dbm=level_dbm,
        neighbours=len(channels),
        neighbour_channels=channels,
    )


def _whole(parts: dict[int, _Heard]) -> tuple[int, ...] | None:
    """Join the parts 1 (SI2), 2 (SI2bis) and 3 (SI2ter); None while one is missing."""
    first = parts.get(1)
    if first is None:
        return None
    joined = set(first.channels)
    if first.is_continued:
        if 2 not in parts:
            return None
        joined.update(parts[2].channels)
    if 3 in parts:
        joined.update(parts[3].channels)
    return tuple(sorted(joined))
