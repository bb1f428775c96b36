"""FM-DX tuner lines in both dialects."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.modems.interface import Arrival
from hardware.readings import Item, RdsReading, SweepReading, TunerReading, Unreadable
from hardware.recordings import read_recording
from hardware.spectrum.fmdx import FmDxTuner, scan

NOW = Arrival(at_us=5, time_basis="live")


def read(text: bytes, size: int = 1 << 16) -> list[Item]:
    codec = FmDxTuner(sensor="tef0", file="tty")
    return [i for at in range(0, len(text), size) for i in codec.feed(text[at : at + size], NOW)]


@pytest.mark.field_data
def test_the_recorded_tuner_says_what_is_published(field_data: Path) -> None:
    items = list(read_recording(field_data / "fm" / "tef6686_serial_oe1_redsea_mit.txt"))
    tuner = [i for i in items if isinstance(i, TunerReading)]
    groups = [i for i in items if isinstance(i, RdsReading)]
    assert (len(items), len(groups)) == (150, 50)
    assert {t.pi for t in tuner if t.pi is not None} == {0xA201}
    assert sum(t.level_dbf is not None for t in tuner) == 50
    assert {t.is_stereo for t in tuner if t.level_dbf is not None} == {True}
    texts = [g.radiotext for g in groups if g.radiotext]
    assert texts == ["Ö1 Service: Tel. (01) 501 70 371 (Mo-Fr, 8-21 Uhr)"]


@pytest.mark.parametrize(
    "line", [b"U87500 = 45, 87600 = 12, 87700 = 30, \n", b"U87500=45.00,87600=12.0,87700=30\r\n"]
)
def test_a_scan_line_of_either_dialect_is_a_sweep(line: bytes) -> None:
    (sweep,) = read(line, 3)
    assert isinstance(sweep, SweepReading)
    assert (sweep.start_hz, sweep.step_hz) == (87.5e6, 100e3)
    assert list(sweep.levels_dbm) == [-75, -108, -90]


def test_a_scan_line_with_torn_points_keeps_the_others() -> None:
    problem, sweep = read(b"U87500=45,876S s=9,87700=30,87800=31\n")
    assert isinstance(problem, Unreadable)
    assert isinstance(sweep, SweepReading)
    assert [str(level) for level in sweep.levels_dbm] == ["-75.0", "nan", "-90.0", "-89.0"]


def test_the_long_rds_line_has_its_own_block_a_and_errors_keep_blocks_out() -> None:
    good, bad = read(b"T91800\nRC9542000414243440000\n".replace(b"0000\n", b"00\n") * 1 + b"")[
        -1:
    ] + read(b"T91800\nRC954200041424344C3\n")
    assert isinstance(good, RdsReading)
    assert (good.pi, good.group, good.mhz, good.is_clean) == (0xC954, "2A", 91.8, True)
    assert isinstance(bad, RdsReading)
    assert (bad.pi, bad.is_clean) == (None, False)


def test_doubt_about_a_pi_is_kept_and_a_new_frequency_begins_afresh() -> None:
    items = read(b"T91800\nP1234??\nT92000\nSm12.5,3,4,97\nOK\nG00\nV0\n")
    first, second = items
    assert isinstance(first, TunerReading)
    assert (first.pi, first.pi_doubt, first.mhz) == (0x1234, 2, 91.8)
    assert isinstance(second, TunerReading)
    assert (second.mhz, second.is_stereo, second.bandwidth_hz) == (92.0, False, 97_000)


@pytest.mark.parametrize(
    "line", [b"R123\n", b"PXYZW\n", b"Sx1\n", b"U\n", b"\xff\xfe\n", b"U1=2\n"]
)
def test_lines_that_do_not_fit_cost_one_error(line: bytes) -> None:
    assert [type(item) for item in read(line)] == [Unreadable]


def test_ten_megabytes_without_an_end_cost_one_error() -> None:
    assert len(read(b"R" * 10_000_000 + b"\nPA201\n")) == 2


def test_the_scan_command_names_every_edge() -> None:
    assert scan(87_500, 108_000) == b"Sa87500\nSb108000\nSc100\nSw114000\nS\n"


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60), st.text("RPSUT0123456789AF?=, .sm", max_size=40).map(str.encode)
        ),
        max_size=8,
    ),
    st.integers(1, 30),
)
def test_any_lines_never_raise_whatever_the_chunks(lines: list[bytes], size: int) -> None:
    text = b"\n".join(lines) + b"\n"
    assert repr(read(text, size)) == repr(read(text))
