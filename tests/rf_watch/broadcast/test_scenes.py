"""Published cases, licensed cities and phantoms, each as a scene through the real detector."""

from __future__ import annotations

import dataclasses
import resource
from pathlib import Path

import pytest

from contract.messages import Detection
from hardware.modems.interface import Arrival
from hardware.readings import Position, RdsReading, SweepDevice, SweepReading, TunerReading
from hardware.simulators.fm_scene import (
    FmEmitter,
    FmReceiver,
    FmScene,
    case_hours,
    case_scene,
    city_scene,
)
from hardware.simulators.instruments import TunerPeer
from hardware.spectrum.dialects import SweepRange, TunerDialect
from rf_watch.broadcast import BroadcastSettings, BroadcastWatch
from rf_watch.broadcast.tracks import CaseState, TrackEvent
from tests.rf_watch.broadcast.scenes import (
    DAY_US,
    HERE,
    LICENSED,
    MICROS,
    alerts,
    case_start_us,
    cases,
    play,
    watch_of,
)

CITY = (87.6, 88.7, 89.8, 91.2, 91.8, 93.4, 94.6, 95.4, 97.0, 98.1, 99.2, 100.8, 102.8, 103.9)
SUBKINDS = {"91.8": "COCHANNEL_HIJACK", "103.55": "OFF_RASTER"}
"""What follows from a row's own frequency and words; all others are UNLICENSED."""


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("row", cases(), ids=lambda row: row["id"])
def test_every_published_case_is_found_and_no_licensed_station_with_it(
    row: dict[str, str], seed: int
) -> None:
    scene = case_scene(row, LICENSED, HERE, seed=seed)
    watch = watch_of(scene)
    found = play(scene, watch, case_start_us(row), 300 + 960, carriers_s=10)
    wanted = {f"fm/{float(mhz)}": SUBKINDS.get(mhz, "UNLICENSED") for mhz in row["mhz"].split("+")}
    assert {d.track_id: d.subkind for d in alerts(found)} == wanted
    assert {d.severity.value for d in alerts(found)} == {"high"}
    if case_hours(row) is not None:
        came_us = case_start_us(row) + 300 * MICROS
        for d in alerts(found):
            assert d.first_seen >= came_us
            assert d.last_seen - d.first_seen >= 895 * MICROS
    if len(wanted) == 2:
        assert all("FM-TWIN" in {r.rule for r in d.reasons} for d in alerts(found)[-2:])
    for d in alerts(found):
        assert {r.explanation for r in d.rivals}
        assert d.evidence


def test_the_words_of_a_case_give_its_hours() -> None:
    hours = {row["id"]: case_hours(row) for row in cases()}
    assert hours["PFM-04"] == (20 * 3600 + 1800, 7 * 3600 + 1800)
    assert hours["PFM-07"] == (23 * 3600, 7 * 3600)
    assert hours["PFM-05"] == (18 * 3600 + 1800, 8 * 3600)
    assert hours["PFM-10"] is None


@pytest.mark.parametrize("seed", [3, 4])
def test_hours_of_a_licensed_city_raise_nothing(seed: int) -> None:
    scene = city_scene(CITY, HERE, seed=seed)
    watch = watch_of(scene)
    assert alerts(play(scene, watch, DAY_US, 5400, step_s=10, carriers_s=60)) == []
    assert len(watch.tracks()) == len(CITY)
    assert all(watch.is_listed(track) for track in watch.tracks())


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_ten_days_of_licensed_cities_raise_at_most_one_alert() -> None:
    raised = []
    for seed in range(10):
        scene = city_scene(CITY, HERE, seed=seed)
        watch = watch_of(scene)
        raised += alerts(play(scene, watch, DAY_US, 24 * 3600, step_s=10, carriers_s=60))
    assert len(raised) <= 1, [d.track_id for d in raised]


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_a_week_costs_little_memory_and_teaches_the_hours() -> None:
    row = next(row for row in cases() if row["id"] == "PFM-04")
    scene = case_scene(row, CITY, HERE, seed=1)
    watch = watch_of(scene)
    before = resident_mb()
    for hour in range(24 * 7):
        play(scene, watch, DAY_US + hour * 3600 * MICROS, 3600, step_s=60)
    assert resident_mb() - before < 10
    (case,) = [d for d in watch.close() if d.track_id == "fm/96.0"]
    hours = next(r.values for r in case.reasons if r.rule == "FM-SCHEDULE")
    assert (hours["on"], hours["off"]) in {("20:30", "07:29"), ("20:30", "07:30")}


def newcomer(level_above_db: float) -> FmScene:
    """A scene in which 92.3 MHz comes on at 00:10, so many dB above the floor of the channel."""
    scene = city_scene(LICENSED, HERE, seed=5)
    emitter = FmEmitter(
        id="new", mhz=92.3, site=Position(HERE.lat + 0.01, HERE.lon), hours_s=(600, 86_000)
    )
    quiet = FmScene([*scene.emitters, emitter], HERE, seed=5, has_fading=False)
    floor_dbm = -158 + 52  # noise in 150 kHz
    loss = quiet.level_dbm(emitter, 0) - (floor_dbm + level_above_db)
    emitter = dataclasses.replace(emitter, loss_db=loss)
    return FmScene([*scene.emitters, emitter], HERE, seed=5, has_fading=False)


def test_a_new_carrier_of_20_db_is_a_candidate_within_3_sweeps_and_suspected_after_its_dwell() -> (
    None
):
    scene = newcomer(20)
    watch = watch_of(scene)
    assert play(scene, watch, DAY_US, 600, step_s=5) == []
    first = play(scene, watch, DAY_US + 600 * MICROS, 15, step_s=5)
    assert [t.is_candidate for t in watch.tracks() if abs(t.mhz - 92.3) < 0.06] == [True]
    assert [(e.event, e.is_listed) for e in watch.events][-1] == (TrackEvent.NEW, False)
    assert alerts(first) == []
    later = play(scene, watch, DAY_US + 615 * MICROS, 870, step_s=5)
    assert alerts(later) == []
    (alert,) = alerts(play(scene, watch, DAY_US + 1485 * MICROS, 120, step_s=5))
    assert (alert.track_id, alert.subkind) == ("fm/92.3", "UNLICENSED")
    assert [watch.state(t) for t in watch.tracks() if abs(t.mhz - 92.3) < 0.06] == [
        CaseState.DISCOVERED
    ]


def test_a_crew_may_shorten_the_dwell() -> None:
    scene = newcomer(30)
    watch = watch_of(scene, settings=BroadcastSettings(continuous_s=60))
    play(scene, watch, DAY_US, 600, step_s=5)
    assert alerts(play(scene, watch, DAY_US + 600 * MICROS, 90, step_s=5))


def strong_pair(**receiver: float) -> FmScene:
    """Two licensed stations on the next roofs: -10 dBm and more at the receiver."""
    emitters = [
        FmEmitter(id=f"licensed {mhz:g}", mhz=mhz, site=Position(HERE.lat + off, HERE.lon))
        for mhz, off in ((94.6, 0.003), (98.1, 0.0035), (90.0, 0.03))
    ]
    return FmScene(emitters, HERE, FmReceiver(**receiver), seed=7)  # type: ignore[arg-type]


@pytest.mark.parametrize("iip3_dbm", [3.0, 10.0])
def test_products_of_two_strong_stations_are_seen_explained_and_raise_nothing(
    iip3_dbm: float,
) -> None:
    scene = strong_pair(iip3_dbm=iip3_dbm)
    watch = watch_of(scene)
    found = play(scene, watch, DAY_US, 2400, step_s=10)
    found += watch.close()
    assert alerts(found) == []
    phantoms = [t for t in watch.tracks() if not watch.is_listed(t)]
    assert {round(t.mhz, 1) for t in phantoms} >= {91.1, 101.6}
    for track in phantoms:
        last = [d for d in found if d.track_id == f"fm/{round(track.mhz, 1)}"][-1]
        rival = next(r for r in last.rivals if r.explanation == "INTERMODULATION_IN_RECEIVER")
        assert rival.verdict.value == "possible"
        assert "*" in str(rival.values["formula"]) or "+" in str(rival.values["formula"])


def test_a_station_of_its_own_on_a_products_frequency_is_suspected_all_the_same() -> None:
    pair = strong_pair()
    pirate = FmEmitter(id="p", mhz=101.6, site=Position(HERE.lat, HERE.lon + 0.004), erp_w=300)
    scene = FmScene([*pair.emitters, pirate], HERE, pair.receiver, seed=7)
    watch = watch_of(scene)
    found = alerts(play(scene, watch, DAY_US, 1200, step_s=5))
    assert "fm/101.6" in {d.track_id for d in found}


def test_an_off_raster_station_is_not_hidden_by_a_receiver_that_is_off_itself() -> None:
    row = next(row for row in cases() if row["id"] == "PFM-09")
    scene = case_scene(row, LICENSED, HERE, seed=3)
    scene.receiver = FmReceiver(ppm=50.0)  # 5 kHz at 100 MHz
    watch = watch_of(scene)
    found = alerts(play(scene, watch, DAY_US, 1000, step_s=5))
    assert [(d.track_id, d.subkind) for d in found] == [("fm/103.55", "OFF_RASTER")]


def test_a_carrier_that_pauses_for_longer_than_the_gap_begins_again() -> None:
    scene = newcomer(30)
    watch = watch_of(scene)
    play(scene, watch, DAY_US + 600 * MICROS, 600, step_s=5)
    scene.emitters = [e for e in scene.emitters if e.id != "new"]
    silent = play(scene, watch, DAY_US + 1200 * MICROS, 60, step_s=5)
    assert any(e.event is TrackEvent.QUIETED and e.mhz > 92.2 for e in watch.events)
    scene = newcomer(30)
    again = play(scene, watch, DAY_US + 1260 * MICROS, 600, step_s=5)
    assert alerts(silent + again) == []
    assert any(e.event is TrackEvent.RETURNED for e in watch.events)


def test_the_same_readings_give_the_same_detections() -> None:
    row = cases()[1]

    def once() -> list[object]:
        scene = case_scene(row, LICENSED, HERE, seed=2)
        return list(play(scene, watch_of(scene), case_start_us(row), 1400, carriers_s=30))

    assert once() == once()


@pytest.mark.parametrize(
    "receiver",
    [
        FmReceiver(device=SweepDevice.RF_EXPLORER, points=112, rbw_hz=110e3),
        FmReceiver(device=SweepDevice.RTL_POWER, points=2100, rbw_hz=10e3),
    ],
    ids=lambda receiver: receiver.device.value,
)
def test_other_receivers_raise_nothing_over_a_licensed_city_and_find_the_newcomer(
    receiver: FmReceiver,
) -> None:
    city = city_scene(CITY, HERE, seed=1, receiver=receiver)
    watch = watch_of(city, settings=BroadcastSettings(continuous_s=300))
    assert alerts(play(city, watch, DAY_US, 900, step_s=3)) == []
    scene = newcomer(40)
    scene.receiver = receiver
    watch = watch_of(scene, settings=BroadcastSettings(continuous_s=300))
    found = alerts(play(scene, watch, DAY_US + 600 * MICROS, 400, step_s=3))
    # RF Explorer steps by 187.5 kHz: good to one raster point
    (mhz,) = {float(str(d.subject["mhz"])) for d in found}
    assert abs(mhz - 92.3) <= (0.101 if receiver.step_hz > 1e5 else 0.001)


def tuned(scene: FmScene, watch: BroadcastWatch, seconds: float) -> list[Detection]:
    """A tuner of 100 kHz steps that scans and listens by turns."""
    now_us = [DAY_US]
    peer = TunerPeer(scene, lambda: now_us[0], {})
    dialect = TunerDialect(sensor="tef0", file="t", sweep=SweepRange())
    peer.feed(dialect.wake())
    out: list[Detection] = []
    while now_us[0] < DAY_US + seconds * MICROS:
        said = peer.feed(dialect.poll() or b"")
        for _ in range(12):
            now_us[0] += 170_000
            said += peer.idle()
        for item in dialect.feed(said, Arrival(at_us=now_us[0], time_basis="recorded")):
            if isinstance(item, SweepReading | TunerReading | RdsReading):
                out += watch.feed(item)
    return out


@pytest.mark.parametrize("seed", [0, 1])
def test_a_tuner_that_stands_beside_a_station_takes_its_skirt_for_no_carrier(seed: int) -> None:
    scene = city_scene(CITY, HERE, seed=seed)
    watch = watch_of(scene, settings=BroadcastSettings(continuous_s=300), has_audio=False)
    assert alerts(tuned(scene, watch, 900)) == []
    assert {round(t.mhz, 1) for t in watch.tracks()} >= set(CITY) - {87.6}


def stepped(scene: FmScene, watch: BroadcastWatch, seconds: int) -> list[Detection]:
    """Every eighth sweep through 10 dB more, as the tinySA is asked for."""
    out: list[Detection] = []
    for number in range(seconds // 5):
        step = 10.0 if number % 8 == 0 else 0.0
        scene.receiver = dataclasses.replace(scene.receiver, attenuation_db=step)
        out += watch.feed(scene.sweep(DAY_US + number * 5 * MICROS))
    return out


def test_the_attenuator_tells_a_product_from_a_station_on_its_frequency() -> None:
    scene = strong_pair(iip3_dbm=-2.0)  # far worse than the table assumes
    watch = watch_of(scene)
    found = stepped(scene, watch, 1300)
    assert alerts(found) == []
    last = next(d for d in reversed(found + watch.close()) if d.track_id == "fm/101.6")
    rival = next(r for r in last.rivals if r.explanation == "INTERMODULATION_IN_RECEIVER")
    assert rival.values["fall_db"] == pytest.approx(20, abs=6)
    pair = strong_pair()
    # as weak as a product of the pair might be, and no law of levels can tell them apart
    pirate = FmEmitter(id="p", mhz=101.6, site=Position(HERE.lat, HERE.lon + 0.02), erp_w=10)
    own = FmScene([*pair.emitters, pirate], HERE, FmReceiver(iip3_dbm=30.0), seed=7)
    own.has_fading = False
    watch = watch_of(own)
    assert {d.track_id for d in alerts(stepped(own, watch, 1300))} == {"fm/101.6"}


def test_two_licensed_neighbours_that_run_together_are_no_off_raster_carrier() -> None:
    sites = [Position(HERE.lat + 0.05, HERE.lon), Position(HERE.lat - 0.05, HERE.lon)]
    emitters = [
        FmEmitter(id=f"licensed {mhz:g}", mhz=mhz, site=site)
        for mhz, site in zip((100.7, 100.8), sites, strict=True)
    ]
    scene = FmScene(emitters, HERE, seed=3, has_fading=False)
    scene._spread = dict.fromkeys(scene._spread, 0.0)
    watch = watch_of(scene, settings=BroadcastSettings(continuous_s=120))
    assert alerts(play(scene, watch, DAY_US, 400, step_s=2)) == []
    lone = FmScene(emitters[:1], HERE, seed=3, has_fading=False)
    lone.emitters = [dataclasses.replace(emitters[0], mhz=100.75)]
    found = alerts(play(lone, watch_of(FmScene([emitters[1]], HERE)), DAY_US, 1000, step_s=2))
    assert {d.subkind for d in found} == {"OFF_RASTER"}
