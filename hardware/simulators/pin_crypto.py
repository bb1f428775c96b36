"""Cryptography of the simulated PIN pad only: DUKPT, TR-31 key blocks, PIN blocks.

Triple DES lives here because old PIN pads do it; nothing of the agent imports this module. Sources:
ANSI X9.24-1:2009 and X9.24-3:2017 (DUKPT), ANSI X9.143 / TR-31:2018 and ISO 20038 (key blocks),
ISO 9564-1 (PIN blocks).
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR, ECB
from cryptography.hazmat.primitives.cmac import CMAC


class PinPadError(ValueError):
    """A key block, key or PIN that this pad refuses; it never says more than why."""


# -- ciphers ---------------------------------------------------------------------------------------


def _triple(key: bytes) -> TripleDES:
    """Eight, sixteen or twenty-four bytes: the library wants three keys."""
    return TripleDES({8: key * 3, 16: key + key[:8], 24: key}[len(key)])


def _algorithm(key: bytes, *, is_aes: bool) -> AES | TripleDES:
    return AES(key) if is_aes else _triple(key)


def encrypt(key: bytes, data: bytes, *, is_aes: bool) -> bytes:
    """ECB over whole blocks."""
    done = Cipher(_algorithm(key, is_aes=is_aes), ECB()).encryptor()  # noqa: S305 - one block
    return done.update(data) + done.finalize()


def decrypt(key: bytes, data: bytes, *, is_aes: bool) -> bytes:
    """ECB over whole blocks."""
    done = Cipher(_algorithm(key, is_aes=is_aes), ECB()).decryptor()  # noqa: S305 - one block
    return done.update(data) + done.finalize()


def cmac(key: bytes, data: bytes, *, is_aes: bool) -> bytes:
    """NIST SP 800-38B."""
    done = CMAC(_algorithm(key, is_aes=is_aes))
    done.update(data)
    return done.finalize()


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


# -- DUKPT with triple DES (X9.24-1:2009) ----------------------------------------------------------

_C0: Final = bytes.fromhex("C0C0C0C000000000" * 2)
_COUNTER_BITS: Final = 21


def tdes_initial_key(bdk: bytes, ksn: bytes) -> bytes:
    """A.6: the key that is injected into a pad."""
    serial = bytearray(ksn[:8])
    serial[7] &= 0xE0
    return encrypt(bdk, bytes(serial), is_aes=False) + encrypt(
        _xor(bdk, _C0), bytes(serial), is_aes=False
    )


def tdes_transaction_key(initial: bytes, ksn: bytes) -> bytes:
    """A.3: the key of this counter, derived bit by bit from the left."""
    counter = int.from_bytes(ksn[-3:], "big") & ((1 << _COUNTER_BITS) - 1)
    register = int.from_bytes(ksn[-8:], "big") & ~((1 << _COUNTER_BITS) - 1)
    key = initial
    for bit in range(_COUNTER_BITS - 1, -1, -1):
        if counter & (1 << bit):
            register |= 1 << bit
            key = _one_way(key, register.to_bytes(8, "big"))
    return key


def _one_way(key: bytes, register: bytes) -> bytes:
    halves = []
    for mixed in (_xor(key, _C0), key):
        inner = encrypt(mixed[:8], _xor(register, mixed[8:]), is_aes=False)
        halves.append(_xor(inner, mixed[8:]))
    return halves[0] + halves[1]


def tdes_pin_key(transaction: bytes) -> bytes:
    """Variant for PIN blocks."""
    return _xor(transaction, bytes.fromhex("00000000000000FF" * 2))


def tdes_mac_key(transaction: bytes, *, is_response: bool = False) -> bytes:
    """Variant for MACs, of the request or the response."""
    return _xor(
        transaction, bytes.fromhex(("00000000FF000000" if is_response else "000000000000FF00") * 2)
    )


def retail_mac(key: bytes, data: bytes) -> bytes:
    """ISO 9797-1 algorithm 3, padding 1; the first four bytes are what goes on the wire."""
    block = bytes(8)
    padded = data + bytes(-len(data) % 8)
    for place in range(0, len(padded), 8):
        block = encrypt(key[:8], _xor(block, padded[place : place + 8]), is_aes=False)
    return encrypt(key[:8], decrypt(key[8:], block, is_aes=False), is_aes=False)


# -- DUKPT with AES (X9.24-3:2017) -----------------------------------------------------------------


class KeyUse(IntEnum):
    """Usage indicator of a derived key (table 2)."""

    PIN = 0x1000
    MAC_GENERATION = 0x2000
    DATA_ENCRYPTION = 0x3000
    DERIVATION = 0x8000
    INITIAL = 0x8001


_AES_CODE: Final = {16: 2, 24: 3, 32: 4}
_COUNTER_WIDTH: Final = 32


def _derive(key: bytes, use: KeyUse, size: int, suffix: bytes) -> bytes:
    """6.3.3: one block of derivation data for each sixteen bytes of key."""
    derived = b""
    for number in range(1, -(-size // 16) + 1):
        data = bytes([1, number]) + use.to_bytes(2, "big") + _AES_CODE[size].to_bytes(2, "big")
        data += (size * 8).to_bytes(2, "big") + suffix
        derived += encrypt(key, data, is_aes=True)
    return derived[:size]


def aes_initial_key(bdk: bytes, initial_key_id: bytes) -> bytes:
    """6.3.1: as long as the base derivation key."""
    return _derive(bdk, KeyUse.INITIAL, len(bdk), initial_key_id)


def aes_transaction_key(initial: bytes, ksn: bytes) -> bytes:
    """6.3.2: the derivation key of this counter."""
    counter, working, key = int.from_bytes(ksn[8:], "big"), 0, initial
    for bit in range(_COUNTER_WIDTH - 1, -1, -1):
        if counter & (1 << bit):
            working |= 1 << bit
            suffix = ksn[4:8] + working.to_bytes(4, "big")
            key = _derive(key, KeyUse.DERIVATION, len(initial), suffix)
    return key


def aes_working_key(transaction: bytes, ksn: bytes, use: KeyUse, size: int) -> bytes:
    """A key of this transaction for one use."""
    return _derive(transaction, use, size, ksn[4:])


# -- PIN blocks (ISO 9564-1) -----------------------------------------------------------------------


def pin_block_0(pin: str, pan12: str, key: bytes) -> bytes:
    """Format 0 under triple DES; ``pan12``: the twelve digits before the check digit."""
    _check_pin(pin)
    field = bytes.fromhex(f"0{len(pin):X}{pin}".ljust(16, "F"))
    return encrypt(key, _xor(field, bytes.fromhex("0000" + pan12)), is_aes=False)


def pin_block_4(pin: str, pan: str, key: bytes, fill: bytes | None = None) -> bytes:
    """Format 4 under AES; ``fill``: eight random bytes, given only by the standard's examples."""
    _check_pin(pin)
    if not 12 <= len(pan) <= 19:
        raise PinPadError("a card number has 12 to 19 digits")
    head = bytes.fromhex(f"4{len(pin):X}{pin}".ljust(16, "A"))
    pan_field = bytes.fromhex(f"{len(pan) - 12}{pan}".ljust(32, "0"))
    inner = encrypt(key, head + (fill or secrets.token_bytes(8)), is_aes=True)
    return encrypt(key, _xor(inner, pan_field), is_aes=True)


def _check_pin(pin: str) -> None:
    if not (4 <= len(pin) <= 12 and pin.isascii() and pin.isdigit()):
        raise PinPadError("a PIN has 4 to 12 digits")


# -- key blocks (TR-31, X9.143, ISO 20038) ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyBlock:
    """What was in a block, and what the key may be used for."""

    usage: str
    algorithm: str
    mode: str
    exportability: str
    key: bytes

    @property
    def check_value(self) -> bytes:
        """KCV: CMAC of zeros for AES, an encrypted zero block for triple DES; first bytes count."""
        if self.algorithm == "A":
            return cmac(self.key, bytes(16), is_aes=True)
        return encrypt(self.key, bytes(8), is_aes=False)


_HEADER_CHARS: Final = 16
_MAC_BYTES: Final = {"A": 4, "B": 8, "C": 4, "D": 16, "E": 16}
_KDF_CODE: Final = {16: 0, 24: 1}


def unwrap(text: str, kbpk: bytes) -> KeyBlock:
    """Check a key block and return its key; raises PinPadError.

    The MAC is checked before the key is looked at, except that versions B, D and E must decrypt
    first: their MAC covers the plain key.
    """
    version = text[:1]
    if version not in _MAC_BYTES:
        raise PinPadError("unknown version of a key block")
    if not text.isascii() or not text[1:5].isdigit() or int(text[1:5]) != len(text):
        raise PinPadError("wrong length in the key block")
    header = text[: _header_chars(text)]
    try:
        body = bytes.fromhex(text[len(header) :])
    except ValueError:
        raise PinPadError("a key block ends in hex digits") from None
    size = _MAC_BYTES[version]
    sealed, mac = body[:-size], body[-size:]
    block = 8 if version in "ABC" else 1 if version == "E" else 16
    if len(sealed) < 2 or len(sealed) % block:
        raise PinPadError("a key block is cut")
    try:
        plain = _open(version, header, sealed, mac, kbpk)
    except (ValueError, KeyError) as error:
        if isinstance(error, PinPadError):
            raise
        raise PinPadError("the protection key does not fit") from None
    bits = int.from_bytes(plain[:2], "big")
    if bits % 8 or bits // 8 > len(plain) - 2 or bits == 0:
        raise PinPadError("wrong length of the key")
    return KeyBlock(header[5:7], header[7], header[8], header[11], plain[2 : 2 + bits // 8])


def wrap_pin_key(key: bytes, kbpk: bytes) -> str:
    """Return a version D block of a triple-DES PIN key (P0, encrypt): a key-loading ceremony."""
    plain = (len(key) * 8).to_bytes(2, "big") + key
    plain += secrets.token_bytes(-len(plain) % 16)
    header = f"D{_HEADER_CHARS + 2 * len(plain) + 32:04}P0TE00E0000"
    mac = cmac(_kdf(kbpk, 1, is_aes=True), header.encode() + plain, is_aes=True)
    done = Cipher(AES(_kdf(kbpk, 0, is_aes=True)), CBC(mac)).encryptor()
    return header + (done.update(plain) + done.finalize() + mac).hex().upper()


def _header_chars(text: str) -> int:
    """End of the header with its optional blocks."""
    if len(text) < _HEADER_CHARS or not text[12:14].isdigit():
        raise PinPadError("a key block without a header")
    end = _HEADER_CHARS
    for _ in range(int(text[12:14])):
        try:
            length = int(text[end + 2 : end + 4], 16)
            if length == 0:  # extended: number of length digits, then the length
                digits = int(text[end + 4 : end + 6], 16)
                length = int(text[end + 6 : end + 6 + digits], 16)
        except ValueError:
            raise PinPadError("an optional block without a length") from None
        if length < 4 or end + length > len(text):
            raise PinPadError("an optional block is cut")
        end += length
    return end


def _open(version: str, header: str, sealed: bytes, mac: bytes, kbpk: bytes) -> bytes:
    head = header.encode("ascii")
    if version in "AC":
        encryption, authentication = (bytes(b ^ mask for b in kbpk) for mask in (0x45, 0x4D))
        real = _cbc_mac(authentication, head + sealed)[:4]
        _compare(real, mac)
        return _cbc(encryption, head[:8], sealed, is_aes=False)
    is_aes = version in "DE"
    encryption = _kdf(kbpk, 2 if version == "E" else 0, is_aes=is_aes)
    authentication = _kdf(kbpk, 1, is_aes=is_aes)
    if version == "E":
        done = Cipher(AES(encryption), CTR(mac)).decryptor()
        plain = done.update(sealed) + done.finalize()
    else:
        plain = _cbc(encryption, mac, sealed, is_aes=is_aes)
    _compare(cmac(authentication, head + plain, is_aes=is_aes), mac)
    return plain


def _compare(real: bytes, claimed: bytes) -> None:
    if not hmac.compare_digest(real, claimed):
        raise PinPadError("the key block's MAC is wrong")


def _cbc(key: bytes, start: bytes, data: bytes, *, is_aes: bool) -> bytes:
    done = Cipher(_algorithm(key, is_aes=is_aes), CBC(start)).decryptor()
    return done.update(data) + done.finalize()


def _cbc_mac(key: bytes, data: bytes) -> bytes:
    done = Cipher(_triple(key), CBC(bytes(8))).encryptor()
    return (done.update(data) + done.finalize())[-8:]


def _kdf(kbpk: bytes, use: int, *, is_aes: bool) -> bytes:
    """Derive the encryption (0, for counter mode 2) or authentication (1) key by CMAC."""
    code = _AES_CODE[len(kbpk)] if is_aes else _KDF_CODE[len(kbpk)]
    step = 16 if is_aes else 8
    tail = use.to_bytes(2, "big") + b"\0" + code.to_bytes(2, "big")
    tail += (len(kbpk) * 8).to_bytes(2, "big")
    derived = b"".join(
        cmac(kbpk, bytes([number]) + tail, is_aes=is_aes)
        for number in range(1, -(-len(kbpk) // step) + 1)
    )
    return derived[: len(kbpk)]
