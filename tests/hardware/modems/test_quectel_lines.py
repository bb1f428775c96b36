"""Quectel information lines, form by form; all cells here are invented."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.modems.cells import CellLine, LineError
from hardware.modems.quectel_lines import is_cell_line, parse
from hardware.readings import Rat

GSM_SERVING = (
    b'+QENG: "servingcell","NOCONN","GSM",460,00,52A1,3C07,21,57,-,-68,255,12,0,37,97,1'
    + b",-" * 9
    + b',"-"'
)
GSM_NEIGHBOUR = b'+QENG: "neighbourcell","GSM",460,00,52A1,3C08,44,23,-78,27,87,0,0'
LTE_VALUES = b'"FDD",460,01,9A3150B,217,1650,3,5,5,D2A1,-92,-9,-65,17'
LTE_SERVING = b'+QENG: "servingcell","CONNECT","LTE",' + LTE_VALUES + b",29"
LTE_CELL = {
    "lac_tac": 0xD2A1,
    "cell_id": 0x9A3150B,
    "physical_id": 217,
    "channel": 1650,
    "level_dbm": -92,
}

FORMS: list[tuple[bytes, Rat, bool, tuple[str, ...], dict[str, int]]] = [
    (
        GSM_SERVING,
        Rat.GSM,
        True,
        ("460-00",),
        {
            "lac_tac": 0x52A1,
            "cell_id": 0x3C07,
            "physical_id": 21,
            "channel": 57,
            "level_dbm": -68,
            "rxlev_access_min": 12,
            "c1": 37,
            "c2": 97,
        },
    ),
    (
        GSM_NEIGHBOUR,
        Rat.GSM,
        False,
        ("460-00",),
        {
            "lac_tac": 0x52A1,
            "cell_id": 0x3C08,
            "physical_id": 44,
            "channel": 23,
            "level_dbm": -78,
            "c1": 27,
            "c2": 87,
        },
    ),
    (LTE_SERVING, Rat.LTE, True, ("460-01",), LTE_CELL),
    (
        b'+QENG: "servingcell","NOCONN","LTE",' + LTE_VALUES + b",7,30,-",
        Rat.LTE,
        True,
        ("460-01",),
        LTE_CELL,
    ),
    (b'+QENG: "LTE",' + LTE_VALUES + b",7,30,-", Rat.LTE, True, ("460-01",), LTE_CELL),
    (
        b'+QENG: "NR5G-NSA",460,01,1007,-96,18,-10,648768,78,10,1',
        Rat.NR,
        True,
        ("460-01",),
        {"physical_id": 1007, "level_dbm": -96, "channel": 648768},
    ),
    (
        b'+QENG: "servingcell","NOCONN","NR5G-SA","TDD",460,00,FFFFFFFFF,35,16185B,504990,41,100'
        b",-84,-11,8,0,35,1",
        Rat.NR,
        True,
        ("460-00",),
        {
            "cell_id": 0xFFFFFFFFF,
            "physical_id": 35,
            "lac_tac": 0x16185B,
            "channel": 504990,
            "level_dbm": -84,
        },
    ),
    (
        b'+QENG: "servingcell","NOCONN","WCDMA",460,01,A5,1EB5,10763,255,2,-106,-13,-,-,-,-,-',
        Rat.WCDMA,
        True,
        ("460-01",),
        {
            "lac_tac": 0xA5,
            "cell_id": 0x1EB5,
            "channel": 10763,
            "physical_id": 255,  # a scrambling code like any other, unlike BSIC 255
            "level_dbm": -106,
        },
    ),
    (
        b'+QENG: "neighbourcell intra","LTE",275,34,-20,-105,-76,-,-,-,-,-,-',
        Rat.LTE,
        False,
        (),
        {"channel": 275, "physical_id": 34, "level_dbm": -105},
    ),
    (
        b'+QENG: "neighbourcell inter","LTE",37900,-,-,-,-,-,-,0,22,6',
        Rat.LTE,
        False,
        (),
        {"channel": 37900},
    ),
    (
        b'+QENG: "neighbourcell","GSM",23,2,8,0,255,0,44,-78,30',
        Rat.GSM,
        False,
        (),
        {"channel": 23, "physical_id": 44, "level_dbm": -78},
    ),
    (
        b'+QENG: "neighbourcell","WCDMA",10713,3,16,2,-,-,-,-',
        Rat.WCDMA,
        False,
        (),
        {"channel": 10713},
    ),
    (
        b'+QSCAN: "LTE",460,11,1850,378,-135,-20,-7,109',
        Rat.LTE,
        False,
        ("460-11",),
        {"channel": 1850, "physical_id": 378, "level_dbm": -135},
    ),
    (
        b'+QSCAN:"NR5G",-,-,633984,0,-101,-15,-,0,-,-,-,-,-,-,-',
        Rat.NR,
        False,
        (),
        {"channel": 633984, "physical_id": 0, "level_dbm": -101},
    ),
    (
        b'+QSCAN: "NR5G",460,11,633984,841,-68,-11,52,1,9909DB085,690E0F ,273,78,28,4,1,"A, B","C"',
        Rat.NR,
        False,
        ("460-11",),
        {
            "channel": 633984,
            "physical_id": 841,
            "level_dbm": -68,
            "cell_id": 0x9909DB085,
            "lac_tac": 0x690E0F,
        },
    ),
]


@pytest.mark.parametrize(("line", "rat", "is_serving", "plmns", "values"), FORMS)
def test_every_form_of_line_gives_its_cell(
    line: bytes, rat: Rat, is_serving: bool, plmns: tuple[str, ...], values: dict[str, Any]
) -> None:
    assert parse(line) == CellLine(rat, is_serving, plmns, values)


@pytest.mark.parametrize(
    "line",
    [b'+QENG: "servingcell","SEARCH"', b'+QENG: "servingcell","NOCONN"'],
)
def test_a_state_alone_is_no_cell(line: bytes) -> None:
    assert parse(line) is None


@pytest.mark.parametrize("line", [form[0] for form in FORMS])
def test_a_line_cut_anywhere_never_gives_another_cell(line: bytes) -> None:
    """A torn line is refused, or it has lost only what no reading holds."""
    whole = parse(line)
    assert whole is not None
    for length in range(len(b"+QSCAN:"), len(line)):
        try:
            cell = parse(line[:length])
        except LineError:
            continue
        assert cell is None or set(cell.values.items()) <= set(whole.values.items())
        assert cell is None or cell.plmns == whole.plmns


@pytest.mark.parametrize("sentinel", [b"-32768", b"-3276", b"-", b""])
def test_a_sentinel_is_an_absent_value(sentinel: bytes) -> None:
    cell = parse(LTE_SERVING.replace(b"-92", sentinel))
    assert cell is not None
    assert "level_dbm" not in cell.values
    assert cell.values["physical_id"] == 217


def test_255_is_an_unknown_bsic_and_an_unknown_access_level() -> None:
    cell = parse(GSM_SERVING.replace(b",21,57", b",255,57").replace(b",12,", b",255,"))
    assert cell is not None
    assert "physical_id" not in cell.values
    assert "rxlev_access_min" not in cell.values


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (GSM_NEIGHBOUR.replace(b",44,", b",156,"), "bsic 156 is outside 0..63"),
        (GSM_NEIGHBOUR.replace(b"-78", b"33"), "rxlev 33 is outside"),  # an index, not dBm
        (GSM_NEIGHBOUR.replace(b",23,", b",1024,"), "arfcn 1024"),
        (GSM_NEIGHBOUR.replace(b"3C08", b"13C08"), "ci 13C08"),
        (GSM_NEIGHBOUR.replace(b"3C08", b"3G08"), "no number"),
        (GSM_NEIGHBOUR.replace(b"460,00", b"460,0"), "no PLMN"),
        (GSM_NEIGHBOUR.replace(b"460,00", b"46,000"), "no PLMN"),
        (GSM_NEIGHBOUR.replace(b"460,00", b"460,-"), "no PLMN"),
        (GSM_NEIGHBOUR[:-2], "10 values where 11 belong"),
        (GSM_NEIGHBOUR + GSM_NEIGHBOUR, "quotation mark"),
        (GSM_NEIGHBOUR.replace(b'"GSM"', b'"GSM'), "quotation mark"),
        (GSM_NEIGHBOUR.replace(b"-78", "-7８".encode()), "no number"),
        (GSM_NEIGHBOUR.replace(b"-78", b"-7_8"), "no number"),
        (LTE_SERVING.replace(b",217,", b",504,"), "pci 504"),
        (LTE_SERVING.replace(b"CONNECT", b"LIMSRVX"), "no known state"),
        (b'+QENG: "neighbourcell","NR",1,2,3', "unknown kind of line: neighbourcell, NR"),
        (b"+QENG:", "unknown kind"),
        (b'+QENG: "servingcell"', "no known state"),
        (b'+QSCAN: "GSM",460,00,1,2,-3,4,5,6', "unknown kind of line: QSCAN, GSM"),
        (b'+QENG: "neighbourcell","WCDMA",10713,14,149,-63,-10,ASET,-6', "unknown kind"),
        (b'+QENG: "neighbourcell intra","LTE",-,-,-,-,-,-,-,-,-,-,-', "no value"),
    ],
)
def test_what_a_line_cannot_mean_is_refused_with_the_reason(line: bytes, reason: str) -> None:
    with pytest.raises(LineError, match=reason):
        parse(line)


WORDS = st.sampled_from(
    ["servingcell", "neighbourcell", "NOCONN", "LTE", "GSM", "NR5G", "-", "460", "00", "-78"]
)
NEAR_LINES = st.lists(WORDS | st.text('0123456789ABCDEF-" ', max_size=6), max_size=28).map(",".join)


@given(st.sampled_from([b"+QENG:", b"+QSCAN:"]), NEAR_LINES | st.text(max_size=60))
def test_any_line_is_read_or_refused(head: bytes, rest: str) -> None:
    line = head + rest.encode()
    assert is_cell_line(line)
    try:
        cell = parse(line)
    except LineError:
        return
    assert cell is None or cell.values


def test_a_hostile_line_takes_linear_time() -> None:
    with pytest.raises(LineError):
        parse(b"+QENG: " + b" " * 100_000 + b'"')
