"""System information of LTE (TS 36.331 section 6.2.2), read with a minimal UPER decoder.

Who a cell says it is (SIB1), how wide it is (MIB) and where it sends phones (SIB3, SIB5 to SIB7).
"""

from __future__ import annotations

from hardware.captures.bits import BitReader
from hardware.captures.lte_sib import Steering, read_information
from hardware.captures.refusal import Refused, passed_over
from hardware.readings import CellReading, Rat, Stamp

BCCH_BCH = 4
"""GSMTAP_LTE_RRC_SUB_BCCH_BCH_Message."""
BCCH_DL_SCH = 5
"""GSMTAP_LTE_RRC_SUB_BCCH_DL_SCH_Message."""

_BANDWIDTHS_RB = (6, 15, 25, 50, 75, 100)


def decode_mib(
    message: bytes, stamp: Stamp, *, earfcn: int | None = None, level_dbm: float | None = None
) -> CellReading:
    """Return the bandwidth that a MasterInformationBlock names. Raises Refused."""
    index = BitReader(message).take(3, "dl-Bandwidth")
    if index >= len(_BANDWIDTHS_RB):
        raise Refused(f"dl-Bandwidth {index} has no meaning")
    return CellReading(
        stamp=stamp,
        raw=message,
        rat=Rat.LTE,
        is_serving=True,
        channel=earfcn,
        level_dbm=level_dbm,
        bandwidth_rb=_BANDWIDTHS_RB[index],
    )


def decode_bcch(
    message: bytes, stamp: Stamp, *, earfcn: int | None = None, level_dbm: float | None = None
) -> CellReading:
    """Return what a BCCH-DL-SCH-Message says of its cell: SIB1, or SIB3 and SIB5 to SIB7.

    Other messages of the channel are passed over. Raises Refused.
    """
    bits = BitReader(message)
    if bits.take(1, "the message type"):
        raise passed_over("LTE system information of a later release")
    if bits.take(1, "the message type"):
        return decode_sib1(message, stamp, earfcn=earfcn, level_dbm=level_dbm)
    found = read_information(bits)
    if found == Steering():
        raise passed_over("LTE system information other than SIB1, SIB3, SIB5, SIB6 and SIB7")
    return CellReading(
        stamp=stamp,
        raw=message,
        rat=Rat.LTE,
        is_serving=True,
        channel=earfcn,
        level_dbm=level_dbm,
        hysteresis_db=found.hysteresis_db,
        priority=found.priority,
        priority_lte=found.priority_lte,
        priority_utra=found.priority_utra,
        priority_geran=found.priority_geran,
        neighbour_channels=found.lte_channels,
    )


def decode_sib1(
    message: bytes, stamp: Stamp, *, earfcn: int | None = None, level_dbm: float | None = None
) -> CellReading:
    """Return the cell that a BCCH-DL-SCH-Message with a SystemInformationBlockType1 names.

    ``is_serving`` is True: a terminal reads SIB1 of the cell that it camps on or tries to.
    Other messages of the channel are passed over. Raises Refused.
    """
    bits = BitReader(message)
    if bits.take(1, "the message type"):
        raise passed_over("LTE system information of a later release")
    if not bits.take(1, "the message type"):
        raise passed_over("LTE system information other than SIB1")
    bits.take(3, "SIB1")  # p-Max, tdd-Config, nonCriticalExtension present
    bits.take(1, "SIB1")  # csg-Identity present
    plmns = _plmn_identity_list(bits)
    return CellReading(
        stamp=stamp,
        raw=message,
        rat=Rat.LTE,
        is_serving=True,
        plmns=plmns,
        channel=earfcn,
        lac_tac=bits.take(16, "trackingAreaCode"),
        cell_id=bits.take(28, "cellIdentity"),
        is_barred=bits.take(1, "cellBarred") == 0,
        level_dbm=level_dbm,
    )


def _plmn_identity_list(bits: BitReader) -> tuple[str, ...]:
    """Read a PLMN-IdentityList; an omitted MCC is that of the entry before (section 6.3.4)."""
    plmns: list[str] = []
    mcc = ""
    for index in range(bits.take(3, "plmn-IdentityList") + 1):
        if bits.take(1, "plmn-Identity"):
            mcc = _digits(bits, 3, "mcc")
        elif index == 0:
            raise Refused("the first PLMN of SIB1 has no MCC")
        mnc = _digits(bits, 2 + bits.take(1, "mnc"), "mnc")
        bits.take(1, "cellReservedForOperatorUse")
        plmns.append(f"{mcc}-{mnc}")
    if len(plmns) > 6:
        raise Refused(f"SIB1 lists {len(plmns)} PLMNs, at most 6 are allowed")
    return tuple(plmns)


def _digits(bits: BitReader, count: int, what: str) -> str:
    digits = [bits.take(4, what) for _ in range(count)]
    if max(digits) > 9:
        raise Refused(f"{what} of SIB1 holds a digit above 9")
    return "".join(map(str, digits))
