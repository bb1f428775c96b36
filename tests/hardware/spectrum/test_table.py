"""Two-column spectra."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.readings import SweepReading, Unreadable
from hardware.recordings import read_recording
from hardware.spectrum.table import read_table


@pytest.mark.field_data
def test_a_recorded_peak_hold_is_one_sweep(field_data: Path) -> None:
    (sweep,) = read_recording(field_data / "fm" / "jj1bdx" / "nhkfm3-ph.csv")
    assert isinstance(sweep, SweepReading)
    assert (sweep.start_hz, sweep.step_hz) == (88_050_000, 781.25)
    assert round(max(sweep.levels_dbm) - min(sweep.levels_dbm), 2) == 3.95


@pytest.mark.parametrize("mark", [",", ";", "\t", " ", ", "])
def test_sweeps_one_after_the_other_with_a_header_and_bad_rows(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "sweep.csv"
    once = [f"{88_000_000 + 50_000 * n}{mark}{-90 + n:.1f}" for n in range(20)]
    path.write_text("\n".join(["Frequency (Hz),Level (dBm)", *once, "torn", *once]) + "\n")
    bad, first, second = read_recording(path)
    assert isinstance(first, SweepReading)
    assert isinstance(second, SweepReading)
    assert isinstance(bad, Unreadable)
    assert bad.place == "line 22"
    assert list(first.levels_dbm) == list(second.levels_dbm) == [-90 + n for n in range(20)]
    assert second.stamp.at_us - first.stamp.at_us == 1_000_000


@given(st.text("0123456789.,; -einf\n", max_size=300))
def test_any_text_never_raises(text: str) -> None:
    list(read_table(text.encode(), "f", "s", None))
