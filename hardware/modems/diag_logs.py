"""DIAG log packets that this system reads: GSM RR, LTE RRC and LTE NAS, and the mask for them.

Layouts are those of public readers of this protocol (QCSuper, Rayhunter); the maker publishes none.
They have not been tried on a recording here: none was to be had. The messages inside are decoded by
the same code as captures.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from hardware.captures.gsm_broadcast import BroadcastReader
from hardware.captures.lte_rrc import decode_sib1
from hardware.captures.nas_eps import decode_nas
from hardware.captures.refusal import Refused, passed_over
from hardware.readings import Reading, Stamp

LOG, LOG_CONFIG = 0x10, 0x73
"""Commands DIAG_LOG_F and DIAG_LOG_CONFIG_F."""
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
_NAS_HEADER_BYTES = 4  # header version, release, minor and major version
_BCCH, _CCCH, _DOWNLINK = 1, 3, 0x80


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


def parse_log(payload: bytes) -> Log:
    """Read a DIAG_LOG_F frame; raises Refused."""
    if len(payload) < _LOG_HEADER.size:
        raise Refused(f"log packet of {len(payload)} bytes, {_LOG_HEADER.size} are needed")
    _, _, outer, inner, code, ticks = _LOG_HEADER.unpack_from(payload)
    body = payload[_LOG_HEADER.size :]
    if inner < 12 or outer < inner or len(body) != inner - 12:
        raise Refused(f"log packet 0x{code:04X} claims {inner} bytes and has {len(body) + 12}")
    return Log(code, ticks, body)


def decode_log(log: Log, stamp: Stamp, broadcast: BroadcastReader) -> Reading:
    """Return what a log packet says; raises Refused, also for what nobody here reads."""
    if log.code == LogCode.GSM_RR:
        return _decode_gsm(log.body, stamp, broadcast)
    if log.code == LogCode.LTE_RRC:
        return _decode_lte(log.body, stamp)
    if log.code in {LogCode.LTE_EMM_IN, LogCode.LTE_EMM_OUT}:
        if len(log.body) <= _NAS_HEADER_BYTES:
            raise Refused(f"NAS log packet of {len(log.body)} bytes")
        return decode_nas(log.body[_NAS_HEADER_BYTES:], stamp)
    if log.code in {LogCode.LTE_ESM_IN, LogCode.LTE_ESM_OUT}:
        raise passed_over("LTE session management")
    raise passed_over(f"log packet 0x{log.code:04X}, not asked for")


def _decode_gsm(body: bytes, stamp: Stamp, broadcast: BroadcastReader) -> Reading:
    """Channel and direction, message type, length, then the layer 2 frame with pseudo length."""
    if len(body) < 3 or len(body) < 3 + body[2]:
        raise Refused(f"GSM RR log packet of {len(body)} bytes is cut short")
    channel, frame = body[0], body[3 : 3 + body[2]]
    if not channel & _DOWNLINK or channel & 0x7F not in {_BCCH, _CCCH}:
        raise passed_over("GSM channel other than BCCH and CCCH")
    return broadcast.system_information(frame, stamp)


# -- LTE RRC: the header and the numbers of the channels changed with the header's version --------

_CELL_16, _CELL_32 = struct.Struct("<HHHB"), struct.Struct("<HIHB")  # PCI, EARFCN, SFN, channel


def _decode_lte(body: bytes, stamp: Stamp) -> Reading:
    if not body:
        raise Refused("empty LTE RRC log packet")
    version = body[0]
    start = 6 if version >= 25 else 4  # releases of NR before the bearer, since version 25
    header = _CELL_32 if version >= 8 else _CELL_16
    length_at = start + header.size + (4 if version >= 5 else 0)  # a mask of SIBs since version 5
    if len(body) < length_at + 2:
        raise Refused(f"LTE RRC log packet, version {version}, of {len(body)} bytes is cut short")
    pci, earfcn, _, channel = header.unpack_from(body, start)
    message = body[length_at + 2 :]
    length = int.from_bytes(body[length_at : length_at + 2], "little")
    if length != len(message):
        raise Refused(
            f"LTE RRC log packet, version {version}, claims a message of {length} bytes "
            f"and has {len(message)}: another layout?"
        )
    if channel not in _bcch_dl_sch(version):
        raise passed_over("LTE RRC channel other than BCCH-DL-SCH")
    reading = decode_sib1(message, stamp, earfcn=earfcn)
    return replace(reading, physical_id=pci if pci <= 503 else None)


def _bcch_dl_sch(version: int) -> tuple[int, ...]:
    """Numbers of the channel BCCH-DL-SCH under a version of the header."""
    if version == 19 or version >= 26:
        return (3,)
    if version in {14, 15, 16, 20, 24, 25}:
        return (2,)
    return (2, 9)  # older headers count from 1 or from 8; neither uses the other's number here
