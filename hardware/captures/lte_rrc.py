"""SIB1 of LTE: who a cell says it is (TS 36.331 section 6.2.2), read with a minimal UPER decoder.

Only as far as the cell identity; unaligned PER (X.691) needs no more than fixed-width bit fields
up to there.
"""

from __future__ import annotations

from hardware.captures.refusal import Refused, passed_over
from hardware.readings import CellReading, Rat, Stamp

BCCH_DL_SCH = 5
"""GSMTAP_LTE_RRC_SUB_BCCH_DL_SCH_Message."""


class BitReader:
    """Reads bit fields from the most significant end; raises Refused where the message ends."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = 8 * len(data)

    def take(self, width: int, what: str) -> int:
        """Return the next ``width`` bits as a number; ``what`` names them in the error."""
        if width > self._left:
            raise Refused(f"the message ends inside {what}")
        self._left -= width
        return self._value >> self._left & ((1 << width) - 1)


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
