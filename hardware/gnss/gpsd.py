"""gpsd's JSON stream (TPV and SKY reports over ``socket://HOST:2947``), without I/O."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from hardware.modems.interface import Arrival
from hardware.readings import FixQuality, FixReading, Item, Position, Stamp, Unreadable
from hardware.spectrum.lines import LineCutter, TextLine

WATCH = b'?WATCH={"enable":true,"json":true}\n'
"""What a client sends once: gpsd then reports by itself."""

_LINE_MAX = 64 * 1024
_RAW_KEPT = 256
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_STATUS = {
    2: FixQuality.DIFFERENTIAL,
    3: FixQuality.RTK,
    4: FixQuality.RTK_FLOAT,
    5: FixQuality.ESTIMATED,
    6: FixQuality.ESTIMATED,
    8: FixQuality.SIMULATED,
}


class GpsdReader:
    """Codec of one connection. A SKY report's HDOP goes with the positions after it."""

    def __init__(self, *, sensor: str, file: str) -> None:
        self._sensor = sensor
        self._file = file
        self._cutter = LineCutter(_LINE_MAX)
        self._hdop: float | None = None
        self._satellites: int | None = None

    def feed(self, data: bytes, arrival: Arrival) -> list[Item]:
        """Take bytes in any chunks; return what the reports they complete say. Never raises."""
        return [item for line in self._cutter.feed(data) for item in self._line(line, arrival)]

    def close(self, arrival: Arrival | None = None) -> list[Item]:
        """The connection breaks here."""
        self._cutter.close()
        self._hdop = self._satellites = None
        return []

    def _line(self, line: TextLine, arrival: Arrival) -> list[Item]:
        try:
            report = json.loads(line.data)
        except (ValueError, RecursionError):
            return [self._bad(line, "no JSON")]
        if line.is_overlong or not isinstance(report, dict):
            return [self._bad(line, "no report of gpsd")]
        kind = report.get("class")
        if kind == "SKY":
            self._hdop = _number(report, "hdop", 0, 1000)
            used = _number(report, "uSat", 0, 200)
            self._satellites = None if used is None else int(used)
        if kind != "TPV":
            return []
        stamp = Stamp(
            at_us=arrival.at_us,
            time_basis=arrival.time_basis,
            sensor=self._sensor,
            file=self._file,
            place=f"line {line.number}",
            received_us=arrival.received_us,
        )
        return [self._fix(report, stamp, line.data)]

    def _fix(self, report: dict[str, Any], stamp: Stamp, raw: bytes) -> FixReading:
        lat, lon = _number(report, "lat", -90, 90), _number(report, "lon", -180, 180)
        mode = _number(report, "mode", 0, 3) or 0
        position = None
        if mode >= 2 and lat is not None and lon is not None and (lat, lon) != (0, 0):
            position = Position(lat, lon)
        quality = FixQuality.NONE
        if position is not None:
            quality = _STATUS.get(int(_number(report, "status", 0, 9) or 1), FixQuality.GNSS)
        return FixReading(
            stamp=stamp,
            raw=raw,
            position=position,
            quality=quality,
            fix_us=_time(report.get("time")),
            satellites=self._satellites,
            hdop=self._hdop,
            altitude_m=_number(report, "altMSL", -1000, 20_000),
            speed_ms=_number(report, "speed", 0, 1000),
            course_deg=_number(report, "track", 0, 360),
        )

    def _bad(self, line: TextLine, reason: str) -> Unreadable:
        return Unreadable(
            file=self._file, place=f"line {line.number}", reason=reason, raw=line.data[:_RAW_KEPT]
        )


def _number(report: dict[str, Any], name: str, low: float, high: float) -> float | None:
    value = report.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if low <= value <= high else None


def _time(value: object) -> int | None:
    if not isinstance(value, str):
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)
