"""GSM system information as a cell broadcasts it on its BCCH (TS 44.018), to cell readings."""

from __future__ import annotations

from dataclasses import dataclass

from hardware.captures.plmn import plmn_from_bcd
from hardware.captures.refusal import Refused, passed_over
from hardware.readings import CellReading, Rat, Stamp

FRAME_BYTES = 23
"""Length of a layer 2 frame on BCCH and CCCH (TS 44.006 section 3)."""

_RADIO_RESOURCES = 6  # protocol discriminator, TS 24.007 section 11.2.3.1.1
_SI2, _SI3, _SI4 = 0x1A, 0x1B, 0x1C
_PADDING = 0x2B2B2B2B


def decode_system_information(
    frame: bytes, stamp: Stamp, *, arfcn: int | None = None, level_dbm: float | None = None
) -> CellReading:
    """Return what SI2, SI3 or SI4 says about its cell.

    ``frame`` is the layer 2 frame of 23 octets with its pseudo length. A passive receiver does not
    know which cell a terminal would camp on, so that ``is_serving`` is False. SI2 names no cell:
    its reading has the ARFCN and the number of neighbours. Raises Refused.
    """
    if len(frame) < 3:
        raise Refused(f"GSM layer 2 frame of {len(frame)} bytes")
    if frame[0] & 0x03 != 1 or frame[1] & 0x0F != _RADIO_RESOURCES:
        raise passed_over("GSM frame other than radio resources")
    if frame[2] not in {_SI2, _SI3, _SI4}:
        raise passed_over("GSM radio resources message other than SI2, SI3, SI4")
    if len(frame) < FRAME_BYTES:
        raise Refused(f"system information of {len(frame)} bytes, {FRAME_BYTES} are needed")
    if frame[2] == _SI2:
        return CellReading(
            stamp=stamp,
            raw=frame,
            rat=Rat.GSM,
            is_serving=False,
            channel=arfcn,
            level_dbm=level_dbm,
            neighbours=count_neighbours(frame[3:19]),
        )
    return _cell(frame, stamp, arfcn, level_dbm)


def _cell(frame: bytes, stamp: Stamp, arfcn: int | None, level_dbm: float | None) -> CellReading:
    """Read SI3 (section 9.1.35) or SI4 (section 9.1.36)."""
    is_si3 = frame[2] == _SI3
    area = frame[5:10] if is_si3 else frame[3:8]
    selection = frame[14:16] if is_si3 else frame[8:10]
    # SI4 may name a cell broadcast channel first: its pseudo length tells where the rest begins
    rest = frame[19:23] if is_si3 else frame[1 + (frame[0] >> 2) :]
    parameters = _selection_parameters(rest)
    plmn = plmn_from_bcd(area)
    return CellReading(
        stamp=stamp,
        raw=frame,
        rat=Rat.GSM,
        is_serving=False,
        plmns=() if plmn is None else (plmn,),
        channel=arfcn,
        lac_tac=int.from_bytes(area[3:5]),
        cell_id=int.from_bytes(frame[3:5]) if is_si3 else None,
        level_dbm=level_dbm,
        cro_db=parameters.cro_db if parameters else None,
        penalty_time=parameters.penalty_time if parameters else None,
        t3212_decihours=frame[12] if is_si3 else None,
        rxlev_access_min=selection[1] & 0x3F,
    )


@dataclass(frozen=True, slots=True)
class _SelectionParameters:
    cro_db: int
    penalty_time: int


def _selection_parameters(rest: bytes) -> _SelectionParameters | None:
    """Read the optional selection parameters that open the rest octets of SI3 and SI4.

    TS 44.018 section 10.5.2.34: presence bit (H is the inverse of the padding 0x2B, whose first bit
    is 0), CBQ 1, CELL_RESELECT_OFFSET 6, TEMPORARY_OFFSET 3, PENALTY_TIME 5 bits.
    """
    if len(rest) < 2 or not rest[0] & 0x80:
        return None
    bits = int.from_bytes(rest[:2])
    return _SelectionParameters(cro_db=2 * (bits >> 8 & 0x3F), penalty_time=bits & 0x1F)


def count_neighbours(description: bytes) -> int:
    """Return the length of a neighbour cell description of 16 octets.

    Sections 10.5.2.22 and 10.5.2.13. Only the frequencies are counted, which needs no arithmetic
    of the range formats: in these a list ends at the first W(i) that is zero. Raises Refused for an
    unknown format and where the list is said to be continued elsewhere (EXT-IND), for then this is
    no length of it.
    """
    if description[0] & 0x20:
        raise passed_over("SI2 with a part of the neighbour list")
    value = int.from_bytes(description)
    if description[0] & 0xC0 == 0x00:  # bit map 0: ARFCN 124 to 1
        return (value & ((1 << 124) - 1)).bit_count()
    form = description[0] & 0xCE
    if form == 0x8E:  # variable bit map: ORIG-ARFCN and 111 bits relative to it
        return 1 + (value & ((1 << 111) - 1)).bit_count()
    if form & 0xC8 == 0x80:  # range 1024: F0 says whether ARFCN 0 belongs to the list
        return (form >> 2 & 1) + _count_w(value, 122, _widths(10))
    if form in {0x88, 0x8A, 0x8C}:  # ranges 512, 256 and 128, with ORIG-ARFCN
        return 1 + _count_w(value, 111, _widths({0x88: 9, 0x8A: 8, 0x8C: 7}[form]))
    raise Refused(f"neighbour list of unknown format 0x{description[0]:02x}")


def _widths(first: int) -> list[int]:
    """Widths of W(1), W(2)...: one of the first, two one bit less, four two bits less..."""
    return [first - level for level in range(first) for _ in range(1 << level)]


def _count_w(value: int, bits: int, widths: list[int]) -> int:
    """Count the W(i) in the lowest ``bits`` bits before the first zero."""
    count = 0
    for width in widths:
        bits -= width
        if bits < 0 or not value >> bits & ((1 << width) - 1):
            break
        count += 1
    return count
