"""Visits on their way to another machine: vectors sealed to its key, bound to the order.

An ephemeral X25519 key, HKDF-SHA-256 and AES-256-GCM seal a parcel. Bound to it are the order's
digest, the engine's weights, who sends and who is to open it: it opens at that machine, for that
order and as that sender's, or not at all.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from atm_face.engines.interface import EngineError, FaceEngine, Template
from contract.visit_links import BOX_BYTES, MAX_PARCEL_BYTES

Vector = tuple[float, ...]

MAX_FACES = 100
"""Visits in one parcel: the other machine compares each with all of its own while it serves."""

_COUNT = struct.Struct(">H")
_LABEL = b"qianshao/visit-link/2\0"
_IV = bytes(12)  # each ephemeral key seals once


class LinkError(EngineError):
    """A link that is not allowed, or a parcel that is not for this machine and order."""


class ParcelError(LinkError):
    """A parcel that does not open here, and never will."""


def seal_parcel(vectors: Sequence[Vector], public: bytes, bound: bytes) -> bytes:
    """Seal vectors to a machine's key."""
    assert 0 < len(vectors) <= MAX_FACES
    ephemeral = X25519PrivateKey.generate()
    own = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    plain = _COUNT.pack(len(vectors)) + b"".join(map(packed, vectors))
    return own + AESGCM(_key(shared, own, public)).encrypt(_IV, plain, bound)


def open_parcel(
    raw: bytes, own: X25519PrivateKey, bound: bytes, engine: FaceEngine
) -> tuple[Template, ...]:
    """Open a parcel into templates of this machine's engine; raises ParcelError."""
    if len(raw) > MAX_PARCEL_BYTES:
        raise ParcelError("the parcel is too long")
    theirs, device = raw[:BOX_BYTES], own.public_key().public_bytes_raw()
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(theirs))
        plain = AESGCM(_key(shared, theirs, device)).decrypt(_IV, raw[BOX_BYTES:], bound)
        return templates_of(plain, engine)
    except (InvalidTag, ValueError, OverflowError, struct.error) as error:
        words = "the parcel is for another machine, order, sender or engine, or was altered"
        raise ParcelError(words) from error


def templates_of(plain: bytes, engine: FaceEngine) -> tuple[Template, ...]:
    """Read what a parcel holds; raises ValueError, OverflowError or struct.error."""
    vectors = unpacked(plain)
    if len(vectors) > MAX_FACES:
        raise ValueError(f"{len(vectors)} faces, at most {MAX_FACES} come in one parcel")
    return tuple(
        Template(engine=engine.name, model_sha256=engine.model_sha256, vector=vector)
        for vector in vectors
    )


def bound_to(digest: bytes, engine: FaceEngine, sender: str, recipient: str) -> bytes:
    """Return what a parcel is bound to; names hold no zero byte."""
    names = sender.encode() + b"\0" + recipient.encode()
    return _LABEL + digest + engine.model_sha256 + names


def packed(vector: Sequence[float]) -> bytes:
    """Return a vector with its length before it."""
    return _COUNT.pack(len(vector)) + struct.pack(f">{len(vector)}d", *vector)


def unpacked(raw: bytes) -> list[Vector]:
    """Vectors of a counted list; raises struct.error or ValueError for anything else."""
    (count,), offset = _COUNT.unpack_from(raw), _COUNT.size
    vectors: list[Vector] = []
    for _ in range(count):
        (length,) = _COUNT.unpack_from(raw, offset)
        offset += _COUNT.size
        vectors.append(struct.unpack_from(f">{length}d", raw, offset))
        offset += 8 * length
    if offset != len(raw) or not vectors:
        raise ValueError("bytes left over, or no vector")
    return vectors


def _key(shared: bytes, ephemeral: bytes, device: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=_LABEL + ephemeral + device).derive(shared)
