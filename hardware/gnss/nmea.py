"""NMEA 0183: GGA, RMC and GLL sentences to fixes, without I/O.

A sentence without its checksum, or with a wrong one, is no position. A sentence that says it has
no fix (GGA quality 0, RMC and GLL status V) becomes a reading without a position, whatever numbers
stand in it; so does the fix at 0, 0, which receivers send before they have one.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from hardware.modems.interface import Arrival
from hardware.readings import FixQuality, FixReading, Item, Position, Stamp, Unreadable
from hardware.spectrum.lines import LineCutter, TextLine

KNOT_MS = 1852 / 3600

_LINE_MAX = 512  # the standard says 82; receivers exceed it
_RAW_KEPT = 128
_SENTENCE = re.compile(rb"\$([A-Z]{2})([A-Z]{3}),([ -)+-~]*)\*([0-9A-Fa-f]{2})")
_PROPRIETARY = re.compile(rb"[$!][!-~][ -~]*")
_DEGREES = re.compile(rb"(\d{2,3})(\d{2}(?:\.\d+)?)")
_CLOCK = re.compile(rb"(\d\d)(\d\d)(\d\d)(?:\.(\d+))?")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_QUALITIES = {
    b"1": FixQuality.GNSS,
    b"2": FixQuality.DIFFERENTIAL,
    b"3": FixQuality.GNSS,  # PPS
    b"4": FixQuality.RTK,
    b"5": FixQuality.RTK_FLOAT,
    b"6": FixQuality.ESTIMATED,
    b"7": FixQuality.MANUAL,
    b"8": FixQuality.SIMULATED,
}
_MODES = {
    b"A": FixQuality.GNSS,
    b"D": FixQuality.DIFFERENTIAL,
    b"E": FixQuality.ESTIMATED,
    b"F": FixQuality.RTK_FLOAT,
    b"M": FixQuality.MANUAL,
    b"P": FixQuality.GNSS,
    b"R": FixQuality.RTK,
    b"S": FixQuality.SIMULATED,
    b"N": FixQuality.NONE,
}


class _BadSentence(Exception):  # noqa: N818 - caught a few lines further down
    """A sentence that makes no sense; the text says why."""


@dataclass(slots=True)
class _Fields:
    """Fields of one sentence, empty ones as None."""

    cells: list[bytes]

    def get(self, index: int) -> bytes:
        return self.cells[index] if index < len(self.cells) else b""

    def number(self, index: int, low: float, high: float) -> float | None:
        cell = self.get(index)
        if not cell:
            return None
        try:
            value = float(cell)
        except ValueError as error:
            raise _BadSentence(f"field {index + 1} is no number") from error
        if not low <= value <= high:
            raise _BadSentence(f"field {index + 1} is {value:g}")
        return value

    def position(self, index: int) -> Position | None:
        if not (self.get(index) and self.get(index + 2)):
            return None
        lat = _degrees(self.get(index), self.get(index + 1), b"NS", 90)
        lon = _degrees(self.get(index + 2), self.get(index + 3), b"EW", 180)
        return None if lat == 0 and lon == 0 else Position(lat, lon)


def _degrees(value: bytes, side: bytes, sides: bytes, limit: int) -> float:
    match = _DEGREES.fullmatch(value)
    if match is None or len(side) != 1 or side not in sides:
        raise _BadSentence(f"{value.decode()},{side.decode()} is no angle")
    minutes = float(match[2])
    degrees = int(match[1]) + minutes / 60
    if minutes >= 60 or degrees > limit:
        raise _BadSentence(f"{value.decode()} is no angle")
    return -degrees if side in b"SW" else degrees


class NmeaReader:
    """Codec of one receiver. The date of an RMC sentence dates the GGA sentences after it."""

    def __init__(self, *, sensor: str, file: str) -> None:
        self._sensor = sensor
        self._file = file
        self._cutter = LineCutter(_LINE_MAX)
        self._date: dt.date | None = None

    def feed(self, data: bytes, arrival: Arrival) -> list[Item]:
        """Take bytes in any chunks; return what the sentences they complete say. Never raises."""
        return [item for line in self._cutter.feed(data) for item in self._line(line, arrival)]

    def close(self, arrival: Arrival | None = None) -> list[Item]:
        """The stream breaks here."""
        lines = self._cutter.close()
        self._date = None
        return [] if arrival is None else [i for line in lines for i in self._line(line, arrival)]

    def _line(self, line: TextLine, arrival: Arrival) -> list[Item]:
        place = f"line {line.number}"
        match = _SENTENCE.fullmatch(line.data)
        if match is None or line.is_overlong:
            if line.data[:1] == b"#":  # a comment of whoever recorded it
                return []
            is_other = bool(_PROPRIETARY.fullmatch(line.data)) and b"*" in line.data
            reason = "no NMEA sentence with a checksum"
            return [self._bad(line, place, reason, is_damage=not is_other)]
        check = 0
        for byte in line.data[1 : line.data.rindex(b"*")]:
            check ^= byte
        if check != int(match[4], 16):
            return [self._bad(line, place, f"checksum {match[4].decode()} instead of {check:02X}")]
        read = _READERS.get(match[2])
        if read is None:
            return []
        stamp = Stamp(
            at_us=arrival.at_us,
            time_basis=arrival.time_basis,
            sensor=self._sensor,
            file=self._file,
            place=place,
            is_checked=True,
            received_us=arrival.received_us,
        )
        try:
            return [read(self, _Fields(match[3].split(b",")), stamp, line.data)]
        except _BadSentence as problem:
            return [self._bad(line, place, str(problem))]

    def _gga(self, fields: _Fields, stamp: Stamp, raw: bytes) -> FixReading:
        quality = _QUALITIES.get(fields.get(5), FixQuality.NONE)
        has_fix = quality is not FixQuality.NONE
        position = fields.position(1) if has_fix else None
        satellites = fields.number(6, 0, 200)
        return FixReading(
            stamp=stamp,
            raw=raw,
            position=position,
            quality=quality if position else FixQuality.NONE,
            fix_us=self._time(fields.get(0)),
            satellites=None if satellites is None else int(satellites),
            hdop=fields.number(7, 0, 1000) if has_fix else None,
            altitude_m=fields.number(8, -1000, 20_000) if has_fix else None,
        )

    def _rmc(self, fields: _Fields, stamp: Stamp, raw: bytes) -> FixReading:
        self._date = _date(fields.get(8)) or self._date
        quality = _MODES.get(fields.get(11), FixQuality.GNSS)
        has_fix = fields.get(1) == b"A" and quality is not FixQuality.NONE
        position = fields.position(2) if has_fix else None
        speed = fields.number(6, 0, 2000) if has_fix else None
        return FixReading(
            stamp=stamp,
            raw=raw,
            position=position,
            quality=quality if position else FixQuality.NONE,
            fix_us=self._time(fields.get(0)),
            speed_ms=None if speed is None else speed * KNOT_MS,
            course_deg=fields.number(7, 0, 360) if has_fix else None,
        )

    def _gll(self, fields: _Fields, stamp: Stamp, raw: bytes) -> FixReading:
        quality = _MODES.get(fields.get(6), FixQuality.GNSS)
        has_fix = fields.get(5) == b"A" and quality is not FixQuality.NONE
        position = fields.position(0) if has_fix else None
        return FixReading(
            stamp=stamp,
            raw=raw,
            position=position,
            quality=quality if position else FixQuality.NONE,
            fix_us=self._time(fields.get(4)),
        )

    def _time(self, clock: bytes) -> int | None:
        """Microseconds of the satellites' clock; None without a date: a time of day is no time."""
        if not clock:
            return None
        match = _CLOCK.fullmatch(clock)
        if match is None or int(match[1]) > 23 or int(match[2]) > 59 or int(match[3]) > 60:
            raise _BadSentence(f"{clock.decode()} is no time of day")
        if self._date is None:
            return None
        seconds = int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3])
        day = dt.datetime(self._date.year, self._date.month, self._date.day, tzinfo=dt.UTC)
        micros = int((match[4] or b"0")[:6].ljust(6, b"0"))
        whole = day + dt.timedelta(seconds=seconds)
        return (whole - _EPOCH) // dt.timedelta(microseconds=1) + micros

    def _bad(
        self, line: TextLine, place: str, reason: str, *, is_damage: bool = True
    ) -> Unreadable:
        return Unreadable(
            file=self._file,
            place=place,
            reason=reason,
            raw=line.data[:_RAW_KEPT],
            is_damage=is_damage,
        )


def _date(cell: bytes) -> dt.date | None:
    if len(cell) != 6 or not cell.isdigit():
        return None
    try:
        return dt.date(2000 + int(cell[4:]), int(cell[2:4]), int(cell[:2]))
    except ValueError as error:
        raise _BadSentence(f"{cell.decode()} is no date") from error


_READERS = {b"GGA": NmeaReader._gga, b"RMC": NmeaReader._rmc, b"GLL": NmeaReader._gll}
