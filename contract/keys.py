"""Evidence keys: who signs a message, and how a verifier finds the key that a message names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

_P256_BYTES = 32


class Algorithm(IntEnum):
    """COSE algorithm numbers (RFC 9053): Ed25519 by default, ES256 for keys inside a TPM."""

    EDDSA = -8
    ES256 = -7


CENTRAL = "central"
"""Owner of the key that signs receipts; no device may bear this name."""

PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


def key_id(public: PublicKey) -> bytes:
    """SHA-256 of the key's SubjectPublicKeyInfo: the ``kid`` of a message."""
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).digest()


def public_pem(public: PublicKey) -> str:
    """The public key as PEM text, the form in which it is kept and shown."""
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode("ascii")


def load_public_pem(pem: str) -> PublicKey:
    """Read a public key; raises ValueError for anything but Ed25519 and P-256."""
    try:
        key = serialization.load_pem_public_key(pem.encode("ascii"))
    except UnsupportedAlgorithm as error:
        raise ValueError(f"no key that signs messages: {error}") from error
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ValueError("only Ed25519 and P-256 keys sign messages")


def algorithm_of(public: PublicKey) -> Algorithm:
    """Return the one algorithm that a key signs with."""
    is_edwards = isinstance(public, ed25519.Ed25519PublicKey)
    return Algorithm.EDDSA if is_edwards else Algorithm.ES256


class Signer(Protocol):
    """Something that signs: a key in a file, or one that never leaves its chip."""

    algorithm: Algorithm
    kid: bytes

    def sign(self, data: bytes) -> bytes:
        """Return the COSE signature: 64 bytes for both algorithms."""


class KeySigner:
    """Signs with a private key held in memory."""

    def __init__(self, private: PrivateKey) -> None:
        self._private = private
        self.public = private.public_key()
        self.kid = key_id(self.public)
        self.algorithm = algorithm_of(self.public)

    def sign(self, data: bytes) -> bytes:
        """Return the signature; ES256 as r || s (RFC 9053 section 2.1)."""
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return self._private.sign(data)
        r, s = decode_dss_signature(self._private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A public key and the device (or ``central``) it belongs to."""

    owner: str
    public: PublicKey


FindKey = Callable[[bytes], KnownKey | None]
"""Look-up from ``kid`` to the key it names, or None."""


def verifies(public: PublicKey, algorithm: int, data: bytes, signature: bytes) -> bool:
    """Check one signature; a key of the other algorithm never verifies."""
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            if algorithm != Algorithm.EDDSA:
                return False
            public.verify(signature, data)
            return True
        if algorithm != Algorithm.ES256 or len(signature) != 2 * _P256_BYTES:
            return False
        r, s = signature[:_P256_BYTES], signature[_P256_BYTES:]
        der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        public.verify(der, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
