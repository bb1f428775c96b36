"""A GSM blaster in a car that passes the van, and what each kind of modem decodes of it.

Parameters of the field reports: LAC rotating, CRO high, no neighbours, T3212 short, one channel of
the operator, 500 to 1,000 m of reach. A survey plan says when a modem can see it at all.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hardware.readings import CellReading, Rat, Reading
from hardware.simulators.city import (
    NETWORKS,
    SECOND_US,
    SIDE_M,
    START_US,
    Cell,
    City,
    Drive,
    level_dbm,
)

PASS_S = 300
_START_M = 1_000.0
_DECODES_FROM_DBM = -95.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyPlan:
    """How one modem looks for cells."""

    name: str
    period_s: float
    """Between two looks at one channel."""
    is_full_band: bool
    """False: only what captures the modem, or stands in the serving cell's neighbour list."""
    has_system_information: bool
    """SI2 and SI3 whole (DIAG, CSURVC), not only what AT lines print."""
    basis: str


PLANS = (
    SurveyPlan(
        name="EG25: AT+QENG at 1 Hz, DIAG beside it",
        period_s=1.0,
        is_full_band=False,
        has_system_information=True,
        basis="QENG 1 to 3 s; the DIAG port tells the serving cell's SI as it is read",
    ),
    SurveyPlan(
        name="EG25: AT+QENG at 1 Hz alone",
        period_s=1.0,
        is_full_band=False,
        has_system_information=False,
        basis="QENG 1 to 3 s",
    ),
    SurveyPlan(
        name="SIM800: AT+CENG at 3 s",
        period_s=3.0,
        is_full_band=False,
        has_system_information=False,
        basis="CENG 1 to 3 s; the URC comes every 3 s",
    ),
    SurveyPlan(
        name="Telit: AT#CSURVC in 12 slices",
        period_s=100.0,
        is_full_band=True,
        has_system_information=True,
        basis="a full survey takes 100 s and more; a slice at most 120 s",
    ),
)
"""Real scan durations of research on serial modems; a full survey of Freiburg took 4 to 6.5 min."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blaster:
    """What the car broadcasts."""

    plmn: str = "460-00"
    speed_kmh: float = 25.0
    eirp_dbm: float = 40.0
    cro_db: int = 126
    t3212: int = 1
    lac_period_s: float = 60.0
    lacs: tuple[int, ...] = (0x1401, 0x1402, 0x1403, 0x1404, 0x1405)
    cell_id: int = 3


class Pass:
    """One pass of a blaster through the place where a van patrols."""

    def __init__(
        self,
        seed: int,
        plan: SurveyPlan,
        blaster: Blaster | None = None,
        *,
        city: int | None = None,
    ) -> None:
        self.plan = plan
        self.blaster = blaster or Blaster()
        self.chance = random.Random(seed)  # noqa: S311
        self.drive = Drive(City(seed % 7 if city is None else city), seed, poll_s=plan.period_s)
        van = self.drive.van
        van.x_m, van.y_m = (self.chance.uniform(0.3, 0.7) * SIDE_M for _ in range(2))
        self._bearing = self.chance.uniform(0, 2 * math.pi)
        self._miss_m = self.chance.uniform(-600, 600)
        self._origin = (van.x_m, van.y_m)
        network = next(n for n in NETWORKS if n.rat is Rat.GSM and n.plmn == self.blaster.plmn)
        self._network = network
        nearest = self.drive.city.strongest(van.x_m, van.y_m, network)[0]
        self.channel = self.chance.choice(nearest.neighbours or network.channels)
        self._phase_s = self.chance.uniform(0, plan.period_s)

    def readings(self) -> Iterator[Reading]:
        """A quarter of an hour of patrol first, then the pass, poll by poll."""
        drive = self.drive
        before_s = 900
        drive.poll_s = 5.0
        yield from drive.readings(before_s / 3600)
        drive.poll_s = self.plan.period_s
        at_s, start_us = self._phase_s, START_US + before_s * SECOND_US
        self._origin = (drive.van.x_m, drive.van.y_m)
        while at_s < PASS_S:
            at_us = start_us + int(at_s * SECOND_US)
            yield from self._poll(at_s, at_us)
            drive.van.drive(self.plan.period_s)
            at_s += self.plan.period_s

    def _cell(self, at_s: float) -> Cell:
        """The blaster as it is now: it comes from 1 km away and goes on."""
        along = at_s * self.blaster.speed_kmh / 3.6 - _START_M
        cos, sin = math.cos(self._bearing), math.sin(self._bearing)
        lacs = self.blaster.lacs
        return Cell(
            network=self._network,
            x_m=self._origin[0] + along * cos - self._miss_m * sin,
            y_m=self._origin[1] + along * sin + self._miss_m * cos,
            channel=self.channel,
            area=lacs[int(at_s / self.blaster.lac_period_s) % len(lacs)],
            cell_id=self.blaster.cell_id,
            physical_id=12,
            cro_db=self.blaster.cro_db,
            t3212=self.blaster.t3212,
            rxlev_access_min=0,
            eirp_dbm=self.blaster.eirp_dbm,
        )

    def _poll(self, at_s: float, at_us: int) -> Iterator[Reading]:
        drive, cell = self.drive, self._cell(at_s)
        level = level_dbm(cell, drive.van.x_m, drive.van.y_m) + self.chance.gauss(
            0, drive.city.rates.shadowing_db
        )
        is_decoded = level > _DECODES_FROM_DBM
        is_captured = is_decoded and not self.plan.is_full_band and self._captures(cell, level)
        if not is_captured:
            yield from drive.poll(at_us)
        if not is_decoded or not (is_captured or self.plan.is_full_band or self._is_listed(cell)):
            return
        yield mark(drive.at_line(cell, level, at_us, is_serving=is_captured))
        if self.plan.has_system_information and (is_captured or self.plan.is_full_band):
            for reading in drive.system_information(cell, level, at_us):
                yield mark(reading)

    def _captures(self, cell: Cell, level: float) -> bool:
        """C2 of the blaster against the best genuine cell (TS 45.008 section 6.4)."""
        van = self.drive.van
        best = self.drive.city.strongest(van.x_m, van.y_m, self._network)[0]
        theirs = level_dbm(best, van.x_m, van.y_m) + (best.cro_db or 0)
        return self._is_listed(cell) and level + (cell.cro_db or 0) > theirs

    def _is_listed(self, cell: Cell) -> bool:
        """Whether the serving cell's list names the blaster's channel."""
        van = self.drive.van
        best = self.drive.city.strongest(van.x_m, van.y_m, self._network)[0]
        return cell.channel in best.neighbours


BLASTER_RAW = b"blaster"


def mark(reading: CellReading) -> CellReading:
    """Tag a reading for the judge of a campaign; no detector looks into raw bytes."""
    return replace(reading, raw=BLASTER_RAW)


def is_blaster(reading: Reading) -> bool:
    """Whether a reading is the blaster's: for the judge only."""
    return reading.raw == BLASTER_RAW
