"""Other firmwares' lines of the same commands: the shapes are public, the values invented."""
# ruff: noqa: E501 - one line of a modem is one line here

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.modems import DIALECTS
from hardware.readings import CellReading, Item, Rat, Unreadable
from tests.hardware.modems.streams import AT_NOON


def heard(family: str, stream: bytes) -> list[Item]:
    dialect = DIALECTS[family](sensor="modem0", file="log")
    return dialect.feed(stream + b"\r\n", AT_NOON) + dialect.close()


def cells(family: str, stream: bytes) -> list[CellReading]:
    items = heard(family, stream)
    assert not [i for i in items if isinstance(i, Unreadable) and i.is_damage], items
    return [i for i in items if isinstance(i, CellReading)]


LTE, NR, GSM, WCDMA = Rat.LTE, Rat.NR, Rat.GSM, Rat.WCDMA
# family, line, RAT, PLMN, channel, area, identity, physical identity, dBm
FORMS: list[tuple[str, str, Rat, str | None, int | None, int | None, int | None, int | None, float | None]] = [
    # UNISOC and ASR modules, low power, three firmwares of RM5xx
    ("quectel", '+QENG: "servingcell","NOCONN","LTE","FDD",460,01,43301C,348,1802,3,5,5,5443,-87,-16,-69,5,34', LTE, "460-01", 1802, 0x5443, 0x43301C, 348, -87),
    ("quectel", '+QENG: "servingcell","CONNECT","CAT-M","FDD",262,03,2FAB03,187,6200,20,3,3,2AFC,-105,-11,-76,10,-', LTE, "262-03", 6200, 0x2AFC, 0x2FAB03, 187, -105),
    ("quectel", '+QENG: "servingcell","LIMSRV","eMTC","FDD",460,00,2FAB03,187,6200,8,3,3,2AFC,-105,-11,-76,10,-', LTE, "460-00", 6200, 0x2AFC, 0x2FAB03, 187, -105),
    ("quectel", '+QENG: "servingcell","CONECT","LTE","FDD",228,02,1CB6B8E,64,522,1,4,4,B3B4,-105,-7,-80,3,7,17,20', LTE, "228-02", 522, 0xB3B4, 0x1CB6B8E, 64, -105),
    ("quectel", '+QENG: "LTE","FDD",222,01,3282610,280,275,1,4,4,BE4,-99,-14,-66,7,4,30,-,20', LTE, "222-01", 275, 0xBE4, 0x3282610, 280, -99),
    ("quectel", '+QENG: "NR5G-NSA",222,01,920,-96,18,-10,648768,78,10,1,-', NR, "222-01", 648768, None, None, 920, -96),
    ("quectel", '+QENG:"servingcell","NOCONN","NR5G-SA","TDD", 202,01,12AA54087,262,15EC,634080,78,7,-92,-11,18,1,-', NR, "202-01", 634080, 0x15EC, 0x12AA54087, 262, -92),
    ("quectel", '+QENG: "NR5G-SA","TDD",460,00,A0117F004,287,1000D7,504990,41,12,-99,-13,0,1,20', NR, "460-00", 504990, 0x1000D7, 0xA0117F004, 287, -99),
    ("quectel", '+QENG: "neighbourcell intra","LTE",38950,401,-7,-90,-62,-20,37,6,22,6,46', LTE, None, 38950, None, None, 401, -90),
    ("quectel", '+QENG: "neighbourcell intra","LTE",38950,401,-90,-7,-62,-20,37,6,22,6,46', LTE, None, 38950, None, None, 401, -90),
    ("quectel", '+QENG: "neighbourcell","LTE",1650,123,-101,-12,14', LTE, None, 1650, None, None, 123, -101),
    ("quectel", '+QENG: "neighbourcell","WCDMA",10713,14,149,-63,-10,ASET,-6,34', WCDMA, None, 10713, None, None, 149, -63),
    ("quectel", '+QENG: 0,460,00,592f,66fb,65,25,-76,85,85,5,12,x,x,x,x,x,x,x', GSM, "460-00", 65, 0x592F, 0x66FB, 25, -76),
    ("quectel", '+QSCAN: "NR5G",310,410,658080,543,-109,-14,-,1', NR, "310-410", 658080, None, None, 543, -109),
    ("quectel", '+QSCAN: "NR5G",310,260,126270,93,-82,-12,35,0,105FB0002,A80000,79,71,12,0,-', NR, "310-260", 126270, 0xA80000, 0x105FB0002, 93, -82),
    ("simcom", "+CPSI: LTE CAT-M1,Online,310-410,0x4804,74777866,343,EUTRAN-BAND2,875,4,4,-13,-112,-82,14", LTE, "310-410", 875, 0x4804, 74777866, 343, -112),
    ("simcom", "+CPSI: LTE NB-IOT,Online,460-00,0X4804,74777866,343,EUTRAN-BAND8,3736,0,0,-13,-112,-82,14", LTE, "460-00", 3736, 0x4804, 74777866, 343, -112),
    ("simcom", "+CPSI: LTE,Online,460-11,0x774C,126375688,303,EUTRAN-BAND1,100,5,0,12,36,42,5", LTE, "460-11", 100, 0x774C, 126375688, 303, -105),
    ("simcom", "+CPSI: LTE,Online,505-02,0xCBE9,36519692,101,EUTRAN-BAND3,1800,5,5,-147,-1143,-764,11,-,20", LTE, "505-02", 1800, 0xCBE9, 36519692, 101, -114.3),
    ("simcom", "+CPSI: WCDMA      ,Online        ,525-01 ,0x0152,20190398,WCDMA IMT 2000,14 ,10812,0  ,6.5  ,64  ,27  ,35   ,500", WCDMA, "525-01", 10812, 0x152, 20190398, 14, -64),
    ("simcom", "+CPSI: NR5G,58,643296,-12,-86,8.5", NR, None, 643296, None, None, 58, -86),
    ("simcom", "+CPSI: NR5G_NSA,298,NR5G_BAND41,520110,-760,-110,18,0,12", NR, None, 520110, None, None, 298, -76),
    ("simcom", "+CPSI: NR5G_SA,Online,242-12,0x765E,4955281,0,NR5G_BAND78,640704,-770,-110,290", NR, "242-12", 640704, 0x765E, 4955281, 0, -77),
    ("simcom", '+CENG: 0,"0672,12,99,310,260,40,0007,1132,06,05,255"', GSM, "310-260", 672, 0x1132, 7, 40, -98),
    ("simcom", '+CENG: 0, "0011,64,00,460,00,62,2b5c,10,05,58b3,255,47,53,53,,,,,,,"', GSM, "460-00", 11, 0x58B3, 0x2B5C, 62, -47),
    ("simcom", '+CENG: 1,"0128,15,30,178d"', GSM, None, 128, None, None, 30, -95),
    ("telit", "#MONI: Turkcell BSIC:23 RxQual:0 LAC:6F1A Id:2D0B ARFCN:3 PWR:-94dbm TA:3", GSM, None, 3, 0x6F1A, 0x2D0B, 0o23, -94),
    ("telit", "#MONI: Cc:460 Nc:01 BSIC:23 RxQual:0 LAC:6F1A Id:2D0B ARFCN:3 PWR:-94 dbm TA:3", GSM, "460-01", 3, 0x6F1A, 0x2D0B, 0o23, -94),
    ("telit", "#MONI: RSRP:-107 RSRQ:-18 Id:0000142 EARFCN:66786 PWR:-79dbm", LTE, None, 66786, None, None, 0x142, -107),
    ("telit", "66786,-68,310,260,50896643,11545,236,0,-103,-15,20", LTE, "310-260", 66786, 11545, 50896643, 236, -103),
    ("telit", "earfcn: 66786 rxLev: -68 mcc: 310 mnc: 260 cellId: 3089F03 tac: 2D19 cellIdentity: EC cellStatus: CELL_SUITABLE rsrp: -103 rsrq: -15 bandwidth: 20", LTE, "310-260", 66786, 0x2D19, 0x3089F03, 0xEC, -103),
    ("ublox", "+CGED: MCC:230, MNC:  3, LAC:878c, CI:2a96, RAC:1, BSIC:2e, Arfcn:42, Arfcn_ded:0, RxLev:1e, t_adv:0", GSM, "230-03", 42, 0x878C, 0x2A96, 0x2E, -80),
    ("ublox", '+CGED: RAT:"UMTS",\r\nMCC:310, MNC:410, LAC:2cf8, CI:8a5a783, DLF:4384, ULF:4159', WCDMA, "310-410", 4384, 0x2CF8, 0x8A5A783, None, None),
]  # fmt: skip
SERVING_WORDS = re.compile('servingcell|"LTE"|"NR5G-|CPSI|CENG: 0|MONI: (Tur|Cc)|CGED|QENG: 0')


@pytest.mark.parametrize(
    ("family", "line", "rat", "plmn", "channel", "area", "identity", "physical", "dbm"), FORMS
)
def test_a_line_of_another_firmware_gives_its_cell(
    family: str,
    line: str,
    rat: Rat,
    plmn: str | None,
    channel: int | None,
    area: int | None,
    identity: int | None,
    physical: int | None,
    dbm: float | None,
) -> None:
    (cell,) = cells(family, line.encode())
    assert cell.rat is rat
    assert cell.plmns == (() if plmn is None else (plmn,))
    assert (cell.channel, cell.lac_tac, cell.cell_id) == (channel, area, identity)
    assert cell.physical_id == physical
    assert cell.level_dbm == (None if dbm is None else pytest.approx(dbm))
    is_named = SERVING_WORDS.search(line) is not None and "neighbourcell" not in line
    assert cell.is_serving is is_named


def test_a_gsm_module_names_six_neighbours_in_one_line() -> None:
    line = b"+QENG: 1," + b",".join(
        b"%d,%d,-71,32,134,120,460,00,3a9a,142%d" % (n, 7 + n, n) for n in range(1, 7)
    )
    found = cells("quectel", b"+QENG: 1,4\r\n" + line + b"\r\n+QENG: 2,21,88\r\nOK")
    assert [(c.channel, c.cell_id, c.c1, c.c2) for c in found] == [
        (7 + n, 0x1420 + n, 134, 120) for n in range(1, 7)
    ]
    (damage,) = heard("quectel", line[:-5])
    assert isinstance(damage, Unreadable)
    assert "torn" in damage.reason


@pytest.mark.parametrize(
    ("family", "answer"),
    [
        ("quectel", b'+QENG: "servingcell","SEARCH"'),
        ("quectel", b'+QENG: "servingcell","LIMSRV"'),
        ("quectel", b"+QENG: 1,0"),
        ("quectel", b"+QENG: 4,12,(8,-71,32),(12,-77,19),(10,-103,x)"),
        ("simcom", b"+CPSI: NO SERVICE,Online"),
        ("simcom", b"+CENG: (0-3),(0,1)"),
        ("ublox", b'+CGED: RAT:"UMTS",'),
    ],
)
def test_an_answer_without_a_cell_is_no_damage(family: str, answer: bytes) -> None:
    assert cells(family, answer) == []


@settings(max_examples=150, deadline=None)
@given(
    form=st.sampled_from([form for form in FORMS if form[0] == "quectel"]),
    added=st.lists(st.sampled_from(["-", "0", "12", "-3", "", '"-"']), max_size=5),
    blanks=st.integers(0, 3),
    is_lower=st.booleans(),
    ending=st.sampled_from(["\r\n", "\n", "\r\r\n", " \r\n"]),
)
def test_blanks_case_and_columns_behind_change_no_quectel_cell(
    form: tuple[str, str, *tuple[object, ...]],
    added: list[str],
    blanks: int,
    is_lower: bool,
    ending: str,
) -> None:
    line = form[1]
    (wanted,) = cells("quectel", line.encode())
    head, _, rest = line.partition(":")
    if is_lower:
        rest = re.sub("[A-F0-9]{4,9}(?=,)", lambda word: word.group().lower(), rest)
    rest = rest.replace(",", "," + " " * blanks)
    # Behind these two stand columns that the modem's manual names: area and cell.
    may_grow = "QENG: 0" not in line and 'QSCAN: "NR5G"' not in line
    varied = head + ":" + rest + "".join("," + word for word in added if may_grow) + ending
    items = heard("quectel", varied.encode())
    got = [item for item in items if isinstance(item, CellReading)]
    for cell in got:  # or refused: a form whose counts have gaps takes no column between
        assert (cell.plmns, cell.channel, cell.lac_tac) == (
            wanted.plmns, wanted.channel, wanted.lac_tac,
        )  # fmt: skip
        assert (cell.cell_id, cell.level_dbm) == (wanted.cell_id, wanted.level_dbm)
    assert got or (added and isinstance(items[0], Unreadable))


@settings(max_examples=200, deadline=None)
@given(form=st.sampled_from([f for f in FORMS if f[0] != "ublox"]), data=st.data())
def test_a_line_cut_anywhere_gives_no_other_cell(
    form: tuple[str, str, *tuple[object, ...]], data: st.DataObject
) -> None:
    """But for u-blox, whose level may have one digit or two and stands last."""
    family, line = form[0], form[1].encode()
    (wanted,) = cells(family, line)
    cut = line[: data.draw(st.integers(1, len(line) - 1))]
    for cell in heard(family, cut):
        if isinstance(cell, CellReading):
            assert cell.cell_id in {None, wanted.cell_id}
            assert cell.level_dbm in {None, wanted.level_dbm}
            assert cell.plmns in {(), wanted.plmns}
