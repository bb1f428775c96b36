"""FM-DX / XDR tuner lines (TEF6686, XDR-F1HD and boards that speak them), without I/O.

Both dialects are read: PE5PVB's (``U87500 = 45, 87600 = 12, ...``, legacy RDS lines of 14 digits
without block A) and Konrad's (``U87500=45.20,87600=12.10``, RDS lines of 18 digits). There is no
checksum: a line that does not fit its form is one counted error.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from hardware.modems.interface import Arrival
from hardware.readings import (
    Item,
    Stamp,
    SweepDevice,
    SweepReading,
    TunerReading,
    Unreadable,
)
from hardware.spectrum.levels import usable
from hardware.spectrum.lines import LineCutter, TextLine
from hardware.spectrum.rds import RdsDecoder

DBF_0_DBM = -120.0
"""0 dBf is 1 fW: -120 dBm."""

_LINE_MAX = 64 * 1024
_RAW_KEPT = 256
_NUMBER = rb"-?\d{1,4}(?:\.\d{1,3})?"
_TUNE = re.compile(rb"T(\d{4,6})(?:,\d+)?")
_STATUS = re.compile(rb"S([smSM])(%b)(?:,(-?\d{1,3}))?(?:,(-?\d{1,3}))?(?:,(-?\d{1,6}))?" % _NUMBER)
_PI = re.compile(rb"P([0-9A-Fa-f]{4})(\?{0,3})")
_RDS = re.compile(rb"R([0-9A-Fa-f]{14}|[0-9A-Fa-f]{18})")
_SCAN = re.compile(rb"U\s*(\d{4,6}\s*=.*)")
_SCAN_POINT = re.compile(rb"\s*(\d{4,6})\s*=\s*(%b)\s*" % _NUMBER)
_KNOWN = re.compile(rb"OK|[A-Z][0-9a-zA-Z.,\-]*|[a-z]\d*")
"""Echoes and settings: W151000, G00, M0, V..., x, OK."""
_FM_KHZ = range(64_000, 108_001)
_SCAN_GAP = 0.25


def start() -> bytes:
    """``x``: the tuner begins to talk."""
    return b"x\n"


def tune(khz: int) -> bytes:
    """``T``: stand on a frequency."""
    return b"T%d\n" % khz


def scan(start_khz: int, stop_khz: int, step_khz: int = 100, bandwidth_hz: int = 114_000) -> bytes:
    """Set up a spectral scan and start it once."""
    return b"Sa%d\nSb%d\nSc%d\nSw%d\nS\n" % (start_khz, stop_khz, step_khz, bandwidth_hz)


class FmDxTuner:
    """Codec of one tuner."""

    def __init__(self, *, sensor: str, file: str) -> None:
        self._sensor = sensor
        self._file = file
        self._cutter = LineCutter(_LINE_MAX)
        self._mhz: float | None = None
        self._rds = RdsDecoder()
        self._pi: int | None = None
        self._scan_us: int | None = None

    @property
    def mhz(self) -> float | None:
        """Where the tuner stands, once it has said so."""
        return self._mhz

    def feed(self, data: bytes, arrival: Arrival) -> list[Item]:
        """Take bytes in any chunks; return what the lines they complete say. Never raises."""
        items: list[Item] = []
        for line in self._cutter.feed(data):
            items += self._line(line, arrival)
        return items

    def close(self, arrival: Arrival | None = None) -> list[Item]:
        """The stream breaks here: an unfinished line of a live stream is none."""
        lines = self._cutter.close()
        self._rds.reset()
        self._pi = None
        if arrival is None:
            return []
        return [item for line in lines for item in self._line(line, arrival)]

    def _line(self, line: TextLine, arrival: Arrival) -> list[Item]:
        data = line.data
        if line.is_overlong:
            return [self._bad(line, "the line does not end")]
        stamp = Stamp(
            at_us=arrival.at_us,
            time_basis=arrival.time_basis,
            sensor=self._sensor,
            file=self._file,
            place=f"line {line.number}",
            received_us=arrival.received_us,
        )
        if (found := _RDS.fullmatch(data)) is not None:
            return [self._group(found[1], stamp, data)]
        if (found := _STATUS.fullmatch(data)) is not None:
            return [self._status(found, stamp, data)]
        if (found := _PI.fullmatch(data)) is not None:
            return [self._identity(found, stamp, data)]
        if (found := _TUNE.fullmatch(data)) is not None:
            self._move(int(found[1]))
            return []
        if (found := _SCAN.fullmatch(data)) is not None:
            return self._spectrum(found[1], stamp, line)
        if data[:1] in b"RPSUT" or not _KNOWN.fullmatch(data):
            return [self._bad(line, "a tuner line that does not fit its form")]
        return []

    def _move(self, khz: int) -> None:
        mhz = khz / 1000
        if mhz != self._mhz:
            self._mhz = mhz
            self._rds.reset()
            self._pi = None

    def _status(self, found: re.Match[bytes], stamp: Stamp, raw: bytes) -> TunerReading:
        adjacent, width = found[4], found[5]
        return TunerReading(
            stamp=stamp,
            raw=raw,
            mhz=self._mhz,
            level_dbf=float(found[2]),
            is_stereo=found[1] in b"sS",
            cochannel_percent=_percent(found[3]),
            adjacent_percent=_percent(adjacent),
            bandwidth_hz=int(width) * 1000 if width and int(width) > 0 else None,
        )

    def _identity(self, found: re.Match[bytes], stamp: Stamp, raw: bytes) -> TunerReading:
        self._pi = int(found[1], 16) if not found[2] else self._pi
        return TunerReading(
            stamp=stamp, raw=raw, mhz=self._mhz, pi=int(found[1], 16), pi_doubt=len(found[2])
        )

    def _group(self, digits: bytes, stamp: Stamp, raw: bytes) -> Item:
        """Two bits a block say how it came: 0 without error, 3 beyond repair."""
        words = [int(digits[i : i + 4], 16) for i in range(0, len(digits) - 2, 4)]
        status = int(digits[-2:], 16)
        errors = [(status >> shift) & 3 for shift in (6, 4, 2, 0)]
        if len(words) == 3:  # the legacy dialect has no block A: its PI stands in the P line
            blocks: list[int | None] = [self._pi, *words]
            errors[0] = 0
        else:
            blocks = list(words)
        usable_blocks = [None if bad else block for block, bad in zip(blocks, errors, strict=True)]
        reading = self._rds.decode(
            usable_blocks, stamp, raw, mhz=self._mhz, is_clean=not any(errors)
        )
        # a PI of the P line was counted when that line came
        return replace(reading, pi=None) if len(words) == 3 and reading.pi else reading

    def _spectrum(self, body: bytes, stamp: Stamp, line: TextLine) -> list[Item]:
        khz: list[int] = []
        dbf: list[float] = []
        torn = 0
        for cell in body.rstrip(b" ,").split(b","):
            point = _SCAN_POINT.fullmatch(cell)
            if point is None or int(point[1]) not in _FM_KHZ:
                torn += 1
                continue
            khz.append(int(point[1]))
            dbf.append(float(point[2]))
        items: list[Item] = []
        if torn:
            items.append(self._bad(line, f"{torn} points of a scan line are torn"))
        steps = np.diff(khz)
        steps = steps[steps > 0]
        if len(khz) < 2 or not len(steps):
            return [*items, self._bad(line, "a scan line without two points")]
        step = int(steps.min())
        count = (max(khz) - min(khz)) // step + 1
        if count > 2 * len(khz) + 2:
            return [*items, self._bad(line, "a scan line whose frequencies do not follow")]
        grid = np.full(count, np.nan)
        for at, level in zip(khz, dbf, strict=True):
            index = round((at - min(khz)) / step)
            if abs(min(khz) + index * step - at) <= _SCAN_GAP * step and index < count:
                grid[index] = level + DBF_0_DBM
        levels, rejected = usable(grid)
        took = 0.0 if self._scan_us is None else max(0.0, (stamp.at_us - self._scan_us) / 1e6)
        self._scan_us = stamp.at_us
        sweep = SweepReading(
            stamp=stamp,
            raw=line.data,
            device=SweepDevice.FM_TUNER,
            start_hz=min(khz) * 1000.0,
            step_hz=step * 1000.0,
            levels_dbm=levels,
            rbw_hz=None,
            is_calibrated=True,
            rejected=rejected,
            duration_s=took,
        )
        return [*items, sweep]

    def _bad(self, line: TextLine, reason: str) -> Unreadable:
        return Unreadable(
            file=self._file,
            place=f"line {line.number}",
            reason=reason,
            raw=line.data[:_RAW_KEPT],
        )


def _percent(cell: bytes | None) -> float | None:
    return float(cell) if cell is not None and int(cell) >= 0 else None
