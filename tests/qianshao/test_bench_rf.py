"""What ``bench rf`` feeds to the parsers is read whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware.readings import CellReading, Unreadable
from hardware.recordings import read_recording
from qianshao import bench_rf


def test_the_simulated_log_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "drive.txt"
    path.write_text("\n".join(bench_rf._transcript(300)) + "\n", encoding="ascii")
    items = list(read_recording(path))
    assert len([i for i in items if isinstance(i, CellReading)]) == 300
    assert not [i for i in items if isinstance(i, Unreadable) and i.is_damage]


def test_the_invented_capture_is_read_packet_by_packet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QIANSHAO_FIELD_DATA", str(tmp_path))
    monkeypatch.setattr(bench_rf, "_COPIES", 1)
    path = tmp_path / "b.pcap"
    assert bench_rf._write_capture(path) == "invented GSM system information"
    items = list(read_recording(path))
    assert len(items) == 3583
    assert all(isinstance(i, CellReading) and i.cro_db == 110 for i in items)
