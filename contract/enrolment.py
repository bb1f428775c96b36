"""How a device becomes known: the token, and what it signs to prove that both its keys are its own.

A token is made by the central for one device, used once, and carried to the device by a person. It
holds a secret and the SHA-256 of the central's authority certificate, so that the device knows the
right central before it trusts any.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass

from contract.keys import PublicKey, Signer, algorithm_of, load_public_pem, public_pem, verifies
from contract.tenant_keys import BOX_BYTES
from contract.topics import check_id

SECRET_BYTES = 24
PIN_BYTES = 32
MAX_REQUEST_BYTES = 32 * 1024

_PREFIX = "qs1"
_ENROL = b"qianshao/enrol/1\0"
_RENEW = b"qianshao/renew/1\0"


class EnrolmentError(ValueError):
    """A token, a request or an answer that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a person carries from the central to one device."""

    device: str
    secret: bytes
    pin: bytes
    """SHA-256 of the authority's certificate (DER)."""

    @classmethod
    def new(cls, device: str, pin: bytes) -> Token:
        """Make a token with a fresh secret."""
        return cls(check_id(device, "device"), secrets.token_bytes(SECRET_BYTES), pin)

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read a token; raises EnrolmentError, which never quotes it."""
        parts = text.strip().split(".")
        if len(parts) != 4 or parts[0] != _PREFIX:
            raise EnrolmentError(
                f"no enrolment token: it begins with {_PREFIX}. and has four parts"
            )
        try:
            secret, pin = _unbase64(parts[2]), _unbase64(parts[3])
            device = check_id(parts[1], "device")
        except ValueError as error:
            raise EnrolmentError("the enrolment token is damaged") from error
        if len(secret) != SECRET_BYTES or len(pin) != PIN_BYTES:
            raise EnrolmentError("the enrolment token is cut short")
        return cls(device, secret, pin)

    @property
    def text(self) -> str:
        """The token as it is carried."""
        return ".".join((_PREFIX, self.device, _base64(self.secret), _base64(self.pin)))

    @property
    def hashed(self) -> bytes:
        """All that the central keeps of it."""
        return hash_secret(self.secret)

    def __repr__(self) -> str:
        return f"Token({self.device!r})"  # a secret has no place in a log

    def fits(self, authority_der: bytes) -> bool:
        """Whether a certificate is that of the authority that the token names."""
        return hmac.compare_digest(hashlib.sha256(authority_der).digest(), self.pin)


def hash_secret(secret: bytes) -> bytes:
    """SHA-256 suffices: the secret is random and long, nobody can guess through a list."""
    return hashlib.sha256(_ENROL + secret).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a device asks of the central: a certificate over its TLS key.

    ``secret`` is there when it enrols; a device that is known signs with its evidence key alone.
    """

    device: str
    csr_pem: str
    public: PublicKey
    signature: bytes
    secret: bytes | None = None
    box: bytes | None = None
    """Public half of the key to which the tenant's keys are sealed; an ATM has one."""

    @classmethod
    def signed(
        cls,
        device: str,
        csr_pem: str,
        signer: Signer,
        public: PublicKey,
        token: Token | None,
        box: bytes | None = None,
    ) -> Request:
        """Make the request and prove possession of the evidence key."""
        secret = None if token is None else token.secret
        return cls(
            device=device,
            csr_pem=csr_pem,
            public=public,
            signature=signer.sign(_signed_bytes(device, csr_pem, secret, box)),
            secret=secret,
            box=box,
        )

    @property
    def is_proved(self) -> bool:
        """Whether the evidence key that it names has signed it."""
        data = _signed_bytes(self.device, self.csr_pem, self.secret, self.box)
        return verifies(self.public, algorithm_of(self.public), data, self.signature)

    def to_json(self) -> bytes:
        """The request as it is sent."""
        values = {
            "device": self.device,
            "csr": self.csr_pem,
            "evidence_key": public_pem(self.public),
            "signature": _base64(self.signature),
        }
        if self.secret is not None:
            values["secret"] = _base64(self.secret)
        if self.box is not None:
            values["box_key"] = _base64(self.box)
        return json.dumps(values).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Request:
        """Read a request; raises EnrolmentError whatever the bytes are."""
        values = _read_texts(
            raw, {"device", "csr", "evidence_key", "signature"}, {"secret", "box_key"}
        )
        try:
            box = _unbase64(values["box_key"]) if "box_key" in values else None
            if box is not None and len(box) != BOX_BYTES:
                raise EnrolmentError(f"a box key has {BOX_BYTES} bytes")
            return cls(
                device=check_id(values["device"], "device"),
                csr_pem=values["csr"],
                public=load_public_pem(values["evidence_key"]),
                signature=_unbase64(values["signature"]),
                secret=_unbase64(values["secret"]) if "secret" in values else None,
                box=box,
            )
        except Exception as error:  # cryptography raises many types on damaged keys
            raise EnrolmentError(f"the request is damaged: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the central gives back."""

    tenant: str
    certificate_pem: str
    authority_pem: str
    central_key_pem: str
    """Verifies receipts and the central's orders."""
    sealed_keys: bytes | None = None
    """The tenant's keys, sealed to the box key of the request."""

    def to_json(self) -> bytes:
        """The answer as it is sent."""
        values = {
            "tenant": self.tenant,
            "certificate": self.certificate_pem,
            "authority": self.authority_pem,
            "central_key": self.central_key_pem,
        }
        if self.sealed_keys is not None:
            values["sealed_keys"] = _base64(self.sealed_keys)
        return json.dumps(values).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Answer:
        """Read an answer; raises EnrolmentError whatever the bytes are."""
        values = _read_texts(
            raw, {"tenant", "certificate", "authority", "central_key"}, {"sealed_keys"}
        )
        try:
            sealed = _unbase64(values["sealed_keys"]) if "sealed_keys" in values else None
        except EnrolmentError as error:
            raise EnrolmentError("the answer is damaged") from error
        return cls(
            tenant=values["tenant"],
            certificate_pem=values["certificate"],
            authority_pem=values["authority"],
            central_key_pem=values["central_key"],
            sealed_keys=sealed,
        )


def _read_texts(raw: bytes, required: set[str], optional: set[str]) -> dict[str, str]:
    """Read a flat JSON object of texts, bounded, without a key twice and without others."""
    if len(raw) > MAX_REQUEST_BYTES:
        raise EnrolmentError(f"{len(raw)} bytes, at most {MAX_REQUEST_BYTES} are taken")
    try:
        pairs = json.loads(raw, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise EnrolmentError("no JSON") from error
    if not isinstance(pairs, _Pairs):
        raise EnrolmentError("no JSON object")
    values = {key: value for key, value in pairs if isinstance(value, str)}
    if len(values) != len(pairs):
        raise EnrolmentError("a key is there twice, or is no text")
    if not required <= set(values) <= required | optional:
        raise EnrolmentError(f"expected the keys {', '.join(sorted(required))}")
    return values


class _Pairs(list[tuple[str, object]]):
    """Keys and values of a JSON object as they stand."""


def _signed_bytes(
    device: str, csr_pem: str, secret: bytes | None, box: bytes | None = None
) -> bytes:
    # The purpose comes first, so that no signature serves for another one or for a message.
    purpose = _RENEW if secret is None else _ENROL + hash_secret(secret)
    tail = b"" if box is None else b"\0box\0" + box
    return purpose + device.encode() + b"\0" + csr_pem.encode() + tail


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _unbase64(text: str) -> bytes:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise EnrolmentError("no base64url") from error
