"""How busy an uplink band is, from sweeps over it: bursts a minute and their level.

Counts places of the band that rise over the noise and were quiet in the sweep before. Bursts that
begin and end between two sweeps are missed: a busy den shows as many, never as exact a number, and
nobody's identity is in it.
"""

from __future__ import annotations

from statistics import median

from hardware.readings import SweepReading, UplinkReading

WINDOW_S = 60.0
OVER_NOISE_DB = 10.0
_BANDS_MHZ = ((880.0, 915.0), (1710.0, 1785.0), (1920.0, 1980.0))
"""Uplinks of E-GSM 900, DCS 1800 (TS 45.005 section 2) and of band 1 (TS 36.101 table 5.5-1)."""


def is_uplink(sweep: SweepReading) -> bool:
    """Whether a sweep lies wholly in one of the uplink bands."""
    low, high = sweep.start_hz / 1e6, sweep.stop_hz / 1e6
    return any(first <= low and high <= last for first, last in _BANDS_MHZ)


class UplinkMeter:
    """Counts over a minute of sweeps of one receiver."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_us = round(window_s * 1e6)
        self._begin_us: int | None = None
        self._bursts = 0
        self._level_dbm: float | None = None
        self._hot: frozenset[int] = frozenset()

    def feed(self, sweep: SweepReading) -> list[UplinkReading]:
        """Take a sweep of an uplink band; returns a reading when its minute is over."""
        at_us = sweep.stamp.at_us
        if self._begin_us is None or at_us < self._begin_us:
            self._begin_us = at_us
        levels = [level for level in sweep.levels_dbm if level == level]  # noqa: PLR0124 - NaN
        if not levels:
            return []
        limit = median(levels) + OVER_NOISE_DB
        hot = frozenset(i for i, level in enumerate(sweep.levels_dbm) if level >= limit)
        for first in (i for i in hot if i - 1 not in hot):
            last = first
            while last + 1 in hot:
                last += 1
            if not self._hot.intersection(range(first, last + 1)):
                self._bursts += 1
        self._hot = hot
        if hot:
            loudest = max(levels)
            known = self._level_dbm
            self._level_dbm = loudest if known is None else max(known, loudest)
        elapsed_us = at_us - self._begin_us
        if elapsed_us < self._window_us:
            return []
        reading = UplinkReading(
            stamp=sweep.stamp,
            raw=sweep.raw,
            bursts_per_min=self._bursts * 60e6 / elapsed_us,
            level_dbm=max(levels) if self._level_dbm is None else self._level_dbm,
            centre_mhz=(sweep.start_hz + sweep.stop_hz) / 2e6,
            width_khz=(sweep.stop_hz - sweep.start_hz) / 1e3,
        )
        self._begin_us, self._bursts, self._level_dbm = at_us, 0, None
        return [reading]
