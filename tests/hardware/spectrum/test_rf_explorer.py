"""RF Explorer frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.modems.interface import Arrival
from hardware.readings import Item, SweepReading, Unreadable
from hardware.spectrum.rf_explorer import RfExplorer, set_range

NOW = Arrival(at_us=5, time_basis="live")
MODEL = b"#C2-M:003,255,03.39\r\n"
SETTING = b"#C2-F:0087000,0187500,-010,-120,%04d,0,000,0000050,0960000,0959950,00110,0000,000\r\n"


def read(data: bytes, size: int = 1 << 16) -> list[Item]:
    codec = RfExplorer(sensor="rfe0", file="tty")
    items = [i for at in range(0, len(data), size) for i in codec.feed(data[at : at + size], NOW)]
    return items + codec.close()


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_three_kinds_of_sweeps_are_read(size: int) -> None:
    body = bytes([160, 0x0D, 0x0A, 0x24] * 28)
    for head, points in ((b"$S\x70", 112), (b"$z\x00\x70", 112), (b"$s\x07", 112)):
        (sweep,) = read(MODEL + SETTING % points + head + body + b"\r\n", size)
        assert isinstance(sweep, SweepReading)
        assert list(sweep.levels_dbm[:4]) == [-80, -6.5, -5, -18]
        assert (sweep.start_hz, sweep.step_hz, sweep.rbw_hz) == (87e6, 187_500, 110_000)


def test_a_sweep_without_its_setting_or_with_another_count_is_told() -> None:
    sweep = b"$S\x02" + bytes([160, 161]) + b"\r\n"
    assert [type(i) for i in read(sweep)] == [Unreadable]
    assert [type(i) for i in read(SETTING % 112 + sweep)] == [Unreadable]


def test_an_early_end_costs_the_sweep_and_the_next_is_read() -> None:
    good = b"$S\x04" + bytes([100] * 4) + b"\r\n"
    items = read(SETTING % 4 + b"$S\x04\x64\xff\xfe\xff\xfe\x00" + good)
    assert [type(i) for i in items] == [Unreadable, SweepReading]


def test_the_range_command_counts_itself() -> None:
    command = set_range(87_000, 108_000)
    assert command == b"#\x20C2-F:0087000,0108000,-010,-120"
    assert command[1] == len(command)


@given(st.binary(max_size=300), st.integers(1, 40))
def test_noise_never_raises(noise: bytes, size: int) -> None:
    read(SETTING % 4 + noise, size)
