"""Arrays of QtTinySA."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.readings import SweepReading, Unreadable
from hardware.recordings import read_recording
from hardware.spectrum.qttinysa import read_npy


@pytest.mark.field_data
@pytest.mark.parametrize(
    ("name", "sweeps", "points", "bad"),
    [
        ("qttinysa_2417-2423MHz_2026-05-06.npy", 58, 200, 0),
        ("qttinysa_otherdev_withinf_2026-05-07.npy", 44, 1650, 1),
    ],
)
def test_recorded_arrays_read_as_published(
    field_data: Path, name: str, sweeps: int, points: int, bad: int
) -> None:
    items = [i for i in read_recording(field_data / "fm" / name) if isinstance(i, SweepReading)]
    assert (len(items), {len(i.levels_dbm) for i in items}) == (sweeps, {points})
    assert sum(i.rejected for i in items) == bad
    if bad:
        assert [n for n, i in enumerate(items, start=1) if i.rejected] == [15]
        index = int(np.flatnonzero(np.isnan(items[14].levels_dbm))[0])
        assert items[14].at_hz is not None
        assert items[14].at_hz[index] == 199_353_648
        assert 113 <= np.median([i.duration_s for i in items[1:]]) <= 115
    else:
        assert np.median([i.duration_s for i in items[1:]]) == pytest.approx(0.224, abs=0.01)
        levels = np.array([i.levels_dbm for i in items])
        assert (round(float(levels.min()), 1), round(float(levels.max()), 1)) == (-131.5, -90.5)


def array_bytes(table: object) -> bytes:
    out = io.BytesIO()
    np.save(out, np.asarray(table), allow_pickle=True)
    return out.getvalue()


@pytest.mark.parametrize(
    "table",
    [
        [1.0, 2.0],
        [[0, 1e6, 2e6]],
        [[0, 2e6, 1e6], [0, -1, -2]],
        np.array([[{}, "x"]], dtype=object),
        [[0, np.nan, 2e6], [0, -1, -2]],
    ],
)
def test_other_arrays_are_one_error(table: object) -> None:
    assert [type(i) for i in read_npy(array_bytes(table), "f", "s", None)] == [Unreadable]


@given(st.binary(max_size=300))
def test_noise_behind_the_magic_never_raises(noise: bytes) -> None:
    list(read_npy(b"\x93NUMPY" + noise, "f", "s", None))


def test_a_header_that_is_cut_within_a_bracket_is_one_error() -> None:
    file = io.BytesIO()
    np.save(file, np.zeros((2, 3)))
    content = file.getvalue().replace(b"}", b" ", 1)
    (item,) = read_npy(content, "f", "s", None)
    assert isinstance(item, Unreadable)
    assert "no numpy array" in item.reason
