"""Recorded Quectel logs, value by value."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hardware.modems.quectel import looks_like_transcript, read_transcript
from hardware.readings import CellReading, Rat

pytestmark = pytest.mark.field_data

FILES = ["quectel_5g_qscan_cn.txt", "quectel_ec2x_qeng_cn.txt", "quectel_rm520n_it.txt"]


def readings(field_data: Path, name: str) -> list[CellReading]:
    """Every item of a recording; each must be a cell."""
    content = (field_data / "cellular" / "modem_logs" / name).read_bytes()
    items = list(read_transcript(content, name, "modem0"))
    cells = [item for item in items if isinstance(item, CellReading)]
    assert cells == items
    return cells


@pytest.mark.parametrize("name", FILES)
def test_every_information_line_but_a_bare_state_is_one_reading(
    field_data: Path, name: str
) -> None:
    content = (field_data / "cellular" / "modem_logs" / name).read_bytes()
    lines = content.split(b"\n")
    wanted = [
        (f"line {number}", line)
        for number, line in enumerate(lines, start=1)
        if line.startswith((b"+QENG", b"+QSCAN")) and line.count(b",") > 1
    ]
    assert [(cell.stamp.place, cell.raw) for cell in readings(field_data, name)] == wanted
    assert looks_like_transcript(content[:200])


def test_only_quectel_logs_are_taken_for_quectel_logs(field_data: Path) -> None:
    folder = field_data / "cellular" / "modem_logs"
    taken = [p.name for p in folder.glob("*.txt") if looks_like_transcript(p.read_bytes())]
    assert sorted(taken) == FILES


def test_ec2x_gsm_serving_cell(field_data: Path) -> None:
    cells = readings(field_data, "quectel_ec2x_qeng_cn.txt")
    gsm = next(c for c in cells if c.is_serving and c.rat is Rat.GSM)
    assert gsm.plmns == ("460-00",)
    assert (gsm.lac_tac, gsm.cell_id) == (0x247C, 0x1327)
    assert (gsm.channel, gsm.physical_id) == (82, 35)
    assert (gsm.level_dbm, gsm.c1, gsm.c2) == (-52.0, 53, 179)
    assert gsm.rxlev_access_min is None  # 255


def test_ec2x_gsm_neighbours(field_data: Path) -> None:
    cells = readings(field_data, "quectel_ec2x_qeng_cn.txt")
    gsm = [c for c in cells if not c.is_serving and c.rat is Rat.GSM]
    assert [c.c2 - c.c1 for c in gsm if c.c1 is not None and c.c2 is not None] == [
        124,
        116,
        126,
        116,
        118,
    ]
    assert {c.plmns for c in gsm} == {("460-00",)}
    assert [c.channel for c in gsm] == [33, 614, 16, 616, 622]
    assert [c.level_dbm for c in gsm] == [-83, -87, -92, -90, -93]
    assert [c.physical_id for c in gsm] == [33, 60, 58, 3, 24]
    assert [c.cell_id for c in gsm] == [0x1241, 0x11C8, 0x1326, 0xFCB, 0x14B7]


def test_ec2x_lte_cells(field_data: Path) -> None:
    serving, *others = readings(field_data, "quectel_ec2x_qeng_cn.txt")
    assert (serving.rat, serving.is_serving, serving.plmns) == (Rat.LTE, True, ("460-00",))
    assert (serving.cell_id, serving.lac_tac) == (0xC412C83, 0x247C)
    assert (serving.physical_id, serving.channel, serving.level_dbm) == (401, 38950, -90.0)
    neighbours = [c for c in others if c.rat is Rat.LTE and not c.is_serving]
    assert [(c.channel, c.physical_id, c.level_dbm) for c in neighbours] == [
        (38950, 401, -90.0),  # RSRQ stands before RSRP
        (37900, None, None),
        (38098, None, None),
    ]


def test_ec2x_states_of_limited_service(field_data: Path) -> None:
    last = readings(field_data, "quectel_ec2x_qeng_cn.txt")[-5:]
    assert [(c.rat, c.plmns, c.cell_id, c.lac_tac) for c in last] == [
        (Rat.LTE, ("460-00",), 0x1F1B320, 0x4977),
        (Rat.LTE, ("460-00",), 0x2C17802, 0x2495),
        (Rat.WCDMA, ("460-01",), 0x1EB578B, 0xA538),
        (Rat.NR, ("460-00",), 0x31494F003, 0x16185B),
        (Rat.GSM, ("432-11",), 0x293A, 0x587),
    ]
    assert [(c.channel, c.physical_id, c.level_dbm) for c in last] == [
        (38950, 420, -110.0),
        (40936, 407, -97.0),
        (10763, 60, -106.0),
        (504990, 35, -84.0),
        (98, 31, -63.0),
    ]


def test_ec2x_rounds_are_seconds(field_data: Path) -> None:
    cells = readings(field_data, "quectel_ec2x_qeng_cn.txt")
    times = Counter(c.stamp.at_us // 1_000_000 for c in cells)
    # the search without a cell in second 4 passes as well
    assert times == {0: 1, 1: 3, 2: 1, 3: 5, 5: 1, 6: 1, 7: 1, 8: 1, 9: 1}
    assert {c.stamp.time_basis for c in cells} == {"synthetic"}


def test_qscan_lists_one_shared_cell_under_two_operators(field_data: Path) -> None:
    cells = readings(field_data, "quectel_5g_qscan_cn.txt")
    twins = [c for c in cells if c.cell_id == 0x690133003]
    assert [c.plmns for c in twins] == [("460-11",), ("460-01",)]
    assert {(c.rat, c.physical_id, c.channel) for c in twins} == {(Rat.NR, 441, 633984)}


def test_qscan_cells(field_data: Path) -> None:
    cells = readings(field_data, "quectel_5g_qscan_cn.txt")
    assert Counter(c.rat for c in cells) == {Rat.LTE: 7, Rat.NR: 16}
    assert not any(c.is_serving for c in cells)
    undecoded = [c for c in cells if not c.plmns]
    assert [(c.channel, c.physical_id, c.level_dbm) for c in undecoded] == [
        (633984, 441, -99.0),
        (633984, 0, -101.0),
    ]
    assert {(c.cell_id, c.lac_tac) for c in undecoded} == {(None, None)}
    first, test_cell = cells[0], next(c for c in cells if c.plmns == ("001-01",))
    assert (first.cell_id, first.lac_tac, first.physical_id) == (0x848459E, 0x550B, 207)
    assert (first.channel, first.level_dbm) == (3590, -128.0)
    assert (test_cell.channel, test_cell.physical_id, test_cell.lac_tac) == (100, 1, 1)
    named = cells[-3]  # a TAC with a blank behind it, and names
    assert (named.cell_id, named.lac_tac) == (0x170C23000, 0x46550B)


def test_rm520n_dual_connectivity_is_two_serving_cells(field_data: Path) -> None:
    cells = readings(field_data, "quectel_rm520n_it.txt")
    lte, nr, alone = [c for c in cells if c.is_serving]
    assert {c.plmns for c in (lte, nr, alone)} == {("222-01",)}
    assert (lte.rat, lte.cell_id, lte.lac_tac) == (Rat.LTE, 0x328261F, 0xBE3)
    assert (lte.physical_id, lte.channel, lte.level_dbm) == (280, 275, -99.0)
    assert (nr.rat, nr.physical_id, nr.channel, nr.level_dbm) == (Rat.NR, 920, 648768, -96.0)
    assert nr.cell_id is None
    assert lte.stamp.at_us == nr.stamp.at_us == 0
    assert (alone.cell_id, alone.lac_tac, alone.channel) == (0x4940206, 0xBFF, 1350)


def test_rm520n_neighbours(field_data: Path) -> None:
    cells = readings(field_data, "quectel_rm520n_it.txt")
    assert [(c.channel, c.physical_id, c.level_dbm) for c in cells if not c.is_serving] == [
        (275, 280, -99.0),
        (275, 34, -105.0),
        (275, 46, -106.0),
        (1350, 240, -95.0),
        (1350, 427, -94.0),
    ]
