"""Other countries' bands, other bins, a gain that changes, clocks that jump, files with few sweeps.

Licensed stations raise nothing in any of them, and a station that no list names is found.
"""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Callable, Iterable

import pytest

from contract.messages import Detection
from hardware.readings import SweepDevice, SweepReading
from hardware.simulators.fm_scene import FmEmitter, FmReceiver, FmScene, city_scene
from rf_watch.broadcast import BroadcastSettings, BroadcastWatch
from tests.rf_watch.broadcast.scenes import DAY_US, HERE, MICROS, alerts, licence_list

CITY = (87.6, 88.7, 89.8, 91.2, 93.4, 94.6, 95.4, 97.0, 98.1, 99.2, 100.8, 102.8, 103.9, 106.3)
NEW = 92.3


def scene_of(receiver: FmReceiver, *, seed: int, has_pirate: bool, mhz: float = NEW) -> FmScene:
    city = city_scene([m for m in CITY if m > receiver.low_mhz], HERE, seed=seed, receiver=receiver)
    site = dataclasses.replace(HERE, lat=HERE.lat + 0.02)
    pirate = FmEmitter(id="p", mhz=mhz, site=site, erp_w=100)
    return FmScene([*city.emitters, *[pirate] * has_pirate], HERE, receiver, seed=seed)


def rtl(low: float = 87.0, high: float = 108.0, step_khz: float = 10.0) -> FmReceiver:
    points = round((high - low) * 1000 / step_khz)
    return FmReceiver(
        device=SweepDevice.RTL_POWER,
        low_mhz=low,
        high_mhz=high,
        points=points,
        rbw_hz=step_khz * 1000,
    )


def relative(sweep: SweepReading, gain_db: float = 0.0) -> SweepReading:
    """As a program prints it that knows no reference: 20 dB up, and whatever gain is set."""
    levels = array("f", (level + 20.0 + gain_db for level in sweep.levels_dbm))
    return dataclasses.replace(sweep, levels_dbm=levels, is_calibrated=False, attenuation_db=None)


def run(
    scene: FmScene,
    times_s: Iterable[float],
    change: Callable[[int, SweepReading], list[SweepReading]],
    **settings: float,
) -> list[Detection]:
    watch = BroadcastWatch("van-1", BroadcastSettings(**settings), licence_list(scene))
    out: list[Detection] = []
    for number, second in enumerate(times_s):
        for sweep in change(number, scene.sweep(DAY_US + round(second * MICROS))):
            out += watch.feed(sweep)
    return out + watch.close()


def named(found: list[Detection]) -> set[float]:
    return {float(str(d.subject["mhz"])) for d in alerts(found)}


def both(
    receiver: FmReceiver,
    times_s: Iterable[float],
    change: Callable[[int, SweepReading], list[SweepReading]],
    *,
    near_mhz: float = 0.001,
    **settings: float,
) -> None:
    """Nothing over licensed stations alone, and the one that is not listed found among them."""
    times = list(times_s)
    for seed in (41, 42):
        quiet = run(scene_of(receiver, seed=seed, has_pirate=False), times, change, **settings)
        assert named(quiet) == set()
        found = run(scene_of(receiver, seed=seed, has_pirate=True), times, change, **settings)
        (mhz,) = named(found)
        assert abs(mhz - NEW) <= near_mhz


def as_it_is(number: int, sweep: SweepReading) -> list[SweepReading]:
    return [relative(sweep)]


@pytest.mark.parametrize("step_khz", [2.0, 25.0, 50.0, 100.0, 125.0])
def test_any_width_of_bins(step_khz: float) -> None:
    near = 0.101 if step_khz > 100 else 0.001
    both(rtl(step_khz=step_khz), range(0, 1200, 10), as_it_is, near_mhz=near)


@pytest.mark.parametrize(
    ("low", "high"), [(76.0, 108.0), (87.5, 108.0), (50.0, 150.0), (90.0, 95.0)]
)
def test_any_edges_of_the_band(low: float, high: float) -> None:
    both(rtl(low, high, 25.0), range(0, 1200, 10), as_it_is)


@pytest.mark.parametrize("gain_db", [-12.0, 15.0])
def test_a_gain_that_changes_in_the_middle(gain_db: float) -> None:
    def change(number: int, sweep: SweepReading) -> list[SweepReading]:
        return [relative(sweep, gain_db if number >= 40 else 0.0)]

    both(rtl(), range(0, 1400, 10), change)


@pytest.mark.parametrize("jump_s", [-7200, -30, 7200, 86_400 * 365])
def test_a_clock_that_is_set_in_the_middle(jump_s: int) -> None:
    def change(number: int, sweep: SweepReading) -> list[SweepReading]:
        at_us = sweep.stamp.at_us + (jump_s * MICROS if number >= 30 else 0)
        return [
            relative(
                dataclasses.replace(sweep, stamp=dataclasses.replace(sweep.stamp, at_us=at_us))
            )
        ]

    both(rtl(), range(0, 1600, 10), change)


def test_sweeps_that_were_written_twice() -> None:
    def change(number: int, sweep: SweepReading) -> list[SweepReading]:
        return [relative(sweep)] * (1 + number % 3)

    both(rtl(), range(0, 1200, 10), change)


@pytest.mark.parametrize("every_s", [60, 1200, 1800])
def test_an_hour_with_few_sweeps(every_s: int) -> None:
    both(rtl(), range(0, 3601, every_s), as_it_is)


def test_sweeps_with_holes_and_missing_parts() -> None:
    def change(number: int, sweep: SweepReading) -> list[SweepReading]:
        levels = array("f", sweep.levels_dbm)
        for index in range(number % 50, len(levels), 50):
            levels[index] = float("nan")
        if number % 5 == 0:  # a hop was lost
            for index in range(1200, 1500):
                levels[index] = float("nan")
        return [relative(dataclasses.replace(sweep, levels_dbm=levels))]

    both(rtl(), range(0, 1200, 10), change)


def test_a_gain_that_changes_makes_no_station_of_a_product() -> None:
    site = dataclasses.replace(HERE, lat=HERE.lat + 0.003)
    pair = [FmEmitter(id=f"licensed {m:g}", mhz=m, site=site) for m in (94.6, 98.1)]
    scene = FmScene(pair, HERE, dataclasses.replace(rtl(), iip3_dbm=6.0), seed=9)

    def change(number: int, sweep: SweepReading) -> list[SweepReading]:
        return [relative(sweep, 10.0 * (number // 30 % 2))]

    found = run(scene, range(0, 2400, 10), change)
    assert named(found) == set()
    assert {round(float(str(d.subject["mhz"])), 1) for d in found} >= {91.1, 101.6}
