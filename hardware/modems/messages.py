"""Short messages that a modem prints: +CMT, and +CMGR and +CMGL of stored ones (TS 27.005).

In PDU mode the head ends with the length of the TPDU and the next line is hexadecimal; in text mode
the head names the sender and the next line is the text, in hexadecimal UCS2 where the modem was
set so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hardware.captures.refusal import Refused
from hardware.captures.sms_tpdu import Delivered, decode_pdu
from hardware.modems.cells import LineError

_NAMES = (b"+CMT:", b"+CMGR:", b"+CMGL:")
_LENGTH = re.compile(rb".*,\s*([0-9]{1,3})\s*")
_QUOTED = re.compile(rb'"([^"]*)"')
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})+")
_UCS2 = re.compile(rb"(?:[0-9A-Fa-f]{4})+")
_SENT = re.compile(rb"[0-9]{2}/[0-9]{2}/[0-9]{2},[0-9]{2}:[0-9]{2}:[0-9]{2}[+-][0-9]{2}")
_NOT_DELIVERED = (b"STO", b"SUBMIT")


@dataclass(frozen=True, slots=True)
class Heard:
    """A message and the bytes that say so, for hashing."""

    message: Delivered
    raw: bytes


def is_head(line: bytes) -> bool:
    """Whether the next line is a short message."""
    return line.startswith(_NAMES)


def read(head: bytes, line: bytes) -> Heard:
    """Read the line after a head; LineError says why not, without a word of the message."""
    length = _LENGTH.fullmatch(head)
    quoted = _QUOTED.findall(head)
    if length is not None and not any(_SENT.fullmatch(word) for word in quoted):
        return _read_pdu(int(length[1]), line)
    return _read_text(head, quoted, line)


def _read_pdu(length: int, line: bytes) -> Heard:
    if not _HEX.fullmatch(line):
        raise LineError("no PDU after the head of a short message")
    pdu = bytes.fromhex(line.decode("ascii"))
    tpdu = pdu[1 + pdu[0] :]
    if len(tpdu) != length:
        raise LineError(f"a TPDU of {len(tpdu)} bytes, its head says {length}")
    try:
        return Heard(decode_pdu(pdu), tpdu)
    except Refused as refused:
        raise LineError(f"short message: {refused}") from refused


def _read_text(head: bytes, quoted: list[bytes], line: bytes) -> Heard:
    words = [word for word in quoted if not word.startswith((b"REC", *_NOT_DELIVERED))]
    if any(word.startswith(_NOT_DELIVERED) for word in quoted):
        raise LineError("a short message of this terminal's own")
    if not words:
        raise LineError("the head of a short message names no sender")
    sent = next((word.decode("ascii") for word in words if _SENT.fullmatch(word)), None)
    is_ucs2 = bool(_UCS2.fullmatch(line)) and bool(_UCS2.fullmatch(words[0]))
    delivered = Delivered(
        sender=_text(words[0], is_ucs2=is_ucs2),
        text=_text(line, is_ucs2=is_ucs2),
        sent=None if sent is None else _rfc3339(sent),
        part=None,
    )
    return Heard(delivered, head + b"\n" + line)


def _text(word: bytes, *, is_ucs2: bool) -> str:
    if is_ucs2:
        return bytes.fromhex(word.decode("ascii")).decode("utf-16-be", "replace")
    return word.decode("utf-8", "replace")


def _rfc3339(text: str) -> str:
    """``26/11/25,10:00:00+32`` with its offset in quarters of an hour."""
    date, _, rest = text.partition(",")
    clock, sign, quarters = rest[:8], rest[8], int(rest[9:11])
    hours, minutes = divmod(15 * quarters, 60)
    return f"20{date.replace('/', '-')}T{clock}{sign}{hours:02}:{minutes:02}"
