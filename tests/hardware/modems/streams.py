"""Ways in which a serial line ruins what a modem says, for every dialect alike."""

from __future__ import annotations

from hardware.modems import DIALECTS, Arrival
from hardware.readings import CellReading, Item, Unreadable

AT_NOON = Arrival(at_us=1_700_000_000_000_000, time_basis="live", received_us=1_700_000_000_000_000)

GOOD_LINES = {
    "quectel": [
        b'+QENG: "servingcell","NOCONN","LTE","FDD",460,01,9A3150B,217,1650,3,5,5,D2A1,'
        b"-92,-9,-65,17,29",
        b'+QENG: "neighbourcell","GSM",460,00,52A1,3C08,44,23,-78,27,87,0,0',
        b'+QSCAN: "NR5G",460,11,633984,441,-112,-13,9,1,690133003,690E0F,273,78,28,4,1',
    ],
    "simcom": [
        b'+CENG: 0,"0062,41,00,460,00,21,2e95,05,00,7b02,255"',
        b'+CENG: 1,"0023,32,44,3c08,460,00,52a1"',
        b'+CENG: 2,"0531,25,09,460,00,52a1"',
        b'+CENG: 0,"460,00,52a1,3c08,44,32"',
        b'+CENG: 0,"1650,217,-92,-65,-9,17,1201,161878283,460,01,05"',
        b"+CPSI: LTE,Online,460-01,0x52A1,161878283,217,EUTRAN-BAND3,1650,5,5,-93,-921,-650,17",
        b"+CPSI: GSM,Online,460-00,0x52a1,15367,57 EGSM 900,-68,0,37-97",
        b"+CPSI: WCDMA,Online,460-01,0x52A1,14302219,WCDMA 850,214,4436,0,12.5,83,23,36,500",
        b"+CPSI: NR5G_SA,Online,460-11,0x690E0F,28186980355,441,NR5G_BAND78,633984,-850,-110,28",
        b"+CPSI: NR5G_NSA,920,NR5G_BAND78,648768,-960,-110,18",
        b"+CCINFO:[SCELL],ARFCN:57,MCC:460,MNC:00,LAC:21153,ID:15367,BSIC:21,RXLev:-68dbm,"
        b"C1:37,C2:97,TA:0,TXPWR:0",
        b"+CCINFO:[NCell1],ARFCN:23,MCC:460,MNC:00,LAC:21153,ID:15368,BSIC:44,RXLev:-78dbm,"
        b"C1:27,C2:87",
        b'Operator:"CHINA MOBILE",MCC:460,MNC:00,Rxlev:32,Cellid:3C08,Arfcn:23,Lac:52A1,Bsic:2C',
    ],
    "telit": [
        b"#MONI: S 25 52A1 3C07 57 -68dbm 37 97 1 0 I TIM",
        b"#MONI: N1 54 52A1 3C08 23 -78dbm 27 87",
        b"#MONI: I TIM BSIC:25 RxQual:0 LAC:52A1 Id:3C07 ARFCN: 57 PWR: -68 dBm TA:0",
        b"#MONI: Cc:460 Nc:01 RSRP:-92 RSRQ:-9 TAC:52A1 Id:9A3150B EARFCN:1650 PWR:-65dbm DRX:128"
        b" pci:217 QRxLevMin:-120",
        b"57,21,-68,0.00,460,00,21153,15367,CELL_SUITABLE,2,30 57,3,23 57 531,0,5,8,63,31,10,2",
        b"23,44,-78,0.00,460,0,21153,15368,3,0",
        b"62,-90",
        b"ARFCN: 57 BSIC: 21 RxLev: -68 ber: 0.00 MCC: 460 MNC: 00 LAC: 21153 cellId: 15367"
        b" cellStatus: CELL_BARRED numArfcn: 1 arfcn: 57 mstxpwr: 5 rxaccmin: 8 croffset: 30"
        b" penaltyt: 0 t3212: 10 CRH: 2",
        b"arfcn: 62 rxLev: -90",
        b"10713,-88,460,01,16,123456,21153,CELL_SUITABLE,-90,-7",
    ],
    "ublox": [
        b"+CGED: MCC:460, MNC:  0, LAC:52a1, CI:3c07, BSIC:15, Arfcn:00057, RxLev:2a",
        b"MCC:460, MNC:00, LAC:52a1, CI:3c08, BSIC:2c, Arfcn:00023, RxLev:020",
        b"MCC:460, MNC:01, LAC:52a1, CI:1eb578b, DLF:10713, ULF:9763",
    ],
}
"""Invented cells, one line for each form that a dialect reads."""


def heard(family: str, *chunks: bytes) -> list[Item]:
    """Everything a fresh dialect makes of a stream in these chunks."""
    modem = DIALECTS[family](sensor="modem0", file="ttyUSB2")
    items = [item for chunk in chunks for item in modem.feed(chunk, AT_NOON)]
    return items + modem.close()


def cells(items: list[Item]) -> list[CellReading]:
    return [item for item in items if isinstance(item, CellReading)]


def damages(items: list[Item]) -> list[Unreadable]:
    return [item for item in items if isinstance(item, Unreadable) and item.is_damage]
