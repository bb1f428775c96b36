"""Bearings through the detector: where a carrier stands, whose it is, and whose finder it was."""

from __future__ import annotations

import dataclasses
import random

import pytest

from contract.messages import Detection
from hardware.readings import BearingReading, CarrierReading, Position, Stamp
from hardware.simulators.fm_scene import FmEmitter, FmScene, city_scene
from rf_watch.bearings import BearingBook
from rf_watch.broadcast import BroadcastSettings, BroadcastWatch
from rf_watch.broadcast.geo import bearing_deg, distance_m
from tests.rf_watch.broadcast.scenes import (
    DAY_US,
    HERE,
    LICENSED,
    MICROS,
    alerts,
    licence_list,
    play,
)

PIRATE = Position(HERE.lat + 0.018, HERE.lon + 0.006)
"""2 km north-east of where the drive begins."""
SETTINGS = BroadcastSettings(continuous_s=120)


def scene(mhz: float = 92.3, *, hides: str | None = None) -> FmScene:
    pirate = FmEmitter(id="p", mhz=mhz, site=PIRATE, erp_w=300, hides=hides)
    city = city_scene(LICENSED, HERE, seed=5)
    return FmScene([*city.emitters, pirate], HERE, seed=5)


def watch_of(played: FmScene, bearings: BearingBook | None = None) -> BroadcastWatch:
    return BroadcastWatch("van-1", SETTINGS, licence_list(played), bearings=bearings)


def drive(played: FmScene, watch: BroadcastWatch, seconds: int) -> list[Detection]:
    """Eastwards at 10 m/s, hearing each station with a bearing every ten seconds."""
    out: list[Detection] = []
    for second in range(0, seconds, 10):
        played.here = Position(HERE.lat, HERE.lon + second * 10 / 100_760)
        at_us = DAY_US + second * MICROS
        out += watch.feed(played.sweep(at_us))
        for reading in played.carriers(at_us, df_sigma_deg=4.0):
            out += watch.feed(dataclasses.replace(reading, audio=None))
    return out + watch.close()


def fix_of(found: list[Detection], track_id: str) -> dict[str, object]:
    last = [d for d in found if d.track_id == track_id][-1]
    return dict(next(r.values for r in last.reasons if r.rule == "FM-FIX"))


def test_a_van_that_drives_past_says_where_an_unlisted_station_stands() -> None:
    played = scene()
    found = drive(played, watch_of(played), 300)
    assert {d.track_id for d in alerts(found)} == {"fm/92.3"}
    values = fix_of(found, "fm/92.3")
    place = Position(float(str(values["lat"])), float(str(values["lon"])))
    assert distance_m(place, PIRATE) < 300
    assert float(str(values["semi_major_m"])) < 1000
    moves = next(r for r in found[-1].rivals if r.explanation == "EMITTER_MOVES_WITH_US")
    assert moves.verdict.value == "ruled_out"


def test_a_hijacker_is_told_by_where_it_stands_and_a_licensed_station_is_not() -> None:
    played = scene(91.8, hides="licensed 91.8")
    found = drive(played, watch_of(played), 300)
    (track,) = {d.track_id for d in alerts(found)}
    assert track == "fm/91.8"
    values = fix_of(found, "fm/91.8")
    licensed = next(e.site for e in played.emitters if e.id == "licensed 91.8")
    away_m = float(str(values["from_licensed_m"]))
    assert away_m == pytest.approx(distance_m(PIRATE, licensed), abs=700)


def test_a_direction_finder_serves_the_analyser_beside_it_and_accuses_nobody_alone() -> None:
    played = scene()
    book = BearingBook()
    analyser, finder = watch_of(played, book), watch_of(played, book)
    rng = random.Random(1)
    found: list[Detection] = []
    for second in range(0, 300, 10):
        played.here = Position(HERE.lat, HERE.lon + second * 10 / 100_760)
        at_us = DAY_US + second * MICROS
        found += analyser.feed(played.sweep(at_us))
        deg = (bearing_deg(played.here, PIRATE) + rng.gauss(0, 4)) % 360
        stamp = Stamp(
            at_us=at_us,
            time_basis="recorded",
            sensor="kraken0",
            file="k",
            place=f"line {second}",
            position=played.here,
        )
        reading = BearingReading(stamp=stamp, raw=b"", mhz=92.3, bearing_deg=deg)
        assert finder.feed(reading) == []
    assert finder.close() == []
    found += analyser.close()
    assert {d.sensor for d in alerts(found)} == {"sa0"}
    assert fix_of(found, "fm/92.3")["bearings"] == 30


def test_a_bearing_without_a_place_or_beside_the_band_says_nothing() -> None:
    played = scene()
    book = BearingBook()
    watch = watch_of(played, book)
    stamp = Stamp(at_us=DAY_US, time_basis="recorded", sensor="k", file="k", place="line 1")
    for mhz in (92.3, 433.9):
        watch.feed(BearingReading(stamp=stamp, raw=b"", mhz=mhz, bearing_deg=1.0, sigma_deg=None))
    assert book.count == 0


def test_without_bearings_there_is_no_position() -> None:
    played = scene()
    watch = watch_of(played)
    found = play(played, watch, DAY_US, 300) + watch.close()
    assert alerts(found)
    assert "FM-FIX" not in {r.rule for d in found for r in d.reasons}


def test_bearings_of_one_place_still_tell_a_hijack() -> None:
    played = scene(91.8, hides="licensed 91.8")
    watch = watch_of(played)
    found: list[Detection] = []
    for second in range(0, 300, 10):
        for reading in played.carriers(DAY_US + second * MICROS, df_sigma_deg=4.0):
            found += watch.feed(
                CarrierReading(
                    stamp=reading.stamp,
                    raw=b"",
                    mhz=reading.mhz,
                    level_dbm=reading.level_dbm,
                    bearing_deg=reading.bearing_deg,
                    bearing_sigma_deg=4.0,
                )
            )
    assert {d.track_id for d in alerts(found)} == {"fm/91.8"}
    assert "FM-FIX" not in {r.rule for d in found for r in d.reasons}
