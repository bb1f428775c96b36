"""Bearing lines: angles to true bearings, what is none, any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.finders.kraken import KrakenReader
from hardware.modems.interface import Arrival
from hardware.readings import BearingReading, Item, Position, Unreadable

NOW = Arrival(at_us=5, time_basis="live")
LINE = (
    b"%d, %s, %s, -31.0, 92300000, UCA, 100, VAN, 25.04, 102.71, 10.0, 200.0, %s, R, R, R, R, 1\n"
)


def read(data: bytes, size: int = 1 << 20) -> list[Item]:
    codec = KrakenReader(sensor="df0", file="df0")
    return [i for at in range(0, len(data), size) for i in codec.feed(data[at : at + size], NOW)]


@pytest.mark.parametrize(("sensor", "bearing"), [(b"GPS", 55.0), (b"Compass", 245.0)])
def test_the_angle_stands_on_the_heading_that_counts(sensor: bytes, bearing: float) -> None:
    (reading,) = read(LINE % (1_795_579_200_000, b"045", b"42.5", sensor), 7)
    assert isinstance(reading, BearingReading)
    assert (reading.bearing_deg, reading.mhz) == (bearing, 92.3)
    assert reading.stamp.position == Position(25.04, 102.71)


def test_a_page_read_twice_counts_once() -> None:
    line = LINE % (1_795_579_200_000, b"045", b"42.5", b"GPS")
    assert len(read(line + line)) == 1


@pytest.mark.parametrize(("angle", "confidence"), [(b"400", b"40"), (b"nan", b"40"), (b"x", b"40")])
def test_what_is_no_bearing_is_one_counted_error(angle: bytes, confidence: bytes) -> None:
    (item,) = read(LINE % (1, angle, confidence, b"GPS"))
    assert isinstance(item, Unreadable)
    assert item.is_damage


def test_no_confidence_is_passed_over_and_a_line_without_end_is_one_error() -> None:
    (item,) = read(LINE % (1, b"045", b"1.0", b"GPS"))
    assert isinstance(item, Unreadable)
    assert not item.is_damage
    assert len(read(b"9," * 5_000_000 + b"\n")) == 1


@given(st.binary(max_size=300), st.integers(1, 40))
def test_noise_never_raises(noise: bytes, size: int) -> None:
    read(noise + b"\n" + LINE % (1, b"045", b"42.5", b"GPS") + noise, size)
