"""RDS as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.readings import CarrierReading, RdsReading, Unreadable
from hardware.recordings import RecordingKind, read_recording, recognise
from hardware.spectrum.rds_json import read_rds_json

GROUPS = (
    "3ABC 0750 4352 4352",
    "3ABC 0751 4352 492E",
    "3ABC 0752 4352 434E",
    "3ABC 0757 4352 2020",
)


def lines(*records: object) -> bytes:
    return "\n".join(json.dumps(record) for record in records).encode()


def test_lines_with_raw_data_are_decoded_by_us_and_carry_their_time(tmp_path: Path) -> None:
    path = tmp_path / "redsea.json"
    records = [
        {"pi": "0x3ABC", "group": "0A", "raw_data": g, "rx_time": f"2026-05-28T12:00:0{n}+08:00"}
        for n, g in enumerate(GROUPS * 2)
    ]
    path.write_bytes(lines(*records))
    assert recognise(path.read_bytes()) is RecordingKind.RDS_JSON
    readings = list(read_recording(path))
    assert all(isinstance(r, RdsReading) for r in readings)
    names = [r.ps for r in readings if isinstance(r, RdsReading) and r.ps]
    assert names == ["CRI.CN  ".rstrip()] or names == ["CRI.CN  "]
    first = readings[0]
    assert isinstance(first, RdsReading)
    assert (first.pi, first.stamp.time_basis, first.stamp.is_local_time) == (
        0x3ABC,
        "recorded",
        False,
    )
    assert first.stamp.at_us == 1_779_940_800_000_000


def test_lines_without_raw_data_are_taken_at_their_word_and_bad_ones_told() -> None:
    content = lines(
        {"pi": "0xD3C2", "group": "2A", "radiotext": "Hallo", "frequency": 89_200_000},
        {"pi": "0xD3C2", "group": "0A", "partial_ps": "MD"},
        {"no": "group"},
        {"raw_data": "zz"},
    )
    carrier, first, second, *bad = read_rds_json(content + b"\n{torn", "f", "s", None)
    assert isinstance(carrier, CarrierReading)
    assert isinstance(first, RdsReading)
    assert isinstance(second, RdsReading)
    assert (first.pi, first.radiotext, first.mhz, second.ps) == (0xD3C2, "Hallo", 89.2, None)
    assert [b.place for b in bad if isinstance(b, Unreadable)] == ["line 3", "line 4", "line 5"]


def test_stations_of_a_document_do_not_mix() -> None:
    document = {"sets": [{"groups": list(GROUPS[:2])}, {"groups": [*GROUPS[2:], "none"]}]}
    *readings, bad = read_rds_json(json.dumps(document).encode(), "f", "s", None)
    assert len(readings) == 4
    assert isinstance(bad, Unreadable)
    assert bad.place == "$.sets[1].groups[2]"
    assert not any(r.ps for r in readings if isinstance(r, RdsReading))


@pytest.mark.field_data
def test_a_recorded_document_is_read_whole(field_data: Path) -> None:
    readings = list(read_recording(field_data / "fm" / "rds_groups_redsea.json"))
    assert sum(isinstance(r, RdsReading) for r in readings) == 320
    assert not any(isinstance(r, Unreadable) for r in readings)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["pi", "raw_data", "ps", "rx_time", "frequency", "groups"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_never_raises(value: object) -> None:
    list(read_rds_json(json.dumps(value).encode(), "f", "s", None))
    list(read_rds_json(lines(value, value), "f", "s", 7))
