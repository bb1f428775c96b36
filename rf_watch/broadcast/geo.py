"""Distances, bearings and field strengths, as far as broadcasting over a city needs them."""

from __future__ import annotations

import math

from hardware.readings import Position

EARTH_RADIUS_M = 6_371_008.8
LEVEL_SPREAD_DB = 10.0
"""Standard deviation of a level against the model below: terrain, clutter and our own antenna."""


def distance_m(a: Position, b: Position) -> float:
    """Great-circle distance."""
    lat_a, lat_b = math.radians(a.lat), math.radians(b.lat)
    dlat, dlon = lat_b - lat_a, math.radians(b.lon - a.lon)
    h = math.sin(dlat / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(dlon / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, h)))


def bearing_deg(a: Position, b: Position) -> float:
    """Initial true bearing from a to b, 0 to 360."""
    lat_a, lat_b = math.radians(a.lat), math.radians(b.lat)
    dlon = math.radians(b.lon - a.lon)
    y = math.sin(dlon) * math.cos(lat_b)
    x = math.cos(lat_a) * math.sin(lat_b) - math.sin(lat_a) * math.cos(lat_b) * math.cos(dlon)
    return math.degrees(math.atan2(y, x)) % 360


def turn_deg(measured: float, expected: float) -> float:
    """Signed difference of two bearings, -180 to 180."""
    return (measured - expected + 180) % 360 - 180


def expected_level_dbm(erp_w: float, mhz: float, distance: float) -> float:
    """Level at an isotropic antenna: free space to 100 m, then 35 dB a decade.

    The model of the scenario format (section 3.1): crude, with a spread of LEVEL_SPREAD_DB, good
    enough to say that a station is 30 dB too strong for where it is licensed.
    """
    eirp_dbm = 10 * math.log10(erp_w * 1000) + 2.15
    km = max(distance, 1.0) / 1000
    near = 32.45 + 20 * math.log10(mhz) + 20 * math.log10(min(km, 0.1))
    return eirp_dbm - near - 35 * math.log10(max(km / 0.1, 1.0))
