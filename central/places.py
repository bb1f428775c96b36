"""Where things are: positions of devices and alerts, WGS-84 degrees, and how each is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from central.store.interface import Device


class Basis(StrEnum):
    """How a position is known."""

    EMITTER = "emitter"
    """The alert itself states where its subject is."""
    STATION = "station"
    """Only the station that heard it is known: its subject is somewhere around."""


@dataclass(frozen=True, slots=True)
class Place:
    """A position."""

    lat: float
    lon: float
    radius_m: float | None = None
    """Within which it holds with 95 %; None: nobody said."""

    def __post_init__(self) -> None:
        if not (-90 <= self.lat <= 90 and -180 <= self.lon <= 180):
            raise ValueError(f"{self.lat}, {self.lon} is no position")


STATED = ("lat", "lon", "radius_m")
"""Names under which a subject states its position."""

Places = Mapping[str, Place]
"""Device to the place that the central's configuration gives it."""


def _degrees(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def _stated(values: Mapping[str, Any]) -> Place | None:
    """Read ``lat``, ``lon`` and ``radius_m``; nonsense is no position."""
    lat, lon = _degrees(values.get("lat")), _degrees(values.get("lon"))
    if lat is None or lon is None:
        return None
    radius_m = _degrees(values.get("radius_m"))
    try:
        return Place(lat, lon, radius_m if radius_m is not None and radius_m >= 0 else None)
    except ValueError:
        return None


def place_of_device(row: Device, places: Places) -> Place | None:
    """Position of a device: its own word of where it is now, else what the operator wrote down."""
    fix = fix_of(row.health, row.health_at)
    return places.get(row.device) if fix is None else fix.place


def places_of(rows: Iterable[Device], places: Places) -> Places:
    """Return where each device is, of those of which it is known: thousands of alerts ask."""
    found = ((row.device, place_of_device(row, places)) for row in rows)
    return {device: place for device, place in found if place is not None}


@dataclass(frozen=True, slots=True)
class Fix:
    """Where a device says that it is."""

    place: Place
    at: int | None
    """Microseconds: of the fix, or of the report where it does not say; None: nobody said."""


def fix_of(health: Mapping[str, Any] | None, health_at: int | None) -> Fix | None:
    """Read the position of a device's own receiver from its last report; nonsense is none."""
    for part in (health or {}).get("parts", ()):
        if part["name"] != "gnss":
            continue
        counters = part.get("counters", {})
        lat, lon = _degrees(counters.get("lat_e7")), _degrees(counters.get("lon_e7"))
        if lat is None or lon is None:
            return None
        place = _stated({"lat": lat / 1e7, "lon": lon / 1e7})
        fixed_s = _degrees(counters.get("fix_unix_s"))
        at = health_at if fixed_s is None else round(fixed_s * 1e6)
        return None if place is None else Fix(place, at)
    return None


class HasPlace(Protocol):
    """As much of an alert as says where it is."""

    @property
    def device(self) -> str:
        """Who saw it."""

    @property
    def subject(self) -> Mapping[str, Any]:
        """What it is about."""

    @property
    def summary(self) -> Mapping[str, Any]:
        """What a list shows of it."""


def stated_place(row: HasPlace) -> Place | None:
    """Return where an alert itself says that its subject is: by its newest claim, else its first.

    None: only its station is known.
    """
    return _stated(row.summary) or _stated(row.subject)


def place_of_alert(row: HasPlace, stations: Places) -> tuple[Place, Basis] | None:
    """Position of an alert's subject; without one that of the station, and it says so."""
    stated = stated_place(row)
    if stated is not None:
        return stated, Basis.EMITTER
    station = stations.get(row.device)
    return None if station is None else (station, Basis.STATION)
