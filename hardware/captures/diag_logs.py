"""DIAG log packets that this system reads: GSM RR, LTE RRC and LTE NAS, and the mask for them.

One decoder for a port and for a recorded stream. Layouts are those of public readers of this
protocol (QCSuper, SCAT, Rayhunter); the maker publishes none. They have not been tried on a
recording here: none was to be had. The messages inside are decoded by the same code as captures.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from hardware.captures.gsm_broadcast import BroadcastReader
from hardware.captures.gsm_mm import decode_layer3
from hardware.captures.lapdm import Layer3
from hardware.captures.lte_dcch import DL_CCCH, DL_DCCH, decode_downlink
from hardware.captures.lte_rrc import decode_bcch, decode_mib
from hardware.captures.nas_eps import decode_nas
from hardware.captures.refusal import Refused, passed_over
from hardware.readings import CellReading, Reading, Stamp

LOG, LOG_CONFIG = 0x10, 0x73
"""Commands DIAG_LOG_F and DIAG_LOG_CONFIG_F."""
_MULTI_RADIO, _MULTI_RADIO_HEADER_BYTES = 0x98, 8
"""Newer modems wrap what a radio says."""
_SET_MASK = 3


class LogCode(IntEnum):
    """Log packets that are asked for, and no others: the line is slow and the modem is not."""

    GSM_RR = 0x512F
    LTE_RRC = 0xB0C0
    LTE_ESM_IN = 0xB0E2
    LTE_ESM_OUT = 0xB0E3
    LTE_EMM_IN = 0xB0EC
    LTE_EMM_OUT = 0xB0ED


_LOG_HEADER = struct.Struct("<BBHHHQ")
_NAS = frozenset({LogCode.LTE_ESM_IN, LogCode.LTE_ESM_OUT, LogCode.LTE_EMM_IN, LogCode.LTE_EMM_OUT})
_NAS_HEADER_BYTES = 4  # header version, release, minor and major version
_FRAME_BYTES = 23
_PCI_MOST = 503
# channels of GSM RR; 0x80 marks the downlink
_BCCH, _CCCH, _SACCH, _DOWNLINK = 1, 3, 4, 0x80
_DEDICATED = frozenset({0, 5, 6, 7})


def mask_commands() -> Iterator[bytes]:
    """Payloads that switch on our logs and, by leaving them out, all others, by equipment id."""
    for equipment in sorted({code >> 12 for code in LogCode}):
        items = sorted(code & 0xFFF for code in LogCode if code >> 12 == equipment)
        count = items[-1] + 1
        mask = bytearray((count + 7) // 8)
        for item in items:
            mask[item // 8] |= 1 << item % 8
        yield struct.pack("<B3xIII", LOG_CONFIG, _SET_MASK, equipment, count) + bytes(mask)


def is_mask_accepted(payload: bytes) -> bool:
    """Whether the answer to a mask command says success; Refused where it is no such answer."""
    if len(payload) < 12:
        raise Refused(f"answer to a log mask of {len(payload)} bytes")
    _, operation, status = struct.unpack_from("<B3xII", payload)
    return bool(operation == _SET_MASK and status == 0)


@dataclass(frozen=True, slots=True)
class Log:
    """One log packet."""

    code: int
    ticks: int
    """The modem's own time, 1.25 ms / 49152 since 1980-01-06; arbitrary until it has a network."""
    body: bytes


def unwrapped(payload: bytes) -> bytes:
    """Return a frame's content without what newer modems put around it."""
    is_wrapped = payload[0] == _MULTI_RADIO and len(payload) > _MULTI_RADIO_HEADER_BYTES
    return payload[_MULTI_RADIO_HEADER_BYTES:] if is_wrapped else payload


def parse_log(payload: bytes) -> Log:
    """Read a DIAG_LOG_F frame; raises Refused."""
    if len(payload) < _LOG_HEADER.size:
        raise Refused(f"log packet of {len(payload)} bytes, {_LOG_HEADER.size} are needed")
    _, _, outer, inner, code, ticks = _LOG_HEADER.unpack_from(payload)
    body = payload[_LOG_HEADER.size :]
    if inner < 12 or outer < inner or len(body) < inner - 12:
        raise Refused(f"log packet 0x{code:04X} claims {inner} bytes and has {len(body) + 12}")
    return Log(code, ticks, body[: inner - 12])


def decode_log(log: Log, stamp: Stamp, broadcast: BroadcastReader) -> Reading:
    """Return what a log packet says; raises Refused, also for what nobody here reads."""
    if log.code == LogCode.GSM_RR:
        return _decode_gsm(log.body, stamp, broadcast)
    if log.code == LogCode.LTE_RRC:
        return _decode_lte(log.body, stamp)
    if log.code in _NAS:
        if len(log.body) <= _NAS_HEADER_BYTES:
            raise Refused(f"NAS log packet of {len(log.body)} bytes")
        return decode_nas(log.body[_NAS_HEADER_BYTES:], stamp)
    raise passed_over(f"log packet 0x{log.code:04X}, not asked for")


def _decode_gsm(body: bytes, stamp: Stamp, broadcast: BroadcastReader) -> Reading:
    """Channel and direction, message type, length, then the message; no ARFCN.

    On BCCH and CCCH it is the layer 2 frame with its pseudo length, elsewhere layer 3.
    """
    if len(body) < 3 or len(body) < 3 + body[2]:
        raise Refused(f"GSM RR log packet of {len(body)} bytes is cut short")
    channel, is_uplink = body[0] & ~_DOWNLINK, not body[0] & _DOWNLINK
    message = body[3 : 3 + body[2]]
    if channel in {_BCCH, _CCCH} and not is_uplink:
        return broadcast.system_information(message.ljust(_FRAME_BYTES, b"\x2b"), stamp)
    if channel == _SACCH and not is_uplink:
        return broadcast.associated(message, message, stamp, arfcn=None, level_dbm=None)
    if channel in _DEDICATED:
        return decode_layer3(Layer3(0, message), message, stamp, arfcn=None, is_uplink=is_uplink)
    raise passed_over("GSM channel other than BCCH, CCCH and the dedicated ones")


# -- LTE RRC: the header and the numbers of the channels changed with the header's version --------

_CELL_16, _CELL_32 = struct.Struct("<HHHB"), struct.Struct("<HIHB")  # PCI, EARFCN, SFN, channel
_SIB_MASK_BYTES = 4  # since version 5; some modems leave it out


def _decode_lte(body: bytes, stamp: Stamp) -> Reading:
    if not body:
        raise Refused("empty LTE RRC log packet")
    version = body[0]
    start = 6 if version >= 25 else 4  # releases of NR before the bearer, since version 25
    header = _CELL_32 if version >= 8 else _CELL_16
    for mask_bytes in (0, _SIB_MASK_BYTES):
        length_at = start + header.size + mask_bytes
        if len(body) < length_at + 2:
            raise Refused(f"LTE RRC log packet, version {version}, of {len(body)} bytes: cut short")
        message = body[length_at + 2 :]
        if len(message) == int.from_bytes(body[length_at : length_at + 2], "little"):
            pci, earfcn, _, channel = header.unpack_from(body, start)
            reading = _rrc_message(version, channel, message, stamp, earfcn)
            is_cell = isinstance(reading, CellReading) and pci <= _PCI_MOST
            return replace(reading, physical_id=pci) if is_cell else reading
    raise Refused(f"LTE RRC log packet, version {version}: no length fits. Another layout?")


def _channels(version: int, channel: int) -> tuple[int, int, int, int]:
    """Numbers of BCCH-BCH, BCCH-DL-SCH, DL-CCCH and DL-DCCH, as public readers found them."""
    if version in {9, 12} and channel >= 8:  # counted from 8; another reader's, from 1
        return 8, 9, 12, 13
    if version in {14, 15, 16, 20, 24, 25}:
        return 1, 2, 6, 7
    if version == 19 or version >= 26:
        return 1, 3, 8, 9
    return 1, 2, 5, 6


def _rrc_message(version: int, channel: int, message: bytes, stamp: Stamp, earfcn: int) -> Reading:
    bch, dl_sch, ccch, dcch = _channels(version, channel)
    decoders: dict[int, Callable[[], Reading]] = {
        bch: lambda: decode_mib(message, stamp, earfcn=earfcn),
        dl_sch: lambda: decode_bcch(message, stamp, earfcn=earfcn),
        ccch: lambda: decode_downlink(message, stamp, sub_type=DL_CCCH, earfcn=earfcn),
        dcch: lambda: decode_downlink(message, stamp, sub_type=DL_DCCH, earfcn=earfcn),
    }
    if channel not in decoders:
        raise passed_over("LTE RRC channel that carries nothing a rule asks for")
    return decoders[channel]()
