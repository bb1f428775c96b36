"""Qualcomm DIAG logs: the byte stream of a diagnostic port, of QMDL and of .mi2log files.

Written after public descriptions of the format (QCSuper's and SCAT's parsers); no real recording of
it was at hand, so that it is verified only against streams of our own making. Sans-I/O.

Frames are HDLC-like: payload and CRC-16/X-25, 0x7E at the end, 0x7D as escape. A frame whose check
fails is told as damage and counted; it is the sensor's health and never evidence.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable

from hardware.captures.gsm_broadcast import BroadcastReader
from hardware.captures.gsm_mm import decode_layer3
from hardware.captures.lapdm import Layer3
from hardware.captures.lte_dcch import DL_CCCH, DL_DCCH, decode_downlink
from hardware.captures.lte_rrc import decode_bcch, decode_mib
from hardware.captures.nas_eps import decode_nas
from hardware.captures.refusal import Refused, passed_over
from hardware.readings import Item, Reading, Stamp

_END, _ESCAPE, _FLIP = b"\x7e", 0x7D, 0x20
FRAME_MAX_BYTES = 64 * 1024
_LOG = 0x10  # DIAG_LOG_F
_LOG_HEADER = struct.Struct("<BBHHHQ")
"""Command, more, length, length, log code, time."""
_KNOWN_COMMANDS = frozenset(
    {0x10, 0x00, 0x0C, 0x1D, 0x4B, 0x60, 0x73, 0x79, 0x7D, 0x92, 0x98, 0x99}
)

_GSM_RR, _LTE_RRC = 0x512F, 0xB0C0
_LTE_NAS = frozenset({0xB0E2, 0xB0E3, 0xB0EC, 0xB0ED})
_LTE_NAS_HEADER_BYTES = 4

_EPOCH_1980_US = 315_964_800 * 1_000_000
_LEAP_US = 18 * 1_000_000  # the modem counts GPS time, which is ahead of UTC since 2017
_YEAR_2000_US = 946_684_800 * 1_000_000

# GSM channels of log 0x512F; 0x80 marks the downlink
_BCCH, _CCCH, _SACCH = 1, 3, 4
_DEDICATED = frozenset({0, 5, 6, 7})
_DOWNLINK = 0x80

_Channels = tuple[int, int, int, int]
"""Numbers of BCCH-BCH, BCCH-DL-SCH, DL-CCCH and DL-DCCH."""


class DiagReader:
    """Bytes of a DIAG stream in any chunks; one item for each log that names something, and each
    bad frame."""

    def __init__(self, sensor: str, file: str, *, start_us: int | None = None) -> None:
        self._sensor = sensor
        self._file = file
        self._start_us = start_us
        self._first_us: int | None = None
        self._buffer = bytearray()
        self._frames = 0
        self._broadcast = BroadcastReader()

    def feed(self, data: bytes, received_us: int | None = None) -> list[Item]:
        """Take the next bytes."""
        self._buffer += data
        *frames, rest = bytes(self._buffer).split(_END)
        self._buffer = bytearray(rest)
        items = [item for frame in frames if frame for item in self._frame(frame, received_us)]
        if len(self._buffer) > FRAME_MAX_BYTES:
            items.append(self._damage(f"no end of frame in {len(self._buffer)} bytes"))
            self._buffer.clear()
        return items

    def close(self, received_us: int | None = None) -> list[Item]:
        """Say that no more bytes come; an unfinished frame is damage."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        return [self._damage("the stream ends inside a frame", rest)] if rest else []

    def _frame(self, frame: bytes, received_us: int | None) -> list[Item]:
        self._frames += 1
        try:
            payload = unframe(frame)
            if payload[0] != _LOG:
                raise passed_over("DIAG message other than a log")
            if len(payload) < _LOG_HEADER.size:
                raise Refused(f"DIAG log of {len(payload)} bytes")
            *_, code, ticks = _LOG_HEADER.unpack_from(payload)
            stamp = self._stamp(ticks, received_us)
            return [_decode(code, payload[_LOG_HEADER.size :], stamp, self._broadcast)]
        except Refused as refused:
            return [refused.item(self._file, f"frame {self._frames}", frame)]

    def _damage(self, reason: str, raw: bytes = b"") -> Item:
        return Refused(reason).item(self._file, f"frame {self._frames + 1}", raw)

    def _stamp(self, ticks: int, received_us: int | None) -> Stamp:
        at_us = _EPOCH_1980_US - _LEAP_US + (ticks >> 16) * 1_250  # units of 1.25 ms
        has_date = at_us >= _YEAR_2000_US
        if not has_date and self._start_us is not None:
            if self._first_us is None:
                self._first_us = at_us
            at_us, has_date = self._start_us + at_us - self._first_us, True
        return Stamp(
            at_us=at_us,
            time_basis="recorded" if has_date else "synthetic",
            sensor=self._sensor,
            file=self._file,
            place=f"frame {self._frames}",
            is_checked=True,
            received_us=received_us,
        )


def looks_like_diag(head: bytes) -> bool:
    """Whether a file begins with a DIAG frame whose check is right."""
    first = head.partition(_END)[0] if _END in head else b""
    try:
        return unframe(first)[0] in _KNOWN_COMMANDS
    except Refused:
        return False


def unframe(frame: bytes) -> bytes:
    """Undo the escapes and check the CRC; raises Refused."""
    plain = bytearray()
    is_escaped = False
    for octet in frame:
        if is_escaped:
            plain.append(octet ^ _FLIP)
            is_escaped = False
        elif octet == _ESCAPE:
            is_escaped = True
        else:
            plain.append(octet)
    if is_escaped or len(plain) < 3:
        raise Refused(f"DIAG frame of {len(plain)} bytes")
    if crc_x25(bytes(plain[:-2])) != int.from_bytes(plain[-2:], "little"):
        raise Refused("the CRC of a DIAG frame is wrong")
    return bytes(plain[:-2])


_REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


def crc_x25(data: bytes) -> int:
    """CRC-16/X-25: reflected 0x1021, initial 0xFFFF, inverted (0x906E for ``123456789``)."""
    value = binascii.crc_hqx(data.translate(_REVERSED), 0xFFFF)
    return int(f"{value:016b}"[::-1], 2) ^ 0xFFFF


def _decode(code: int, body: bytes, stamp: Stamp, broadcast: BroadcastReader) -> Reading:
    if code in _LTE_NAS:
        return decode_nas(body[_LTE_NAS_HEADER_BYTES:], stamp)
    if code == _LTE_RRC:
        return _lte_rrc(body, stamp)
    if code == _GSM_RR:
        return _gsm_rr(body, stamp, broadcast)
    raise passed_over("DIAG log of another kind")


def _gsm_rr(body: bytes, stamp: Stamp, broadcast: BroadcastReader) -> Reading:
    """Log 0x512F: channel, message type, length, the message; no ARFCN."""
    if len(body) < 3 or len(body) < 3 + body[2]:
        raise Refused("a GSM log shorter than it says")
    channel, is_uplink = body[0] & ~_DOWNLINK, not body[0] & _DOWNLINK
    message = body[3 : 3 + body[2]]
    if channel in {_BCCH, _CCCH} and not is_uplink:
        return broadcast.system_information(message.ljust(23, b"\x2b"), stamp)
    if channel == _SACCH and not is_uplink:
        return broadcast.associated(message, message, stamp, arfcn=None, level_dbm=None)
    if channel in _DEDICATED:
        return decode_layer3(Layer3(0, message), message, stamp, arfcn=None, is_uplink=is_uplink)
    raise passed_over("GSM channel other than BCCH, CCCH and the dedicated ones")


def _lte_rrc(body: bytes, stamp: Stamp) -> Reading:
    """Log 0xB0C0: a header whose form depends on its version, then one RRC message."""
    if not body:
        raise Refused("an empty RRC log")
    version = body[0]
    start = 8 if version >= 25 else 6
    form = struct.Struct("<HHBH" if version < 8 else "<IHBH")
    masked = struct.Struct("<HHB4xH" if version < 8 else "<IHB4xH")
    for layout in (form, masked):
        if len(body) < start + layout.size:
            break
        earfcn, _, channel, length = layout.unpack_from(body, start)
        message = body[start + layout.size :]
        if len(message) == length:
            return _rrc_message(_channels(version), channel, message, stamp, earfcn)
    raise Refused(f"an RRC log of version {version} whose lengths do not fit")


def _channels(version: int) -> _Channels:
    """Channel numbers by version, as public parsers have found them."""
    if version in {9, 12}:
        return 8, 9, 12, 13
    if version in {14, 15, 16, 20, 24, 25}:
        return 1, 2, 6, 7
    if version == 19 or version >= 26:
        return 1, 3, 8, 9
    return 1, 2, 5, 6


def _rrc_message(
    channels: _Channels, channel: int, message: bytes, stamp: Stamp, earfcn: int
) -> Reading:
    bch, dl_sch, ccch, dcch = channels
    decoders: dict[int, Callable[[], Reading]] = {
        bch: lambda: decode_mib(message, stamp, earfcn=earfcn),
        dl_sch: lambda: decode_bcch(message, stamp, earfcn=earfcn),
        ccch: lambda: decode_downlink(message, stamp, sub_type=DL_CCCH, earfcn=earfcn),
        dcch: lambda: decode_downlink(message, stamp, sub_type=DL_DCCH, earfcn=earfcn),
    }
    if channel not in decoders:
        raise passed_over("LTE RRC channel that carries nothing a rule asks for")
    return decoders[channel]()
