"""A sweep to carriers: robust floor, channel power, local maxima with margins to neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hardware.readings import SweepReading

CHANNEL_HZ = 150_000.0
"""Power is taken over +-75 kHz: nearly all of an FM signal, little of the next channel."""
GUARD_HZ = 200_000.0
CENTRE_ROUNDS = 3
NARROW_SPAN_HZ = 600_000.0
"""Less than this shows no noise beside a carrier: a floor cannot be taken from it."""
FLOOR_PERCENTILE = 20.0
"""Lowest fifth, as in the "80 %" method of Report ITU-R SM.2256: a full band still has gaps."""
NARROW_PARTS = 8
"""A narrow span is smoothed over an eighth of itself."""
NARROW_CONTRAST_DB, NARROW_SIGMAS = 0.8, 5.0
"""There a carrier shows as a hump over the span's own edges: at least so much, and so many times
what averaged noise varies by. Not said how much was averaged: 3 dB."""
NARROW_UNKNOWN_DB = 3.0
_LN_DB = 10 / np.log(10)  # standard deviation of one noise spectrum, dB

_SPLATTER_DB = ((150e3, 12.0), (250e3, 30.0), (350e3, 45.0), (450e3, 55.0), (650e3, 65.0))
"""What lies so far below a neighbour at this distance is its own skirt, in the receiver or on the
air. After the protection ratios of BS.412 (100 to 400 kHz), 10 dB added for selectivity."""
_FLOAT = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Peak:
    """One carrier of one sweep."""

    mhz: float
    level_db: float
    """Channel power over +-75 kHz."""
    above_floor_db: float
    neighbour_mhz: float
    """Strongest neighbour within 650 kHz; 0 without one."""
    neighbour_above_db: float


@dataclass(frozen=True, slots=True)
class Spectrum:
    """What one sweep shows of a band."""

    low_mhz: float
    high_mhz: float
    step_khz: float
    floor_db: float
    """Channel power of the noise."""
    total_db: float
    peaks: tuple[Peak, ...]
    splatter: tuple[Peak, ...]
    """Local maxima that are a neighbour's skirt."""

    @property
    def is_raster_resolved(self) -> bool:
        """Fine enough to tell a carrier 50 kHz off the raster from one on it."""
        return self.step_khz <= 60.0

    def covers(self, mhz: float) -> bool:
        """Whether a carrier there would have been seen."""
        return self.low_mhz <= mhz <= self.high_mhz


def analyse(
    sweep: SweepReading, low_mhz: float, high_mhz: float, threshold_db: float
) -> Spectrum | None:
    """Return what a sweep shows between two frequencies; None if it does not reach into them."""
    cut = _cut(sweep, low_mhz * 1e6, high_mhz * 1e6)
    if cut is None:
        return None
    start, step, levels = cut
    power = np.power(10.0, levels * 0.1)
    is_hole = np.isnan(power)
    has_holes = bool(is_hole.any())
    if has_holes:
        power[is_hole] = 0.0
    is_narrow = (len(levels) - 1) * step < NARROW_SPAN_HZ
    half = int(CHANNEL_HZ / 2 // step)
    if is_narrow:
        half = max(1, len(levels) // NARROW_PARTS // 2)
    channel = _channel_power(power, half, is_hole if has_holes else None)
    # normalised per resolution bandwidth: a level is the power within it
    channel *= step / (sweep.rbw_hz or step)
    decibel = 10.0 * np.log10(np.maximum(channel, 1e-30))
    first, last = _inside(start, step, len(decibel), low_mhz * 1e6, high_mhz * 1e6)
    if last - first < 3:
        return None
    seen = decibel[first:last]
    if has_holes:
        seen = seen[~is_hole[first:last]]
        if seen.size < 3:
            return None
    floor = _low_level(seen)
    threshold = _contrast_db(sweep, 2 * half + 1) if is_narrow else threshold_db
    indices = _maxima(decibel, max(1, int(GUARD_HZ / 2 // step)), floor + threshold)
    indices = indices[(indices >= first) & (indices < last)]
    if is_narrow and len(indices) > 1:
        indices = indices[[int(np.argmax(decibel[indices]))]]
    if is_narrow:
        half = len(levels)
    centres = _centres(power, indices, start, step, half, is_narrow=is_narrow)
    peaks, splatter = _judge(centres, decibel[indices], floor)
    return Spectrum(
        low_mhz=(start + first * step) / 1e6,
        high_mhz=(start + (last - 1) * step) / 1e6,
        step_khz=step / 1000,
        floor_db=floor,
        total_db=float(10 * np.log10(max(float(power[first:last].sum()), 1e-30))),
        peaks=peaks,
        splatter=splatter,
    )


def _contrast_db(sweep: SweepReading, points: int) -> float:
    """What a hump must exceed the edges of a narrow span by."""
    if sweep.averages is None or sweep.averages < 1:
        return NARROW_UNKNOWN_DB
    noise = float(_LN_DB) / float(np.sqrt(sweep.averages * points))
    return max(NARROW_CONTRAST_DB, NARROW_SIGMAS * noise)


def _cut(sweep: SweepReading, low_hz: float, high_hz: float) -> tuple[float, float, _FLOAT] | None:
    """Return start, step and levels of the band and 200 kHz around it, on equal steps."""
    levels = np.frombuffer(sweep.levels_dbm, dtype=np.float32)
    start, step = sweep.start_hz, sweep.step_hz
    if step <= 0 or levels.size < 3:
        return None
    if sweep.at_hz is not None:
        at = np.frombuffer(sweep.at_hz, dtype=np.float64)
        grid = np.arange(at[0], at[-1] + step / 2, step)
        levels = np.interp(grid, at, levels).astype(np.float32)
    first = max(0, int((low_hz - GUARD_HZ - start) // step) + 1)
    last = min(levels.size, int((high_hz + GUARD_HZ - start) // step) + 1)
    if last - first < 3:
        return None
    return start + first * step, step, levels[first:last].astype(np.float64)


def _inside(start: float, step: float, size: int, low: float, high: float) -> tuple[int, int]:
    first = max(0, int(np.ceil((low - start) / step - 1e-6)))
    return first, min(size, int(np.floor((high - start) / step + 1e-6)) + 1)


def _channel_power(power: _FLOAT, half: int, is_hole: NDArray[np.bool_] | None) -> _FLOAT:
    """Sum over +-half points; at the edges and beside holes what is missing is taken as equal."""
    width = 2 * half + 1
    sums = np.concatenate(([0.0], np.cumsum(power)))
    index = np.arange(power.size)
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, power.size)
    count = high - low
    if is_hole is not None:
        holes = np.concatenate(([0], np.cumsum(is_hole)))
        count = count - (holes[high] - holes[low])
    result: _FLOAT = (sums[high] - sums[low]) * (width / np.maximum(count, 1))
    return result


def _low_level(decibel: _FLOAT) -> float:
    """20th percentile, by partition: a full sort costs more than all the rest."""
    rank = min(decibel.size - 1, int(decibel.size * FLOOR_PERCENTILE / 100))
    return float(np.partition(decibel, rank)[rank])


def _maxima(decibel: _FLOAT, guard: int, least: float) -> NDArray[np.intp]:
    """Indices that exceed everything within +-guard points."""
    candidates = np.flatnonzero(decibel >= least)
    if not candidates.size:
        return candidates
    inner = decibel[1:-1]
    is_top = np.zeros(decibel.size, dtype=bool)
    is_top[1:-1] = (inner >= decibel[:-2]) & (inner > decibel[2:])
    is_top[0], is_top[-1] = decibel[0] > decibel[1], decibel[-1] > decibel[-2]
    candidates = candidates[is_top[candidates]]
    padded = np.pad(decibel, guard, constant_values=-np.inf)
    around = candidates[:, None] + np.arange(2 * guard + 1)[None, :]
    best = padded[around].max(axis=1)
    tops: NDArray[np.intp] = candidates[decibel[candidates] >= best]
    return tops


def _centres(
    power: _FLOAT,
    indices: NDArray[np.intp],
    start: float,
    step: float,
    half: int,
    *,
    is_narrow: bool,
) -> _FLOAT:
    """Centre of gravity of what exceeds the edges of the channel, in Hz."""
    if not indices.size:
        return np.empty(0)
    half = max(half, 1)  # a coarse sweep: the loudest point and its two neighbours
    offsets = np.arange(-half, half + 1)
    if is_narrow:  # the span is the channel: the gravity of what bulges out of it
        bulge = np.maximum(power - np.percentile(power, FLOOR_PERCENTILE), 0.0)
        gravity = float((bulge * np.arange(power.size)).sum() / max(bulge.sum(), 1e-30))
        return np.asarray([start + gravity * step])
    where = indices
    for _ in range(CENTRE_ROUNDS):  # one noisy point moves a maximum; gravity pulls it back
        around = np.clip(where[:, None] + offsets[None, :], 0, power.size - 1)
        part = power[around]
        weight = np.maximum(part.sum(axis=1), 1e-30)
        shift = (part * offsets[None, :]).sum(axis=1) / weight
        centre = where + shift
        where = np.rint(centre).astype(np.intp)
    return np.asarray(start + centre * step)


def _judge(
    centres: _FLOAT, levels: _FLOAT, floor: float
) -> tuple[tuple[Peak, ...], tuple[Peak, ...]]:
    """Tell carriers from the skirts of stronger neighbours."""
    peaks: list[Peak] = []
    splatter: list[Peak] = []
    hz, decibel = centres.tolist(), levels.tolist()
    reach = _SPLATTER_DB[-1][0]
    for index, (at, level) in enumerate(zip(hz, decibel, strict=True)):
        worst, neighbour, excess_max = 0.0, 0.0, -1e9
        for step in (-1, 1):
            other = index + step
            while 0 <= other < len(hz) and abs(hz[other] - at) <= reach:
                above = decibel[other] - level
                excess = above - _skirt_db(abs(hz[other] - at))
                if excess > excess_max:
                    worst, neighbour, excess_max = above, hz[other], excess
                other += step
        peak = Peak(at / 1e6, level, level - floor, neighbour / 1e6, worst)
        (splatter if excess_max >= 0 else peaks).append(peak)
    return tuple(peaks), tuple(splatter)


def _skirt_db(distance_hz: float) -> float:
    return next((db for reach, db in _SPLATTER_DB if distance_hz <= reach), 200.0)
