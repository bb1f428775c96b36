"""Recordings of QtTinySA: a numpy array with frequencies in row 0 and Unix times in column 0."""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hardware.readings import Item, Stamp, SweepDevice, SweepReading, Unreadable
from hardware.spectrum.levels import usable

_FILE_MAX_BYTES = 1 << 30
_STEP_SPREAD = 0.02
"""Frequencies are rounded to whole Hz: 2 % of a step is more than that ever makes."""
_YEAR_2000_S = 946_684_800


def read_npy(content: bytes, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
    """Yield a sweep for every row; never executes anything in the file (no pickles)."""
    table = _load(content)
    if isinstance(table, str):
        yield Unreadable(file=file, place="offset 0", reason=table, raw=content[:64])
        return
    hz, seconds = table[0, 1:], table[1:, 0]
    steps = np.diff(hz)
    step = float(np.median(steps[steps > 0]))
    # QtTinySA measures in tiles and writes the point between two of them twice
    is_even = np.ptp(steps) <= max(2.0, _STEP_SPREAD * step)
    at_hz = None if is_even else array("d", hz.tobytes())
    previous_s: float | None = None
    for number, row in enumerate(table[1:], start=1):
        at_s = float(seconds[number - 1])
        place = f"sweep {number}"
        if not np.isfinite(at_s) or abs(at_s) > 1e11:
            yield Unreadable(file=file, place=place, reason="the time is no number")
            continue
        has_date = at_s >= _YEAR_2000_S
        at_us = round(at_s * 1e6)
        if not has_date and start_us is not None:
            at_us, has_date = start_us + round((at_s - float(seconds[0])) * 1e6), True
        levels, rejected = usable(row[1:])
        yield SweepReading(
            stamp=Stamp(
                at_us=at_us,
                time_basis="recorded" if has_date else "synthetic",
                sensor=sensor,
                file=file,
                place=place,
            ),
            raw=np.ascontiguousarray(row).tobytes(),
            device=SweepDevice.TINYSA,
            start_hz=float(hz[0]),
            step_hz=step,
            levels_dbm=levels,
            at_hz=at_hz,
            is_calibrated=True,
            rejected=rejected,
            duration_s=max(0.0, at_s - previous_s) if previous_s is not None else 0.0,
        )
        previous_s = at_s


def _load(content: bytes) -> NDArray[np.float64] | str:
    """Return the table, or in words why there is none."""
    if len(content) > _FILE_MAX_BYTES:
        return "larger than any recording of sweeps"
    try:
        table = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # noqa: BLE001 - numpy reads the header as Python source: whatever
        return f"no numpy array that could be read: {type(error).__name__}"
    if not isinstance(table, np.ndarray) or table.ndim != 2 or table.dtype.kind not in "fiu":
        return "not a table of numbers"
    if table.shape[0] < 2 or table.shape[1] < 3:
        return f"a table of {table.shape[0]} rows and {table.shape[1]} columns has no sweep"
    table = table.astype(np.float64)
    hz = table[0, 1:]
    steps = np.diff(hz)
    if not np.all(np.isfinite(hz)) or steps.min() < 0 or not 0 <= hz[0] < hz[-1] <= 1e11:
        return "row 0 is no ascending list of frequencies"
    return np.asarray(table)
