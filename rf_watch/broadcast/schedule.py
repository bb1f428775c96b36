"""Hours that a carrier keeps, learned from its episodes; claimed only after 72 h of watching."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rf_watch.broadcast.tracks import Track, Watching

_MICROS = 1_000_000
_DAY_MIN = 24 * 60
EPISODES_MIN = 3
SPREAD_MAX_MIN = 20.0
"""A timer keeps its minute; a person does not."""
OCCUPIED_MIN = 0.1
"""Share of an hour's looks; an hour that is on for some minutes by its timer counts."""
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EPISODE_LEAST_US = 10 * 60 * _MICROS


@dataclass(frozen=True, slots=True)
class Timetable:
    """What is claimed."""

    on: str
    off: str
    episodes: int
    watched_h: float


def local_minute(at_us: int, utc_offset_min: float) -> int:
    """Minute of the local day."""
    return int(at_us // (60 * _MICROS) + utc_offset_min) % _DAY_MIN


def hour_of_week(at_us: int, utc_offset_min: float) -> int:
    """Local hour of the week; 0 is Monday 00:00 (1970-01-01 was a Thursday)."""
    return int(at_us // (3600 * _MICROS) + 72 + utc_offset_min // 60) % 168


def timetable(
    track: Track, watching: Watching, claim_min_h: float, utc_offset_min: float
) -> Timetable | None:
    """Return the hours a carrier keeps; None while that cannot honestly be said."""
    watched_h = watching.watched_us / _MICROS / 3600
    if watched_h < claim_min_h:
        return None
    # the first episode may have begun before the watch: its beginning is no time of day
    whole = [e for e in track.episodes if e[1] - e[0] >= EPISODE_LEAST_US]
    starts = [e[0] for e in whole if track.began_watched or e != track.episodes[0]]
    ends = [e[1] for e in whole]
    on = _typical([local_minute(t, utc_offset_min) for t in starts])
    off = _typical([local_minute(t, utc_offset_min) for t in ends])
    if on is None or off is None:
        return None
    return Timetable(_clock(on), _clock(off), len(whole), round(watched_h, 1))


def _typical(minutes: list[int]) -> int | None:
    """Circular mean, if at least three agree within SPREAD_MAX_MIN."""
    if len(minutes) < EPISODES_MIN:
        return None
    angles = [m / _DAY_MIN * math.tau for m in minutes]
    x, y = sum(map(math.cos, angles)), sum(map(math.sin, angles))
    mean = round(math.atan2(y, x) / math.tau * _DAY_MIN) % _DAY_MIN
    off = max(abs((m - mean + _DAY_MIN // 2) % _DAY_MIN - _DAY_MIN // 2) for m in minutes)
    return mean if off <= SPREAD_MAX_MIN else None


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def week_hours(track: Track, watching: Watching) -> str:
    """Local hours of the week on the air: ``Mon 20-24; Tue 00-07 20-24``; empty: not watched yet.

    A day without one look is left out, one watched in part says so, and a day of silence says
    ``off``: the one is not the other.
    """
    days = []
    shares = occupancy(track, watching)
    for day, name in enumerate(_DAYS):
        of_day = shares[day * 24 : day * 24 + 24]
        watched = sum(share is not None for share in of_day)
        if not watched:
            continue
        on = [(share or 0.0) >= OCCUPIED_MIN for share in of_day]
        spans = [
            f"{first:02d}-{next((h for h in range(first, 24) if not on[h]), 24):02d}"
            for first in range(24)
            if on[first] and (first == 0 or not on[first - 1])
        ]
        partly = "" if watched == len(of_day) else f" ({watched} h watched)"
        days.append(f"{name} {' '.join(spans) or 'off'}{partly}")
    return "; ".join(days)


def occupancy(track: Track, watching: Watching) -> list[float | None]:
    """Share of looks in which the carrier was there, by hour of the week (ITU-R SM.1880: FCO)."""
    return [
        round(on / looks, 3) if looks else None
        for on, looks in zip(track.on_looks, watching.looks, strict=True)
    ]
