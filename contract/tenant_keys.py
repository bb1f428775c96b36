"""The keys under which a tenant's accounts are known, on their way to one machine.

A machine has a key of its own for this (X25519, born there); only its public half leaves. An
ephemeral key, HKDF-SHA-256 and AES-256-GCM seal a bundle to it, bound to tenant and machine, so
that neither the broker, nor a log, nor another machine can read it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contract.accounts import MIN_KEY_BYTES
from contract.codec import DecodeError, decode, encode
from contract.files import create_durably
from contract.keyfiles import KeyFileError, check_private, read_file

BOX_BYTES: Final = 32
MAX_KEYS: Final = 8
_IV: Final = bytes(12)  # each ephemeral key seals once


class KeyBundleError(ValueError):
    """A bundle that is not this machine's, or damaged; the text holds no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBundle:
    """All keys that count now, and the one under which machines speak of accounts."""

    bundle: int
    primary: int
    keys: dict[int, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.bundle < 1 or not 0 < len(self.keys) <= MAX_KEYS:
            raise KeyBundleError(f"a bundle has a version and 1 to {MAX_KEYS} keys")
        if self.primary not in self.keys or min(self.keys) < 1:
            raise KeyBundleError("the key in use is one of the bundle's")
        if any(len(secret) < MIN_KEY_BYTES for secret in self.keys.values()):
            raise KeyBundleError(f"a key has at least {MIN_KEY_BYTES} bytes")

    def to_bytes(self) -> bytes:
        """Return the bundle in the clear, for a file of mode 0600 or to be sealed."""
        pairs = [[number, self.keys[number]] for number in sorted(self.keys)]
        return encode([self.bundle, self.primary, pairs])

    @classmethod
    def from_bytes(cls, raw: bytes) -> KeyBundle:
        """Read a bundle; raises KeyBundleError whatever the bytes are."""
        try:
            bundle, primary, pairs = decode(raw, "keys")
            keys = dict(pairs)
            is_well = isinstance(bundle, int) and len(keys) == len(pairs)
            is_well &= all(isinstance(n, int) and isinstance(s, bytes) for n, s in keys.items())
        except (DecodeError, ValueError, TypeError):
            is_well = False
        if not is_well:
            raise KeyBundleError("no bundle of keys")
        return cls(bundle=bundle, primary=primary, keys=keys)


def box_key(path: Path) -> X25519PrivateKey:
    """Read the machine's own key, or make it (mode 0600); raises KeyFileError, OSError."""
    if not path.exists():
        create_durably(path, X25519PrivateKey.generate().private_bytes_raw())
    check_private(path)
    raw = read_file(path)
    if len(raw) != BOX_BYTES:
        raise KeyFileError(path, f"has {len(raw)} bytes, a key has {BOX_BYTES}")
    return X25519PrivateKey.from_private_bytes(raw)


def seal_bundle(bundle: KeyBundle, public: bytes, tenant: str, device: str) -> bytes:
    """Encrypt a bundle to one machine; raises ValueError for what is no key."""
    theirs = X25519PublicKey.from_public_bytes(public)
    ephemeral = X25519PrivateKey.generate()
    own = ephemeral.public_key().public_bytes_raw()
    key = _key(ephemeral.exchange(theirs), own, public)
    return own + AESGCM(key).encrypt(_IV, bundle.to_bytes(), _bound(tenant, device))


def open_bundle(sealed: bytes, own: X25519PrivateKey, tenant: str, device: str) -> KeyBundle:
    """Decrypt what was sealed to this machine; raises KeyBundleError."""
    theirs, body = sealed[:BOX_BYTES], sealed[BOX_BYTES:]
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(theirs))
        key = _key(shared, theirs, own.public_key().public_bytes_raw())
        plain = AESGCM(key).decrypt(_IV, body, _bound(tenant, device))
    except (InvalidTag, ValueError):
        raise KeyBundleError("the bundle is not sealed to this machine, or damaged") from None
    return KeyBundle.from_bytes(plain)


def _bound(tenant: str, device: str) -> bytes:
    return b"qianshao/tenant-keys/1\0" + tenant.encode() + b"\0" + device.encode()


def _key(shared: bytes, ephemeral: bytes, device: bytes) -> bytes:
    info = b"qianshao/tenant-keys/1\0" + ephemeral + device
    return HKDF(SHA256(), 32, salt=None, info=info).derive(shared)
