"""The simulated radio scene: what is on the air at a place and a time, the same for every device.

Emitters have a place or a route, a power and hours; levels follow the scenario format, section
3.1. Nothing here is random twice: the spread of an emitter and its fading come from the seed, the
emitter's id and the time, so that two simulated devices at one place agree.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hardware.readings import Rat

DAY_S = 86_400
_M_PER_DEGREE = 111_195.0
_SPREAD_DB, _FADING_DB = 4.0, 1.5


@dataclass(frozen=True, slots=True)
class Place:
    """A WGS-84 position in degrees."""

    lat: float
    lon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What a base station says of itself; defaults are the scenario format's."""

    rat: Rat
    plmn: str
    channel: int
    lac_tac: int
    cell_id: int
    physical_id: int
    cro_db: int = 0
    penalty_time: int = 0
    t3212_decihours: int = 10
    rxlev_access_min: int = 8
    is_barred: bool = False
    neighbours: tuple[int, ...] | None = None
    """Channels that it announces; None: those of its own operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitter:
    """One transmitter."""

    id: str
    mhz: float
    eirp_dbm: float
    route: tuple[Place, ...]
    """One place for a mast; a mover goes from place to place and stays at the last."""
    speed_kmh: float = 0.0
    starts_s: float = 0.0
    """Scene time from which it radiates and moves."""
    ends_s: float = math.inf
    hours_s: tuple[int, int] | None = None
    """Seconds of the day from and to, may pass midnight; None: always."""
    cell: Cell | None = None
    """Of a base station; None: another service."""

    def is_on(self, at_s: float) -> bool:
        """Whether it radiates at a scene time."""
        if not self.starts_s <= at_s < self.ends_s:
            return False
        if self.hours_s is None:
            return True
        start, end = self.hours_s
        now = at_s % DAY_S
        return start <= now < end if start <= end else now >= start or now < end

    def place(self, at_s: float) -> Place:
        """Where it is at a scene time."""
        left_m = max(0.0, at_s - self.starts_s) * self.speed_kmh / 3.6
        for here, there in zip(self.route, self.route[1:], strict=False):
            leg_m = distance_m(here, there)
            if left_m < leg_m:
                part = left_m / leg_m
                return Place(
                    here.lat + part * (there.lat - here.lat),
                    here.lon + part * (there.lon - here.lon),
                )
            left_m -= leg_m
        return self.route[-1]


def distance_m(a: Place, b: Place) -> float:
    """Metres between two places of one city: a plane is good enough."""
    north = (a.lat - b.lat) * _M_PER_DEGREE
    east = (a.lon - b.lon) * _M_PER_DEGREE * math.cos(math.radians((a.lat + b.lat) / 2))
    return math.hypot(north, east)


def path_loss_db(mhz: float, metres: float) -> float:
    """Free space to 100 m, 35 dB a decade beyond (scenario format, section 3.1); no terrain."""
    km = max(metres, 1.0) / 1000
    free = 32.45 + 20 * math.log10(mhz) + 20 * math.log10(min(km, 0.1))
    return free + 35 * math.log10(max(km / 0.1, 1.0))


@dataclass(frozen=True, slots=True)
class Heard:
    """An emitter at the receiver's place."""

    emitter: Emitter
    level_dbm: float


@dataclass(slots=True)
class RadioScene:
    """Emitters, and the receiver that all simulated devices of one van share."""

    emitters: Sequence[Emitter]
    receiver: Place
    now: Callable[[], float]
    """Scene time in seconds; whoever runs the scene gives it."""
    seed: int = 0
    _spreads: dict[str, float] = field(default_factory=dict)

    def level_dbm(self, emitter: Emitter, at_s: float) -> float:
        """Level of an emitter that radiates, at the receiver."""
        metres = distance_m(emitter.place(at_s), self.receiver)
        spread = self._spreads.setdefault(
            emitter.id, _SPREAD_DB * _normal(f"{self.seed} {emitter.id}")
        )
        fading = _FADING_DB * _normal(f"{self.seed} {emitter.id} {int(at_s)}")
        return emitter.eirp_dbm - path_loss_db(emitter.mhz, metres) + spread + fading

    def heard(self, sensitivity_dbm: float = -110.0) -> list[Heard]:
        """What can be received now, the strongest first."""
        at_s = self.now()
        found = [Heard(e, self.level_dbm(e, at_s)) for e in self.emitters if e.is_on(at_s)]
        found = [one for one in found if one.level_dbm >= sensitivity_dbm]
        return sorted(found, key=lambda one: (-one.level_dbm, one.emitter.id))


def _normal(words: str) -> float:
    """A number as from a normal distribution, the same for the same words, within ±2."""
    sums = (zlib.crc32(f"{i} {words}".encode()) / 2**32 for i in range(6))
    return max(-2.0, min(2.0, (sum(sums) - 3.0) * math.sqrt(2.0)))


# -- frequencies and a scene to begin with --------------------------------------------------------

_EUTRA = (  # band's lowest downlink MHz, its first and last EARFCN (TS 36.101 table 5.7.3-1)
    (2110.0, 0, 599),
    (1805.0, 1200, 1949),
    (869.0, 2400, 2649),
    (925.0, 3450, 3799),
    (2570.0, 37750, 38249),
    (1880.0, 38250, 38649),
    (2300.0, 38650, 39649),
    (2496.0, 39650, 41589),
)


def downlink_mhz(rat: Rat, channel: int) -> float:
    """Carrier frequency of a GSM (900, 1800) or LTE channel; ValueError for others."""
    if rat is Rat.GSM:
        if 0 <= channel <= 124 or 975 <= channel <= 1023:
            return 935.0 + 0.2 * (channel if channel <= 124 else channel - 1024)
        if 512 <= channel <= 885:
            return 1805.2 + 0.2 * (channel - 512)
    if rat is Rat.LTE:
        for low_mhz, first, last in _EUTRA:
            if first <= channel <= last:
                return low_mhz + 0.1 * (channel - first)
    raise ValueError(f"no frequency is known of {rat} channel {channel}")


def base_station(
    id_: str,
    cell: Cell,
    *places: Place,
    eirp_dbm: float = 43.0,
    speed_kmh: float = 0.0,
    starts_s: float = 0.0,
    ends_s: float = math.inf,
) -> Emitter:
    """A base station at a place, or moving along places."""
    return Emitter(
        id=id_,
        mhz=downlink_mhz(cell.rat, cell.channel),
        eirp_dbm=eirp_dbm,
        route=places,
        speed_kmh=speed_kmh,
        starts_s=starts_s,
        ends_s=ends_s,
        cell=cell,
    )


CENTRE = Place(25.0400, 102.7120)
_NEAR, _EAST, _NORTH = Place(25.0425, 102.7120), Place(25.0400, 102.7190), Place(25.0500, 102.7100)


def _gsm(plmn: str, channel: int, lac: int, ci: int, bsic: int, **tuning: int) -> Cell:
    return Cell(
        rat=Rat.GSM,
        plmn=plmn,
        channel=channel,
        lac_tac=lac,
        cell_id=ci,
        physical_id=bsic,
        **tuning,  # type: ignore[arg-type]  # whole numbers only
    )


def _lte(plmn: str, channel: int, tac: int, eci: int, pci: int) -> Cell:
    return Cell(rat=Rat.LTE, plmn=plmn, channel=channel, lac_tac=tac, cell_id=eci, physical_id=pci)


GENUINE: tuple[Emitter, ...] = (
    base_station("g1", _gsm("460-00", 57, 0x52A1, 0x3C07, 21), _NEAR),
    base_station("g2", _gsm("460-00", 23, 0x52A1, 0x3C08, 44), _EAST),
    base_station("g3", _gsm("460-00", 531, 0x52A1, 0x3D12, 9), _NORTH),
    base_station("u1", _gsm("460-01", 110, 0x8101, 0x2201, 14), _EAST),
    base_station("l1", _lte("460-00", 38400, 0x52A1, 0x7A3150B, 217), _NEAR),
    base_station("l2", _lte("460-00", 38400, 0x52A1, 0x7A3160B, 218), _EAST),
    base_station("l3", _lte("460-01", 1650, 0x8101, 0x5A29C0B, 465), _NORTH),
)
"""Invented cells of two operators around :data:`CENTRE`."""


def fake_cell(starts_s: float = 0.0) -> Emitter:
    """A blaster in a car that comes past: a plan that no operator has, and all to itself."""
    cell = _gsm("460-11", 62, 0x7B02, 0x2E95, 5, cro_db=126, t3212_decihours=1)
    far, near = Place(25.0340, 102.7120), Place(25.0396, 102.7120)
    return base_station("fake", cell, far, near, eirp_dbm=40.0, speed_kmh=30.0, starts_s=starts_s)
