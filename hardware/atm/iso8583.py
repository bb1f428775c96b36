"""ISO 8583 messages: field tables of both editions in both encodings, packed by pyiso8583.

A table says what a field is; how it goes on the wire follows from the encoding. A message that does
not decode whole, or whose numeric fields hold anything but digits, is refused with its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import iso8583

MAX_MESSAGE_BYTES: Final = 8192

Message = dict[str, str]
"""Field number to value; ``t`` is the message type."""


class IsoError(ValueError):
    """Bytes that are no message of this format; ``place`` is where decoding stopped."""

    def __init__(self, problem: str, place: str = "", offset: int = 0) -> None:
        super().__init__(f"{problem} (field {place or '-'}, offset {offset})")
        self.problem = problem
        self.place = place
        self.offset = offset


class Encoding(StrEnum):
    """How fields go on the wire."""

    ASCII = "ascii"
    """Digits and hex as characters, also bitmap and binary fields."""
    BINARY = "binary"
    """Digits as BCD, bitmap and binary fields as bytes."""


class Edition(StrEnum):
    """Which standard the field lengths come from."""

    ISO_1987 = "1987"
    ISO_1993 = "1993"


@dataclass(frozen=True, slots=True)
class FieldKind:
    """What a field holds: digits (n), characters (a), bytes (b), track 2 (z)."""

    kind: str
    length: int
    length_digits: int = 0
    """0 fixed, 2 LLVAR, 3 LLLVAR."""
    is_left_justified: bool = False
    """An odd number of BCD digits is filled on the right."""


def _n(length: int, digits: int = 0, *, left: bool = False) -> FieldKind:
    return FieldKind("n", length, digits, left)


def _a(length: int, digits: int = 0) -> FieldKind:
    return FieldKind("a", length, digits)


def _b(length: int, digits: int = 0) -> FieldKind:
    return FieldKind("b", length, digits)


_COMMON: Mapping[int, FieldKind] = {
    2: _n(19, 2),
    3: _n(6),
    4: _n(12),
    5: _n(12),
    6: _n(12),
    7: _n(10),
    11: _n(6),
    13: _n(4),
    14: _n(4),
    15: _n(4),
    18: _n(4),
    19: _n(3),
    23: _n(3),
    32: _n(11, 2),
    33: _n(11, 2),
    37: _a(12),
    38: _a(6),
    41: _a(8),
    42: _a(15),
    43: _a(40),
    44: _a(25, 2),
    48: _a(999, 3),
    49: _a(3),
    50: _a(3),
    51: _a(3),
    52: _b(8),
    54: _a(120, 3),
    55: _b(255, 3),
    59: _a(999, 3),
    60: _a(999, 3),
    61: _a(999, 3),
    62: _a(999, 3),
    63: _a(999, 3),
    64: _b(8),
    102: _a(28, 2),
    103: _a(28, 2),
    128: _b(8),
}
_OF_EDITION: Mapping[Edition, Mapping[int, FieldKind]] = {
    Edition.ISO_1987: {
        12: _n(6),
        22: _n(3),
        25: _n(2),
        26: _n(2),
        30: _n(8),
        35: FieldKind("z", 37, 2, is_left_justified=True),
        36: FieldKind("z", 104, 3, is_left_justified=True),
        39: _a(2),
        53: _n(16),
        70: _n(3),
        90: _n(42),
        95: _a(42),
    },
    Edition.ISO_1993: {
        12: _n(12),
        22: _a(12),
        24: _n(3, left=True),
        25: _n(4),
        26: _n(4),
        30: _n(24),
        35: _a(37, 2),
        39: _n(3, left=True),
        56: _n(35, 2, left=True),
    },
}


def _spec(edition: Edition, encoding: Encoding) -> dict[str, dict[str, Any]]:
    """Return the table as pyiso8583 wants it."""
    is_binary = encoding is Encoding.BINARY
    spec: dict[str, dict[str, Any]] = {
        "h": _wire(FieldKind("a", 0), is_binary=False),
        "t": _wire(_n(4), is_binary=is_binary),
        "p": _wire(_b(8), is_binary=is_binary),
        "1": _wire(_b(8), is_binary=is_binary),
    }
    kinds = {**_COMMON, **_OF_EDITION[edition]}
    return spec | {str(number): _wire(kind, is_binary=is_binary) for number, kind in kinds.items()}


def _wire(kind: FieldKind, *, is_binary: bool) -> dict[str, Any]:
    """One field on the wire. In the text form a byte is two hex characters."""
    is_bytes = kind.kind == "b"
    if not is_binary:
        length = kind.length * (2 if is_bytes else 1)
        return {
            "data_enc": "ascii",
            "len_enc": "ascii",
            "len_type": kind.length_digits,
            "max_len": length,
            "desc": "",
        }
    is_packed = kind.kind in {"n", "z", "b"}
    wire: dict[str, Any] = {
        "data_enc": "b" if is_packed else "ascii",
        "len_enc": "bcd",
        "len_type": (kind.length_digits + 1) // 2,
        "max_len": kind.length,
        "desc": "",
    }
    if kind.kind in {"n", "z"}:
        wire["len_count"] = "nibbles"
        wire["right_pad" if kind.is_left_justified else "left_pad"] = "0"
    return wire


_DIGITS = re.compile(r"[0-9]*", re.ASCII)
_TRACK2 = re.compile(r"[0-9]{1,19}[=D][0-9]*", re.ASCII)
_HEX = re.compile(r"[0-9A-Fa-f]*", re.ASCII)
_PRINTABLE = re.compile(r"[ -~]*", re.ASCII)
_CHECKS = {"n": _DIGITS, "z": _TRACK2, "b": _HEX, "a": _PRINTABLE}


@dataclass(frozen=True, slots=True)
class Format:
    """One edition in one encoding."""

    edition: Edition
    encoding: Encoding

    @property
    def _packs_track2(self) -> bool:
        """Whether the separator of track 2 is a nibble."""
        return _OF_EDITION[self.edition][35].kind == "z"

    def pack(self, message: Mapping[str, str]) -> bytes:
        """Return the message as bytes; raises IsoError."""
        document = {"h": ""} | dict(message)
        document.pop("p", None)
        document.pop("1", None)
        self._check(document)
        if self.encoding is Encoding.BINARY and "35" in document and self._packs_track2:
            document["35"] = document["35"].replace("=", "D")
        try:
            raw, _ = iso8583.encode(document, _SPECS[self])
        except iso8583.EncodeError as error:
            raise IsoError(error.msg, error.field) from None
        return bytes(raw)

    def unpack(self, raw: bytes) -> Message:
        """Read a message; raises IsoError for anything left over or out of kind."""
        if len(raw) > MAX_MESSAGE_BYTES:
            raise IsoError(f"{len(raw)} bytes, at most {MAX_MESSAGE_BYTES}")
        try:
            document, _ = iso8583.decode(raw, _SPECS[self])
        except iso8583.DecodeError as error:
            raise IsoError(error.msg, error.field, error.pos) from None
        except KeyError as error:
            raise IsoError("a field this format does not know", str(error.args[0])) from None
        message = {str(key): str(value) for key, value in document.items()}
        for key in ("h", "p", "1"):
            message.pop(key, None)
        if "35" in message:
            message["35"] = message["35"].replace("D", "=").replace("d", "=")
        self._check(message)
        return message

    def _check(self, message: Mapping[str, str]) -> None:
        kinds = {**_COMMON, **_OF_EDITION[self.edition]}
        if re.fullmatch("[0-9]{4}", message.get("t", ""), re.ASCII) is None:
            raise IsoError("no message type", "t")
        for key, value in message.items():
            if not key.isdigit():
                continue
            kind = kinds.get(int(key))
            if kind is None:
                raise IsoError("a field this format does not know", key)
            if _CHECKS[kind.kind].fullmatch(value) is None:
                raise IsoError("not what this field holds", key)  # the value is never echoed


_SPECS: Final = {
    Format(edition, encoding): _spec(edition, encoding)
    for edition in Edition
    for encoding in Encoding
}
