"""How many frames a bad line lets through whole, wrong, or not at all; other framings beside ours.

``make bench`` prints the table. The peers are the framings of common serial protocols, written
here from their descriptions; each sends the same records through the same kind of damage.
"""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from hardware.board.frames import FrameReader, encode
from hardware.captures.diag_framing import FrameDecoder
from hardware.captures.diag_framing import encode as encode_diag

_RECORD = struct.Struct("<IHBhH")  # 11 bytes, as a level with its frequency and time
_NAMES = ("number", "channel", "level", "offset", "time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One framing at one rate of byte errors."""

    framing: str
    byte_error_rate: float
    frames: int
    intact: int
    accepted_wrong: int
    """Records that were accepted and are none of those that were sent."""
    bytes_a_frame: float


Encoder = Callable[[int, bytes], bytes]
Decoder = Callable[[bytes], list[bytes]]


def _ours(number: int, record: bytes) -> bytes:
    return encode(5, number, record)


def _read_ours(stream: bytes) -> list[bytes]:
    return [frame.payload for frame in FrameReader().feed(stream)]


def _slip(_: int, record: bytes) -> bytes:
    """RFC 1055: no check."""
    return record.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


def _read_slip(stream: bytes) -> list[bytes]:
    found = []
    for part in stream.split(b"\xc0"):
        record = part.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
        if len(record) == _RECORD.size:
            found.append(record)
    return found


def _length(_: int, record: bytes) -> bytes:
    """Two start bytes and a length, as Meshtastic's stream: no check."""
    return b"\x94\xc3" + struct.pack(">H", len(record)) + record


def _read_length(stream: bytes) -> list[bytes]:
    found = []
    at = 0
    while (at := stream.find(b"\x94\xc3", at)) >= 0 and at + 4 <= len(stream):
        (size,) = struct.unpack_from(">H", stream, at + 2)
        if size > 512:
            at += 2
            continue
        record = stream[at + 4 : at + 4 + size]
        if size == _RECORD.size and len(record) == size:
            found.append(record)
        at += 4 + size
    return found


def _json_line(_: int, record: bytes) -> bytes:
    """A line of JSON, as many boards of hobbyists print: no check."""
    return json.dumps(dict(zip(_NAMES, _RECORD.unpack(record), strict=True))).encode() + b"\n"


def _read_json_line(stream: bytes) -> list[bytes]:
    found = []
    for line in stream.split(b"\n"):
        with suppress(ValueError, KeyError, struct.error, TypeError, AttributeError):
            said = json.loads(line)
            found.append(_RECORD.pack(*(said[name] for name in _NAMES)))
    return found


def _hdlc(_: int, record: bytes) -> bytes:
    """HDLC with CRC-16/X-25, as Qualcomm's DIAG."""
    return encode_diag(record)


def _read_hdlc(stream: bytes) -> list[bytes]:
    frames = FrameDecoder().feed(stream)
    return [f.payload for f in frames if f.problem is None and len(f.payload) == _RECORD.size]


def _hex_sum(_: int, record: bytes) -> bytes:
    """Hexadecimal digits and an 8 bit sum, as GDB's remote serial protocol."""
    text = record.hex().encode()
    return b"$" + text + b"#%02x" % (sum(text) & 0xFF)


_HEX_SUM = re.compile(rb"\$([0-9a-f]+)#([0-9a-f]{2})")


def _read_hex_sum(stream: bytes) -> list[bytes]:
    found = []
    for text, check in _HEX_SUM.findall(stream):
        if sum(text) & 0xFF == int(check, 16) and len(text) == 2 * _RECORD.size:
            found.append(bytes.fromhex(text.decode()))
    return found


FRAMINGS: dict[str, tuple[Encoder, Decoder]] = {
    "COBS + CRC-32 (ours)": (_ours, _read_ours),
    "start bytes + length, no check (Meshtastic's stream)": (_length, _read_length),
    "SLIP, no check (RFC 1055)": (_slip, _read_slip),
    "JSON lines, no check": (_json_line, _read_json_line),
    "hexadecimal + 8 bit sum (GDB's remote protocol)": (_hex_sum, _read_hex_sum),
    "HDLC + CRC-16 (Qualcomm's DIAG)": (_hdlc, _read_hdlc),
}


def campaign(rate: float, *, frames: int, seed: int, framing: str = "COBS + CRC-32 (ours)") -> Row:
    """Send records over a line that damages ``rate`` of the bytes."""
    rng = random.Random(seed)  # noqa: S311 - repeatable damage
    write, read = FRAMINGS[framing]
    records = [
        _RECORD.pack(i, rng.randrange(1 << 16), rng.randrange(99), rng.randrange(-9, 9), i % 999)
        for i in range(frames)
    ]
    clean = b"".join(write(i, record) for i, record in enumerate(records))
    got = read(damage(clean, rate, rng))
    sent = set(records)
    intact = len(sent.intersection(got))
    wrong = sum(record not in sent for record in got)
    return Row(
        framing=framing,
        byte_error_rate=rate,
        frames=frames,
        intact=intact,
        accepted_wrong=wrong,
        bytes_a_frame=len(clean) / frames,
    )


def damage(data: bytes, rate: float, rng: random.Random) -> bytes:
    """Flip, replace, lose or double bytes, or put a burst of garbage between."""
    out = bytearray()
    at = 0
    while at < len(data):
        end = min(len(data), at + int(rng.expovariate(rate)))
        out += data[at:end]
        at = end
        if at < len(data):
            out += _hit(data[at], rng)
            at += 1
    return bytes(out)


def _hit(byte: int, rng: random.Random) -> bytes:
    kind = rng.randrange(5)
    if kind == 0:
        return bytes([byte ^ (1 << rng.randrange(8))])
    if kind == 1:
        return rng.randbytes(1)
    if kind == 2:
        return b""
    if kind == 3:
        return bytes([byte, byte])
    return bytes([byte]) + rng.randbytes(rng.randint(1, 19))
