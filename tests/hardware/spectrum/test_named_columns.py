"""Logs of any program: columns by name and unit, whatever their order, delimiter and dates."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.readings import (
    BearingReading,
    CarrierReading,
    Item,
    RdsReading,
    SweepDevice,
    SweepReading,
    TunerReading,
    Unreadable,
)
from hardware.recordings import RecordingKind, read_recording, recognise
from hardware.spectrum.named_columns import read_named

MHZ = [87.5 + 0.1 * n for n in range(60)]
NOON_US = 1_779_969_600_000_000  # 2026-05-28T12:00:00Z


def level(number: int, sweep: int = 0) -> float:
    """Noise at -100, a carrier at 91.8 MHz."""
    return -100.0 + 40.0 * (number == 43) + 0.5 * sweep


def read(text: str | bytes, start_us: int | None = None) -> list[Item]:
    content = text.encode() if isinstance(text, str) else text
    return list(read_named(content, "log", "sa0", start_us))


def sweeps(items: list[Item]) -> list[SweepReading]:
    bad = [item for item in items if isinstance(item, Unreadable)]
    assert bad == []
    return [item for item in items if isinstance(item, SweepReading)]


def long_log(header: str, row: Callable[[str, float, float], str]) -> str:
    """Three sweeps a minute apart, a row a point."""
    lines = [header]
    for sweep in range(3):
        time = f"2026-05-28 12:{sweep:02d}:00"
        lines += [row(time, mhz, level(n, sweep)) for n, mhz in enumerate(MHZ)]
    return "\n".join(lines) + "\n"


def comma(value: float) -> str:
    return f"{value:.1f}".replace(".", ",")


LOGS = {
    "time,mhz,dbm": long_log("time,mhz,dbm", lambda t, f, x: f"{t},{f:.1f},{x}"),
    "khz first": long_log("Freq_kHz;Level_dBm;Time", lambda t, f, x: f"{f * 1000:.0f};{x};{t}"),
    "hz": long_log(
        "Timestamp,Frequency (Hz),Level (dBm)", lambda t, f, x: f"{t},{f * 1e6:.0f},{x}"
    ),
    "commas": long_log(
        "Nr;Date;Time;Frequency [MHz];Amplitude [dBm]",
        lambda t, f, x: f"7;{t[8:10]}.{t[5:7]}.{t[:4]};{t[11:]};{comma(f)};{comma(x)}",
    ),
    "tabs, ISO": long_log(
        "time\tfreq (MHz)\tRSSI (dBm)", lambda t, f, x: f"{t.replace(' ', 'T')}Z\t{f:.3f}\t{x}"
    ),
    "Chinese": long_log(
        "时间,频率(MHz),电平(dBm)", lambda t, f, x: f"{t.replace('-', '/')},{f:.1f},{x}"
    ),
    "quoted": long_log('"Time","MHz","Power (dBm)"', lambda t, f, x: f'"{t}","{f:.1f}","{x}"'),
    "American": long_log(
        "Date,Time,Frequency,Level",
        lambda t, f, x: f"5/28/2026,{t[11:]} PM,{f:.1f},{x}",
    ),
}


@pytest.mark.parametrize("name", LOGS)
def test_a_row_a_point_is_a_sweep_whatever_the_columns_are_called(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "log.bin"
    path.write_text(LOGS[name], encoding="utf-8")
    assert recognise(path.read_bytes()[:4096]) is RecordingKind.NAMED_COLUMNS
    found = sweeps(list(read_recording(path)))
    assert len(found) == 3
    for number, sweep in enumerate(found):
        assert sweep.start_hz == pytest.approx(87.5e6)
        assert sweep.step_hz == pytest.approx(100e3)
        assert sweep.stamp.at_us == NOON_US + number * 60_000_000
        assert sweep.stamp.time_basis == "recorded"
        assert list(sweep.levels_dbm) == [level(n, number) for n in range(60)]
        assert sweep.device is SweepDevice.OTHER
        assert sweep.is_calibrated == (name != "American")
        assert sweep.stamp.is_local_time == (name != "tabs, ISO")


def test_a_wide_table_has_a_sweep_a_row(tmp_path: Path) -> None:
    header = "Sweep,Date,Time," + ",".join(f"{mhz:08.3f}" for mhz in MHZ)
    rows = [
        f"{s},2026-05-28,12:0{s}:00," + ",".join(str(level(n, s)) for n in range(60))
        for s in range(3)
    ]
    found = sweeps(read("\n".join([header, *rows])))
    assert [s.stamp.at_us - NOON_US for s in found] == [0, 60_000_000, 120_000_000]
    assert list(found[2].levels_dbm) == [level(n, 2) for n in range(60)]
    path = tmp_path / "wide.csv"
    wide = ",".join(["time", *(f"{87e6 + 10e3 * n:.0f}" for n in range(2000))])
    path.write_text(wide + "\n12:00:00," + ",".join(["-90"] * 2000) + "\n")
    (sweep,) = sweeps(
        list(read_recording(path))
    )  # its header alone is longer than what is looked at
    assert len(sweep.levels_dbm) == 2000


@pytest.mark.parametrize("rows", [2, 3])
def test_a_table_that_lies_on_its_side_is_read(rows: int) -> None:
    text = "Frequency (MHz);" + ";".join(f"{mhz:.1f}" for mhz in MHZ) + "\n"
    for number in range(rows - 1):
        text += "Level (dBm);" + ";".join(str(level(n, number)) for n in range(60)) + "\n"
    found = sweeps(read(text))
    assert len(found) == rows - 1
    assert found[0].start_hz == pytest.approx(87.5e6)


@pytest.mark.parametrize("count", [3, 4, 60])
def test_a_short_table_of_hz_is_a_sweep(count: int, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("".join(f"{88_000_000 + n * 1000},-{90 + n}\n" for n in range(count)))
    (sweep,) = sweeps(list(read_recording(path)))
    assert (sweep.start_hz, sweep.step_hz, len(sweep.levels_dbm)) == (88e6, 1000, count)


@pytest.mark.parametrize("mark", [" ", "\t", ";", ","])
def test_two_bare_columns_of_mhz_are_a_sweep(mark: str) -> None:
    (sweep,) = sweeps(read("\n".join(f"{f:.1f}{mark}{level(n)}" for n, f in enumerate(MHZ))))
    assert sweep.start_hz == pytest.approx(87.5e6)
    assert sweep.stamp.time_basis == "synthetic"


def test_kilohertz_of_six_digits_are_no_hertz() -> None:
    rows = [f"{100_000 + 100 * n},{level(n)}" for n in range(60)]
    (sweep,) = sweeps(read("\n".join(["Frequency (kHz),Level", *rows])))
    assert sweep.start_hz == 100e6


def test_a_commented_header_and_the_times_in_comments_count() -> None:
    """As rtl_power_fftw writes: a block a sweep, its times in front of it."""
    text = ""
    for minute in range(2):
        text += f"# rtl-power-fftw output\n# Acquisition start: 2026-05-28 12:0{minute}:00 UTC\n"
        text += f"# Acquisition end: 2026-05-28 12:0{minute}:30 UTC\n#\n"
        text += "# frequency [Hz] power spectral density [dB/Hz]\n"
        text += "".join(f"{f * 1e6:.4e} {level(n)}\n" for n, f in enumerate(MHZ)) + "\n\n"
    first, second = sweeps(read(text))
    assert (first.stamp.at_us, first.stamp.is_local_time) == (NOON_US, False)
    assert second.stamp.at_us == NOON_US + 60_000_000
    assert not first.is_calibrated


def test_settings_above_a_table_are_passed_over() -> None:
    settings = "".join(f"Setting {n};{n}\n" for n in range(30))
    table = "Frequency [Hz];Level [dBm]\n" + "".join(
        f"{f * 1e6:.0f};{level(n):.1f}\n".replace(".", ",") for n, f in enumerate(MHZ)
    )
    (sweep,) = sweeps(read(settings + table))
    assert list(sweep.levels_dbm) == [level(n) for n in range(60)]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_recordings_are_read_and_damaged_ones_told(
    compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "log.csv"
    packed = compress(LOGS["time,mhz,dbm"].encode())
    path.write_bytes(packed)
    assert len(sweeps(list(read_recording(path)))) == 3
    path.write_bytes(packed[: len(packed) // 2])
    items = list(read_recording(path))
    assert [type(item) for item in items][-1] is Unreadable


def test_utf_16_of_windows_is_read() -> None:
    assert len(sweeps(read(LOGS["time,mhz,dbm"].encode("utf-16")))) == 3


def test_levels_at_far_frequencies_are_carriers_where_they_stand_out() -> None:
    rows = ["time,mhz,dbm"]
    for minute in range(3):
        for mhz, dbm in ((91.8, -60), (95.4, -110), (103.55, -80)):
            rows.append(f"2026-05-28T12:0{minute}:00Z,{mhz},{dbm}")
    items = read("\n".join(rows))
    assert all(isinstance(item, CarrierReading) for item in items)
    assert {round(item.mhz, 2) for item in items if isinstance(item, CarrierReading)} == {
        91.8,
        103.55,
    }
    assert len(items) == 6


def test_a_station_log_names_stations() -> None:
    """As tuners' log books have it, with a time and without a level."""
    text = (
        "Index;Date;Time;Frequency;PI;Signal;Stereo;PS;Radiotext\n"
        "1;28-05-2026;12:00:01;91.80;3ABC;45;1;CRI.CN;FM 101.2\n"
        "2;28-05-2026;12:00:05;95.40 MHz;A201?;;0;;\n"
    )
    items = read(text)
    tuner = [item for item in items if isinstance(item, TunerReading)]
    assert [(t.mhz, t.pi, t.pi_doubt) for t in tuner] == [(91.8, 0x3ABC, 0), (95.4, 0xA201, 1)]
    (rds,) = [item for item in items if isinstance(item, RdsReading)]
    assert (rds.ps, rds.radiotext, rds.mhz) == ("CRI.CN", "FM 101.2", 91.8)
    assert tuner[0].stamp.at_us == NOON_US + 1_000_000


def test_bearings_are_read_with_their_places_and_0_0_is_no_place() -> None:
    text = (
        "time,lat,lon,freq_mhz,bearing_deg,sigma_deg,level_dbm\n"
        "2026-05-28T12:00:00Z,25.04,102.71,91.8,123.4,4,-60\n"
        "2026-05-28T12:00:10Z,0,0,91.8,360,4,-61\n"
        "2026-05-28T12:00:20Z,nan,102.7,91.8,12,,-61\n"
        "2026-05-28T12:00:30Z,25.04,102.71,91.8,400,4,-61\n"
    )
    *bearings, bad = read(text)
    assert isinstance(bad, Unreadable)
    assert (bad.place, "bearing" in bad.reason) == ("line 5", True)
    assert all(isinstance(item, BearingReading) for item in bearings)
    first, second, third = (b for b in bearings if isinstance(b, BearingReading))
    assert (first.bearing_deg, first.sigma_deg, first.level_dbm) == (123.4, 4.0, -60.0)
    assert first.stamp.position is not None
    assert (second.bearing_deg, second.stamp.position, third.stamp.position) == (0.0, None, None)


def test_bad_rows_are_told_by_line_and_the_rest_counts() -> None:
    lines = LOGS["time,mhz,dbm"].splitlines()
    lines.insert(10, "what is this")
    lines.insert(20, lines[19])
    lines[30] = lines[30].rsplit(",", 1)[0] + ",-:.000000e+01"
    items = read("\n".join(lines))
    bad = [item for item in items if isinstance(item, Unreadable)]
    assert [(b.place, b.is_damage) for b in bad] == [("line 11", True), ("line 21", False)]
    first, *_ = [item for item in items if isinstance(item, SweepReading)]
    assert (len(first.levels_dbm), first.rejected) == (60, 1)


def test_a_date_that_may_be_read_two_ways_is_none_and_a_clock_goes_on_past_midnight() -> None:
    rows = [f"03/04/2026 {clock},{f:.1f},-90" for clock in ("23:59:50", "00:00:10") for f in MHZ]
    first, second = sweeps(read("\n".join(["time,mhz,dbm", *rows])))
    assert first.stamp.time_basis == "synthetic"
    assert second.stamp.at_us - first.stamp.at_us == 20_000_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"id,name\n1,x\n", "names a frequency"),
        (b"PK\x03\x04" + bytes(40), "ZIP"),
        (b"RIFF\x00\x00\x00\x00WAVE", "sound"),
        (b'<?xml version="1.0"?><a/>', "XML"),
        (b"", "empty"),
    ],
)
def test_what_is_unknown_says_what_was_expected(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    (bad,) = read_recording(path)
    assert isinstance(bad, Unreadable)
    assert words in bad.reason


@given(st.text('0123456789.,;:|\t -+eEmMhHzZkdBtimefreqlv#"/\n', max_size=400))
def test_any_text_never_raises(text: str) -> None:
    list(read_named(text.encode(), "f", "s", None))
    list(read_named(b"time,mhz,dbm\n88,88,-1\n" + text.encode(), "f", "s", 5))


@given(st.binary(max_size=300))
def test_any_bytes_never_raise(content: bytes) -> None:
    recognise(content)
    list(read_named(b"mhz;level;pi;bearing\n" + content, "f", "s", None))
    list(read_named(content, "f", "s", None))
