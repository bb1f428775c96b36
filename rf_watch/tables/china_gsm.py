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


@dataclass(frozen=True, slots=True)
class ChinaGsm:
    """The rows in use, replaceable by a deployment's own."""

    plmns: tuple[NoGsmPlmn, ...] = NO_GSM_PLMNS
    blocks: tuple[NoGsmBlock, ...] = NO_GSM_BLOCKS

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
