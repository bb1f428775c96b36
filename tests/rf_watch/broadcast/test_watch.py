"""Kinds of suspicion beside the scenes: whose station it is, the aviation band, identity, time."""

from __future__ import annotations

import dataclasses
import datetime as dt
from array import array

import numpy as np
import pytest

from contract.messages import Detection
from contract.words import Severity
from hardware.readings import (
    CarrierReading,
    Position,
    RdsReading,
    Stamp,
    SweepDevice,
    SweepReading,
    TunerReading,
)
from hardware.simulators.fm_scene import FmEmitter, FmScene, audio_features, city_scene
from hardware.spectrum.csv_rows import CsvSweeps
from rf_watch.broadcast import BroadcastSettings, BroadcastWatch, LicenceList, read_licences
from rf_watch.broadcast.identity import addresses, phone_numbers
from rf_watch.broadcast.intermod import Source, third_order
from rf_watch.broadcast.schedule import hour_of_week, local_minute, occupancy, week_hours
from rf_watch.broadcast.spectrum import analyse
from rf_watch.broadcast.tracks import Track, Watching
from rf_watch.settings import SettingError
from tests.rf_watch.broadcast.scenes import (
    DAY_US,
    HERE,
    LICENSED,
    MICROS,
    alerts,
    licence_list,
    play,
    watch_of,
)

SITE = "25.10,102.71"  # due north of HERE
LIST = f"id,mhz,lat,lon,erp_w,schedule,pi\nA,91.8,{SITE},3000,06:00-24:00,3A1B\nB,97.0,,,,,\n"


def licences() -> LicenceList:
    return read_licences(LIST)[0]


def watch(**settings: float) -> BroadcastWatch:
    return BroadcastWatch("van-1", BroadcastSettings(**settings), licences())


def stamp(at_us: int, *, position: Position | None = HERE, basis: str = "recorded") -> Stamp:
    return Stamp(
        at_us=at_us,
        time_basis="synthetic" if basis == "synthetic" else "recorded",
        sensor="t0",
        file="f",
        place=f"line {at_us // MICROS % 100000}",
        position=position,
    )


def carrier(at_us: int, mhz: float, **more: object) -> CarrierReading:
    base = CarrierReading(stamp=stamp(at_us), raw=b"c", mhz=mhz, level_dbm=-60.0)
    return dataclasses.replace(base, **more)  # type: ignore[arg-type]


def listen(
    w: BroadcastWatch, mhz: float, seconds: int, *, start_us: int, **more: object
) -> list[Detection]:
    out: list[Detection] = []
    for second in range(0, seconds, 10):
        out += w.feed(carrier(start_us + second * MICROS, mhz, **more))
    return out


NOON = DAY_US + 12 * 3600 * MICROS


def test_a_bearing_away_from_the_licensed_site_is_a_hijack_and_one_to_it_is_not() -> None:
    good, bad = watch(), watch()
    assert listen(good, 91.8, 1200, start_us=NOON, bearing_deg=4.0, bearing_sigma_deg=4.0) == []
    found = listen(bad, 91.8, 1200, start_us=NOON, bearing_deg=80.0, bearing_sigma_deg=4.0)
    (alert,) = alerts(found)
    assert (alert.subkind, alert.track_id) == ("COCHANNEL_HIJACK", "fm/91.8")
    assert alert.reasons[0].rule == "FM-COCHANNEL-BEARING"
    assert alert.reasons[0].values["off_deg"] == pytest.approx(80, abs=0.5)


def test_a_licensed_frequency_outside_its_hours_is_a_hijack_after_the_dwell() -> None:
    w = watch()
    assert alerts(listen(w, 91.8, 600, start_us=DAY_US + 3600 * MICROS)) == []
    found = listen(w, 91.8, 600, start_us=DAY_US + 4200 * MICROS)
    (alert,) = alerts(found)
    assert [r.rule for r in alert.reasons] == ["FM-COCHANNEL-HOURS"]
    assert alert.reasons[0].values["licensed_hours"] == "06:00-00:00"
    # inside the hours, and in a recording without a date, nothing is said
    assert listen(watch(), 91.8, 1200, start_us=NOON) == []
    undated = watch()
    for second in range(0, 1200, 10):
        reading = carrier(second * MICROS, 91.8)
        reading = dataclasses.replace(reading, stamp=stamp(second * MICROS, basis="synthetic"))
        assert undated.feed(reading) == []


@pytest.mark.parametrize(
    ("mhz", "named"), [(91.6, "P"), (91.85, "P"), (92.0, "P"), (92.1, None), (99.9, None)]
)
def test_a_carrier_beside_a_protected_station_is_critical_and_names_it(
    mhz: float, named: str | None
) -> None:
    rows = read_licences("id,mhz,protected\nP,91.8,yes\nQ,99.7,no\n")[0]
    w = BroadcastWatch("van-1", BroadcastSettings(continuous_s=60), rows)
    (alert,) = alerts(listen(w, mhz, 120, start_us=NOON))
    assert alert.reasons[0].values.get("protected") == named
    assert (alert.severity is Severity.CRITICAL) is (named is not None)
    assert listen(w, 91.8, 120, start_us=NOON) == []


def test_a_temporary_station_is_licensed_on_its_days_alone() -> None:
    day = dt.datetime.fromtimestamp(NOON / MICROS, dt.UTC).date()
    for first, last, is_licensed in ((0, 0, True), (-9, -1, False), (1, 9, False)):
        begin, end = (day + dt.timedelta(days=days) for days in (first, last))
        text = f"id,mhz,valid_from,valid_to\nT,98.5,{begin},{end}\n"
        w = BroadcastWatch("van-1", BroadcastSettings(continuous_s=60), read_licences(text)[0])
        found = listen(w, 98.5, 120, start_us=NOON - 3 * 3600 * MICROS)
        assert ([d.reasons[0].rule for d in found[:1]] == []) is is_licensed


def test_time_alone_makes_a_carrier_dormant_and_its_clip_is_evidence() -> None:
    w = watch(continuous_s=60)
    found = listen(w, 98.5, 120, start_us=NOON, clip=b"RIFF....")
    (alert,) = alerts(found)
    assert alert.reasons[0].values["evidence"] == "SPECTRUM,AUDIO_30S,NOT_IN_LICENCE_DB"
    assert {e.name for e in alert.evidence} == {"SPECTRUM", "AUDIO_30S"}
    assert w.advance("t0", NOON + 130 * MICROS) == []
    (quiet,) = w.advance("t0", NOON + 200 * MICROS)
    assert quiet.reasons[0].values["state"] == "DORMANT"
    assert quiet.detection_id == alert.detection_id
    assert b"RIFF...." in w.raw_evidence(quiet)
    assert w.state(w.tracks()[0]).value == "DORMANT"
    # it comes back the next night: the same case, no new alert
    again = listen(w, 98.5, 120, start_us=NOON + 8 * 3600 * MICROS)
    assert {d.detection_id for d in again} <= {alert.detection_id}


def rds(at_us: int, pi: int | None, *, mhz: float | None = 91.8, **more: object) -> RdsReading:
    base = RdsReading(stamp=stamp(at_us), raw=b"r", mhz=mhz, pi=pi, is_clean=True, group="0A")
    return dataclasses.replace(base, **more)  # type: ignore[arg-type]


def tuned(w: BroadcastWatch, pis: list[int], *, mhz: float = 91.8) -> list[Detection]:
    out: list[Detection] = []
    for number, pi in enumerate(pis):
        at_us = NOON + number * 5 * MICROS
        out += w.feed(
            TunerReading(stamp=stamp(at_us), raw=b"s", mhz=mhz, level_dbf=60.0, is_stereo=True)
        )
        out += w.feed(rds(at_us, pi, mhz=mhz))
    return out


def test_another_stations_pi_is_a_hijack_and_a_few_false_ones_are_not() -> None:
    assert tuned(watch(), [0x3A1B] * 300) == []
    assert tuned(watch(), ([0x3A1B] * 5 + [0x1111]) * 50) == []
    (alert,) = alerts(tuned(watch(), [0x5555] * 300))
    assert alert.reasons[0].rule == "FM-COCHANNEL-PI"
    assert (alert.reasons[0].values["pi"], alert.reasons[0].values["licensed_pi"]) == (
        "5555",
        "3A1B",
    )
    assert tuned(watch(), [0x5555] * 300, mhz=97.0) == []  # its row names no PI


def test_a_telephone_number_in_the_texts_is_evidence_on_an_unlisted_carrier() -> None:
    w = watch()
    tuned(w, [0x7000] * 10, mhz=98.5)
    at_us = NOON + 60 * MICROS
    found = w.feed(rds(at_us, 0x7000, mhz=98.5, radiotext="祖传秘方 电话 138-0013-8000"))
    rules = {r.rule: r.values for d in found for r in d.reasons}
    assert rules["FM-PHONE-NUMBER"] == {"numbers": "13800138000"}
    assert rules["FM-PI-UNKNOWN"] == {"pi": "7000"}
    assert rules["FM-UNLISTED"]["has_pilot"] is True
    w = watch()
    tuned(w, [0x7000] * 10, mhz=98.5)
    scrolled = []
    for number, ps in enumerate(("TEL 1380", "0138000 ", "TEL 1380")):
        scrolled += w.feed(rds(at_us + number * MICROS, 0x7000, mhz=98.5, ps=ps))
    assert any(r.rule == "FM-PHONE-NUMBER" for d in scrolled for r in d.reasons)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("call 13800138000 now", ["13800138000"]),
        ("+86 138 0013 8000", ["13800138000"]),
        ("0871-63150000 / 400-800-1234", ["087163150000", "4008001234"]),
        ("FM 91.8 MHz 2026", []),
        ("6222021234567890123", []),
    ],
)
def test_telephone_numbers_are_told_from_other_digits(text: str, numbers: list[str]) -> None:
    assert phone_numbers(text) == numbers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("地址: 新华区解放路128号3楼", ["新华区解放路128号3楼"]),
        ("clinic No. 12 Jiefang Road", ["No. 12 Jiefang Road"]),
        ("shop.example.com/a tel 1", ["shop.example.com/a"]),
        ("解放路拥堵 请绕行", []),
        ("2号线 98.5 MHz", []),
        ("FM 98.5 Music Radio", []),
        ("a.community", []),
    ],
)
def test_addresses_are_told_from_traffic_news(text: str, found: list[str]) -> None:
    assert addresses(text, text) == found


def test_an_address_in_the_texts_is_evidence_on_an_unlisted_carrier_only() -> None:
    for mhz, is_told in ((98.5, True), (97.0, False)):
        w = watch()
        tuned(w, [0x7000] * 10, mhz=mhz)
        text = "解放路128号"
        found = w.feed(rds(NOON + 60 * MICROS, 0x7000, mhz=mhz, radiotext=text))
        rules = {r.rule: r.values for d in found for r in d.reasons}
        assert rules.get("FM-ADDRESS") == ({"addresses": text} if is_told else None)


def test_an_aviation_carrier_with_a_broadcast_voice_is_critical_and_an_atis_is_not() -> None:
    rng = np.random.default_rng(1)
    w = watch()
    w.feed(carrier(NOON, 103.55, audio=audio_features("p", rng)))
    assert w.feed(carrier(NOON + MICROS, 119.1, audio=audio_features("atis", rng))) == []
    assert w.feed(carrier(NOON + MICROS, 118.7)) == []
    (alert,) = w.feed(carrier(NOON + 2 * MICROS, 125.9, audio=audio_features("p", rng)))
    assert (alert.kind.value, alert.severity.value) == ("aeronautical_interference", "critical")
    assert alert.alert == "AERONAUTICAL_INTERFERENCE"
    assert alert.reasons[0].values["fm_mhz"] == 103.55
    assert alert.reasons[0].values["correlation"] >= 0.6  # type: ignore[operator]
    assert w.feed(carrier(NOON + 3 * MICROS, 125.9, audio=audio_features("p", rng))) == []
    # heard the other way round: first the tower's channel, then the broadcast
    late = watch()
    assert late.feed(carrier(NOON, 125.9, audio=audio_features("p", rng))) == []
    assert alerts(late.feed(carrier(NOON + MICROS, 103.55, audio=audio_features("p", rng))))


@pytest.mark.parametrize(
    ("mhz", "fm", "formula"),
    [
        (121.4, (106.9, 92.4), "2*106.9-92.4"),
        (75.5, (88.1, 100.7), "2*88.1-100.7"),
        (110.1, (104.3, 103.3, 97.5), "103.3+104.3-97.5"),
    ],
)
def test_the_arithmetic_of_known_cases_names_the_pair(
    mhz: float, fm: tuple[float, ...], formula: str
) -> None:
    products = third_order(mhz, [Source(f, -20.0) for f in fm], 20)
    assert products[0].formula == formula
    assert third_order(mhz + 0.1, [Source(f, -20.0) for f in fm], 20) == []


def test_an_emitter_in_the_next_car_is_held_back() -> None:
    w = watch()
    found: list[Detection] = []
    for second in range(0, 1500, 10):
        at_us = NOON + second * MICROS
        here = Position(HERE.lat + second * 1e-4, HERE.lon)  # 16 km of road
        reading = carrier(at_us, 98.5, level_dbm=-40.0 + second % 20 / 20)
        found += w.feed(dataclasses.replace(reading, stamp=stamp(at_us, position=here)))
    assert alerts(found) == []
    last = w.close()[-1]
    rival = next(r for r in last.rivals if r.explanation == "EMITTER_MOVES_WITH_US")
    assert rival.verdict.value == "possible"


def test_a_list_for_another_part_of_the_country_licenses_nobody_here() -> None:
    rows, _ = read_licences("mhz,lat,lon\n98.5,39.9,116.4\n91.8,25.1,102.7\n")
    w = BroadcastWatch("van-1", None, rows)
    (alert,) = alerts(listen(w, 98.5, 1000, start_us=NOON))
    assert alert.subkind == "UNLICENSED"
    rival = next(r for r in alert.rivals if r.explanation == "LIST_ERROR")
    assert rival.verdict.value == "possible"


def test_without_a_list_carriers_are_observed_and_nobody_is_suspected() -> None:
    w = BroadcastWatch("van-1")
    found = listen(w, 98.5, 2000, start_us=NOON) + w.close()
    assert alerts(found) == []
    assert {(d.level.value, d.reasons[0].rule) for d in found} == {("observed", "FM-CARRIER")}


def timer_scene(seed: int) -> FmScene:
    scene = city_scene(LICENSED, HERE, seed=seed)
    timer = FmEmitter(
        id="timer",
        mhz=96.0,
        site=Position(HERE.lat + 0.01, HERE.lon),
        erp_w=300,
        hours_s=(20 * 3600 + 1800, 7 * 3600 + 1800),
    )
    return FmScene([*scene.emitters, timer], HERE, scene.receiver, seed=seed)


def test_a_timetable_is_claimed_after_72_hours_and_not_before() -> None:
    scene = timer_scene(4)
    w = watch_of(scene, has_audio=False)
    first = play(scene, w, DAY_US, 70 * 3600, step_s=120)
    assert "FM-SCHEDULE" not in {r.rule for d in first for r in d.reasons}
    later = play(scene, w, DAY_US + 70 * 3600 * MICROS, 20 * 3600, step_s=120)
    claims = [r.values for d in later + w.close() for r in d.reasons if r.rule == "FM-SCHEDULE"]
    assert claims
    assert claims[-1]["on"] in {"20:29", "20:30", "20:31", "20:32"}
    assert claims[-1]["off"] in {"07:27", "07:28", "07:29", "07:30"}
    assert claims[-1]["watched_h"] >= 72  # type: ignore[operator]
    week = str(claims[-1]["week"])
    assert week.startswith("Wed 00-08 20-24; Thu 00-08 20-24; Fri 00-08 20-24; Sat 00-08 (")
    assert len({d.track_id for d in alerts(first + later)}) == 1


def rtl_power_text(levels: np.ndarray, *, step_hz: int, bins: int, is_copied: bool) -> bytes:
    """Hops as rtl_power prints them: the last level twice, the centre bin a copy on request."""
    rows = []
    for first in range(0, len(levels), bins):
        hop = levels[first : first + bins].copy()
        if is_copied:
            hop[bins // 2] = hop[bins // 2 - 1]
        low = 87_000_000 + first * step_hz
        cells = ", ".join(f"{level:.2f}" for level in [*hop, hop[-1]])
        high = low + bins * step_hz
        rows.append(f"2026-11-25, 20:00:00, {low}, {high}, {step_hz}.00, 100, {cells}\n")
    return "".join(rows).encode()


@pytest.mark.parametrize("offset_bins", [-30, -1, 0, 1, 2])
def test_a_copied_centre_bin_makes_no_carrier_and_moves_none(offset_bins: int) -> None:
    step_hz, bins = 20_000, 100
    rng = np.random.default_rng(5)
    levels = -60 + 10 * np.log10(rng.gamma(8, 0.125, 1000))
    at = 450 + offset_bins  # the centre of the fifth hop, or beside it
    khz = (np.arange(1000) - at) * step_hz / 1000
    levels = np.maximum(levels, -20 - (khz / 60) ** 2 * 4.34)
    seen = []
    for is_copied in (False, True):
        text = rtl_power_text(levels, step_hz=step_hz, bins=bins, is_copied=is_copied)
        codec = CsvSweeps(sensor="sdr0", file="f", time_basis="recorded")
        (sweep,) = [i for i in [*codec.feed(text), *codec.close()] if isinstance(i, SweepReading)]
        assert len(sweep.levels_dbm) == 1000
        spectrum = analyse(sweep, 87, 108, 10)
        assert spectrum is not None
        (peak,) = spectrum.peaks
        seen.append(peak)
    plain, copied = seen
    assert plain.mhz == pytest.approx(87 + at * step_hz / 1e6, abs=0.005)
    assert copied.mhz == pytest.approx(plain.mhz, abs=0.01)
    assert copied.level_db == pytest.approx(plain.level_db, abs=1.0)


@pytest.mark.parametrize("seed", range(3))
def test_copied_centre_bins_of_noise_alone_are_no_carriers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = -60 + 10 * np.log10(rng.gamma(8, 0.125, 1000))
    codec = CsvSweeps(sensor="sdr0", file="f", time_basis="recorded")
    text = rtl_power_text(levels, step_hz=20_000, bins=100, is_copied=True)
    (sweep,) = [i for i in [*codec.feed(text), *codec.close()] if isinstance(i, SweepReading)]
    spectrum = analyse(sweep, 87, 108, 10)
    assert spectrum is not None
    assert spectrum.peaks == ()


def test_hours_of_the_week_tell_silence_from_days_nobody_watched() -> None:
    track, watching = Track(1, "t0", 96.0, stamp(0), stamp(0)), Watching()
    assert week_hours(track, watching) == ""
    watching.looks[:48] = [10] * 48
    track.on_looks[0] = track.on_looks[1] = 10
    track.on_looks[7] = 1
    track.on_looks[23] = 9
    assert week_hours(track, watching) == "Mon 00-02 07-08 23-24; Tue off"
    watching.looks[47] = 0
    assert week_hours(track, watching).endswith("; Tue off (23 h watched)")


def test_local_time() -> None:
    monday = 4 * 24 * 3600 * MICROS  # 1970-01-05
    assert hour_of_week(monday, 0) == 0
    assert hour_of_week(monday, 480) == 8
    assert local_minute(monday, -60) == 23 * 60


def flat(levels: np.ndarray, *, step_hz: float = 50e3, low: float = 87e6) -> SweepReading:
    data = levels.astype(np.float32)
    return SweepReading(
        stamp=stamp(NOON),
        raw=b"",
        device=SweepDevice.TINYSA,
        start_hz=low,
        step_hz=step_hz,
        levels_dbm=array("f", data.tobytes()),
    )


def test_noise_holes_and_shoulders_are_no_carriers() -> None:
    rng = np.random.default_rng(2)
    noise = -100 + 10 * np.log10(rng.gamma(4, 0.25, 421))
    spectrum = analyse(flat(noise), 87, 108, 10)
    assert spectrum is not None
    assert spectrum.peaks == ()
    noise[100:140] = np.nan
    spectrum = analyse(flat(noise), 87, 108, 10)
    assert spectrum is not None
    assert spectrum.peaks == ()
    hz = 87e6 + np.arange(421) * 50e3
    bell = -20 - ((hz - 98e6) / 60e3) ** 2 * 4.34
    shoulder = -78 - ((hz - 98.4e6) / 60e3) ** 2 * 4.34
    levels = np.maximum(np.maximum(noise, bell), shoulder)
    spectrum = analyse(flat(np.nan_to_num(levels, nan=-100.0)), 87, 108, 10)
    assert spectrum is not None
    assert [round(p.mhz, 1) for p in spectrum.peaks] == [98.0]
    assert [round(p.mhz, 2) for p in spectrum.splatter] == [98.4]


def test_levels_are_normalised_by_the_resolution_bandwidth() -> None:
    hz = 87e6 + np.arange(421) * 50e3
    bell = -50 - ((hz - 98e6) / 60e3) ** 2 * 4.34
    sweep = flat(np.maximum(bell, -120.0))
    narrow = dataclasses.replace(sweep, rbw_hz=50e3)
    wide = dataclasses.replace(flat(np.maximum(bell + 6.02, -114.0)), rbw_hz=200e3)
    one, other = analyse(narrow, 87, 108, 10), analyse(wide, 87, 108, 10)
    assert one is not None
    assert other is not None
    assert one.peaks[0].level_db == pytest.approx(other.peaks[0].level_db, abs=0.05)


@pytest.mark.parametrize("name", ["fm.nothing", "fm.continuous_s"])
def test_settings_are_named_in_errors(name: str) -> None:
    with pytest.raises(SettingError, match=name):
        BroadcastSettings().with_named({name: -1})


def test_memory_is_bounded_by_carriers() -> None:
    w = BroadcastWatch("van-1", BroadcastSettings(tracks_max=16), licences())
    for number in range(200):
        w.feed(carrier(NOON + number * MICROS, 87.1 + number * 0.1))
    assert len(w.tracks()) <= 17
    assert len(w.events) <= 256


def test_the_licence_list_of_a_scene_is_its_licensed_stations() -> None:
    assert [row.mhz for row in licence_list(city_scene(LICENSED, HERE))] == sorted(LICENSED)


def test_a_recording_of_one_sweep_shows_its_carriers_at_the_end() -> None:
    w = BroadcastWatch("van-1")
    assert w.feed(city_scene(LICENSED, HERE, seed=2).sweep(NOON)) == []
    shown = w.close()
    assert {d.subject["mhz"] for d in shown} == set(LICENSED)
    assert {d.level.value for d in shown} == {"observed"}


def test_a_hijacker_far_stronger_than_the_licence_explains_says_so() -> None:
    weak, strong = watch(continuous_s=60), watch(continuous_s=60)
    for w, level in ((weak, -60.0), (strong, -5.0)):
        listen(
            w, 91.8, 120, start_us=NOON, bearing_deg=90.0, bearing_sigma_deg=3.0, level_dbm=level
        )
    rules = [{r.rule for r in w.close()[-1].reasons} for w in (weak, strong)]
    assert "FM-LEVEL" not in rules[0]
    assert "FM-LEVEL" in rules[1]


def wide_sweep(at_us: int, carriers: dict[float, float]) -> SweepReading:
    hz = 87e6 + np.arange(1000) * 50e3
    levels = np.full(1000, -110.0) + np.arange(1000) % 7 / 10
    for mhz, level in carriers.items():
        levels = np.maximum(levels, level - ((hz - mhz * 1e6) / 50e3) ** 2 * 4.34)
    return dataclasses.replace(flat(levels), stamp=stamp(at_us), raw=b"sweep")


def test_an_aviation_carrier_where_strong_stations_mix_to_is_observed_with_the_pair() -> None:
    w = BroadcastWatch("van-1", None, read_licences("mhz\n106.9\n92.4\n")[0])
    found: list[Detection] = []
    for second in range(0, 60, 5):
        air = {121.4: -80.0, 118.1: -70.0}  # 118.1 is a tower's own
        fm = {106.9: -20.0, 92.4: -25.0}
        found += w.feed(wide_sweep(NOON + second * MICROS, {**fm, **air}))
    (seen,) = [d for d in found if d.kind.value == "aeronautical_interference"]
    assert (seen.level.value, seen.alert) == ("observed", None)
    assert seen.reasons[0].rule == "AERO-CARRIER"
    assert seen.reasons[0].values["formula"] == "2*106.9-92.4"
    assert seen.subject["mhz"] == 121.4


def test_occupancy_is_counted_by_local_hour_of_the_week() -> None:
    w = BroadcastWatch("van-1", None, read_licences("mhz\n106.9\n")[0])
    for minute in range(120):
        carriers = {106.9: -40.0} | ({98.5: -50.0} if minute % 60 < 15 else {})
        w.feed(wide_sweep(NOON + minute * 60 * MICROS, carriers))
    track = next(t for t in w.tracks() if abs(t.mhz - 98.5) < 0.05)
    hours = [share for share in occupancy(track, w.watching("t0")) if share is not None]
    assert hours == [pytest.approx(0.25, abs=0.02)] * 2
    listed = next(t for t in w.tracks() if abs(t.mhz - 106.9) < 0.05)
    assert [x for x in occupancy(listed, w.watching("t0")) if x is not None] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("mhz,pi\n91.8,3A1B\n", {"FM-PI-UNKNOWN"}),
        ("mhz,pi\n91.8,7000\n", set()),
        ("mhz\n91.8\n", {"FM-CARRIER"}),
    ],
)
def test_rds_without_a_frequency_is_observed_unless_the_list_knows_its_pi(
    text: str, rules: set[str]
) -> None:
    w = BroadcastWatch("van-1", None, read_licences(text)[0])
    found: list[Detection] = []
    for number in range(6):
        found += w.feed(rds(NOON + number * MICROS, 0x7000, mhz=None, ps="TEL 1380"))
    found += w.close()
    assert {r.rule for d in found for r in d.reasons} == rules
    assert {d.level.value for d in found} <= {"observed"}
    assert all(d.subject["pi"] == "7000" for d in found)
