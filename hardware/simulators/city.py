"""A city of genuine cells, a van that drives through it, and a blaster that passes by.

Readings as the detectors take them, at the base rates that were measured on genuine networks
(:class:`CityRates`). For campaigns of false alarms and of time to detection; the same seed gives
the same readings. Nothing here knows a rule.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hardware.readings import (
    CellReading,
    Direction,
    NasReading,
    NasType,
    Position,
    Rat,
    Reading,
    Stamp,
)

SIDE_M = 8_000.0
_TILE_M = 250.0
_LAT, _LON = 35.49, 112.85
_M_PER_DEG_LAT = 111_320.0
_M_PER_DEG_LON = _M_PER_DEG_LAT * math.cos(math.radians(_LAT))
_SENSITIVITY_DBM = -104.0
START_US = 1_762_300_800 * 1_000_000
"""2025-11-05T00:00:00Z."""
SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CityRates:
    """Base rates of genuine networks; each with where it comes from."""

    unlisted: float = 10 / 197
    """GSM cells that no neighbour lists (Freiburg survey, 10 of 197)."""
    lonely: float = 5 / 197
    """GSM cells alone in their location area (Freiburg survey, 5 of 197)."""
    empty_list: float = 2 / 197
    """Cells with an empty neighbour list (choice: no rate is published)."""
    odd_tuning: float = 0.025
    """Cells whose constants differ from their operator's (SnoopSnitch: CRO above 40 on 2.5 %)."""
    misread: float = 1e-4
    """AT lines with one wrong digit (choice)."""
    mixed: float = 1e-4
    """AT lines with fields of two cells, as at a reselection (choice)."""
    retunes_a_day: float = 1.0
    """Cells that change their ARFCN (choice)."""
    rehomings_a_day: float = 0.2
    """Cells that change their LAC (choice)."""
    new_sites_a_day: float = 1.0
    """Cells that come on the air after the baseline, in a known area (choice)."""
    redirects_a_day: float = 1.0
    """Attach rejects with cause 15 after an identity request (1 of 7 ordinary logs)."""
    shadowing_db: float = 4.0
    """Of one level reading (scenario format section 3.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How one operator's cells of one technology are tuned."""

    rat: Rat
    plmn: str
    cells: int
    channels: tuple[int, ...]
    areas: tuple[int, ...]
    cro_db: tuple[int, ...] = ()
    t3212: int = 0
    rxlev_access_min: int = 0
    hysteresis_db: int = 0
    ms_txpwr: int = 5
    eirp_dbm: float = 43.0


NETWORKS = (
    Network(  # 34 system information messages of a China log: CRO 110, 112, 120 dB, T3212 19
        rat=Rat.GSM,
        plmn="460-00",
        cells=90,
        channels=(*range(1, 60), *range(512, 560)),
        areas=(0x2495, 0x247C, 0x24A5, 0x24B1),
        cro_db=(110, 112, 120),
        t3212=19,
        rxlev_access_min=8,
        hysteresis_db=6,
    ),
    Network(  # the same log: CRO 14 and 16 dB, T3212 10
        rat=Rat.GSM,
        plmn="460-01",
        cells=50,
        channels=(*range(80, 120), *range(640, 690)),
        areas=(0xA538, 0xA539),
        cro_db=(14, 16),
        t3212=10,
        rxlev_access_min=6,
        hysteresis_db=4,
    ),
    Network(
        rat=Rat.LTE,
        plmn="460-00",
        cells=40,
        channels=(38950, 37900, 40936),
        areas=(0x4977, 0x2495),
        hysteresis_db=4,
    ),
    Network(
        rat=Rat.LTE,
        plmn="460-01",
        cells=20,
        channels=(1500, 1650, 300),
        areas=(0x5051,),
        hysteresis_db=4,
    ),
)
"""200 cells in all."""


@dataclass(slots=True)
class Cell:
    """One transmitter as it is now."""

    network: Network
    x_m: float
    y_m: float
    channel: int
    area: int
    cell_id: int
    physical_id: int
    cro_db: int | None
    t3212: int
    rxlev_access_min: int
    neighbours: tuple[int, ...] = ()
    is_listed: bool = True
    on_air_us: int = 0
    eirp_dbm: float = 43.0


@dataclass(slots=True)
class City:
    """Cells, and which are the strongest in each tile."""

    seed: int
    rates: CityRates = field(default_factory=CityRates)
    cells: list[Cell] = field(default_factory=list)
    _tiles: dict[tuple[int, int, str], list[Cell]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)  # noqa: S311
        for network in NETWORKS:
            for number in range(network.cells):
                self.cells.append(self._new_cell(chance, network, number))
        self.renew_lists(chance)

    def _new_cell(self, chance: random.Random, network: Network, number: int) -> Cell:
        x_m, y_m = chance.uniform(0, SIDE_M), chance.uniform(0, SIDE_M)
        strip = min(int(x_m / SIDE_M * len(network.areas)), len(network.areas) - 1)
        is_gsm, rates = network.rat is Rat.GSM, self.rates
        is_odd = is_gsm and chance.random() < rates.odd_tuning
        is_lonely = is_gsm and chance.random() < rates.lonely
        cro = chance.choice(network.cro_db) if network.cro_db else None
        return Cell(
            network=network,
            x_m=x_m,
            y_m=y_m,
            channel=network.channels[number % len(network.channels)],
            area=0x7000 + number if is_lonely else network.areas[strip],
            cell_id=(1000 + 7 * number) if is_gsm else (90_000 + number) << 8 | number % 3,
            physical_id=chance.randrange(64 if is_gsm else 504),
            cro_db=chance.randrange(0, 128, 2) if is_odd and cro is not None else cro,
            t3212=chance.choice((5, 10, 20, 30)) if is_odd else network.t3212,
            rxlev_access_min=network.rxlev_access_min,
            is_listed=not (is_gsm and chance.random() < rates.unlisted),
            eirp_dbm=network.eirp_dbm,
        )

    def renew_lists(self, chance: random.Random) -> None:
        """Let each GSM cell list its nearest neighbours of the network."""
        for cell in self.cells:
            if cell.network.rat is not Rat.GSM:
                continue
            if chance.random() < self.rates.empty_list:
                cell.neighbours = ()
                continue
            others = sorted(
                (o for o in self.cells if o.network is cell.network and o is not cell),
                key=lambda o: math.hypot(o.x_m - cell.x_m, o.y_m - cell.y_m),
            )
            cell.neighbours = tuple(o.channel for o in others[:16] if o.is_listed)

    def strongest(self, x_m: float, y_m: float, network: Network) -> list[Cell]:
        """The dozen cells of a network with the best mean level around a place."""
        tile = (int(x_m // _TILE_M), int(y_m // _TILE_M), network.rat + network.plmn)
        found = self._tiles.get(tile)
        if found is None:
            found = sorted(
                (cell for cell in self.cells if cell.network is network),
                key=lambda cell: -level_dbm(cell, x_m, y_m),
            )[:12]
            self._tiles[tile] = found
        return found

    def change(self, chance: random.Random, now_us: int) -> None:
        """One cell is retuned, re-homed or put on the air, at the daily rates (called hourly)."""
        rates = self.rates
        gsm = [cell for cell in self.cells if cell.network.rat is Rat.GSM]
        if chance.random() < rates.retunes_a_day / 24:
            cell = chance.choice(gsm)
            cell.channel = chance.choice(cell.network.channels)
        if chance.random() < rates.rehomings_a_day / 24:
            cell = chance.choice(gsm)
            cell.area = chance.choice(cell.network.areas)
        if chance.random() < rates.new_sites_a_day / 24:
            network = chance.choice(NETWORKS[:2])
            new = self._new_cell(chance, network, 5000 + chance.randrange(1000))
            new.area, new.is_listed, new.on_air_us = chance.choice(network.areas), False, now_us
            new.neighbours = self.strongest(new.x_m, new.y_m, network)[0].neighbours
            self.cells.append(new)
            self._tiles.clear()


def level_dbm(cell: Cell, x_m: float, y_m: float) -> float:
    """Mean level at a place: free space to 100 m, then 35 dB a decade (scenario section 3.1)."""
    return _path_dbm(cell.eirp_dbm, math.hypot(cell.x_m - x_m, cell.y_m - y_m), cell.channel)


def _path_dbm(eirp_dbm: float, distance_m: float, channel: int) -> float:
    km = max(distance_m, 1.0) / 1000
    mhz = 945.0 if channel < 200 else 1840.0
    free = 32.45 + 20 * math.log10(mhz) + 20 * math.log10(min(km, 0.1))
    return eirp_dbm - free - 35 * math.log10(max(km / 0.1, 1.0))


@dataclass(slots=True)
class Van:
    """A van that drives from crossing to crossing at city speed."""

    chance: random.Random
    x_m: float = SIDE_M / 2
    y_m: float = SIDE_M / 2
    speed_kmh: float = 30.0
    _goal: tuple[float, float] | None = None

    def drive(self, seconds: float) -> None:
        """Move along."""
        left = self.speed_kmh / 3.6 * seconds
        while left > 0:
            if self._goal is None:
                self._goal = (self.chance.uniform(0, SIDE_M), self.chance.uniform(0, SIDE_M))
            dx, dy = self._goal[0] - self.x_m, self._goal[1] - self.y_m
            distance = math.hypot(dx, dy)
            if distance <= left:
                self.x_m, self.y_m = self._goal
                self._goal, left = None, left - distance
            else:
                self.x_m += dx / distance * left
                self.y_m += dy / distance * left
                return


def position(x_m: float, y_m: float) -> Position:
    """WGS-84 position of a place in the city."""
    return Position(_LAT + y_m / _M_PER_DEG_LAT, _LON + x_m / _M_PER_DEG_LON)


class Drive:
    """Polls three sensors: an AT modem on GSM, its DIAG port, an LTE modem."""

    def __init__(self, city: City, seed: int, *, poll_s: float = 5.0) -> None:
        self.city = city
        self.chance = random.Random(seed)  # noqa: S311
        self.van = Van(self.chance)
        self.poll_s = poll_s
        self._line = 0

    def readings(self, hours: float, *, start_us: int = START_US) -> Iterator[Reading]:
        """Drive for so many hours of van time."""
        at_us, end_us = start_us, start_us + int(hours * 3600 * SECOND_US)
        next_change_us = start_us
        while at_us < end_us:
            if at_us >= next_change_us:
                self.city.change(self.chance, at_us)
                next_change_us += 3600 * SECOND_US
            yield from self.poll(at_us)
            if self.chance.random() < self.city.rates.redirects_a_day * self.poll_s / 86_400:
                yield from self._redirect(at_us)
            self.van.drive(self.poll_s)
            at_us += int(self.poll_s * SECOND_US)

    def poll(self, at_us: int) -> Iterator[Reading]:
        """One round of all sensors; the GSM modem changes its network every ten minutes."""
        number = at_us // (600 * SECOND_US) % 2
        yield from self._gsm(at_us, NETWORKS[number])
        yield from self._lte(at_us, NETWORKS[2 + number])

    def stamp(self, at_us: int, sensor: str, *, is_checked: bool) -> Stamp:
        """A stamp with the van's position."""
        self._line += 1
        return Stamp(
            at_us=at_us,
            time_basis="recorded",
            sensor=sensor,
            file="city",
            place=f"line {self._line}",
            position=position(self.van.x_m, self.van.y_m),
            is_checked=is_checked,
        )

    def _gsm(self, at_us: int, network: Network) -> Iterator[Reading]:
        heard = self._heard(network)
        if not heard:
            return
        serving, own_level = max(heard, key=lambda pair: pair[1] + (pair[0].cro_db or 0))
        listed = [pair for pair in heard if pair[0].channel in serving.neighbours]
        visible = [(serving, own_level), *(p for p in listed if p[0] is not serving)][:7]
        for cell, level in visible:
            reading = self.at_line(cell, level, at_us, is_serving=cell is serving)
            if self.chance.random() < self.city.rates.mixed:
                other = self.chance.choice(heard)[0]
                reading = replace(reading, lac_tac=other.area, cell_id=other.cell_id)
            if self.chance.random() < self.city.rates.misread:
                reading = self._misread(reading)
            yield reading
        yield from self.system_information(serving, own_level, at_us)

    def _heard(self, network: Network) -> list[tuple[Cell, float]]:
        x_m, y_m, noise = self.van.x_m, self.van.y_m, self.city.rates.shadowing_db
        found = [
            (cell, level_dbm(cell, x_m, y_m) + self.chance.gauss(0, noise))
            for cell in self.city.strongest(x_m, y_m, network)
        ]
        return sorted(
            (pair for pair in found if pair[1] > _SENSITIVITY_DBM), key=lambda pair: -pair[1]
        )

    def at_line(self, cell: Cell, level: float, at_us: int, *, is_serving: bool) -> CellReading:
        """What an AT modem prints of a GSM cell."""
        c1 = round(level + 110 - cell.rxlev_access_min)
        return CellReading(
            stamp=self.stamp(at_us, "gsm-at", is_checked=False),
            raw=b"line",
            rat=Rat.GSM,
            is_serving=is_serving,
            plmns=(cell.network.plmn,),
            channel=cell.channel,
            lac_tac=cell.area,
            cell_id=cell.cell_id,
            physical_id=cell.physical_id,
            level_dbm=level,
            c1=c1,
            c2=None if cell.cro_db is None else c1 + cell.cro_db,
        )

    def system_information(self, cell: Cell, level: float, at_us: int) -> Iterator[CellReading]:
        """SI3, then SI2, of the serving cell as its DIAG port gives them."""
        base = CellReading(
            stamp=self.stamp(at_us, "gsm-diag", is_checked=True),
            raw=b"si3",
            rat=Rat.GSM,
            is_serving=False,
            plmns=(cell.network.plmn,),
            channel=cell.channel,
            lac_tac=cell.area,
            cell_id=cell.cell_id,
            level_dbm=level,
            cro_db=cell.cro_db,
            penalty_time=0,
            t3212_decihours=cell.t3212,
            rxlev_access_min=cell.rxlev_access_min,
            hysteresis_db=cell.network.hysteresis_db,
            ms_txpwr_max_cch=cell.network.ms_txpwr,
        )
        yield base
        yield CellReading(
            stamp=self.stamp(at_us, "gsm-diag", is_checked=True),
            raw=b"si2",
            rat=Rat.GSM,
            is_serving=False,
            channel=cell.channel,
            neighbours=len(cell.neighbours),
            neighbour_channels=cell.neighbours,
        )

    def _lte(self, at_us: int, network: Network) -> Iterator[Reading]:
        heard = self._heard(network)
        if not heard:
            return
        cell, level = heard[0]
        reading = CellReading(
            stamp=self.stamp(at_us, "lte-at", is_checked=False),
            raw=b"line",
            rat=Rat.LTE,
            is_serving=True,
            plmns=(network.plmn,),
            channel=cell.channel,
            lac_tac=cell.area,
            cell_id=cell.cell_id,
            physical_id=cell.physical_id,
            level_dbm=level,
        )
        is_misread = self.chance.random() < self.city.rates.misread
        yield self._misread(reading) if is_misread else reading

    def _misread(self, reading: CellReading) -> CellReading:
        """Flip one bit of one number."""
        name = self.chance.choice(("lac_tac", "cell_id", "channel", "physical_id", "c2"))
        value = getattr(reading, name)
        if value is None:
            return reading
        return replace(reading, **{name: value ^ 1 << self.chance.randrange(6)})

    def _redirect(self, at_us: int) -> Iterator[Reading]:
        """An ordinary redirect: TAU reject 10, attach, identity request, attach reject 15."""
        story: tuple[tuple[NasType, dict[str, int]], ...] = (
            (NasType.TAU_REQUEST, {}),
            (NasType.TAU_REJECT, {"cause": 10}),
            (NasType.ATTACH_REQUEST, {}),
            (NasType.IDENTITY_REQUEST, {"identity_type": 1}),
            (NasType.ATTACH_REJECT, {"cause": 15}),
            (NasType.ATTACH_REQUEST, {}),
            (NasType.AUTHENTICATION_RESPONSE, {}),
            (NasType.ATTACH_ACCEPT, {}),
        )
        for step, (kind, fields) in enumerate(story):
            stamp = self.stamp(at_us + step * 100_000, "lte-at", is_checked=True)
            yield NasReading(
                stamp=stamp,
                raw=kind.value.encode(),
                type=kind,
                direction=Direction.UNKNOWN,
                cause=fields.get("cause"),
                identity_type=fields.get("identity_type"),
            )
