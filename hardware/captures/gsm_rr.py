"""GSM system information as a cell broadcasts it (TS 44.018), to cell readings.

SI2, SI3 and SI4 on the BCCH, SI5 and SI6 on the SACCH. SI1 (the cell's own carriers), SI13 (GPRS)
and the continuations of SI2 and SI5 say nothing that a rule asks for: they are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass

from hardware.captures.gsm_lists import neighbour_channels
from hardware.captures.plmn import plmn_from_bcd
from hardware.captures.refusal import Refused, passed_over
from hardware.readings import CellReading, Rat, Stamp

FRAME_BYTES = 23
"""Length of a layer 2 frame on BCCH and CCCH (TS 44.006 section 3)."""

RADIO_RESOURCES = 6  # protocol discriminator, TS 24.007 section 11.2.3.1.1
_SI2, _SI3, _SI4, _SI5, _SI6 = 0x1A, 0x1B, 0x1C, 0x1D, 0x1E
_NAMES = {
    0x19: "SI1",
    0x00: "SI13",
    0x02: "SI2bis",
    0x03: "SI2ter",
    0x07: "SI2quater",
    0x05: "SI5bis",
    0x06: "SI5ter",
}
_HYSTERESIS_STEP_DB = 2


def decode_system_information(
    frame: bytes, stamp: Stamp, *, arfcn: int | None = None, level_dbm: float | None = None
) -> CellReading:
    """Return what a BCCH or CCCH frame says about its cell.

    ``frame`` is the layer 2 frame of 23 octets with its pseudo length. A passive receiver does not
    know which cell a terminal would camp on, so that ``is_serving`` is False. SI2 names no cell:
    its reading has the ARFCN and the neighbours. Raises Refused.
    """
    if len(frame) < 3:
        raise Refused(f"GSM layer 2 frame of {len(frame)} bytes")
    if frame[0] & 0x03 != 1 or frame[1] & 0x0F != RADIO_RESOURCES:
        raise passed_over("GSM frame other than radio resources")
    if frame[2] in _NAMES:
        raise passed_over(f"GSM {_NAMES[frame[2]]}")
    if frame[2] not in {_SI2, _SI3, _SI4}:
        raise passed_over("GSM radio resources message other than SI2, SI3, SI4")
    if len(frame) < FRAME_BYTES:
        raise Refused(f"system information of {len(frame)} bytes, {FRAME_BYTES} are needed")
    if frame[2] == _SI2:
        return _neighbours(frame, frame[3:19], stamp, arfcn, level_dbm)
    return _cell(frame, stamp, arfcn, level_dbm)


def decode_associated(
    message: bytes, raw: bytes, stamp: Stamp, *, arfcn: int | None, level_dbm: float | None
) -> CellReading:
    """Return what SI5 or SI6 on a SACCH says; ``message`` begins with the discriminator."""
    if len(message) < 2 or message[0] & 0x0F != RADIO_RESOURCES:
        raise passed_over("GSM frame other than radio resources")
    if message[1] in _NAMES:
        raise passed_over(f"GSM {_NAMES[message[1]]}")
    if message[1] == _SI5:
        if len(message) < 18:
            raise Refused(f"SI5 of {len(message)} bytes, 18 are needed")
        return _neighbours(raw, message[2:18], stamp, arfcn, level_dbm)
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


def _neighbours(
    raw: bytes, description: bytes, stamp: Stamp, arfcn: int | None, level_dbm: float | None
) -> CellReading:
    channels = neighbour_channels(description)
    return CellReading(
        stamp=stamp,
        raw=raw,
        rat=Rat.GSM,
        is_serving=False,
        channel=arfcn,
        level_dbm=level_dbm,
        neighbours=len(channels),
        neighbour_channels=channels,
    )


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
