"""A reference on its way from the bank to one ATM: sealed to that device's key, for one request.

Inside mutual TLS, because the service's front end and its logs need not see a template either. An
ephemeral X25519 key, HKDF-SHA-256 and AES-256-GCM (the base mode of RFC 9180 in kind, not in
bytes); the additional data binds card, engine, weights, format, device and the request's nonce, so
that nothing can be played to another machine or a second time.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import date

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from atm_face.engines.interface import FaceEngine, Template
from atm_face.rotation import Rotation, rotated_dimensions
from atm_face.templates import KEY_BYTES, Consent, Reference, SealError, bound_to

NONCE_BYTES = 16
PUBLIC_BYTES = 32
MAX_SEALED_BYTES = 256 * 1024
_IV = bytes(12)  # each ephemeral key seals once


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One ATM asks for one card's reference."""

    card: bytes
    engine: str
    model_sha256: bytes
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(NONCE_BYTES))

    @classmethod
    def of(cls, card: bytes, engine: FaceEngine) -> Request:
        """Ask for a card's reference of this engine, with a fresh nonce."""
        return cls(card=card, engine=engine.name, model_sha256=engine.model_sha256)

    def as_bytes(self) -> bytes:
        """The request's body."""
        values = {"card": self.card.hex(), "engine": self.engine}
        values |= {"model_sha256": self.model_sha256.hex(), "nonce": self.nonce.hex()}
        return json.dumps(values).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Request:
        """Read a request's body; raises ValueError in plain words."""
        try:
            found = json.loads(raw)
            card, model, nonce = (
                bytes.fromhex(found[name]) for name in ("card", "model_sha256", "nonce")
            )
            engine = found["engine"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"not a request for a template: {type(error).__name__}") from None
        if (len(card), len(model), len(nonce)) != (32, 32, NONCE_BYTES):
            raise ValueError("card, model_sha256 or nonce is of the wrong length")
        if not isinstance(engine, str) or not 0 < len(engine.encode("utf-8", "replace")) <= 200:
            raise ValueError("engine is missing")
        return cls(card=card, engine=engine, model_sha256=model, nonce=nonce)


def sealed_for(device: X25519PublicKey, request: Request, reference: Reference) -> bytes:
    """Seal a reference (as the engine knows it) to a device's key, for this request alone."""
    ephemeral = X25519PrivateKey.generate()
    public = ephemeral.public_key().public_bytes_raw()
    consent = reference.consent
    plain = json.dumps(
        {
            "vector": reference.plain().vector,
            "purpose": consent.purpose,
            "given_on": consent.given_on.isoformat(),
        }
    ).encode()
    bound = _bound(request, device.public_bytes_raw())
    key = _key(ephemeral.exchange(device), public, device.public_bytes_raw())
    return public + AESGCM(key).encrypt(_IV, plain, bound)


def opened(own: X25519PrivateKey, request: Request, sealed: bytes) -> Reference:
    """Open what came for a request; SealError for another device's, card's, engine's or request's.

    The reference is turned by a rotation of this visit's own, never stored.
    """
    device = own.public_key().public_bytes_raw()
    if not PUBLIC_BYTES < len(sealed) <= MAX_SEALED_BYTES:
        raise SealError(f"a sealed reference of {len(sealed)} bytes")
    try:
        public = X25519PublicKey.from_public_bytes(sealed[:PUBLIC_BYTES])
        key = _key(own.exchange(public), sealed[:PUBLIC_BYTES], device)
        plain = AESGCM(key).decrypt(_IV, sealed[PUBLIC_BYTES:], _bound(request, device))
    except (InvalidTag, ValueError) as error:
        raise SealError("the reference is for another device, card, engine or request") from error
    try:
        found = json.loads(plain)
        template = Template(
            engine=request.engine,
            model_sha256=request.model_sha256,
            vector=tuple(float(value) for value in found["vector"]),
        )
        given_on = date.fromisoformat(found["given_on"])
        consent = Consent(purpose=found["purpose"], given_on=given_on)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SealError(f"the reference cannot be read: {type(error).__name__}") from None
    length = len(template.vector)
    rotation = Rotation(secrets.token_bytes(KEY_BYTES), rotated_dimensions(request.engine, length))
    return Reference(template=rotation.turn(template), consent=consent, rotation=rotation)


def _bound(request: Request, device: bytes) -> bytes:
    return bound_to(request.card, request.engine, request.model_sha256) + device + request.nonce


def _key(shared: bytes, ephemeral: bytes, device: bytes) -> bytes:
    info = b"qianshao/template-delivery/1\0" + ephemeral + device
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(shared)
