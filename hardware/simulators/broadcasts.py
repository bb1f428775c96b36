"""What simulated cells broadcast: system information 3 of GSM, SIB1 of LTE, bit by bit."""

from __future__ import annotations

from hardware.captures.plmn import plmn_to_bcd
from hardware.simulators.scene import Cell


def si3(cell: Cell) -> bytes:
    """System information type 3 (TS 44.018 section 9.1.35) as a frame of 23 octets."""
    control = bytes((0x40, 0, cell.t3212_decihours))
    selection = bytes((0x65, cell.rxlev_access_min & 0x3F))
    # rest octets: selection parameters present, CBQ 0, CRO, TEMPORARY_OFFSET 0, PENALTY_TIME
    bits = 1 << 15 | (cell.cro_db // 2 & 0x3F) << 8 | cell.penalty_time & 0x1F
    return (
        b"\x49\x06\x1b"
        + cell.cell_id.to_bytes(2)
        + plmn_to_bcd(cell.plmn)
        + cell.lac_tac.to_bytes(2)
        + control
        + b"\x28"
        + selection
        + bytes((0x79 | (0x02 if cell.is_barred else 0), 0, 0))
        + bits.to_bytes(2)
        + b"\x2b\x2b"
    )


def sib1(cell: Cell) -> bytes:
    """BCCH-DL-SCH-Message with SIB1 (TS 36.331 section 6.2.2) as far as the cell's identity."""
    mcc, _, mnc = cell.plmn.partition("-")
    text = "01" + "000" + "0" + "000" + "1"  # c1, SIB1; no options; one PLMN, with its MCC
    text += "".join(f"{int(digit):04b}" for digit in mcc)
    text += str(len(mnc) - 2) + "".join(f"{int(digit):04b}" for digit in mnc)
    text += "1"  # not reserved for the operator
    text += f"{cell.lac_tac:016b}{cell.cell_id:028b}" + ("0" if cell.is_barred else "1")
    text += "1" * (-len(text) % 8 + 64)
    return int(text, 2).to_bytes(len(text) // 8)
