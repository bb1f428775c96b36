"""Rows of rtl_power, hackrf_sweep and soapy_power, with the artefacts they are known for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.readings import Item, SweepDevice, SweepReading, Unreadable
from hardware.recordings import read_recording
from hardware.spectrum.csv_rows import CsvSweeps


def read(text: bytes, size: int = 1 << 20) -> list[Item]:
    codec = CsvSweeps(sensor="sdr0", file="log.csv", time_basis="recorded")
    items = [item for at in range(0, len(text), size) for item in codec.feed(text[at : at + size])]
    return items + codec.close()


def sweeps(items: list[Item]) -> list[SweepReading]:
    return [item for item in items if isinstance(item, SweepReading)]


@pytest.mark.field_data
@pytest.mark.parametrize(
    ("name", "low", "spread"), [("nhkfm3", 88.05, 3.95), ("cocolo3", 76.45, 3.51)]
)
def test_recorded_rows_give_the_published_peak_hold(
    field_data: Path, name: str, low: float, spread: float
) -> None:
    folder = field_data / "fm" / "jj1bdx"
    got = sweeps(list(read_recording(folder / f"{name}.csv")))
    assert len(got) == 299
    assert {len(s.levels_dbm) for s in got} == {128}  # the doubled last value is no bin
    assert {(s.start_hz, s.step_hz) for s in got} == {(low * 1e6, 781.25)}
    held = np.max([s.levels_dbm for s in got], axis=0)
    published = np.loadtxt(folder / f"{name}-ph.csv", delimiter=",")
    assert np.allclose(held, published[:128, 1], atol=0.005)
    assert np.allclose(published[:128, 0], [got[0].start_hz + 781.25 * i for i in range(128)])
    assert round(float(held.max() - held.min()), 2) == spread
    assert got[0].stamp.place == "line 1"
    assert got[0].averages == pytest.approx(98, abs=1)
    assert (got[5].stamp.at_us - got[4].stamp.at_us) == 1_000_000


@pytest.mark.parametrize("samples", [b"00 8", b"8.5", b"9" * 5000, b""])
def test_a_count_of_samples_that_is_none_costs_one_row(samples: bytes) -> None:
    row = b"2026-11-25, 12:00:00, 87000000, 88000000, 250000.00, %s, -50, -60, -55, -70\n"
    bad, good = read(row % samples + row % b"8")
    assert isinstance(bad, Unreadable)
    assert bad.place == "line 1"
    assert isinstance(good, SweepReading)


def test_hops_of_one_sweep_are_put_together_and_times_move_to_utc() -> None:
    row = b"2026-11-25, 20:00:%02d, %d, %d, 1000000.00, 10, -50, -51\n"
    text = b"".join(
        row % (s, lo, lo + 2_000_000) for s in (0, 9) for lo in (87_000_000, 89_000_000)
    )
    codec = CsvSweeps(sensor="a", file="f", utc_offset_s=8 * 3600, time_basis="recorded")
    first, second = sweeps([*codec.feed(text), *codec.close()])
    assert list(first.levels_dbm) == [-50, -51, -50, -51]
    assert (first.stamp.place, second.stamp.place) == ("line 1-2", "line 3-4")
    assert first.stamp.at_us == 1_795_608_000_000_000  # 2026-11-25T12:00:00Z
    assert second.duration_s == 9


def test_interleaved_rows_of_hackrf_are_sorted_and_holes_are_nan() -> None:
    row = b"2019-01-03, 11:57:34.967805, %d, %d, 1000000.00, 20, %s\n"
    lows = [80, 90, 85, 100]
    text = b"".join(
        row % (lo * 10**6, (lo + 5) * 10**6, b", ".join(b"-%d" % (lo + i) for i in range(5)))
        for lo in lows
    )
    one, two = sweeps(read(text * 2))
    assert one.device is SweepDevice.HACKRF_SWEEP
    expected = (
        [-float(f) for f in range(80, 95)] + [math.nan] * 5 + [-float(f) for f in range(100, 105)]
    )
    assert np.allclose(one.levels_dbm, expected, equal_nan=True)
    assert (one.rejected, list(two.levels_dbm[:2])) == (5, [-80, -81])


def test_bad_cells_are_counted_and_bad_rows_are_told_by_line() -> None:
    good = b"2026-11-25, 20:00:00, 100, 400, 100, 9, -50, -inf, nan\n"
    items = read(
        good
        + b"2026-11-25, 20:00:01, 100, 400, 100, 9, -50\n"
        + b"2026-13-45, 20:00:01, 100, 400, 100, 9, -50, -50, -50\n"
        + b"2026-11-25, 20:00:01, 400, 100, 100, 9, -50, -50, -50\n"
        + b"2026-11-25, 20:00:01, 100, 400, 0, 9, -50, -50, -50\n"
        + b"\xef\xbb\xbfhello\n"
        + b"2026-11-25, 20:00:02, 100, 400, 100, 9, -50, -:.0, -52, -52\n"
    )
    assert [s.rejected for s in sweeps(items)] == [2, 1]
    assert [i.place for i in items if isinstance(i, Unreadable)] == [
        f"line {n}" for n in range(2, 7)
    ]


def test_a_line_without_an_end_is_one_error() -> None:
    items = read(b"2026-11-25, 20:00:00, " + b"1," * 5_000_000 + b"\n", 1 << 16)
    assert [type(item) for item in items] == [Unreadable]


_CELL = st.one_of(
    st.sampled_from(["", "nan", "-inf", "-:.0", "1e400", "2026-11-25", "20:00:00", "-50.1"]),
    st.integers(-(10**6), 10**12).map(str),
    st.text(max_size=6),
)


@given(st.lists(st.lists(_CELL, max_size=12).map(", ".join), max_size=6), st.integers(1, 40))
def test_rows_of_anything_never_raise(rows: list[str], size: int) -> None:
    text = "\n".join(rows).encode("utf-8", "replace")
    assert repr(read(text, size)) == repr(read(text))


@given(
    st.integers(0, 10**9),
    st.integers(1, 10**7),
    st.integers(1, 10**6),
    st.lists(st.floats(-200, 50), min_size=1, max_size=20),
)
def test_rows_of_the_right_form_never_raise(
    low: int, span: int, step: int, dbs: list[float]
) -> None:
    cells = ",".join(f"{level:.2f}" for level in dbs)
    read(f"2026-11-25, 20:00:00, {low}, {low + span}, {step}, 5, {cells}\n".encode() * 2)


def hop(second: int, number: int, level: float) -> bytes:
    """One of eight hops of 2.5 MHz, as rtl_power tunes over the band."""
    low = 87_000_000 + number * 2_625_000
    levels = ", ".join([f"{level:.2f}"] * 26)
    return (
        f"2026-11-25, 20:00:{second:02d}, {low}, {low + 2_625_000}, 105000.00, 16, {levels}\n"
    ).encode()


def test_eight_hops_are_one_sweep_and_lost_or_doubled_ones_shift_nothing() -> None:
    codec = CsvSweeps(sensor="s", file="f", time_basis="recorded")
    items: list[Item] = []
    for second in range(4):
        for number in range(8):
            if (second, number) in {(1, 0), (2, 7)}:  # lost
                continue
            items += codec.feed(hop(second, number, -50.0 - second) * (1 + (number == 3)))
    items += codec.close()
    doubled = [item for item in items if isinstance(item, Unreadable)]
    sweeps = [item for item in items if isinstance(item, SweepReading)]
    assert [item.is_damage for item in doubled] == [False] * 4
    assert [(s.start_hz, len(s.levels_dbm)) for s in sweeps] == [
        (87_000_000, 200),
        (89_625_000, 175),
        (87_000_000, 175),
        (87_000_000, 200),
    ]
    assert [{round(x) for x in s.levels_dbm if x == x} for s in sweeps] == [
        {-50},
        {-51},
        {-52},
        {-53},
    ]
    assert [s.stamp.at_us - sweeps[0].stamp.at_us for s in sweeps] == [
        0,
        10**6,
        2 * 10**6,
        3 * 10**6,
    ]
