"""Who never had a GSM network in mainland China, and which channels no GSM cell may use.

Rows carry their source and the date of that source. A rule takes the rows in force at the time of
the reading; without a real time only what every version of the plan forbids counts.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from contract.clock import UnixMicros

MCC_CHINA = "460"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoGsmPlmn:
    """A PLMN whose operator held no GSM network between two dates (None: unbounded)."""

    plmn: str
    operator: str
    source: str
    source_date: str
    is_recalled: bool = False
    """True: known from memory only, so never enough for a hard rule."""
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoGsmBlock:
    """A block of ARFCN, both ends included, in which nobody holds a GSM licence."""

    first_arfcn: int
    last_arfcn: int
    downlink_mhz: str
    holder: str
    source: str
    source_date: str
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None


_PLMN_LIST = "public list of mobile network codes, MIT licence"

NO_GSM_PLMNS: tuple[NoGsmPlmn, ...] = (
    NoGsmPlmn(plmn="460-03", operator="China Telecom", source=_PLMN_LIST, source_date="2023-04-04"),
    NoGsmPlmn(plmn="460-05", operator="China Telecom", source=_PLMN_LIST, source_date="2023-04-04"),
    NoGsmPlmn(plmn="460-11", operator="China Telecom", source=_PLMN_LIST, source_date="2023-04-04"),
    NoGsmPlmn(
        plmn="460-12",
        operator="China Telecom",
        source="recalled, in no list at hand",
        source_date="",
        is_recalled=True,
    ),
    NoGsmPlmn(
        plmn="460-15", operator="China Broadnet", source=_PLMN_LIST, source_date="2023-04-04"
    ),
)

NO_GSM_BLOCKS: tuple[NoGsmBlock, ...] = (
    NoGsmBlock(
        first_arfcn=787,
        last_arfcn=885,
        downlink_mhz="1860-1880",
        holder="China Telecom (LTE FDD only)",
        source="operators' band page; ARFCN by TS 45.005 section 2",
        source_date="2024-11-15",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GsmBlock:
    """Blocks of ARFCN, both ends included, that one operator holds for GSM between two dates."""

    operator: str
    ranges: tuple[tuple[int, int], ...]
    downlink_mhz: str
    source: str
    source_date: str
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None

    def holds(self, arfcn: int) -> bool:
        """Whether the channel lies in one of the ranges."""
        return any(first <= arfcn <= last for first, last in self.ranges)


_MOBILE, _UNICOM, _RAILWAY = "China Mobile", "China Unicom", "China Railway (GSM-R)"
_BAND_PAGE = "operators' band page and the ministry's notes of 2018"
_MOVED_FROM, _MOVED_TO = dt.date(2018, 1, 1), dt.date(2019, 12, 31)
"""904-909 MHz changed hands city by city: in these two years both plans count."""

GSM_BLOCKS: tuple[GsmBlock, ...] = (
    GsmBlock(
        operator=_MOBILE,
        ranges=((1, 94), (1000, 1023)),
        downlink_mhz="930-954",
        source=_BAND_PAGE,
        source_date="2018",
        valid_to=_MOVED_TO,
    ),
    GsmBlock(
        operator=_UNICOM,
        ranges=((96, 124),),
        downlink_mhz="954-960",
        source=_BAND_PAGE,
        source_date="2018",
        valid_to=_MOVED_TO,
    ),
    GsmBlock(
        operator=_MOBILE,
        ranges=((0, 69), (1020, 1023)),
        downlink_mhz="934-949",
        source=_BAND_PAGE,
        source_date="2024-11-15",
        valid_from=_MOVED_FROM,
    ),
    GsmBlock(
        operator=_UNICOM,
        ranges=((71, 124),),
        downlink_mhz="949-960",
        source=_BAND_PAGE,
        source_date="2024-11-15",
        valid_from=_MOVED_FROM,
    ),
    GsmBlock(
        operator=_MOBILE,
        ranges=((512, 635),),
        downlink_mhz="1805-1830",
        source=_BAND_PAGE,
        source_date="2024-11-15",
    ),
    GsmBlock(
        operator=_UNICOM,
        ranges=((637, 785),),
        downlink_mhz="1830-1860",
        source=_BAND_PAGE,
        source_date="2024-11-15",
    ),
    GsmBlock(
        operator=_RAILWAY,
        ranges=((1000, 1018),),
        downlink_mhz="930-934",
        source=_BAND_PAGE,
        source_date="2024-11-15",
    ),
)
"""China Mobile and the railway share 930-934 MHz by region: neither is blamed for being there."""

GSM_OPERATORS: dict[str, str] = {
    "460-00": _MOBILE,
    "460-02": _MOBILE,
    "460-07": _MOBILE,
    "460-08": _MOBILE,
    "460-01": _UNICOM,
    "460-06": _UNICOM,
    "460-09": _UNICOM,
    "460-20": _RAILWAY,
}
"""Whose network a PLMN is. Recalled rows (460-10, -13) and the disputed 460-04 are left out."""

_SHARED = frozenset({(_MOBILE, _RAILWAY)})


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchedOff:
    """A PLMN whose GSM network is declared switched off here, from a date on (None: always)."""

    plmn: str
    valid_from: dt.date | None = None


@dataclass(frozen=True, slots=True)
class ChinaGsm:
    """The rows in use, replaceable by a deployment's own."""

    plmns: tuple[NoGsmPlmn, ...] = NO_GSM_PLMNS
    blocks: tuple[NoGsmBlock, ...] = NO_GSM_BLOCKS
    allocations: tuple[GsmBlock, ...] = GSM_BLOCKS
    switched_off: tuple[SwitchedOff, ...] = ()

    def others_block(self, plmn: str, arfcn: int, at: UnixMicros | None) -> GsmBlock | None:
        """Return the block of another operator that a cell stands in, None if it may be there.

        Without a time every version of the plan counts in the cell's favour.
        """
        operator = GSM_OPERATORS.get(plmn)
        if operator is None:
            return None
        here = [
            row
            for row in self.allocations
            if row.holds(arfcn) and (at is None or _is_in_force(row.valid_from, row.valid_to, at))
        ]
        if any(row.operator == operator or (operator, row.operator) in _SHARED for row in here):
            return None
        return here[0] if here else None

    def is_switched_off(self, plmn: str, at: UnixMicros | None) -> bool:
        """Whether GSM under this PLMN is declared off the air at this time."""
        return any(
            row.plmn == plmn and _is_in_force(row.valid_from, None, at) for row in self.switched_off
        )

    def impossible_plmn(self, plmn: str, at: UnixMicros | None) -> NoGsmPlmn | None:
        """Return the row that forbids GSM under this PLMN at this time; None as time: undated."""
        for row in self.plmns:
            if (
                row.plmn == plmn
                and not row.is_recalled
                and _is_in_force(row.valid_from, row.valid_to, at)
            ):
                return row
        return None

    def impossible_channel(self, arfcn: int, at: UnixMicros | None) -> NoGsmBlock | None:
        """Return the row that forbids GSM on this ARFCN at this time; None as time: undated."""
        for row in self.blocks:
            if row.first_arfcn <= arfcn <= row.last_arfcn and _is_in_force(
                row.valid_from, row.valid_to, at
            ):
                return row
        return None


def _is_in_force(first: dt.date | None, last: dt.date | None, at: UnixMicros | None) -> bool:
    if at is None:
        return first is None and last is None
    # Days since the epoch, not datetime: a broken modem clock may name any year.
    epoch = dt.date(1970, 1, 1).toordinal()
    day = int(at) // 86_400_000_000 + epoch
    return (first is None or first.toordinal() <= day) and (last is None or day <= last.toordinal())
