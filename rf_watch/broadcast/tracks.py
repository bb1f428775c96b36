"""One followed carrier: when it was on the air, where it stands, how strong, how long."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hardware.readings import Position, Stamp
from rf_watch.bearings import Fix

_MICROS = 1_000_000
MEAN_MAX = 200
"""A centre is averaged over so many sightings; later ones replace the oldest slowly."""
EPISODES_MAX = 64
LEVELS_MAX = 32
STEP_WITHIN_US = 15 * _MICROS
"""Looks farther apart differ by fading as well."""
HISTORY_MAX = 96
HISTORY_STEP_US = 10 * _MICROS
HOURS_OF_WEEK = 168
STEPS_MAX = 9
GAIN_STEP_DB, GAIN_CARRIERS_MIN = 2.0, 3
GAIN_APART_DB, GAIN_APART_SHARE = 1.5, 0.35
"""Fading moves the median of several carriers by less than that from look to look."""
UNMEASURED_DB = -200.0
"""Level of a carrier that was only heard."""


class CaseState(StrEnum):
    """States of a signal case that the product reaches by itself (scenario format, 4.3)."""

    CANDIDATE = "CANDIDATE"
    DISCOVERED = "DISCOVERED"
    DORMANT = "DORMANT"


class TrackEvent(StrEnum):
    """What happened to a carrier."""

    NEW = "new"
    QUIETED = "quieted"
    DORMANT = "dormant"
    RETURNED = "returned"


@dataclass(slots=True)
class Dwell:
    """How long something held without a gap."""

    start_us: int | None = None
    last_us: int = 0

    def note(self, now_us: int, gap_us: float) -> None:
        """It holds now."""
        if self.start_us is None or now_us - self.last_us > gap_us or now_us < self.last_us:
            self.start_us = now_us
        self.last_us = now_us

    def clear(self) -> None:
        """It does not hold."""
        self.start_us = None

    def seconds(self) -> float:
        """Seconds from the beginning of the unbroken spell to its last sighting."""
        return 0.0 if self.start_us is None else (self.last_us - self.start_us) / _MICROS


@dataclass(frozen=True, slots=True)
class Sample:
    """A level now and then, for the laws by which phantoms behave."""

    at_us: int
    level_db: float
    above_floor_db: float
    position: Position | None


@dataclass(slots=True, eq=False)
class Track:
    """A carrier of one sensor; its number never changes while it is followed."""

    number: int
    sensor: str
    mhz: float
    """Mean centre, as the receiver reads it."""
    first: Stamp
    last: Stamp
    sightings: int = 0
    recent: int = 0
    """One bit a look, the newest lowest."""
    looks: int = 0
    is_candidate: bool = False
    is_resolved: bool = False
    """Seen finely enough to say whether it stands on the raster."""
    resolved_sightings: int = 0
    coarse_sightings: int = 0
    spread_khz2: float = 0.0
    level_db: float = UNMEASURED_DB
    above_floor_db: float = 0.0
    neighbour_mhz: float = 0.0
    neighbour_above_db: float = 0.0
    width_khz: float | None = None
    overloaded: int = 0
    dwell: Dwell = field(default_factory=Dwell)
    is_on: bool = False
    is_dormant: bool = False
    on_since_us: int = 0
    episodes: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=EPISODES_MAX))
    began_watched: bool = False
    """The watch saw it come on: its beginning is a time, not the beginning of the watch."""
    history: deque[Sample] = field(default_factory=lambda: deque(maxlen=HISTORY_MAX))
    on_looks: list[int] = field(default_factory=lambda: [0] * HOURS_OF_WEEK)
    attenuated: tuple[int, float, float] | None = None
    """Time, attenuator setting and level of the last sighting that said it."""
    falls: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=LEVELS_MAX))
    """Steps of the attenuator from one look to the next, and how the level fell with them."""
    audio: tuple[float, ...] | None = None
    audio_us: int = 0
    audio_dwell: Dwell = field(default_factory=Dwell)
    audio_correlation: float | None = None
    bearings: deque[tuple[int, float, float]] = field(default_factory=lambda: deque(maxlen=12))
    """Time, signed difference to the licensed site in degrees, sigma."""
    bearings_until_us: int | None = None
    """Time of the newest bearing that was taken."""
    bearings_seen: int = 0
    fix: Fix | None = None
    """Where its bearings cross."""
    bearing_dwell: Dwell = field(default_factory=Dwell)
    hours_dwell: Dwell = field(default_factory=Dwell)
    pi_counts: dict[int, int] = field(default_factory=dict)
    pi_dwell: Dwell = field(default_factory=Dwell)
    pi: int | None = None
    texts: dict[str, str] = field(default_factory=dict)
    is_pilot: bool | None = None
    has_clip: bool = False
    """Some of its programme was recorded."""
    is_pi_alone: bool = False
    """Known by its PI only: the tuner never said where it stands."""

    def see(
        self,
        stamp: Stamp,
        mhz: float,
        level_db: float | None,
        above_floor_db: float,
        gap_us: float,
        *,
        is_resolved: bool,
    ) -> TrackEvent | None:
        """Count a sighting; return NEW or RETURNED where it begins one.

        ``level_db`` None: heard, not measured; nothing is then claimed from its level.
        """
        now = stamp.at_us
        self.sightings += 1
        if is_resolved and not self.is_resolved:  # a coarse mean is worth nothing beside a fine one
            self.is_resolved = True
            self.mhz, self.spread_khz2 = mhz, 0.0
        if is_resolved or not self.is_resolved:
            self._average(mhz, is_resolved=is_resolved)
        if level_db is not None:
            is_first = self.level_db == UNMEASURED_DB
            self.level_db = level_db if is_first else 0.7 * self.level_db + 0.3 * level_db
        self.above_floor_db = above_floor_db
        self.dwell.note(now, gap_us)
        is_due = not self.history or now - self.history[-1].at_us >= HISTORY_STEP_US
        if level_db is not None and is_due:
            self.history.append(Sample(now, level_db, above_floor_db, stamp.position))
        self.last = stamp
        was_on, self.is_on = self.is_on, True
        was_dormant, self.is_dormant = self.is_dormant, False
        if was_on:
            return None
        self.on_since_us = now
        return TrackEvent.RETURNED if self.episodes or was_dormant else TrackEvent.NEW

    def _average(self, mhz: float, *, is_resolved: bool) -> None:
        """Mean centre; a coarse look counts too, as long as there is no finer one."""
        self.resolved_sightings = min(MEAN_MAX, self.resolved_sightings + is_resolved)
        self.coarse_sightings = min(MEAN_MAX, self.coarse_sightings + (not is_resolved))
        share = 1 / max(1, self.resolved_sightings or self.coarse_sightings)
        off_khz = (mhz - self.mhz) * 1000
        self.mhz += off_khz * share / 1000
        self.spread_khz2 += (off_khz * off_khz - self.spread_khz2) * share

    def note_attenuation(self, now_us: int, attenuation_db: float, level_db: float) -> None:
        """Compare with the look before, if the attenuator moved between them."""
        before, self.attenuated = self.attenuated, (now_us, attenuation_db, level_db)
        if before is None or now_us - before[0] > STEP_WITHIN_US or attenuation_db == before[1]:
            return
        sign = 1 if attenuation_db > before[1] else -1
        step = sign * (attenuation_db - before[1])
        self.falls.append((step, sign * (before[2] - level_db)))

    def change_gain(self, step_db: float) -> None:
        """The receiver's gain was changed: levels before it are brought to what they are now."""
        moved = [replace(s, level_db=s.level_db + step_db) for s in self.history]
        self.history.clear()
        self.history.extend(moved)
        self.attenuated = None
        if self.level_db != UNMEASURED_DB:
            self.level_db += step_db

    def look(self, *, is_seen: bool, keep: int) -> None:
        """The receiver looked at this frequency."""
        self.looks += 1
        self.recent = (self.recent << 1 | is_seen) & ((1 << keep) - 1)

    def silence(self, now_us: int, gap_us: float, dormant_us: float) -> TrackEvent | None:
        """Not seen in this look; return QUIETED or DORMANT where that is news."""
        off_us = now_us - self.last.at_us
        if self.is_on and off_us > gap_us:
            self.is_on = False
            self.episodes.append((self.on_since_us, self.last.at_us))
            for dwell in (self.dwell, self.audio_dwell, self.bearing_dwell, self.hours_dwell):
                dwell.clear()
            self.pi_dwell.clear()
            return TrackEvent.QUIETED
        if not self.is_on and not self.is_dormant and off_us > dormant_us:
            self.is_dormant = True
            return TrackEvent.DORMANT
        return None

    @property
    def error_khz(self) -> float:
        """Standard error of the mean centre."""
        count = max(1, self.resolved_sightings)
        return float((self.spread_khz2 / count) ** 0.5)


@dataclass(slots=True)
class Watching:
    """When and how often one sensor looked at the band."""

    first_us: int | None = None
    last_us: int = 0
    watched_us: int = 0
    steps_us: deque[int] = field(default_factory=lambda: deque(maxlen=STEPS_MAX))
    """From look to look, the newest last."""
    looks: list[int] = field(default_factory=lambda: [0] * HOURS_OF_WEEK)
    floor_db: float | None = None
    is_overloaded: bool = False
    gain_changes: int = 0

    @property
    def interval_us(self) -> float:
        """How often it looks: the median, so that a break or a clock that was set is none."""
        return statistics.median(self.steps_us) if self.steps_us else 0.0

    def note(self, now_us: int, hour: int, least_gap_us: float) -> None:
        """One look at the band."""
        if self.first_us is None:
            self.first_us = now_us
        else:
            step = now_us - self.last_us
            if step > 0:
                interval = self.interval_us
                self.steps_us.append(step)
                if not interval or step < 4 * max(interval, least_gap_us):
                    self.watched_us += step
        self.last_us = now_us
        self.looks[hour] += 1

    def gap_us(self, lost_after_s: float) -> float:
        """How long a carrier may be out of sight before it counts as gone."""
        return max(lost_after_s * _MICROS, 1.5 * self.interval_us)

    def take_gain(self, floor_db: float, rises_db: Sequence[float]) -> float:
        """Return by how much the receiver's gain was changed since the looks before; 0: not.

        Then the floor and all carriers move together, by the same step; a receiver in distress
        raises its floor alone, a lorry or a tunnel takes from the carriers alone.
        """
        if self.floor_db is None or len(rises_db) < GAIN_CARRIERS_MIN:
            return 0.0
        step = floor_db - self.floor_db
        apart = abs(statistics.median(rises_db) - step)
        if abs(step) < GAIN_STEP_DB or apart > max(GAIN_APART_DB, GAIN_APART_SHARE * abs(step)):
            return 0.0
        self.floor_db = floor_db
        self.gain_changes += 1
        return step

    def take_floor(self, floor_db: float, rise_db: float) -> None:
        """A floor that jumps up in all channels at once is the receiver's own distress."""
        if self.floor_db is None:
            self.floor_db = floor_db
        self.is_overloaded = floor_db > self.floor_db + rise_db
        share = 0.002 if self.is_overloaded else 0.05
        self.floor_db += (floor_db - self.floor_db) * share
