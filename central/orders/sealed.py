"""The sealed column: full account numbers and names, encrypted, shown masked, opened on record."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from central.orders.platform import Sealed
from contract.codec import DecodeError, decode, encode

KEY_BYTES = 32
_NONCE_BYTES = 12
_CONTEXT = b"qianshao sealed column 1\0"


class SealedError(Exception):
    """A sealed value that cannot be opened: another key, another row, or altered."""


class Vault:
    """Seals with AES-256-GCM under one key, each value bound to its order."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key of the sealed column has {KEY_BYTES} bytes")
        self._cipher = AESGCM(key)

    @classmethod
    def at(cls, path: Path) -> Vault:
        """Read the key, or make one that only its owner can read."""
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return cls(path.read_bytes())
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        return cls(path.read_bytes())

    def seal(self, order_id: bytes, value: Sealed) -> bytes:
        """Encrypt what belongs to one order."""
        nonce = os.urandom(_NONCE_BYTES)
        plain = encode([value.number, value.name, value.payer_number, value.payer_name])
        return nonce + self._cipher.encrypt(nonce, plain, _CONTEXT + order_id)

    def open(self, order_id: bytes, sealed: bytes) -> Sealed:
        """Decrypt; raises SealedError. Whoever calls this for a person notes it in the audit."""
        try:
            plain = self._cipher.decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _CONTEXT + order_id
            )
            number, name, payer_number, payer_name = decode(plain, "sealed")
        except (InvalidTag, DecodeError, ValueError, TypeError):
            raise SealedError(f"what order {order_id.hex()} sealed does not open") from None
        return Sealed(number=number, name=name, payer_number=payer_number, payer_name=payer_name)


def masked(number: str) -> str:
    """Return a number as people see it: its last four digits."""
    return "**** " + number[-4:]


def masked_name(name: str) -> str:
    """Return a name as people see it: its first character."""
    return name[:1] + "*" * max(0, len(name) - 1)
