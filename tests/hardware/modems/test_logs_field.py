"""Recorded logs of SIMCom and Telit modems, value by value."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware.readings import CellReading, Item, Rat
from hardware.recordings import RecordingKind, read_recording, recognise
from tests.hardware.modems.streams import cells, damages

pytestmark = pytest.mark.field_data

KINDS = {
    "ceng-SIM800L.txt": RecordingKind.SIMCOM_TRANSCRIPT,
    "ceng-SIM900.txt": RecordingKind.SIMCOM_TRANSCRIPT,
    "simcom_ceng.txt": RecordingKind.SIMCOM_TRANSCRIPT,
    "simcom_cpsi.txt": RecordingKind.SIMCOM_TRANSCRIPT,
    "simcom_ccinfo.txt": RecordingKind.SIMCOM_TRANSCRIPT,
    "telit_moni.txt": RecordingKind.TELIT_TRANSCRIPT,
    "telit_csurvc.txt": RecordingKind.TELIT_TRANSCRIPT,
    "quectel_5g_qscan_cn.txt": RecordingKind.QUECTEL_TRANSCRIPT,
    "quectel_ec2x_qeng_cn.txt": RecordingKind.QUECTEL_TRANSCRIPT,
    "quectel_rm520n_it.txt": RecordingKind.QUECTEL_TRANSCRIPT,
}


def read(field_data: Path, name: str) -> list[Item]:
    return list(read_recording(field_data / "cellular" / "modem_logs" / name))


def place(cell: CellReading) -> tuple[object, ...]:
    return (cell.plmns, cell.lac_tac, cell.cell_id, cell.channel, cell.physical_id, cell.level_dbm)


def test_every_log_is_recognised(field_data: Path) -> None:
    folder = field_data / "cellular" / "modem_logs"
    found = {p.name: recognise(p.read_bytes()[:4096]) for p in folder.glob("*.txt")}
    assert found.pop("ORIGINS.txt") is None
    assert found == KINDS


def test_sim800l_serving_and_six_neighbours_in_each_of_four_rounds(field_data: Path) -> None:
    items = read(field_data, "ceng-SIM800L.txt")
    found = cells(items)
    assert len(found) == len(items) == 28
    assert [c.stamp.at_us // 1_000_000 for c in found] == [n for n in range(4) for _ in range(7)]
    assert place(found[0]) == (("310-260",), 0x0113, 0x4E72, 666, 8, -89.0)
    assert found[0].rxlev_access_min == 4
    assert place(found[1]) == (("310-260",), 0x0113, 0xA53F, 664, 25, -94.0)  # 1688 - 1024
    assert [c.is_serving for c in found[:7]] == [True] + [False] * 6


def test_sim900_impossible_bsic_and_empty_neighbours(field_data: Path) -> None:
    items = read(field_data, "ceng-SIM900.txt")
    assert [(item.place, item.reason) for item in damages(items)] == [
        (f"line {line}", "bsic 156 is outside 0..63") for line in (14, 22, 30)
    ]
    empty = [c for c in cells(items) if not c.plmns]
    assert [place(c) for c in empty] == [((), None, None, 727, None, -104.0)] * 4
    assert {c.lac_tac for c in cells(items)} == {0xFD, 0x113, None}


def test_simcom_ceng_of_five_firmwares_has_one_torn_line(field_data: Path) -> None:
    items = read(field_data, "simcom_ceng.txt")
    assert [item.place for item in damages(items)] == ["line 10"]
    found = {c.stamp.place: c for c in cells(items)}
    assert place(found["line 1"]) == (("310-260",), 0x7D73, 0xCF00, 685, 16, -53.0)
    assert place(found["line 2"]) == (("310-260",), 0x7D73, None, 561, 27, -76.0)
    assert place(found["line 6"]) == (("460-00",), 0x58B2, 0x2B5B, 11, 62, -47.0)  # rxl 64
    assert place(found["line 17"]) == (("404-04",), 0x1B3, 0xD914, None, 3, -93.0)
    assert "line 20" not in found  # an empty place
    # without the closing mark the last number may be half a number: no level
    assert place(found["line 24"]) == (("250-01",), 0x0A8F, 0x25EA, None, 56, None)
    assert place(found["line 29"]) == (("284-05",), 102, 303617, 1550, 339, -73.0)
    assert found["line 29"].rat is Rat.LTE
    # the same carrier under CNETSCAN, with the offset of PCS 1900
    assert place(found["line 33"]) == (("310-260",), None, 0xCF00, 685, None, -57.0)


def test_cpsi_has_twelve_lines_and_two_without_service(field_data: Path) -> None:
    items = read(field_data, "simcom_cpsi.txt")
    found = cells(items)
    assert len(items) == len(found) == 10
    assert [c.level_dbm for c in found] == [
        -99.8, -100.5, -81.0, -64.0, -77.0, -67.0, -83.0, -105.7, -70.0, -92.4,
    ]  # fmt: skip
    gsm = [c for c in found if c.rat is Rat.GSM]
    assert [(c.c1, c.c2) for c in gsm] == [(18, 128), (42, 42), (19, 13), (44, 44)]
    assert [c.channel for c in gsm] == [35, 27, 124, 1002]
    assert place(found[4])[:3] == (("460-01",), 0x25B1, 22273)  # a blank for the comma
    assert place(found[1])[:5] == (("460-00",), 0x32C9, 83928897, 40936, 495)


def test_ccinfo_of_gsm_and_wcdma(field_data: Path) -> None:
    gsm, near, wcdma, other = cells(read(field_data, "simcom_ccinfo.txt"))
    assert place(gsm) == (("240-24",), 10001, 31, 34, 18, -78.0)
    assert (near.c1, near.c2, near.channel) == (32, 32, 69)
    assert place(wcdma) == (("505-01",), 338, 14302219, 4436, 214, -88.0)
    assert place(other) == ((), None, None, 4436, 230, -97.0)


def test_telit_moni(field_data: Path) -> None:
    items = read(field_data, "telit_moni.txt")
    serving, *near, single = cells(items)
    assert len(items) == 8
    assert place(serving) == ((), 0x55FA, 0x1D23, 736, 0o70, -83.0)
    assert (serving.c1, serving.c2, len(near)) == (19, 33, 6)
    assert place(single) == ((), 0xAEAD, 0x5265, 59, 0o23, -80.0)


def test_telit_csurvc(field_data: Path) -> None:
    items = read(field_data, "telit_csurvc.txt")
    assert [place(c) for c in cells(items)] == [
        (("222-01",), 54717, 14887, 1018, 21, -73.0),
        (("222-01",), 54717, 14886, 1023, 50, -78.0),
    ]
    assert len(items) == 2
