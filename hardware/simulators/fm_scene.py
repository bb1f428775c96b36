"""The broadcast band of an invented city, as a swept receiver and a tuner would read it.

One generator for every scene: :func:`case_scene` makes a scene of a row of published cases (its
frequency, hours, co-channel, twins and parapet words), :func:`city_scene` one of licensed stations
alone. Nothing is set for a single case beyond its row. The model:

- levels follow the scenario format, section 3.1: EIRP less free space to 100 m and 35 dB a decade
  beyond, with a spread of 4 dB that stays with an emitter while the receiver stands;
- fading: a first-order process of 3 dB and a minute on each emitter, and traffic: now and then a
  lorry takes 10 dB from all for some seconds;
- a station's spectrum is a bell of about 45 kHz (1 sigma) that widens, narrows and shifts with
  the programme, seen through the resolution filter; each point is one noisy sample of it;
- strong carriers make third-order products in the receiver, by its intercept point.

``python -m hardware.simulators.fm_scene CASES.csv PFM-07 --folder DIR`` writes the sweeps of a row
as rtl_power rows, and the licence list that goes with them.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import math
import random
import re
import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hardware.readings import CarrierReading, Position, Stamp, SweepDevice, SweepReading

DAY_S = 86_400
LICENSED_ERP_W, PIRATE_ERP_W = 3000.0, 300.0
"""Defaults of the scenario format, section 3."""
PARAPET_DB = 12.0
AUDIO_FEATURES = 48
_MICROS = 1_000_000
_PROGRAMME_KHZ, _SHIFT_KHZ = 45.0, 6.0
_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_ON_OFF = re.compile(r"on (\d\d):(\d\d),? off (\d\d):(\d\d)")
_STOPPED = re.compile(r"stopped at (\d\d):(\d\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FmEmitter:
    """One transmitter of the scene."""

    id: str
    mhz: float
    site: Position
    erp_w: float = LICENSED_ERP_W
    hours_s: tuple[int, int] | None = None
    """Local seconds of the day from and to; may pass midnight; None: always."""
    audio: str = ""
    loss_db: float = 0.0
    hides: str | None = None
    """Heard instead of this station while it is on (co-channel)."""

    def is_on(self, local_s: float) -> bool:
        """Whether it radiates at a local time of the day."""
        if self.hours_s is None:
            return True
        start, end = self.hours_s
        now = local_s % DAY_S
        return start <= now < end if start <= end else now >= start or now < end


@dataclass(frozen=True, slots=True, kw_only=True)
class FmReceiver:
    """The swept receiver of the scene."""

    device: SweepDevice = SweepDevice.TINYSA
    low_mhz: float = 87.0
    high_mhz: float = 108.0
    points: int = 450
    rbw_hz: float = 100_000.0
    noise_dbm_hz: float = -158.0
    """Thermal noise and 16 dB of noise figure."""
    iip3_dbm: float = 10.0
    ppm: float = 0.0
    attenuation_db: float = 0.0

    @property
    def step_hz(self) -> float:
        """As a tinySA counts."""
        return (self.high_mhz - self.low_mhz) * 1e6 // self.points


@dataclass(slots=True)
class FmScene:
    """Emitters, a receiver at a place, and the time; the same seed gives the same readings."""

    emitters: Sequence[FmEmitter]
    here: Position
    receiver: FmReceiver = field(default_factory=FmReceiver)
    sensor: str = "sa0"
    seed: int = 0
    utc_offset_s: int = 8 * 3600
    has_fading: bool = True
    _rng: np.random.Generator = field(init=False)
    _spread: dict[str, float] = field(init=False, default_factory=dict)
    _fade: dict[str, float] = field(init=False, default_factory=dict)
    _fade_us: int = field(init=False, default=0)
    _shadow_until_us: int = field(init=False, default=0)
    _sweeps: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        for emitter in self.emitters:
            self._spread[emitter.id] = float(self._rng.normal(0.0, 4.0))
            self._fade[emitter.id] = 0.0

    def on_air(self, at_us: int) -> list[FmEmitter]:
        """What radiates and is heard at a time; a co-channel emitter hides its station."""
        local_s = at_us / _MICROS + self.utc_offset_s
        on = [e for e in self.emitters if e.is_on(local_s)]
        hidden = {e.hides for e in on}
        return [e for e in on if e.id not in hidden]

    def level_dbm(self, emitter: FmEmitter, at_us: int) -> float:
        """Level at the antenna now."""
        self._advance(at_us)
        eirp = 10 * math.log10(emitter.erp_w * 1000) + 2.15
        km = max(_distance_m(self.here, emitter.site), 1.0) / 1000
        loss = 32.45 + 20 * math.log10(emitter.mhz) + 20 * math.log10(min(km, 0.1))
        loss += 35 * math.log10(max(km / 0.1, 1.0)) + emitter.loss_db
        shadow = 10.0 if self.has_fading and at_us < self._shadow_until_us else 0.0
        return eirp - loss + self._spread[emitter.id] + self._fade[emitter.id] - shadow

    def _advance(self, at_us: int) -> None:
        """Let the fading move on to a new time."""
        if not self.has_fading or at_us <= self._fade_us:
            return
        step_s = min(600.0, (at_us - self._fade_us) / _MICROS)
        self._fade_us = at_us
        keep = math.exp(-step_s / 60.0)
        kick = 3.0 * math.sqrt(1 - keep * keep)
        for name in self._fade:
            self._fade[name] = keep * self._fade[name] + kick * float(self._rng.normal())
        if self._rng.random() < step_s / 300.0:
            self._shadow_until_us = at_us + int(self._rng.uniform(2, 12) * _MICROS)

    def sweep(self, at_us: int) -> SweepReading:
        """One sweep of the receiver."""
        r, rng = self.receiver, self._rng
        hz = r.low_mhz * 1e6 + np.arange(r.points) * r.step_hz
        # what the attenuator takes is added again by the device, to its own noise as well
        noise_dbm = r.noise_dbm_hz + 10 * math.log10(r.rbw_hz) + r.attenuation_db
        power = np.full(r.points, 10 ** (noise_dbm / 10))
        on = self.on_air(at_us)
        levels = [(e.mhz * (1 + r.ppm * 1e-6), self.level_dbm(e, at_us)) for e in on]
        for mhz, level in levels + products(
            levels, r.iip3_dbm + r.attenuation_db, r.low_mhz, r.high_mhz
        ):
            sigma = 1e3 * _PROGRAMME_KHZ * float(rng.uniform(0.7, 1.2))
            centre = mhz * 1e6 + 1e3 * _SHIFT_KHZ * float(rng.normal())
            seen = math.hypot(sigma, r.rbw_hz / 2.355)
            bell = np.exp(-0.5 * ((hz - centre) / seen) ** 2)
            # power within the resolution filter, which takes a part of the station's width
            power += 10 ** (level / 10) * min(1.0, r.rbw_hz / (2.507 * seen)) * bell
        noisy = power * rng.gamma(4.0, 0.25, r.points)
        self._sweeps += 1
        data = (10 * np.log10(noisy)).astype(np.float32)
        return SweepReading(
            stamp=self._stamp(at_us, f"sweep {self._sweeps}"),
            raw=data.tobytes(),
            device=r.device,
            start_hz=r.low_mhz * 1e6,
            step_hz=r.step_hz,
            levels_dbm=array("f", data.tobytes()),
            rbw_hz=r.rbw_hz,
            is_calibrated=True,
            attenuation_db=r.attenuation_db,
        )

    def carriers(self, at_us: int, *, df_sigma_deg: float | None = None) -> list[CarrierReading]:
        """What a demodulating receiver says of every station on the air, with 10 s of audio."""
        found: list[CarrierReading] = []
        for emitter in self.on_air(at_us):
            bearing = None
            if df_sigma_deg is not None:
                true = _bearing_deg(self.here, emitter.site)
                bearing = (true + float(self._rng.normal(0.0, df_sigma_deg))) % 360
            found.append(
                CarrierReading(
                    stamp=self._stamp(at_us, f"carrier {emitter.mhz:g} at {at_us}"),
                    raw=f"{emitter.mhz:g}".encode(),
                    mhz=emitter.mhz + float(self._rng.uniform(-0.004, 0.004)),
                    level_dbm=self.level_dbm(emitter, at_us),
                    width_khz=180.0,
                    audio=audio_features(emitter.audio or emitter.id, self._rng),
                    bearing_deg=bearing,
                    bearing_sigma_deg=df_sigma_deg,
                )
            )
        return found

    def _stamp(self, at_us: int, place: str) -> Stamp:
        return Stamp(
            at_us=at_us,
            time_basis="recorded",
            sensor=self.sensor,
            file="scene",
            place=place,
            position=self.here,
        )


def products(
    levels: Sequence[tuple[float, float]], iip3_dbm: float, low_mhz: float, high_mhz: float
) -> list[tuple[float, float]]:
    """Third-order products 2a-b that the receiver makes of what it hears, above -130 dBm."""
    strong = sorted(levels, key=lambda pair: -pair[1])[:6]
    found: list[tuple[float, float]] = []
    for mhz_a, level_a in strong:
        for mhz_b, level_b in strong:
            level = 2 * level_a + level_b - 2 * iip3_dbm
            mhz = 2 * mhz_a - mhz_b
            if mhz_a != mhz_b and level > -130 and low_mhz <= mhz <= high_mhz:
                found.append((mhz, level))
    return found


def audio_reference(label: str) -> tuple[float, ...]:
    """Features of a programme; those of different programmes hardly correlate."""
    rng = random.Random(zlib.crc32(label.encode()))  # noqa: S311 - invented audio
    return tuple(rng.gauss(0.0, 1.0) for _ in range(AUDIO_FEATURES))


def audio_features(label: str, rng: np.random.Generator) -> tuple[float, ...]:
    """Ten seconds of a programme as heard: correlates with its reference above 0.8."""
    noise = rng.normal(0.0, 0.35, AUDIO_FEATURES)
    return tuple(float(x + n) for x, n in zip(audio_reference(label), noise, strict=True))


# -- scenes --------------------------------------------------------------------------------------


def city_scene(
    licensed_mhz: Sequence[float],
    here: Position,
    *,
    seed: int = 0,
    receiver: FmReceiver | None = None,
) -> FmScene:
    """Licensed stations alone, on two hills 6 and 9 km away and scattered sites."""
    rng = random.Random(seed)  # noqa: S311 - an invented city
    emitters = [
        FmEmitter(
            id=f"licensed {mhz:g}",
            mhz=mhz,
            site=_away(here, rng.uniform(0, 360), rng.choice((6000, 9000, rng.uniform(3e3, 2e4)))),
            erp_w=LICENSED_ERP_W,
        )
        for mhz in licensed_mhz
    ]
    return FmScene(emitters, here, receiver or FmReceiver(), seed=seed)


def case_hours(row: Mapping[str, str]) -> tuple[int, int] | None:
    """Hours that a case's words give, as seconds of the day; None where they give none."""
    words = f"{row['facts']} {row['lesson']}"
    for pattern in (_HOURS, _ON_OFF):
        if (found := pattern.search(words)) is not None:
            a, b, c, d = (int(part) for part in found.groups())
            return a * 3600 + b * 60, c * 3600 + d * 60
    if "night only" in words:
        return 20 * 3600, 6 * 3600
    if (stopped := _STOPPED.search(words)) is not None:
        return 6 * 3600, int(stopped[1]) * 3600 + int(stopped[2]) * 60
    return None


def case_scene(
    row: Mapping[str, str], licensed_mhz: Sequence[float], here: Position, *, seed: int = 0
) -> FmScene:
    """A scene of one published case: licensed stations and the row's transmitters among them.

    ``mhz`` may name twins (``90.5+94.5``, one site). "co-channel" in the words puts it on the
    licensed station's channel, "parapet" costs it 12 dB, hours are those of :func:`case_hours`.
    """
    scene = city_scene(licensed_mhz, here, seed=seed)
    rng = random.Random(f"{row['id']} {seed}")  # noqa: S311 - where it stands is invented
    site = _away(here, rng.uniform(0, 360), rng.uniform(1000, 3000))
    words = f"{row['facts']} {row['lesson']}"
    hours = case_hours(row)
    pirates: list[FmEmitter] = []
    for part in row["mhz"].split("+"):
        mhz = float(part)
        over = next((e.id for e in scene.emitters if e.mhz == mhz), None)
        pirates.append(
            FmEmitter(
                id=f"{row['id']} {mhz:g}",
                mhz=mhz,
                site=site,
                erp_w=PIRATE_ERP_W,
                hours_s=hours,
                loss_db=PARAPET_DB if "parapet" in words else 0.0,
                hides=over if "co-channel" in words else None,
            )
        )
    emitters = [*scene.emitters, *pirates]
    return FmScene(emitters, here, scene.receiver, seed=seed)


def with_receiver(scene: FmScene, **changes: float) -> FmScene:
    """Return the same scene before another receiver."""
    receiver = replace(scene.receiver, **changes)  # type: ignore[arg-type]
    return FmScene(scene.emitters, scene.here, receiver, seed=scene.seed)


def _away(here: Position, bearing_deg: float, distance_m: float) -> Position:
    north = distance_m * math.cos(math.radians(bearing_deg))
    east = distance_m * math.sin(math.radians(bearing_deg))
    lat = here.lat + north / 111_195
    return Position(lat, here.lon + east / (111_195 * math.cos(math.radians(here.lat))))


def _distance_m(a: Position, b: Position) -> float:
    north = (b.lat - a.lat) * 111_195
    east = (b.lon - a.lon) * 111_195 * math.cos(math.radians((a.lat + b.lat) / 2))
    return math.hypot(north, east)


def _bearing_deg(a: Position, b: Position) -> float:
    north = b.lat - a.lat
    east = (b.lon - a.lon) * math.cos(math.radians((a.lat + b.lat) / 2))
    return math.degrees(math.atan2(east, north)) % 360


# -- a recording of a scene ----------------------------------------------------------------------

EXAMPLE_MHZ = (88.7, 91.8, 95.4, 97.0, 100.8, 102.8, 105.8)
"""Licensed stations of the invented city."""


def csv_row(sweep: SweepReading, utc_offset_s: int = 8 * 3600) -> str:
    """A sweep as rtl_power prints it: local time, the last level twice."""
    local = dt.datetime.fromtimestamp(sweep.stamp.at_us / _MICROS + utc_offset_s, dt.UTC)
    levels = [f"{level:.2f}" for level in sweep.levels_dbm]
    high = sweep.start_hz + sweep.step_hz * len(levels)
    head = f"{local:%Y-%m-%d, %H:%M:%S}, {sweep.start_hz:.0f}, {high:.0f}, {sweep.step_hz:g}, 16"
    return ", ".join([head, *levels, levels[-1]]) + "\n"


def licence_csv(scene: FmScene) -> str:
    """The licensed stations of a scene in the form of ``rf replay --licences``."""
    rows = [
        f"{e.id},{e.id},{e.mhz:g},{e.site.lat:.6f},{e.site.lon:.6f},{e.erp_w:g}"
        for e in scene.emitters
        if e.id.startswith("licensed")
    ]
    return "\n".join(["id,name,mhz,lat,lon,erp_w", *rows]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the recording of one case."""
    parser = argparse.ArgumentParser(description="sweeps of a published case, as a recording")
    parser.add_argument("cases", type=Path, help="CSV with the columns id, mhz, facts, lesson")
    parser.add_argument("id", help="row, e.g. PFM-07")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--step-s", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    with args.cases.open(encoding="utf-8") as file:
        row = next((row for row in csv.DictReader(file) if row["id"] == args.id), None)
    if row is None:
        sys.stderr.write(f"{args.cases.name}: no row {args.id}\n")
        return 2
    scene = case_scene(row, EXAMPLE_MHZ, Position(25.04, 102.71), seed=args.seed)
    hours = case_hours(row)
    midnight = round(dt.datetime(2026, 11, 25, tzinfo=dt.UTC).timestamp()) - 8 * 3600
    start_s = midnight + (hours[0] - 300 if hours else 12 * 3600)
    args.folder.mkdir(parents=True, exist_ok=True)
    with (args.folder / f"{args.id}.csv").open("w", encoding="utf-8") as out:
        for number in range(int(args.minutes * 60 / args.step_s)):
            out.write(csv_row(scene.sweep(round((start_s + number * args.step_s) * _MICROS))))
    (args.folder / "licences.csv").write_text(licence_csv(scene), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
