"""tinySA console: counted points, read-back zero, what a torn or ended sweep costs."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.modems.interface import Arrival
from hardware.readings import Item, SweepReading, Unreadable
from hardware.spectrum.tinysa import TinySa, scanraw

NOW = Arrival(at_us=1_000_000, time_basis="live")


def reply(start: int, stop: int, raw: list[int]) -> bytes:
    points = b"".join(b"x" + struct.pack("<H", value) for value in raw)
    return scanraw(start, stop, len(raw)) + b"\n{" + points + b"}ch> "


def feed(codec: TinySa, data: bytes, size: int = 1 << 20) -> list[Item]:
    return [
        item for at in range(0, len(data), size) for item in codec.feed(data[at : at + size], NOW)
    ]


def codec() -> TinySa:
    return TinySa(sensor="sa0", file="tty")


def sweeps(items: list[Item]) -> list[SweepReading]:
    return [item for item in items if isinstance(item, SweepReading)]


@pytest.mark.field_data
def test_the_recorded_reply_reads_as_published(field_data: Path) -> None:
    raw = (field_data / "fm" / "tinysa_scanraw_15pts_150-200MHz.bin").read_bytes()
    (sweep,) = sweeps(feed(codec(), raw))
    published = (
        "-92.94 -92.41 -92.38 -93.34 -92.31 -93.78 -92.72 -90.69 -94.16 -90.59 -91.09 "
        "-91.53 -90.50 -80.44 -76.41"
    )
    assert [f"{level:.2f}" for level in sweep.levels_dbm] == published.split()
    # point i stands at start + i * floor(span / points): the last one below the stop
    assert (sweep.start_hz, sweep.step_hz) == (150e6, 50_000_000 // 15)
    assert sweep.stop_hz == 150e6 + 14 * 3_333_333


@pytest.mark.parametrize("size", [1, 2, 3, 7, 4096])
def test_points_that_look_like_marks_are_counted_not_searched(size: int) -> None:
    tricky = [0x7D7B, 0x7878, 0x6863, 0x203E, 0x7B7D, 0x7D78]
    (sweep,) = sweeps(feed(codec(), reply(87_000_000, 108_000_000, tricky), size))
    assert [round((level + 174) * 32) for level in sweep.levels_dbm if level == level] == [
        value for value in tricky if value / 32 - 174 <= 60
    ]
    assert sweep.rejected == sum(value / 32 - 174 > 60 for value in tricky)


def test_the_zero_is_the_models_or_the_one_read_back() -> None:
    one = reply(87_000_000, 108_000_000, [2048])
    basic, ultra, asked = codec(), codec(), codec()
    feed(basic, b"version\r\ntinySA_v1.4-100\r\nHW Version:V0.3\r\nch> ")
    feed(ultra, b"version\r\ntinySA4_v1.4-143-g864bb27\r\nHW Version:V0.4.5.1 \r\nch> ")
    feed(asked, b"zero\r\nusage: zero {level}\r\n150dBm\r\nch> ")
    assert [sweeps(feed(c, one))[0].levels_dbm[0] for c in (basic, ultra, asked)] == [
        -64,
        -110,
        -86,
    ]
    assert (basic.is_ultra, ultra.is_ultra, asked.is_ultra) == (False, True, None)


def test_a_repeated_scan_yields_each_sweep() -> None:
    once = reply(87_000_000, 108_000_000, [2000, 2100])
    body = once[once.index(b"{") : once.index(b"}ch") + 1]
    got = sweeps(feed(codec(), once[: -len(b"ch> ")] + body * 2 + b"ch> ", 1))
    assert [list(s.levels_dbm) for s in got] == [[-111.5, -108.375]] * 3


def test_an_ended_sweep_and_a_lost_byte_cost_one_error_and_no_more() -> None:
    whole = reply(87_000_000, 108_000_000, [2000] * 50)
    ended = whole[: whole.index(b"{") + 1 + 3 * 20] + b"}ch> "
    lost = whole[:60] + whole[61:]
    for bad, words in ((ended, "was ended after 20 of 50"), (lost, "lost a byte")):
        items = feed(codec(), bad + whole + whole)
        (problem,) = [item for item in items if isinstance(item, Unreadable)]
        assert words in problem.reason
        # a lost byte may swallow the prompt it is waiting for, never the sweep after the next
        assert len(sweeps(items)) == 2


def test_a_text_scan_reads_the_level_column_and_refuses_the_colon_digit() -> None:
    text = (
        b"scan 150000000 200000000 4 3\r\n150000000 -9.294e+01 0.0 \r\n166666666 -:.000000e+01 0.0 "
        b"\r\n183333332 -9.1e+01 0.0 \r\n199999998 -8.0e+01 0.0 \r\nch> "
    )
    (sweep,) = sweeps(feed(codec(), text, 5))
    assert np.allclose(sweep.levels_dbm, [-92.94, np.nan, -91, -80], equal_nan=True)
    assert (sweep.rejected, sweep.step_hz) == (1, 16_666_666)
    short = feed(codec(), text.replace(b"183333332 -9.1e+01 0.0 \r\n", b""))
    assert [type(item) for item in short] == [Unreadable]


def test_a_timeout_of_the_device_and_an_endless_line_are_told() -> None:
    told = feed(codec(), b"scanraw 1 2 1\r\nCommand timeout\r\nch> ")
    assert any(isinstance(item, Unreadable) for item in told)
    assert len(feed(codec(), b"\x00" * 10_000_000)) < 3


@given(st.binary(max_size=400), st.integers(1, 50))
def test_noise_never_raises_and_the_next_sweeps_are_read(noise: bytes, size: int) -> None:
    good = reply(87_000_000, 108_000_000, [2000] * 8)
    device = codec()
    feed(device, noise, size)
    device.close()
    (sweep,) = sweeps(feed(device, good, size))
    assert list(sweep.levels_dbm) == [-111.5] * 8
    # and without a break between, once the device has said its prompt twice
    mixed = codec()
    feed(mixed, noise, size)
    assert len(sweeps(feed(mixed, b"\r\nch> " + good + good + good, size))) <= 4
