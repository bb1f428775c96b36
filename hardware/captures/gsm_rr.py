"""GSM system information as a cell broadcasts it (TS 44.018), to cell readings.

One message at a time: SI1, SI3, SI4 and SI13 on the BCCH, SI6 on the SACCH. Neighbour lists (SI2,
SI5) go on from one message to the next: :mod:`hardware.captures.gsm_broadcast` joins them.
"""

from __future__ import annotations

from dataclasses import dataclass

from hardware.captures.bits import BitReader
from hardware.captures.gsm_lists import carriers
from hardware.captures.plmn import plmn_from_bcd
from hardware.captures.refusal import Refused, passed_over
from hardware.readings import CellReading, Rat, Stamp

FRAME_BYTES = 23
"""Length of a layer 2 frame on BCCH and CCCH (TS 44.006 section 3)."""

RADIO_RESOURCES = 6  # protocol discriminator, TS 24.007 section 11.2.3.1.1
_SI1, _SI3, _SI4, _SI6, _SI13 = 0x19, 0x1B, 0x1C, 0x1E, 0x00
BROADCAST_LISTS = {0x1A: 1, 0x02: 2, 0x03: 3}
"""Message types with the first, second and third part of a list: SI2, SI2bis, SI2ter."""
SACCH_LISTS = {0x1D: 1, 0x05: 2, 0x06: 3}
"""SI5, SI5bis, SI5ter."""
_SI2QUATER = 0x07
_HYSTERESIS_STEP_DB = 2


def decode_system_information(
    frame: bytes, stamp: Stamp, *, arfcn: int | None = None, level_dbm: float | None = None
) -> CellReading:
    """Return what a BCCH or CCCH frame other than a neighbour list says about its cell.

    ``frame`` is the layer 2 frame of 23 octets with its pseudo length. A passive receiver does not
    know which cell a terminal would camp on, so that ``is_serving`` is False. SI1 and SI13 name no
    cell. Raises Refused.
    """
    if len(frame) < 3:
        raise Refused(f"GSM layer 2 frame of {len(frame)} bytes")
    if frame[0] & 0x03 != 1 or frame[1] & 0x0F != RADIO_RESOURCES:
        raise passed_over("GSM frame other than radio resources")
    if frame[2] == _SI2QUATER:
        raise passed_over("GSM SI2quater: neighbours of other networks")
    if frame[2] not in {_SI1, _SI3, _SI4, _SI13}:
        raise passed_over("GSM radio resources message other than system information")
    if len(frame) < FRAME_BYTES:
        raise Refused(f"system information of {len(frame)} bytes, {FRAME_BYTES} are needed")
    if frame[2] == _SI1:
        return _own_carriers(frame, stamp, arfcn, level_dbm)
    if frame[2] == _SI13:
        return _packet_service(frame, stamp, arfcn, level_dbm)
    return _cell(frame, stamp, arfcn, level_dbm)


def decode_associated(
    message: bytes, raw: bytes, stamp: Stamp, *, arfcn: int | None, level_dbm: float | None
) -> CellReading:
    """Return what SI6 on a SACCH says; ``message`` begins with the discriminator."""
    if len(message) < 2 or message[0] & 0x0F != RADIO_RESOURCES:
        raise passed_over("GSM frame other than radio resources")
    if message[1] != _SI6:
        raise passed_over("GSM SACCH message other than SI5 and SI6")
    if len(message) < 9:  # section 9.1.40: cell identity, location area
        raise Refused(f"SI6 of {len(message)} bytes, 9 are needed")
    plmn = plmn_from_bcd(message[4:7])
    return CellReading(
        stamp=stamp,
        raw=raw,
        rat=Rat.GSM,
        is_serving=True,
        plmns=() if plmn is None else (plmn,),
        channel=arfcn,
        lac_tac=int.from_bytes(message[7:9]),
        cell_id=int.from_bytes(message[2:4]),
        level_dbm=level_dbm,
    )


def _own_carriers(
    frame: bytes, stamp: Stamp, arfcn: int | None, level_dbm: float | None
) -> CellReading:
    """Read SI1 (section 9.1.31): the cell allocation, then access control."""
    return CellReading(
        stamp=stamp,
        raw=frame,
        rat=Rat.GSM,
        is_serving=False,
        channel=arfcn,
        level_dbm=level_dbm,
        own_channels=carriers(frame[3:19]),
        is_barred=bool(frame[19] & 0x02),
    )


def _packet_service(
    frame: bytes, stamp: Stamp, arfcn: int | None, level_dbm: float | None
) -> CellReading:
    """Read the routing area of SI13 (sections 9.1.43a and 10.5.2.37b): GPRS is offered here.

    A presence bit (H: the padding 0x2B begins with its inverse), BCCH_CHANGE_MARK 3 and
    SI_CHANGE_FIELD 4 bits, an optional mobile allocation, then 0 and the RAC where there is no
    PBCCH.
    """
    rest = BitReader(frame[3:])
    routing_area: int | None = None
    if rest.take(1, "presence"):
        rest.take(3 + 4, "change marks")
        if rest.take(1, "mobile allocation"):
            rest.take(2, "SI13_CHANGE_MARK")
            _skip_mobile_allocation(rest)
        if not rest.take(1, "PBCCH"):
            routing_area = rest.take(8, "RAC")
    return CellReading(
        stamp=stamp,
        raw=frame,
        rat=Rat.GSM,
        is_serving=False,
        channel=arfcn,
        level_dbm=level_dbm,
        routing_area=routing_area,
    )


def _skip_mobile_allocation(rest: BitReader) -> None:
    """Pass over a GPRS Mobile Allocation (TS 44.060 section 12.10a)."""
    rest.take(6, "HSN")
    while rest.take(1, "RFL number list"):
        rest.take(4, "RFL_NUMBER")
    if rest.take(1, "form of the allocation"):
        while rest.take(1, "ARFCN index list"):
            rest.take(6, "ARFCN_INDEX")
    else:
        rest.take(rest.take(6, "MA_LENGTH") + 1, "MA_BITMAP")


def _cell(frame: bytes, stamp: Stamp, arfcn: int | None, level_dbm: float | None) -> CellReading:
    """Read SI3 (section 9.1.35) or SI4 (section 9.1.36)."""
    is_si3 = frame[2] == _SI3
    area = frame[5:10] if is_si3 else frame[3:8]
    selection = frame[14:16] if is_si3 else frame[8:10]
    access = frame[16] if is_si3 else frame[10]
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
        hysteresis_db=_HYSTERESIS_STEP_DB * (selection[0] >> 5),  # section 10.5.2.4
        ms_txpwr_max_cch=selection[0] & 0x1F,
        is_barred=bool(access & 0x02),  # CELL_BAR_ACCESS, section 10.5.2.29
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
