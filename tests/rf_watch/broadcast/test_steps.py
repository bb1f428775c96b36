"""A licensed frequency that somebody else takes over while a sweep watches."""

from __future__ import annotations

import dataclasses

import pytest

from contract.messages import Detection
from hardware.readings import Position
from hardware.simulators.fm_scene import FmEmitter, FmScene, city_scene
from rf_watch.broadcast import BroadcastSettings
from tests.rf_watch.broadcast.scenes import DAY_US, HERE, LICENSED, MICROS, play, watch_of

SETTINGS = BroadcastSettings(continuous_s=300)


def taken_over(seed: int, *, at_s: int = 1200, near_m: float = 1000) -> FmScene:
    """At 20 minutes past midnight a transmitter a kilometre away takes 91.8 MHz."""
    city = city_scene(LICENSED, HERE, seed=seed)
    site = Position(HERE.lat + near_m / 111_195, HERE.lon)
    pirate = FmEmitter(
        id="p", mhz=91.8, site=site, erp_w=300, hours_s=(at_s, 86_000), hides="licensed 91.8"
    )
    scene = FmScene([*city.emitters, pirate], HERE, seed=seed)
    scene._spread["p"] = 0.0
    return scene


def seen(scene: FmScene, seconds: int) -> list[Detection]:
    watch = watch_of(scene, settings=SETTINGS, has_audio=False)
    return play(scene, watch, DAY_US, seconds, step_s=10) + watch.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_takeover_shows_in_a_sweep_as_a_step_that_accuses_nobody(seed: int) -> None:
    found = [d for d in seen(taken_over(seed), 2100) if d.reasons]
    assert {d.track_id for d in found} == {"fm/91.8"}
    last = found[-1]
    assert (last.level.value, last.alert, last.subkind) == ("observed", None, "COCHANNEL_HIJACK")
    (reason,) = [r for r in last.reasons if r.rule == "FM-LEVEL-STEP"]
    values = reason.values
    assert float(str(values["after_db"])) - float(str(values["before_db"])) >= 10
    assert last.first_seen >= DAY_US


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_licensed_stations_with_fading_and_traffic_make_no_step(seed: int) -> None:
    assert seen(city_scene(LICENSED, HERE, seed=seed), 5400) == []


def test_a_receiver_that_drives_makes_no_step() -> None:
    scene = city_scene(LICENSED, HERE, seed=7)
    watch = watch_of(scene, settings=SETTINGS, has_audio=False)
    out: list[Detection] = []
    for number in range(240):
        scene.here = Position(HERE.lat + number * 100 / 111_195, HERE.lon)
        out += watch.feed(scene.sweep(DAY_US + number * 10 * MICROS))
    assert out + watch.close() == []


def test_a_gain_that_changes_makes_no_step() -> None:
    scene = city_scene(LICENSED, HERE, seed=8)
    watch = watch_of(scene, settings=SETTINGS, has_audio=False)
    out: list[Detection] = []
    for number in range(240):
        sweep = scene.sweep(DAY_US + number * 10 * MICROS)
        gain = 15.0 if number > 120 else 0.0
        levels = type(sweep.levels_dbm)("f", (x + gain for x in sweep.levels_dbm))
        out += watch.feed(dataclasses.replace(sweep, levels_dbm=levels))
    assert out + watch.close() == []
