"""Rows of rtl_power, hackrf_sweep and soapy_power: ``date, time, lo, hi, step, samples, dB...``.

What these programs are known to print, and what is done about it:

- rtl_power prints the last level twice: what goes beyond (hi - lo) / step is dropped.
- rtl_power copies the bin below the centre (the receiver's own DC) over the centre bin: it stays,
  being no number of its own it adds nothing to a channel's power that is not there already.
- a hackrf's rows come interleaved, 5 MHz here, 5 MHz there: rows are sorted into one sweep.
- ``nan`` and ``-inf`` become NaN and are counted.
- the time is the recorder's local time without a zone.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hardware.readings import Item, Stamp, SweepDevice, SweepReading, TimeBasisWord, Unreadable
from hardware.spectrum.levels import parse_levels, usable
from hardware.spectrum.lines import LineCutter, TextLine

POINTS_MAX = 1_000_000
"""A sweep with more points is no sweep of these programs."""

_FIXED = 6
_RAW_KEPT = 512
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_HACKRF_ROW_HZ = 5_000_000
_ROW = re.compile(
    rb"\s*\d{4}-\d\d-\d\d\s*,\s*\d\d?:\d\d:\d\d(?:\.\d+)?\s*,"
    rb"\s*\d+(?:\.\d*)?\s*,\s*\d+(?:\.\d*)?\s*,\s*\d+(?:\.\d*)?\s*,\s*\d{1,12}\s*,"
)


class _BadRow(Exception):  # noqa: N818 - caught a few lines further up
    """A row that makes no sense; the text says why."""


@dataclass(frozen=True, slots=True)
class _Row:
    at_us: int
    low_hz: float
    high_hz: float
    step_hz: float
    samples: int
    levels: NDArray[np.float64]
    device: SweepDevice
    line: TextLine


@dataclass(slots=True)
class _Sweep:
    """Rows of the sweep that is being put together."""

    rows: list[_Row] = field(default_factory=list)
    has_one_time: bool = False
    """This program gives all rows of a sweep the same time."""

    def is_double(self, row: _Row) -> bool:
        """The row before was written once more."""
        return bool(self.rows) and self.rows[-1].line.data == row.line.data

    def ends_before(self, row: _Row) -> bool:
        """The row belongs to the next sweep.

        It repeats a frequency, or another step begins, or another time where all rows of a sweep
        have one: a sweep that lost its last hops does not take them from the next.
        """
        # a hackrf's rows carry the time of their own block of 20 MHz
        is_timed = self.has_one_time and row.device is not SweepDevice.HACKRF_SWEEP
        if is_timed and self.rows and row.at_us != self.rows[0].at_us:
            return True
        return any(
            row.low_hz < old.high_hz - old.step_hz / 2
            and old.low_hz < row.high_hz - row.step_hz / 2
            for old in self.rows
        ) or bool(self.rows and self.rows[0].step_hz != row.step_hz)


class CsvSweeps:
    """Codec of one stream of rows, from a file or a pipe."""

    def __init__(
        self, *, sensor: str, file: str, utc_offset_s: int = 0, time_basis: TimeBasisWord
    ) -> None:
        self._sensor = sensor
        self._file = file
        self._offset_us = utc_offset_s * 1_000_000
        self._time_basis = time_basis
        self._cutter = LineCutter()
        self._sweep = _Sweep()
        self._last_us: int | None = None

    def feed(self, data: bytes, received_us: int | None = None) -> list[Item]:
        """Take bytes in any chunks; return the sweeps that they complete. Never raises."""
        items: list[Item] = []
        for line in self._cutter.feed(data):
            items += self._line(line, received_us)
        return items

    def close(self, received_us: int | None = None) -> list[Item]:
        """No more bytes come: the last sweep is complete as it is."""
        items: list[Item] = []
        for line in self._cutter.close():
            items += self._line(line, received_us)
        return items + self._emit(received_us)

    def _line(self, line: TextLine, received_us: int | None) -> list[Item]:
        try:
            row = self._parse(line)
        except _BadRow as problem:
            return [
                Unreadable(
                    file=self._file,
                    place=f"line {line.number}",
                    reason=str(problem),
                    raw=line.data[:_RAW_KEPT],
                )
            ]
        if self._sweep.is_double(row):
            reason = "the row was written twice"
            place = f"line {line.number}"
            return [Unreadable(file=self._file, place=place, reason=reason, is_damage=False)]
        items = self._emit(received_us) if self._sweep.ends_before(row) else []
        rows = self._sweep.rows
        if rows and rows[-1].at_us == row.at_us:
            self._sweep.has_one_time = True
        rows.append(row)
        return items

    def _parse(self, line: TextLine) -> _Row:
        if line.is_overlong:
            raise _BadRow("the line does not end")
        cells = line.data.split(b",")
        if len(cells) <= _FIXED:
            raise _BadRow(f"{len(cells)} columns; a row has six and its levels")
        if not _ROW.match(line.data):
            raise _BadRow("no date, time, low Hz, high Hz, step, samples at its beginning")
        low, high, step = (float(cell) for cell in cells[2:5])
        if not 0 < step <= high - low or (high - low) / step > POINTS_MAX:
            raise _BadRow(f"{low:.0f} to {high:.0f} Hz in steps of {step:g} Hz")
        count = round((high - low) / step)
        levels = parse_levels(cells[_FIXED : _FIXED + count])
        if len(levels) < count:
            raise _BadRow(f"{len(levels)} levels for {count} bins")
        is_hackrf = high - low == _HACKRF_ROW_HZ and b"." in cells[1] and len(cells) - 6 == count
        return _Row(
            at_us=self._time(cells[0], cells[1]),
            low_hz=low,
            high_hz=high,
            step_hz=step,
            samples=int(cells[5]),
            levels=levels,
            device=SweepDevice.HACKRF_SWEEP if is_hackrf else SweepDevice.RTL_POWER,
            line=line,
        )

    def _time(self, date: bytes, time: bytes) -> int:
        text = f"{date.strip().decode()}T{time.strip().decode().zfill(8)}"
        try:
            moment = dt.datetime.fromisoformat(text[:26]).replace(tzinfo=dt.UTC)
        except ValueError as error:
            raise _BadRow(f"{text!r} is no time") from error
        return (moment - _EPOCH) // dt.timedelta(microseconds=1) - self._offset_us

    def _emit(self, received_us: int | None) -> list[Item]:
        rows, has_one_time = self._sweep.rows, self._sweep.has_one_time
        self._sweep = _Sweep(has_one_time=has_one_time)
        if not rows:
            return []
        first_line, last_line = rows[0].line.number, rows[-1].line.number
        place = f"line {first_line}" + (f"-{last_line}" if last_line != first_line else "")
        rows.sort(key=lambda row: row.low_hz)
        start, step = rows[0].low_hz, rows[0].step_hz
        count = round((rows[-1].high_hz - start) / step)
        if count > POINTS_MAX:
            reason = f"a sweep of {count} points from {start:.0f} to {rows[-1].high_hz:.0f} Hz"
            return [Unreadable(file=self._file, place=place, reason=reason)]
        grid = np.full(count, np.nan)
        for row in rows:
            at = round((row.low_hz - start) / step)
            room = grid[at : at + len(row.levels)]
            room[:] = row.levels[: len(room)]
        levels, rejected = usable(grid)
        at_us = min(row.at_us for row in rows)
        seconds = 0.0 if self._last_us is None else (at_us - self._last_us) / 1e6
        self._last_us = at_us
        width = rows[0].high_hz - rows[0].low_hz
        return [
            SweepReading(
                stamp=Stamp(
                    at_us=at_us,
                    time_basis=self._time_basis,
                    sensor=self._sensor,
                    file=self._file,
                    place=place,
                    received_us=received_us,
                    is_local_time=True,
                ),
                raw=b"\n".join(row.line.data for row in rows),
                device=rows[0].device,
                start_hz=start,
                step_hz=step,
                levels_dbm=levels,
                rbw_hz=step,
                rejected=rejected,
                duration_s=max(0.0, seconds),
                averages=rows[0].samples * step / width,
            )
        ]
