"""Which van is sent: the nearest free one on duty, and the next one when its crew says nothing.

Pure. A dispatch is a small machine: SENT, ACKNOWLEDGED, ARRIVED, DONE; a crew may decline, an
officer may cancel, and one that nobody acknowledges within a minute is EXPIRED and followed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from central.alert_states import SECOND_US, RuleError
from contract.words import CrewWord

ACKNOWLEDGE_US = 60 * SECOND_US
"""How long a crew has before the next van is asked."""
MINUTES_OF_DAY = 24 * 60
_EARTH_M = 6_371_008.8
_STALE_POSITION_US = 12 * 3600 * SECOND_US


class DispatchState(StrEnum):
    """Where a dispatch stands."""

    SENT = "SENT"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    ARRIVED = "ARRIVED"
    DONE = "DONE"
    DECLINED = "DECLINED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


_D = DispatchState
OPEN = (_D.SENT, _D.ACKNOWLEDGED, _D.ARRIVED)

CREW_TABLE: dict[CrewWord, dict[DispatchState, DispatchState]] = {
    CrewWord.ACKNOWLEDGED: {_D.SENT: _D.ACKNOWLEDGED},
    CrewWord.DECLINED: {_D.SENT: _D.DECLINED, _D.ACKNOWLEDGED: _D.DECLINED},
    CrewWord.ARRIVED: {_D.SENT: _D.ARRIVED, _D.ACKNOWLEDGED: _D.ARRIVED},
    CrewWord.DONE: {_D.SENT: _D.DONE, _D.ACKNOWLEDGED: _D.DONE, _D.ARRIVED: _D.DONE},
}
"""What a crew says to (state before, state after). A crew off line tells its last word alone."""


def after_word(word: CrewWord, state: DispatchState) -> DispatchState | None:
    """Return the state after a crew's word; None: it comes too late to change anything."""
    return CREW_TABLE[word].get(state)


def after_cancel(state: DispatchState) -> DispatchState:
    """Return the state after an officer called a van off; raises RuleError."""
    if state not in OPEN:
        raise RuleError(f"the dispatch is {state.value} already")
    return DispatchState.CANCELLED


@dataclass(frozen=True, slots=True, kw_only=True)
class Van:
    """A van as the board sees it."""

    device: str
    lat: float | None = None
    lon: float | None = None
    placed_at: int | None = None
    is_own_word: bool = False
    """Its receiver says where it is; else an officer wrote it down."""
    duty_from: int = 0
    duty_until: int = 0
    """Minutes of the local day; equal: all day; until before from: past midnight."""
    is_busy: bool = False
    is_online: bool = False

    def is_on_duty(self, minute: int) -> bool:
        """Whether it may be sent at a minute of the local day."""
        if self.duty_from == self.duty_until:
            return True
        if self.duty_from < self.duty_until:
            return self.duty_from <= minute < self.duty_until
        return minute >= self.duty_from or minute < self.duty_until

    def distance_m(self, lat: float, lon: float) -> float | None:
        """Metres to a place; None while nobody said where the van is."""
        if self.lat is None or self.lon is None:
            return None
        return distance_m(self.lat, self.lon, lat, lon)

    def is_position_old(self, now: int) -> bool:
        """Whether its place is a matter of hours ago: shown, and still better than none."""
        return self.placed_at is None or now - self.placed_at > _STALE_POSITION_US


def distance_m(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """Great-circle distance in metres (haversine, mean earth radius)."""
    a, b = math.radians(lat_a), math.radians(lat_b)
    half = math.sin((b - a) / 2) ** 2
    half += math.cos(a) * math.cos(b) * math.sin(math.radians(lon_b - lon_a) / 2) ** 2
    return 2 * _EARTH_M * math.asin(min(1.0, math.sqrt(half)))


def ranked(
    vans: Iterable[Van], lat: float, lon: float, *, minute: int, besides: Collection[str] = ()
) -> list[tuple[Van, float | None]]:
    """Return the vans that may be sent, the nearest first; vans of unknown place come last."""
    free = [
        (van, van.distance_m(lat, lon))
        for van in vans
        if not van.is_busy and van.device not in besides and van.is_on_duty(minute)
    ]
    return sorted(
        free,
        key=lambda pair: (pair[1] is None, pair[1] or 0.0, not pair[0].is_online, pair[0].device),
    )


def parse_duty(text: str) -> tuple[int, int]:
    """Read ``HH:MM-HH:MM``; empty is all day. Raises RuleError."""
    if not text.strip():
        return 0, 0
    parts = text.strip().split("-")
    if len(parts) != 2:
        raise RuleError("duty hours are written HH:MM-HH:MM")
    return _minute(parts[0]), _minute(parts[1])


def _minute(text: str) -> int:
    hours, sign, minutes = text.strip().partition(":")
    if not (sign and hours.isascii() and hours.isdigit() and minutes.isascii()):
        raise RuleError("duty hours are written HH:MM-HH:MM")
    if not minutes.isdigit() or int(hours) > 23 or int(minutes) > 59:
        raise RuleError("duty hours are written HH:MM-HH:MM")
    return int(hours) * 60 + int(minutes)


def duty_text(duty_from: int, duty_until: int) -> str:
    """Return duty hours as text; empty is all day."""
    if duty_from == duty_until:
        return ""
    return "-".join(f"{m // 60:02}:{m % 60:02}" for m in (duty_from, duty_until))
