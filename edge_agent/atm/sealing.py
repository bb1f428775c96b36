"""Seals the one secret a reversal needs after a power cut: the card number (AES-256-GCM).

The key is born on the device and lies beside nothing it opens; sealed numbers are deleted as soon
as no advice needs them. Where the bank's profile names transactions otherwise, none is stored.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contract.files import create_durably

KEY_BYTES = 32
_NONCE_BYTES = 12


class SealError(ValueError):
    """Sealed bytes that this key does not open, or a key that is none."""


class Seal:
    """One device's key for what must survive a power cut unread."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise SealError(f"a sealing key has {KEY_BYTES} bytes")
        self._cipher = AESGCM(key)

    @classmethod
    def of_file(cls, path: Path) -> Seal:
        """Read the key, or make one (0600) where there is none yet; raises OSError, SealError."""
        if not path.exists():
            create_durably(path, secrets.token_bytes(KEY_BYTES))
        return cls(path.read_bytes())

    def close(self, text: str, bound_to: str) -> bytes:
        """Seal a text so that it opens only together with ``bound_to``."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> str:
        """Return the text; raises SealError."""
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, rest, bound_to.encode()).decode()
        except (InvalidTag, ValueError):
            raise SealError("the sealed bytes do not open") from None
