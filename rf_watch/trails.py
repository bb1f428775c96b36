"""Where suspected emitters were heard: one trail each, whatever cells it pretends to be.

A trail holds position-tagged levels for a locator, says whether the emitter moves (two-window shift
test), and keeps its name when a suspect comes back under another network, channel or cell.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from hardware.readings import CellReading, Rat

SAMPLES_MAX = 240
TRAILS_MAX = 64
_SPACING_M = 40.0
_SPACING_US = 8_000_000
"""Shadowing of neighbouring samples is one and the same: a sample each 40 m or 8 s is kept."""
_WINDOW_SAMPLES_MIN = 8
_SPAN_MIN_US = 40_000_000
_EXPONENT_DB = 35.0
"""Loss a decade of distance (scenario format section 3.1; cities measure 30 to 40)."""
_SIGMA_DB = 8.0
"""Level noise that is taken; white noise of a single reading is 4 dB, shadowing adds to it."""
_NEAR_M2 = 150.0**2
"""Closer than the grid can tell, a fitted distance is not taken for shorter."""
_STEP_M = 100.0
_REACH_M = 1_200.0
_PLACES_MAX = 1_500
_FITTED = 80
"""At most about so many samples are fitted."""
_LLR_MIN = 8.0
"""Twice this is 16 of a chi-square with 3 degrees of freedom: about 1 in 1,000 by noise alone."""
_SHIFT_MIN_M = 300.0
_STATIC_LLR_MAX = 1.0
_M_PER_DEG = 111_320.0
_RETURN_US = 600_000_000
"""A suspect that comes back under another name within ten minutes may be the same emitter."""
_SHARED_MIN = 3


class Motion(StrEnum):
    """What the shift test says."""

    UNKNOWN = "unknown"
    STATIC = "static"
    MOBILE = "mobile"


class Sample(NamedTuple):
    """One position-tagged level."""

    at_us: int
    lat: float
    lon: float
    level_dbm: float


class Shift(NamedTuple):
    """Result of the two-window test."""

    motion: Motion
    shift_m: float
    llr: float
    samples: int


@dataclass(slots=True)
class Trail:
    """Samples of one emitter and what it broadcasts."""

    name: str
    rat: Rat
    last_us: int
    marks: dict[str, int]
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))
    tested: int = 0
    """Samples when the test was made last."""
    shift: Shift = field(default_factory=lambda: Shift(Motion.UNKNOWN, 0.0, 0.0, 0))

    def note(self, reading: CellReading) -> None:
        """Add a reading, at most one a second."""
        self.last_us = reading.stamp.at_us
        position, level = reading.stamp.position, reading.level_dbm
        if position is None or level is None:
            return
        sample = Sample(reading.stamp.at_us, position.lat, position.lon, level)
        if not self.samples or is_apart(self.samples[-1], sample):
            self.samples.append(sample)

    def motion(self) -> Shift:
        """Test anew once a fifth more samples are there."""
        count = len(self.samples)
        if count >= 2 * _WINDOW_SAMPLES_MIN and (
            count >= 1.2 * self.tested or (count == SAMPLES_MAX and self.tested < SAMPLES_MAX)
        ):
            self.tested = count
            self.shift = shift_test(tuple(self.samples))
        return self.shift


class TrailBook:
    """Trails of suspects, the longest unheard forgotten first."""

    def __init__(self) -> None:
        self._trails: OrderedDict[str, Trail] = OrderedDict()

    def open(self, name: str, reading: CellReading, marks: dict[str, int]) -> Trail:
        """Return the trail of a suspect: its own, or one it continues under another name."""
        trail = self._trails.get(name) or self._continued(reading, marks)
        if trail is None:
            trail = Trail(name, reading.rat, reading.stamp.at_us, marks)
            self._trails[name] = trail
            if len(self._trails) > TRAILS_MAX:
                self._trails.popitem(last=False)
        self._trails.move_to_end(trail.name)
        return trail

    def get(self, name: str) -> Trail | None:
        """Return a trail by its name."""
        return self._trails.get(name)

    def _continued(self, reading: CellReading, marks: dict[str, int]) -> Trail | None:
        """The trail that fell silent lately and broadcast the same constants.

        A blaster changes its network and channel between two batches, but not its configuration
        file: at least _SHARED_MIN values that are named by both, none of them different.
        """
        for trail in reversed(self._trails.values()):
            silent_us = reading.stamp.at_us - trail.last_us
            if trail.rat is not reading.rat or not 0 < silent_us <= _RETURN_US:
                continue
            both = trail.marks.keys() & marks.keys()
            if len(both) >= _SHARED_MIN and all(trail.marks[n] == marks[n] for n in both):
                return trail
        return None


def is_apart(a: Sample, b: Sample) -> bool:
    """Whether two samples are far enough apart in time or place to be two."""
    if b.at_us - a.at_us >= _SPACING_US:
        return True
    east = (b.lon - a.lon) * math.cos(math.radians(a.lat))
    return math.hypot(east, b.lat - a.lat) * _M_PER_DEG >= _SPACING_M


def shift_test(samples: Sequence[Sample]) -> Shift:
    """Compare one place for all samples with a place for each half of them.

    In each case the place is fitted by least squares to a log-distance law with unknown power. The
    log-likelihood ratio of the two fits tells a mover from one that stands still; a straight drive
    past leaves mirror places, which fit equally well in both cases and change nothing.
    """
    samples = samples[:: max(1, len(samples) // _FITTED)]
    half = len(samples) // 2
    if half < _WINDOW_SAMPLES_MIN or samples[-1].at_us - samples[0].at_us < _SPAN_MIN_US:
        return Shift(Motion.UNKNOWN, 0.0, 0.0, len(samples))
    lat0, lon0 = samples[0].lat, samples[0].lon
    scale = math.cos(math.radians(lat0)) * _M_PER_DEG

    def local(some: Sequence[Sample]) -> list[tuple[float, float, float]]:
        return [((s.lon - lon0) * scale, (s.lat - lat0) * _M_PER_DEG, s.level_dbm) for s in some]

    points = local(samples)
    grid = _grid(points)
    costs = [_costs(points[:half], grid), _costs(points[half:], grid)]
    together = _costs(points, grid)
    best = [min(range(len(grid)), key=cost.__getitem__) for cost in costs]
    apart = costs[0][best[0]] + costs[1][best[1]]
    llr = max(0.0, (min(together) - apart) / (2 * _SIGMA_DB**2))
    (x1, y1), (x2, y2) = grid[best[0]], grid[best[1]]
    shift_m = math.hypot(x2 - x1, y2 - y1)
    motion = Motion.UNKNOWN
    if llr >= _LLR_MIN and shift_m >= _SHIFT_MIN_M:
        motion = Motion.MOBILE
    elif llr <= _STATIC_LLR_MAX and shift_m <= _SHIFT_MIN_M and _is_decided(costs, best):
        motion = Motion.STATIC
    return Shift(motion, shift_m, round(llr, 1), len(samples))


def _grid(points: Sequence[tuple[float, float, float]]) -> list[tuple[float, float]]:
    """Places around the samples, _STEP_M apart, or further where that makes too many."""
    xs, ys = [x for x, _, _ in points], [y for _, y, _ in points]
    width, height = max(xs) - min(xs) + 2 * _REACH_M, max(ys) - min(ys) + 2 * _REACH_M
    step = max(_STEP_M, math.sqrt(width * height / _PLACES_MAX), width / 60, height / 60)
    x0, y0 = min(xs) - _REACH_M, min(ys) - _REACH_M
    return [
        (x0 + i * step, y0 + j * step)
        for i in range(math.ceil(width / step))
        for j in range(math.ceil(height / step))
    ]


def _costs(
    points: Sequence[tuple[float, float, float]], grid: Sequence[tuple[float, float]]
) -> list[float]:
    """Squared residuals of a log-distance law from each place, its power fitted."""
    costs: list[float] = []
    for gx, gy in grid:
        sum1 = sum2 = 0.0
        for x, y, level in points:
            squared = max((x - gx) ** 2 + (y - gy) ** 2, _NEAR_M2)
            value = level + _EXPONENT_DB / 2 * math.log10(squared)
            sum1 += value
            sum2 += value * value
        costs.append(sum2 - sum1 * sum1 / len(points))
    return costs


def _is_decided(costs: Sequence[Sequence[float]], best: Sequence[int]) -> bool:
    """Whether each half alone leaves few places possible: else standing still is not shown."""
    for cost, at in zip(costs, best, strict=True):
        limit = cost[at] + 2 * _SIGMA_DB**2 * 3
        if sum(value <= limit for value in cost) > len(cost) // 20:
            return False
    return True
