"""Lines of the KrakenSDR direction finder ("Kraken App" CSV), without I/O.

After the published order of fields: epoch in ms, angle in compass convention against the array,
confidence, power, frequency in Hz, array, latency in ms, station, latitude, longitude, GPS heading,
compass heading, which of both counts. What follows (reserved fields, 360 values) is not needed.
"""

from __future__ import annotations

import math

from hardware.modems.interface import Arrival
from hardware.readings import BearingReading, Item, Position, Stamp, Unreadable
from hardware.spectrum.lines import LineCutter, TextLine

CONFIDENCE_MIN = 5.0
"""Of 0..99: below it the array hears noise from anywhere."""
_FIELDS = 13
_LINE_MAX = 64 * 1024
_RAW_KEPT = 512
_KHZ_MIN, _KHZ_MAX = 20_000.0, 2_000_000.0


class KrakenReader:
    """Codec of one direction finder."""

    def __init__(self, *, sensor: str, file: str) -> None:
        self._sensor = sensor
        self._file = file
        self._cutter = LineCutter(_LINE_MAX)
        self._epoch_ms: float | None = None

    def feed(self, data: bytes, arrival: Arrival) -> list[Item]:
        """Take bytes in any chunks; return what the lines they complete say. Never raises."""
        return [item for line in self._cutter.feed(data) for item in self._line(line, arrival)]

    def close(self) -> list[Item]:
        """The stream breaks here: an unfinished line is none."""
        self._cutter.close()
        return []

    def _line(self, line: TextLine, arrival: Arrival) -> list[Item]:
        cells = [cell.strip() for cell in line.data.split(b",")]
        if line.is_overlong or len(cells) < _FIELDS:
            return [self._bad(line, "a bearing's line that does not fit its form")]
        try:
            epoch_ms, angle, confidence, _, hertz = (_number(cell) for cell in cells[:5])
            lat, lon, gps, compass = (_number(cell or b"0") for cell in cells[8:12])
        except ValueError:
            return [self._bad(line, "a bearing's line with an unreadable number")]
        if not (0 <= angle <= 360 and abs(lat) <= 90 and abs(lon) <= 180):
            return [self._bad(line, "an angle or a place that is none")]
        if not _KHZ_MIN <= hertz / 1000 <= _KHZ_MAX:
            return [self._bad(line, "a frequency that the device does not have")]
        if epoch_ms == self._epoch_ms:  # the same page was read twice
            return []
        self._epoch_ms = epoch_ms
        if confidence < CONFIDENCE_MIN:
            bad = self._bad(line, "a bearing of no confidence", is_damage=False)
            return [bad]
        heading = gps if cells[12].upper() == b"GPS" else compass
        stamp = Stamp(
            at_us=arrival.at_us,
            time_basis=arrival.time_basis,
            sensor=self._sensor,
            file=self._file,
            place=f"line {line.number}",
            position=Position(lat, lon) if lat or lon else None,
            received_us=arrival.received_us,
        )
        bearing = (heading + angle) % 360
        raw = line.data[:_RAW_KEPT]
        return [BearingReading(stamp=stamp, raw=raw, mhz=hertz / 1e6, bearing_deg=bearing)]

    def _bad(self, line: TextLine, reason: str, *, is_damage: bool = True) -> Unreadable:
        return Unreadable(
            file=self._file,
            place=f"line {line.number}",
            reason=reason,
            raw=line.data[:_RAW_KEPT],
            is_damage=is_damage,
        )


def _number(cell: bytes) -> float:
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError(cell)
    return number
