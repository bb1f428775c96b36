"""Messages of a board as readings: parts, losses, unknown values, any values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.board import messages as m
from hardware.board.interface import Received
from hardware.board.readings import BoardReadings, stations
from hardware.readings import Item, RdsReading, SweepReading, TunerReading, Unreadable

NOW_US = 1_700_000_000_000_000


def received(message: m.Message) -> Received:
    return Received(message=message, board_ms=5, at_us=None, error_us=None)


def part(number: int, *, sweep_no: int = 1, level: int = 20, parts: int = 2) -> m.Sweep:
    return m.Sweep(
        sweep_no=sweep_no,
        part=number,
        parts=parts,
        start_khz=87_000 + 200 * number,
        step_khz=100,
        channels=bytes([level, 255, 1]) * 2,
    )


def read(*messages: m.Message) -> list[Item]:
    board = BoardReadings(sensor="board0", file="board0")
    return [item for one in messages for item in board.take(received(one), NOW_US)]


def test_parts_make_one_sweep() -> None:
    (sweep,) = read(part(0), part(1, level=60))
    assert isinstance(sweep, SweepReading)
    assert (sweep.start_hz, sweep.step_hz, len(sweep.levels_dbm)) == (87e6, 100e3, 4)
    assert list(sweep.levels_dbm) == [-88.75, -88.75, -48.75, -48.75]
    assert (sweep.stamp.at_us, sweep.stamp.is_checked) == (NOW_US, True)
    assert not sweep.is_calibrated


@pytest.mark.parametrize(
    "messages",
    [(part(1),), (part(0), part(0), part(1)), (part(0), part(1, sweep_no=2), part(0), part(1))],
)
def test_a_lost_part_is_told_and_never_makes_a_sweep_of_two(
    messages: tuple[m.Sweep, ...],
) -> None:
    items = read(*messages)
    assert isinstance(items[0], Unreadable)
    assert sum(isinstance(i, SweepReading) for i in items) == (len(messages) > 1)


def test_what_a_chip_does_not_measure_is_not_said() -> None:
    relative = m.Quality(
        frequency_khz=89_300, level=70, snr_db=255, multipath=255, offset_khz=-128, flags=8
    )
    (tuner,) = read(relative)
    assert isinstance(tuner, TunerReading)
    said = (tuner.level_dbf, tuner.snr_db, tuner.multipath_percent, tuner.offset_khz)
    assert said == (None, None, None, None)


def test_a_block_beyond_repair_enters_no_reading() -> None:
    group = m.RdsGroup(
        event_no=1,
        frequency_khz=89_300,
        block_a=0x2010,
        block_b=0x0540,
        block_c=0xE0CD,
        block_d=0x4142,
        errors=0b11_00_00_00,
    )
    (reading,) = read(group)
    assert isinstance(reading, RdsReading)
    assert (reading.pi, reading.is_clean, reading.group) == (None, False, "0A")


def test_stations_are_tops_the_strongest_first() -> None:
    (sweep,) = read(
        m.Sweep(
            sweep_no=1,
            part=0,
            parts=1,
            start_khz=87_000,
            step_khz=100,
            channels=b"".join(bytes([n, 0, 1]) for n in (50, 20, 70, 70, 10, 60)),
        )
    )
    assert isinstance(sweep, SweepReading)
    assert stations(sweep, above_dbm=-90.0, most=2) == [87_300, 87_500]


@given(st.lists(st.tuples(st.sampled_from(list(m.MESSAGE_TYPES.values())), st.binary())))
def test_no_message_is_too_strange(pairs: list[tuple[type[m.Message], bytes]]) -> None:
    messages = []
    for kind, noise in pairs:
        size = kind.LAYOUT.size
        messages.append(kind.unpack(noise[:size].ljust(size, b"\1") + noise[size:] * kind.HAS_TAIL))
    read(*messages)
