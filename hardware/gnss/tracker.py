"""The position of a station, put into the stamp of every reading with its quality and age."""

from __future__ import annotations

from dataclasses import replace

from hardware.readings import Fix, FixQuality, FixReading, Reading, Stamp

HDOP_MAX = 10.0
"""A worse geometry is no position: some hundred metres and more."""
AGE_MAX_S = 60.0
"""At 60 km/h a position of a minute ago is a kilometre off: older ones are not given at all."""


class FixTracker:
    """Holds the newest usable fix; the clock is that of the readings' own stamps."""

    def __init__(self, *, hdop_max: float = HDOP_MAX, age_max_s: float = AGE_MAX_S) -> None:
        self._hdop_max = hdop_max
        self._age_max_s = age_max_s
        self._fix: FixReading | None = None
        self._hdop: float | None = None
        self.refused = 0
        """Positions not taken for their geometry."""

    def note(self, reading: FixReading) -> None:
        """Take what the receiver says; a sentence without a fix does not erase the last one."""
        if reading.hdop is not None:
            self._hdop = reading.hdop
        if reading.position is None:
            return
        if self._hdop is not None and self._hdop > self._hdop_max:
            self.refused += 1
            return
        self._fix = reading

    def is_newest(self, reading: FixReading) -> bool:
        """Whether a reading is the position in use: one refused for its geometry is not."""
        return self._fix is reading

    def stamp(self, stamp: Stamp) -> Stamp:
        """Return the stamp with position, quality and age; unchanged without a recent fix."""
        if self._fix is None or self._fix.position is None or stamp.position is not None:
            return stamp
        age_s = abs(stamp.at_us - self._fix.stamp.at_us) / 1e6
        if age_s > self._age_max_s:
            return replace(stamp, fix=Fix(quality=FixQuality.NONE, age_s=age_s))
        fix = Fix(quality=self._fix.quality, age_s=age_s, hdop=self._hdop)
        return replace(stamp, position=self._fix.position, fix=fix)

    def placed(self, reading: Reading) -> Reading:
        """Return a reading with its stamp placed."""
        return replace(reading, stamp=self.stamp(reading.stamp))
