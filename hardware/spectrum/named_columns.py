"""Logs of spectra, carriers, bearings and stations whose columns are told by name and unit.

Rows of one sweep are put together: a frequency that comes again begins the next. What holds no
sweep is read row by row: a carrier where the level stands out, a bearing, or a tuner's station.
Dates, decimal commas, units and delimiters are those of ``column_names`` and ``log_times``.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from hardware.readings import (
    BearingReading,
    CarrierReading,
    Item,
    Position,
    RdsReading,
    Stamp,
    SweepDevice,
    SweepReading,
    TimeBasisWord,
    TunerReading,
    Unreadable,
)
from hardware.spectrum.column_names import (
    Column,
    Layout,
    decode,
    find_layout,
    frequency_hz,
    hz_by_size,
    number,
    split,
)
from hardware.spectrum.levels import LEVEL_MAX, LEVEL_MIN, usable
from hardware.spectrum.log_times import LogClock, LogTime, day_order, parse_time

CONTENT_MAX_BYTES = 512 * 1024 * 1024
SWEEP_MIN, SWEEP_STEP_MAX_HZ, SWEEP_GAP = 3, 500_000.0, 40.0
"""So many points at such steps are a sweep; what lies farther apart are carriers of their own."""
STANDS_OUT_DB = 10.0
"""A carrier of a log stands so far above the least level of the log, or over CARRIER_MIN_DBM."""
CARRIER_MIN_DBM = -95.0
_EVEN = 0.02
_RAW_KEPT = 512
_DBF_0_DBM = -120.0
_PI = re.compile(r"(?:0x)?([0-9A-Fa-f]{4})(\?{0,3})")


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    text: str
    hz: float
    level: float
    at: LogTime | None
    position: Position | None
    bearing: float | None
    sigma: float | None
    pi: tuple[int, int] | None
    ps: str
    radiotext: str

    @property
    def is_point(self) -> bool:
        """A point of a spectrum, or a level at one frequency; else a reading of its own."""
        return self.bearing is None and self.pi is None and not self.ps and not self.radiotext


@dataclass(slots=True)
class _Group:
    """Points of the sweep that is being put together."""

    hz: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    seen: set[float] = field(default_factory=set)
    rows: list[_Row] = field(default_factory=list)
    at: LogTime | None = None


def _is_doubled(before: _Row, row: _Row) -> bool:
    """The same row once more, which is no new sweep."""
    return before.text.strip() == row.text.strip()


class _BadRow(Exception):  # noqa: N818 - caught a few lines further up
    """A row that makes no sense; the text says why."""


def read_named(content: bytes, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
    """Yield what the rows say, and an ``Unreadable`` with its line for each that says nothing."""
    if len(content) > CONTENT_MAX_BYTES:
        reason = f"larger than {CONTENT_MAX_BYTES >> 20} MiB; split it"
        yield Unreadable(file=file, place="offset 0", reason=reason)
        return
    lines = decode(content).splitlines()
    layout = find_layout(lines)
    if layout is None:
        yield Unreadable(file=file, place="line 1", reason="no columns of a spectrum log")
        return
    yield from _Log(layout, lines, file, sensor, start_us).items()


class _Log:
    """One log under one layout."""

    def __init__(
        self, layout: Layout, lines: Sequence[str], file: str, sensor: str, start_us: int | None
    ) -> None:
        self._layout, self._lines = layout, lines
        self._file, self._sensor, self._start_us = file, sensor, start_us
        self._order = day_order(lines)
        self._clock = LogClock(self._order, start_us=start_us)
        self._hz = layout.hz or self._hz_of_rows()
        self._sweeps = 0
        self._comment: LogTime | None = None
        self._least: float | None = None
        self._waiting: list[_Group] = []

    def items(self) -> Iterator[Item]:
        if self._layout.wide_hz:
            yield from self._wide_items()
            return
        group = _Group()
        for number_, text in enumerate(self._lines, start=1):
            if number_ <= self._layout.header_line:
                self._note_time(text.strip())
                continue
            if self._is_note(text):
                continue
            try:
                row = self._row(number_, text)
            except _BadRow as problem:
                yield self._bad(number_, str(problem), text)
                continue
            if not row.is_point:
                yield from self._single(row)
                continue
            if row.hz in group.seen:
                if _is_doubled(group.rows[-1], row):
                    yield self._bad(number_, "the row was written twice", text, is_damage=False)
                    continue
                yield from self._close(group)
                group = _Group()
            self._add(group, row)
        yield from self._close(group)
        yield from self._carriers()

    # -- rows ------------------------------------------------------------------------------------

    def _hz_of_rows(self) -> float:
        index = self._layout.columns.get(Column.FREQUENCY, 0)
        values = []
        for text in self._lines[self._layout.header_line : self._layout.header_line + 200]:
            cells = split(text, self._layout.delimiter)
            value = number(cells[index]) if index < len(cells) else math.nan
            values += [value] if value > 0 else []
        return hz_by_size(values) if values else 1.0

    def _is_note(self, text: str) -> bool:
        """A blank line, a comment or a setting; the first time in it is the next sweep's."""
        stripped = text.strip()
        if stripped and stripped[0] not in "#!%;/":
            return False
        self._note_time(stripped)
        return True

    def _note_time(self, stripped: str) -> None:
        told = parse_time(stripped.lstrip("#!%;/ "), self._order) if ":" in stripped else None
        if told is not None and told.has_date and self._comment is None:
            self._comment = told

    def _row(self, line: int, text: str) -> _Row:
        cells = split(text, self._layout.delimiter)

        def cell(column: Column) -> str:
            index = self._layout.columns.get(column)
            return cells[index] if index is not None and index < len(cells) else ""

        told = cell(Column.FREQUENCY)
        hz = frequency_hz(told, self._hz)
        if not 1e5 <= hz <= 1e11:
            raise _BadRow(f"no frequency in {told[:24]!r}")
        level = number(cell(Column.LEVEL).split(" ")[0])
        has_level = Column.LEVEL in self._layout.columns
        if has_level and not cell(Column.LEVEL) and len(self._layout.columns) == 2:
            raise _BadRow("no level")
        at = self._time(cells)
        if at is None and Column.TIME in self._layout.columns:
            raise _BadRow(f"no time in {cell(Column.TIME)[:24]!r}")
        pi = _PI.fullmatch(cell(Column.PI))
        bearing = number(cell(Column.BEARING)) if cell(Column.BEARING) else math.nan
        if Column.BEARING in self._layout.columns and not 0 <= bearing <= 360:
            raise _BadRow(f"no bearing in {cell(Column.BEARING)[:24]!r}")
        sigma = number(cell(Column.SIGMA)) if cell(Column.SIGMA) else math.nan
        return _Row(
            line=line,
            text=text,
            hz=hz,
            level=level + (self._layout.to_dbm or 0.0),
            at=at,
            position=_position(cell(Column.LAT), cell(Column.LON)),
            bearing=None if math.isnan(bearing) else bearing % 360,
            sigma=sigma if 0 < sigma < 180 else None,
            pi=None if pi is None else (int(pi[1], 16), len(pi[2])),
            ps=cell(Column.PS),
            radiotext=cell(Column.RADIOTEXT),
        )

    def _time(self, cells: Sequence[str]) -> LogTime | None:
        parts = [
            cells[index]
            for column in (Column.DATE, Column.TIME)
            if (index := self._layout.columns.get(column)) is not None and index < len(cells)
        ]
        told = self._clock.read(" ".join(parts)) if parts else None
        if told is None or told.has_zone or not self._layout.is_utc:
            return told
        return LogTime(told.at_us, told.has_date, has_zone=True)

    # -- sweeps ----------------------------------------------------------------------------------

    def _add(self, group: _Group, row: _Row) -> None:
        if not group.hz:
            group.at, self._comment = row.at or self._comment, None
        group.hz.append(row.hz)
        group.levels.append(row.level)
        group.seen.add(row.hz)
        group.rows.append(row)
        if LEVEL_MIN <= row.level <= LEVEL_MAX:
            self._least = min(row.level, self._least if self._least is not None else row.level)

    def _close(self, group: _Group) -> Iterator[Item]:
        if not group.hz:
            return
        order = np.argsort(np.asarray(group.hz), kind="stable")
        hz = np.asarray(group.hz)[order]
        steps = np.diff(hz)
        is_sweep = (
            len(hz) >= SWEEP_MIN
            and float(np.median(steps)) <= SWEEP_STEP_MAX_HZ
            and float(steps.max()) <= SWEEP_GAP * float(np.median(steps))
        )
        if not is_sweep:
            self._waiting.append(group)
            return
        levels = np.asarray(group.levels)[order]
        first, last = group.rows[0], group.rows[-1]
        stamp = self._stamp(group.at, f"line {first.line}-{last.line}", first.position)
        yield self._sweep(hz, levels, stamp, "\n".join(r.text for r in group.rows).encode())
        self._sweeps += 1

    def _sweep(self, hz: np.ndarray, levels: np.ndarray, stamp: Stamp, raw: bytes) -> SweepReading:
        steps = np.diff(hz)
        step = float(np.median(steps))
        is_even = bool(np.ptp(steps) <= max(2.0, _EVEN * step))
        good, rejected = usable(levels)
        return SweepReading(
            stamp=stamp,
            raw=raw,
            device=SweepDevice.OTHER,
            start_hz=float(hz[0]),
            step_hz=float(hz[-1] - hz[0]) / (len(hz) - 1) if is_even else step,
            levels_dbm=good,
            at_hz=None if is_even else array("d", hz.astype(np.float64).tobytes()),
            is_calibrated=self._layout.to_dbm is not None,
            rejected=rejected,
        )

    def _wide_items(self) -> Iterator[Item]:
        layout = self._layout
        hz = np.asarray(layout.wide_hz)
        for line, text in enumerate(self._lines, start=1):
            if line <= layout.header_line or self._is_note(text):
                continue
            cells = split(text, layout.delimiter)
            told = cells[layout.wide_first : layout.wide_first + len(hz)]
            if len(told) < len(hz):
                yield self._bad(line, f"{len(told)} levels for {len(hz)} frequencies", text)
                continue
            at = self._time(cells)
            if at is None and {Column.TIME, Column.DATE} & layout.columns.keys():
                yield self._bad(line, "no time", text)
                continue
            position = None
            if Column.LAT in layout.columns and Column.LON in layout.columns:
                position = _position(
                    cells[layout.columns[Column.LAT]], cells[layout.columns[Column.LON]]
                )
            levels = np.asarray([number(cell) for cell in told]) + (layout.to_dbm or 0.0)
            stamp = self._stamp(at, f"line {line}", position)
            yield self._sweep(hz, levels, stamp, text.encode())
            self._sweeps += 1

    # -- single readings -------------------------------------------------------------------------

    def _single(self, row: _Row) -> Iterator[Item]:
        stamp = self._stamp(row.at, f"line {row.line}", row.position)
        self._sweeps += 1
        raw = row.text.encode()[:_RAW_KEPT]
        mhz = row.hz / 1e6
        level = None if math.isnan(row.level) or self._layout.to_dbm is None else row.level
        if row.bearing is not None:
            yield BearingReading(
                stamp=stamp,
                raw=raw,
                mhz=mhz,
                bearing_deg=row.bearing,
                sigma_deg=row.sigma,
                level_dbm=level,
            )
        if row.pi is not None or row.ps or row.radiotext:
            dbf = None if level is None else level - _DBF_0_DBM
            pi, doubt = row.pi or (None, 0)
            if level is None:  # it stands there, for it was heard; nobody measured its level
                yield CarrierReading(stamp=stamp, raw=raw, mhz=mhz, level_dbm=None)
            yield TunerReading(stamp=stamp, raw=raw, mhz=mhz, level_dbf=dbf, pi=pi, pi_doubt=doubt)
            if row.ps or row.radiotext:
                yield RdsReading(
                    stamp=stamp,
                    raw=raw,
                    mhz=mhz,
                    pi=None,
                    is_clean=True,
                    ps=row.ps or None,
                    radiotext=row.radiotext or None,
                )

    def _carriers(self) -> Iterator[Item]:
        """Levels at frequencies that are no sweep: carriers where they stand out of the log."""
        for group in self._waiting:
            for row in group.rows:
                if not self._stands_out(row.level):
                    continue
                stamp = self._stamp(row.at or group.at, f"line {row.line}", row.position)
                raw = row.text.encode()[:_RAW_KEPT]
                yield CarrierReading(stamp=stamp, raw=raw, mhz=row.hz / 1e6, level_dbm=row.level)
            self._sweeps += 1

    def _stands_out(self, level: float) -> bool:
        if not LEVEL_MIN <= level <= LEVEL_MAX or self._least is None:
            return False
        is_strong = self._layout.to_dbm is not None and level >= CARRIER_MIN_DBM
        return is_strong or level >= self._least + STANDS_OUT_DB

    # -- stamps ----------------------------------------------------------------------------------

    def _stamp(self, at: LogTime | None, place: str, position: Position | None) -> Stamp:
        basis: TimeBasisWord = "recorded"
        is_local = False
        if at is None:  # no time at all: one sweep a second
            basis = "synthetic" if self._start_us is None else "recorded"
            at_us = (self._start_us or 0) + self._sweeps * 1_000_000
        else:
            at_us = at.at_us
            basis = "recorded" if at.has_date else "synthetic"
            is_local = at.has_date and not at.has_zone
        return Stamp(
            at_us=at_us,
            time_basis=basis,
            sensor=self._sensor,
            file=self._file,
            place=place,
            position=position,
            is_local_time=is_local,
        )

    def _bad(self, line: int, reason: str, text: str, *, is_damage: bool = True) -> Unreadable:
        return Unreadable(
            file=self._file,
            place=f"line {line}",
            reason=reason,
            raw=text.encode()[:64],
            is_damage=is_damage,
        )


def _position(lat_text: str, lon_text: str) -> Position | None:
    """0,0 and what is no number are no position."""
    lat, lon = number(lat_text), number(lon_text)
    if not (abs(lat) <= 90 and abs(lon) <= 180) or (lat == 0 and lon == 0):
        return None
    return Position(lat, lon)
