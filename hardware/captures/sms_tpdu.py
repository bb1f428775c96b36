"""Short messages as a network delivers them: SMS-DELIVER (TS 23.040 section 9.2.2.1)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from hardware.captures.refusal import Refused, passed_over

_DELIVER = 0
_FIRST_YEAR = 90  # no GSM network is older
_CONCATENATED_8, _CONCATENATED_16 = 0x00, 0x08

# TS 23.038 section 6.2.1: the GSM default alphabet and its extension table
_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~"}
_EXTENSION |= {0x3E: "]", 0x40: "|", 0x65: "€"}
_ESCAPE = 0x1B
_DIGITS = "0123456789*#abc"
assert len(_ALPHABET) == 128


@dataclass(frozen=True, slots=True)
class Delivered:
    """One message as it came; the text of one part where it is one of several."""

    sender: str = field(repr=False)
    text: str = field(repr=False)
    sent: str | None
    """Time stamp of the service centre, RFC 3339; None where it is no time."""
    part: tuple[int, int, int] | None


def decode_pdu(pdu: bytes) -> Delivered:
    """Read what an AT modem prints (+CMT, +CMGR, +CMGL): service centre, then the TPDU."""
    if not pdu or len(pdu) <= pdu[0]:
        raise Refused("the PDU ends inside the service centre's address")
    return decode_deliver(pdu[1 + pdu[0] :])


def decode_deliver(tpdu: bytes) -> Delivered:
    """Read an SMS-DELIVER; raises Refused."""
    octets = _Octets(tpdu)
    first = octets.take(1, "the first octet")[0]
    if first & 0x03 != _DELIVER:
        raise passed_over("short message other than SMS-DELIVER")
    sender = _address(octets)
    octets.take(1, "the protocol identifier")
    coding = octets.take(1, "the data coding scheme")[0]
    sent = _time(octets.take(7, "the time stamp"))
    length = octets.take(1, "the length of the text")[0]
    alphabet = _alphabet(coding)
    size = (length * 7 + 7) // 8 if alphabet == 7 else length
    data = octets.take(size, "the text")
    header = b""
    if first & 0x40:  # TP-UDHI
        if not data or len(data) <= data[0]:
            raise Refused("the message ends inside its user data header")
        header = data[1 : 1 + data[0]]
    text = _text(data, length, alphabet, len(header) + 1 if first & 0x40 else 0)
    return Delivered(sender=sender, text=text, sent=sent, part=_part(header))


class _Octets:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int, what: str) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise Refused(f"the short message ends inside {what}")
        self._at += count
        return taken


def _address(octets: _Octets) -> str:
    """Section 9.1.2.5: length in digits, type, digits in swapped halves or letters."""
    digits = octets.take(1, "the sender's length")[0]
    kind = octets.take(1, "the sender's type")[0]
    data = octets.take((digits + 1) // 2, "the sender")
    if kind >> 4 & 0x07 == 0x05:  # alphanumeric
        return _unpack(data, digits * 4 // 7, 0)
    halves = [half for octet in data for half in (octet & 0x0F, octet >> 4)][:digits]
    number = "".join(_DIGITS[half] for half in halves if half < len(_DIGITS))
    return f"+{number}" if kind >> 4 & 0x07 == 0x01 else number


def _alphabet(coding: int) -> int:
    """Return 7, 8 or 16 bits a character (TS 23.038 section 4)."""
    group = coding >> 4
    if group == 0xF:
        return 8 if coding & 0x04 else 7
    if group == 0xE:
        return 16
    if group < 0x8:
        if coding & 0x20:
            raise passed_over("compressed short message")
        return {0: 7, 1: 8, 2: 16, 3: 7}[coding >> 2 & 0x03]
    return 7


def _text(data: bytes, length: int, alphabet: int, header_octets: int) -> str:
    if alphabet == 7:
        skipped = (header_octets * 8 + 6) // 7
        return _unpack(data, length, skipped)
    body = data[header_octets:]
    if alphabet == 16:
        return body.decode("utf-16-be", "replace")
    return body.decode("latin-1")  # 8 bits: the application's own; printable where it is text


def _unpack(data: bytes, septets: int, skipped: int) -> str:
    value = int.from_bytes(data, "little")
    codes = [value >> (7 * index) & 0x7F for index in range(skipped, septets)]
    text: list[str] = []
    is_escaped = False
    for code in codes:
        if is_escaped:
            text.append(_EXTENSION.get(code, _ALPHABET[code]))
            is_escaped = False
        elif code == _ESCAPE:
            is_escaped = True
        else:
            text.append(_ALPHABET[code])
    return "".join(text)


def _time(octets: bytes) -> str | None:
    """Section 9.2.3.11: swapped decimal halves; a fake base station may send anything."""
    numbers = [(octet & 0x0F) * 10 + (octet >> 4) for octet in octets[:6]]
    zone = (octets[6] & 0x07) * 10 + (octets[6] >> 4)
    offset = dt.timedelta(minutes=15 * zone * (-1 if octets[6] & 0x08 else 1))
    year, month, day, hour, minute, second = numbers
    try:
        zone_info = dt.timezone(offset)
        century = 1900 if year >= _FIRST_YEAR else 2000
        moment = dt.datetime(century + year, month, day, hour, minute, second, tzinfo=zone_info)
    except ValueError:
        return None
    return moment.isoformat()


def _part(header: bytes) -> tuple[int, int, int] | None:
    """Find the concatenation element (section 9.2.3.24.1 and .8)."""
    at = 0
    while at + 2 <= len(header):
        kind, length = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + length]
        if kind == _CONCATENATED_8 and len(value) == 3:
            return value[0], value[1], value[2]
        if kind == _CONCATENATED_16 and len(value) == 4:
            return int.from_bytes(value[:2]), value[2], value[3]
        at += 2 + length
    return None
