"""An alarm on its way through a broker: encrypted to this central, so that no store but the sealed
column ever holds a full number.

X25519 with a key of the moment, HKDF-SHA-256, AES-256-GCM: what :mod:`atm_face.delivery` does for
templates. The signature of the message says who sent it; the box only keeps it closed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contract.keyfiles import KeyFileError, load_or_create_key

PUBLIC_BYTES = 32
MAX_BYTES = 60_000
_INFO = b"qianshao alarm box 1\0"
_NONCE = bytes(12)
"""Each key encrypts one box."""


class BoxError(Exception):
    """A box that does not open, or holds no JSON."""


def intake_key(path: Path) -> X25519PrivateKey:
    """Read the key to which alarms are sealed, or make it; raises KeyFileError."""
    key = load_or_create_key(path, X25519PrivateKey.generate)  # type: ignore[arg-type]
    if not isinstance(key, X25519PrivateKey):
        raise KeyFileError(path, "does not hold an X25519 key")
    return key


def public_bytes(key: X25519PrivateKey) -> bytes:
    """Return the public key that senders are given."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _cipher(shared: bytes, ephemeral: bytes, to: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=_INFO + ephemeral + to).derive(shared))


def seal_alarm(to: bytes, document: dict[str, Any]) -> bytes:
    """Encrypt a document to a central's public key; what a sender does."""
    own = X25519PrivateKey.generate()
    ephemeral = public_bytes(own)
    shared = own.exchange(X25519PublicKey.from_public_bytes(to))
    plain = json.dumps(document, ensure_ascii=False).encode()
    return ephemeral + _cipher(shared, ephemeral, to).encrypt(_NONCE, plain, _INFO)


def open_alarm(own: X25519PrivateKey, box: bytes) -> Any:
    """Return the document inside; raises BoxError."""
    ephemeral, sealed = box[:PUBLIC_BYTES], box[PUBLIC_BYTES:]
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        plain = _cipher(shared, ephemeral, public_bytes(own)).decrypt(_NONCE, sealed, _INFO)
        return json.loads(plain)
    except (InvalidTag, ValueError, RecursionError) as error:
        raise BoxError("the box does not open") from error
