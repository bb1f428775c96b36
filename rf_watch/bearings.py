"""Where several bearings cross: a position with an error ellipse, or none.

Bearings of one place are averaged first: what bends them there (a wall, a heading that is off)
bends all of them alike, so they are never worth more than PLACE_BIAS_DEG. Places count as
independent. The position is the weighted least-squares point of the angles (Stansfield's start,
Gauss-Newton steps, Huber weights against a reflection); its ellipse grows where they disagree.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hardware.readings import Position

PLACE_BIAS_DEG = 1.5
"""Choice: what averaging at one place does not take away."""
SIGMA_UNKNOWN_DEG = 6.0
"""Choice: of a direction finder that says none."""
PLACE_M = 60.0
REACH_M = 60_000.0
"""An ellipse larger than this says nothing; a point farther away is none."""
AHEAD_SHARE = 0.75
CHI2_95 = 5.991
"""95 % of a chi-square with two degrees of freedom."""
ROUNDS = 30
HUBER = 2.0
KEPT_MAX, FREQUENCIES_MAX = 240, 256
SAME_KHZ = 40.0
_M_PER_DEG = 111_195.0


@dataclass(frozen=True, slots=True)
class Bearing:
    """One bearing: seen where, when and by whom."""

    at_us: int
    station: str
    here: Position
    deg: float
    sigma_deg: float


@dataclass(frozen=True, slots=True)
class Fix:
    """A position and the ellipse that holds the truth in 95 of 100 cases."""

    position: Position
    semi_major_m: float
    semi_minor_m: float
    azimuth_deg: float
    """Of the longer axis, clockwise from north, 0 to 180."""
    bearings: int
    places: int
    stations: int
    crossing_deg: float
    """Largest angle at which two of them cross."""

    def excess(self, place: Position) -> float:
        """Distance of a place from the fix in units of the ellipse: below 1 it lies inside."""
        east, north = _local(self.position, place)
        azimuth = math.radians(self.azimuth_deg)
        along = east * math.sin(azimuth) + north * math.cos(azimuth)
        across = east * math.cos(azimuth) - north * math.sin(azimuth)
        return math.hypot(along / max(self.semi_major_m, 1.0), across / max(self.semi_minor_m, 1.0))


@dataclass(frozen=True, slots=True)
class _Line:
    """The mean of the bearings of one place, in metres around an origin."""

    x: float
    y: float
    angle: float
    sigma: float
    """Both in radians."""


def cross(
    bearings: Sequence[Bearing], *, least: int = 2, least_crossing_deg: float = 15.0
) -> Fix | None:
    """Return where bearings cross; None for too few, too flat, or without a common point ahead."""
    if len(bearings) < max(2, least):
        return None
    origin = bearings[0].here
    lines = [_line(group, origin) for group in _places(bearings)]
    if len(lines) < 2:
        return None
    point = _start(lines)
    weights = [1.0] * len(lines)
    for _ in range(ROUNDS):
        if point is None:
            return None
        weights = [_weight(line, point) for line in lines]
        step = _solve(lines, point, weights)
        if step is None:
            return None
        point = (point[0] + step[0], point[1] + step[1])
        if math.hypot(*point) > 2 * REACH_M:
            return None
        if math.hypot(*step) < 0.5:
            break
    if point is None or not _is_ahead(lines, point):
        return None
    crossing = _crossing_deg(lines, point)
    if crossing < least_crossing_deg:
        return None
    axes = _ellipse(lines, point, weights)
    if axes is None or axes[0] > REACH_M:
        return None
    return Fix(
        position=_global(origin, *point),
        semi_major_m=axes[0],
        semi_minor_m=axes[1],
        azimuth_deg=axes[2],
        bearings=len(bearings),
        places=len(lines),
        stations=len({b.station for b in bearings}),
        crossing_deg=crossing,
    )


class BearingBook:
    """Recent bearings by frequency, whoever took them; one may serve all sensors of a van."""

    def __init__(self) -> None:
        self._by_khz: OrderedDict[int, deque[Bearing]] = OrderedDict()
        self.count = 0
        """Grows with every bearing: who sees it unchanged need not look again."""

    def add(self, mhz: float, bearing: Bearing) -> None:
        """Keep one, the oldest of its frequency going."""
        key = round(mhz * 1000 / SAME_KHZ)
        kept = self._by_khz.setdefault(key, deque(maxlen=KEPT_MAX))
        self._by_khz.move_to_end(key)
        kept.append(bearing)
        self.count += 1
        if len(self._by_khz) > FREQUENCIES_MAX:
            self._by_khz.popitem(last=False)

    def near(self, mhz: float, now_us: int, life_s: float) -> list[Bearing]:
        """Those of a frequency that are not older than ``life_s``, in the order of their times."""
        key = round(mhz * 1000 / SAME_KHZ)
        kept = (b for k in (key - 1, key, key + 1) for b in self._by_khz.get(k, ()))
        fresh = [b for b in kept if abs(now_us - b.at_us) <= life_s * 1e6]
        return sorted(fresh, key=lambda b: (b.at_us, b.station, b.deg))


@dataclass(slots=True)
class _Place:
    here: Position
    station: str
    bearings: list[Bearing] = field(default_factory=list)


def _places(bearings: Iterable[Bearing]) -> list[_Place]:
    """Bearings of one station that stood still belong together."""
    places: list[_Place] = []
    for bearing in bearings:
        for place in places:
            if place.station == bearing.station:
                east, north = _local(place.here, bearing.here)
                if math.hypot(east, north) <= PLACE_M:
                    place.bearings.append(bearing)
                    break
        else:
            places.append(_Place(bearing.here, bearing.station, [bearing]))
    return places


def _line(place: _Place, origin: Position) -> _Line:
    angles = [math.radians(b.deg) for b in place.bearings]
    mean = math.atan2(sum(map(math.sin, angles)), sum(map(math.cos, angles)))
    variance = 1 / sum(1 / max(b.sigma_deg, 0.1) ** 2 for b in place.bearings)
    x, y = _local(origin, place.here)
    return _Line(x, y, mean, math.radians(math.sqrt(variance + PLACE_BIAS_DEG**2)))


def _start(lines: Sequence[_Line]) -> tuple[float, float] | None:
    """The point nearest to all lines, distances not yet known."""
    a = b = c = u = v = 0.0
    for line in lines:
        nx, ny = math.cos(line.angle), -math.sin(line.angle)
        weight = 1 / line.sigma**2
        at = nx * line.x + ny * line.y
        a, b, c = a + weight * nx * nx, b + weight * nx * ny, c + weight * ny * ny
        u, v = u + weight * nx * at, v + weight * ny * at
    determinant = a * c - b * b
    if determinant <= 1e-6 * a * c or determinant <= 0:
        return None
    return (c * u - b * v) / determinant, (a * v - b * u) / determinant


def _residual(line: _Line, point: tuple[float, float]) -> float:
    true = math.atan2(point[0] - line.x, point[1] - line.y)
    return math.remainder(line.angle - true, math.tau)


def _weight(line: _Line, point: tuple[float, float]) -> float:
    off = abs(_residual(line, point)) / line.sigma
    return 1.0 if off <= HUBER else HUBER / off


def _information(
    lines: Sequence[_Line], point: tuple[float, float], weights: Sequence[float]
) -> tuple[float, float, float, float, float]:
    """Normal equations of the angles at a point."""
    a = b = c = u = v = 0.0
    for line, robust in zip(lines, weights, strict=True):
        dx, dy = point[0] - line.x, point[1] - line.y
        squared = max(dx * dx + dy * dy, 25.0)
        gx, gy = dy / squared, -dx / squared  # d(bearing)/d(east, north)
        weight = robust / line.sigma**2
        off = _residual(line, point)
        a, b, c = a + weight * gx * gx, b + weight * gx * gy, c + weight * gy * gy
        u, v = u + weight * gx * off, v + weight * gy * off
    return a, b, c, u, v


def _solve(
    lines: Sequence[_Line], point: tuple[float, float], weights: Sequence[float]
) -> tuple[float, float] | None:
    a, b, c, u, v = _information(lines, point, weights)
    determinant = a * c - b * b
    if determinant <= 1e-9 * a * c or determinant <= 0:
        return None
    x, y = (c * u - b * v) / determinant, (a * v - b * u) / determinant
    size = math.hypot(x, y)
    # half the distance to the nearest place at most: angles are far from linear there
    room = 0.5 * min(math.hypot(point[0] - ln.x, point[1] - ln.y) for ln in lines) + 50.0
    scale = min(1.0, room / size) if size else 1.0
    return x * scale, y * scale


def _is_ahead(lines: Sequence[_Line], point: tuple[float, float]) -> bool:
    """Most bearings look at the point, not away from it."""
    ahead = sum(abs(_residual(line, point)) < math.pi / 4 for line in lines)
    return ahead >= AHEAD_SHARE * len(lines)


def _crossing_deg(lines: Sequence[_Line], point: tuple[float, float]) -> float:
    seen = [math.atan2(point[0] - ln.x, point[1] - ln.y) for ln in lines]
    turns = [abs(math.remainder(a - b, math.pi)) for a in seen for b in seen]
    return math.degrees(max(turns))


def _ellipse(
    lines: Sequence[_Line], point: tuple[float, float], weights: Sequence[float]
) -> tuple[float, float, float] | None:
    a, b, c, _, _ = _information(lines, point, weights)
    determinant = a * c - b * b
    if determinant <= 0:
        return None
    spread = 1.0
    if len(lines) > 2:
        squares = sum(
            robust * (_residual(line, point) / line.sigma) ** 2
            for line, robust in zip(lines, weights, strict=True)
        )
        spread = max(1.0, squares / (len(lines) - 2))
    xx, xy, yy = (c / determinant, -b / determinant, a / determinant)
    middle, half = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    major, minor = (
        math.sqrt(max(v, 0.0) * spread * CHI2_95) for v in (middle + half, middle - half)
    )
    azimuth = math.degrees(0.5 * math.atan2(2 * xy, yy - xx)) % 180
    return major, minor, azimuth


def _local(origin: Position, place: Position) -> tuple[float, float]:
    """East and north of a place, in metres; good to a city's and its hills' distances."""
    scale = math.cos(math.radians((origin.lat + place.lat) / 2))
    lon = math.remainder(place.lon - origin.lon, 360.0)
    return lon * _M_PER_DEG * scale, (place.lat - origin.lat) * _M_PER_DEG


def _global(origin: Position, east: float, north: float) -> Position:
    lat = origin.lat + north / _M_PER_DEG
    scale = math.cos(math.radians((origin.lat + lat) / 2))
    return Position(lat, origin.lon + east / (_M_PER_DEG * scale))
