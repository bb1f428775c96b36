"""Spectra as two columns, frequency in Hz and level: what tinySA and many programs save as CSV."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import numpy as np

from hardware.readings import Item, Stamp, SweepDevice, SweepReading, TimeBasisWord, Unreadable
from hardware.spectrum.levels import parse_levels, usable
from hardware.spectrum.lines import LineCutter
from hardware.spectrum_files import TABLE_ROW

HEADER_LINES = 12
"""Lines at the beginning that need not be rows."""
_EVEN = 0.02


def read_table(content: bytes, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
    """Yield a sweep each time the frequency begins anew; a row that is none is told by line."""
    cutter = LineCutter(4096)
    hz: list[float] = []
    cells: list[bytes] = []
    first = last = number = 0
    for line in [*cutter.feed(content), *cutter.close()]:
        row = TABLE_ROW.fullmatch(line.data)
        if row is None:
            if line.number > HEADER_LINES:
                reason = "no frequency in Hz and level"
                place = f"line {line.number}"
                yield Unreadable(file=file, place=place, reason=reason, raw=line.data[:64])
            continue
        at = float(row[1])
        if hz and at <= hz[-1]:
            yield _sweep(hz, cells, f"line {first}-{last}", file, sensor, start_us, number)
            number += 1
            hz, cells = [], []
        if not hz:
            first = line.number
        hz.append(at)
        cells.append(row[2])
        last = line.number
    if hz:
        yield _sweep(hz, cells, f"line {first}-{last}", file, sensor, start_us, number)


def _sweep(
    hz: list[float],
    cells: list[bytes],
    place: str,
    file: str,
    sensor: str,
    start_us: int | None,
    number: int,
) -> Item:
    if len(hz) < 3:
        return Unreadable(file=file, place=place, reason=f"{len(hz)} points are no sweep")
    steps = np.diff(hz)
    step = float(np.median(steps))
    is_even = bool(np.ptp(steps) <= max(2.0, _EVEN * step))
    levels, rejected = usable(parse_levels(cells))
    basis: TimeBasisWord = "synthetic" if start_us is None else "recorded"
    return SweepReading(
        stamp=Stamp(
            at_us=(start_us or 0) + number * 1_000_000,
            time_basis=basis,
            sensor=sensor,
            file=file,
            place=place,
        ),
        raw=levels.tobytes(),
        device=SweepDevice.TINYSA,
        start_hz=hz[0],
        step_hz=(hz[-1] - hz[0]) / (len(hz) - 1) if is_even else step,
        levels_dbm=levels,
        at_hz=None if is_even else array("d", hz),
        rejected=rejected,
    )
