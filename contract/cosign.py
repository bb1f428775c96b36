"""Signatures under an order: COSE_Sign (RFC 9052 section 4.1), each signer beside the others.

Officers sign at different times and places, so the content is encoded once, each signs it, and the
parts are put together in the order of their key ids: the same signatures give the same bytes.

An officer's key lies in a file and signs RFC 9052's structure itself, or in an authenticator, whose
WebAuthn assertion is over that structure's hash (:mod:`contract.webauthn`). The second kind says so
in its protected header, as critical, so that a reader who does not know it refuses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cbor2

from contract.codec import DecodeError, decode, encode, from_map, to_map
from contract.keys import (
    Algorithm,
    PublicKey,
    Signer,
    algorithm_of,
    key_id,
    load_public_pem,
    verifies,
)
from contract.orders import RULES, Officer, Officers, Order, OrderBody
from contract.webauthn import Passkey, WebAuthnError, check_assertion, unpack
from contract.words import OrderRefusal, OrderType, Signatory

CONTENT_TYPE = "application/vnd.qianshao.order+cbor"
MAX_SIGNATURES = 4
MAX_ORDER_BYTES = 48 * 1024
"""So that its delivery stays within the longest message of the contract."""

_COSE_SIGN = 98
_HEADER_ALG, _HEADER_CRITICAL, _HEADER_CONTENT_TYPE, _HEADER_KID = 1, 2, 3, 4
_HEADER_CREDENTIAL = -65537
"""Of the range for private use (RFC 9052 section 11.1): the id of a WebAuthn credential."""
_BODY_KEY = 11  # beside the keys of Order, in the same map
_TYPE_KEY, _ID_KEY = 2, 1
_MAX_CLAIMED_TYPE = 40


class OrderError(ValueError):
    """An order that is refused, with the reason as a word and in a sentence.

    ``order_id`` and ``type`` are what the bytes claim, empty where they cannot be read.
    """

    def __init__(
        self, refusal: OrderRefusal, detail: str, *, order_id: bytes = b"", type_: str = ""
    ) -> None:
        super().__init__(f"{refusal.value}: {detail}")
        self.refusal = refusal
        self.detail = detail
        self.order_id = order_id
        self.type = type_


@dataclass(frozen=True, slots=True)
class OrderKey:
    """A key that may sign orders, whose it is and in what capacities."""

    owner: str
    signatories: frozenset[Signatory]
    public: PublicKey
    passkey: Passkey | None = None
    """The WebAuthn credential that holds it; None: it signs itself."""


FindOrderKey = Callable[[bytes], OrderKey | None]
"""Look-up from ``kid`` to the key it names, or None."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signer's part."""

    protected: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order with as many valid signatures as its type demands, and the bytes as they came."""

    order: Order
    body: OrderBody
    raw: bytes
    signers: tuple[str, ...]
    kids: tuple[bytes, ...]
    """Ids of the keys that signed."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of the bytes."""
        return order_digest(self.raw)


def order_digest(raw: bytes) -> bytes:
    """SHA-256 of an order as it is on the wire."""
    return hashlib.sha256(raw).digest()


_BODY_HEADER = encode({_HEADER_CONTENT_TYPE: CONTENT_TYPE})


def _external_aad(tenant: str) -> bytes:
    return b"qianshao/order/1\0" + tenant.encode("ascii")


def _to_be_signed(sign_header: bytes, tenant: str, content: bytes) -> bytes:
    return cbor2.dumps(["Signature", _BODY_HEADER, sign_header, _external_aad(tenant), content])


def order_content(order: Order, body: OrderBody) -> bytes:
    """Encode what all signers sign; raises ValueError if the body is not that of the type."""
    if type(body) is not RULES[order.type].body:
        raise ValueError(f"a {order.type.value} has no {type(body).__name__}")
    return encode({**to_map(order), _BODY_KEY: to_map(body)})


def sign_content(content: bytes, *, tenant: str, signer: Signer) -> Signature:
    """Return one signer's part."""
    protected = signer_header(signer.algorithm, signer.kid)
    return Signature(protected, signer.sign(_to_be_signed(protected, tenant, content)))


def signing_input(content: bytes, *, tenant: str, signer_header: bytes) -> bytes:
    """Return what a signer's key signs, for a key that is not at hand here (a browser, a token)."""
    return _to_be_signed(signer_header, tenant, content)


def signer_header(algorithm: Algorithm, kid: bytes) -> bytes:
    """Encode a signer's protected header."""
    return encode({_HEADER_ALG: int(algorithm), _HEADER_KID: kid})


def passkey_header(algorithm: Algorithm, kid: bytes, credential_id: bytes) -> bytes:
    """Encode the protected header of a signer whose key is a WebAuthn credential's."""
    return encode(
        {
            _HEADER_ALG: int(algorithm),
            _HEADER_CRITICAL: [_HEADER_CREDENTIAL],
            _HEADER_KID: kid,
            _HEADER_CREDENTIAL: credential_id,
        }
    )


def officer_header(officer: Officer) -> bytes:
    """Encode the protected header under which an officer signs with this key."""
    public = load_public_pem(officer.public_pem)
    algorithm, kid = algorithm_of(public), key_id(public)
    if officer.credential_id is None:
        return signer_header(algorithm, kid)
    return passkey_header(algorithm, kid, officer.credential_id)


def officer_key(bundle: Officers, officer: Officer) -> OrderKey:
    """Return an officer's key as orders are verified with it."""
    passkey = None
    if officer.credential_id is not None:
        passkey = Passkey(
            credential_id=officer.credential_id, rp_id=bundle.rp_id, origins=bundle.origins
        )
    public = load_public_pem(officer.public_pem)
    return OrderKey(officer.officer, frozenset({Signatory.OFFICER}), public, passkey)


def check_signature(
    content: bytes, signature: Signature, *, tenant: str, find_key: FindOrderKey
) -> OrderKey:
    """Return whose valid signature this is; raises OrderError."""
    return _verified(content, [signature], tenant, find_key)[0]


def assemble(content: bytes, signatures: Sequence[Signature]) -> bytes:
    """Put content and signatures together: a tagged COSE_Sign."""
    ordered = sorted(signatures, key=lambda part: part.protected)
    parts = [[part.protected, {}, part.value] for part in ordered]
    raw = encode(cbor2.CBORTag(_COSE_SIGN, [_BODY_HEADER, {}, content, parts]))
    if len(raw) > MAX_ORDER_BYTES:
        raise ValueError(f"{len(raw)} bytes, at most {MAX_ORDER_BYTES} are taken")
    return raw


def sign_order(order: Order, body: OrderBody, *, tenant: str, signers: Sequence[Signer]) -> bytes:
    """Sign with keys that are all at hand."""
    content = order_content(order, body)
    return assemble(content, [sign_content(content, tenant=tenant, signer=s) for s in signers])


def open_order(raw: bytes, *, tenant: str, find_key: FindOrderKey) -> SignedOrder:
    """Verify an order and return it; raises OrderError, whatever the bytes are.

    Every signature has to be that of a known key, and as many different people as the type demands
    must have signed. A further signature that does not verify spoils the whole order: what was
    altered is refused, not mended. Time, target and use are the receiver's to judge.
    """
    try:
        content, signatures = _parts(raw)
    except DecodeError as error:
        raise OrderError(OrderRefusal.MALFORMED, str(error)) from error
    order_id, type_ = _claims(content)
    try:
        keys = _verified(content, signatures, tenant, find_key)
        order, body = _read(content)
        _check_signers(order.type, keys)
    except OrderError as error:
        raise OrderError(error.refusal, error.detail, order_id=order_id, type_=type_) from None
    owners = tuple(sorted({key.owner for key in keys}))
    return SignedOrder(order, body, raw, owners, tuple(key_id(key.public) for key in keys))


def _parts(raw: bytes) -> tuple[bytes, list[Signature]]:
    if len(raw) > MAX_ORDER_BYTES:
        raise DecodeError("order", f"{len(raw)} bytes, at most {MAX_ORDER_BYTES} are taken")
    outer = decode(raw, "order")
    if not (isinstance(outer, cbor2.CBORTag) and outer.tag == _COSE_SIGN):
        raise DecodeError("order", "not a tagged COSE_Sign")
    parts = outer.value
    if not (isinstance(parts, list) and len(parts) == 4 and parts[1] == {}):
        raise DecodeError("order", "expected [protected, {}, payload, signatures]")
    protected, _, content, signatures = parts
    if protected != _BODY_HEADER or not isinstance(content, bytes):
        raise DecodeError("order", "unknown content type, or no payload")
    if not isinstance(signatures, list) or len(signatures) > MAX_SIGNATURES:
        raise DecodeError("signatures", f"expected an array of at most {MAX_SIGNATURES}")
    return content, [_signature(part, n) for n, part in enumerate(signatures)]


def _signature(part: Any, number: int) -> Signature:
    if not (
        isinstance(part, list)
        and len(part) == 3
        and isinstance(part[0], bytes)
        and part[1] == {}
        and isinstance(part[2], bytes)
    ):
        raise DecodeError(f"signatures[{number}]", "expected [protected, {}, signature]")
    return Signature(part[0], part[2])


@dataclass(frozen=True, slots=True)
class _Signer:
    """What a protected header says."""

    algorithm: int
    kid: bytes
    credential_id: bytes | None


def _signer_of(protected: bytes) -> _Signer:
    header: Any = decode(protected, "signature")
    plain = {_HEADER_ALG, _HEADER_KID}
    if not isinstance(header, dict) or set(header) not in (
        plain,
        plain | {_HEADER_CRITICAL, _HEADER_CREDENTIAL},
    ):
        raise DecodeError("signature", "expected algorithm and key id")
    algorithm, kid = header[_HEADER_ALG], header[_HEADER_KID]
    if type(algorithm) is not int or algorithm not in set(Algorithm) or not isinstance(kid, bytes):
        raise DecodeError("signature", "unknown algorithm or key id")
    if len(header) == len(plain):
        return _Signer(algorithm, kid, None)
    credential_id = header[_HEADER_CREDENTIAL]
    if header[_HEADER_CRITICAL] != [_HEADER_CREDENTIAL] or not isinstance(credential_id, bytes):
        raise DecodeError("signature", "expected a credential id, marked as critical")
    return _Signer(algorithm, kid, credential_id)


def _verified(
    content: bytes, signatures: Sequence[Signature], tenant: str, find_key: FindOrderKey
) -> list[OrderKey]:
    if not signatures:
        raise OrderError(OrderRefusal.NOT_SIGNED, "it bears no signature")
    return [_verified_one(content, part, tenant, find_key) for part in signatures]


def _verified_one(content: bytes, part: Signature, tenant: str, find_key: FindOrderKey) -> OrderKey:
    try:
        signer = _signer_of(part.protected)
    except DecodeError as error:
        raise OrderError(OrderRefusal.MALFORMED, str(error)) from error
    key = find_key(signer.kid)
    if key is None:
        raise OrderError(OrderRefusal.UNKNOWN_SIGNER, f"no key {signer.kid.hex()[:16]}")
    known = None if key.passkey is None else key.passkey.credential_id
    if signer.credential_id != known:
        # A key has one way of signing: the header says another one, or another credential.
        raise OrderError(
            OrderRefusal.UNKNOWN_SIGNER, f"not the way in which this key of {key.owner} signs"
        )
    data = _to_be_signed(part.protected, tenant, content)
    if key.passkey is not None:
        _check_passkey(part.value, signer.algorithm, data, key, key.passkey)
    elif not verifies(key.public, signer.algorithm, data, part.value):
        raise OrderError(OrderRefusal.BAD_SIGNATURE, f"signature of {key.owner} does not verify")
    return key


def _check_passkey(
    value: bytes, algorithm: int, data: bytes, key: OrderKey, passkey: Passkey
) -> None:
    if algorithm != algorithm_of(key.public):
        raise OrderError(OrderRefusal.BAD_SIGNATURE, f"{key.owner} signs with another algorithm")
    try:
        check_assertion(unpack(value), data, key.public, passkey)
    except DecodeError as error:
        raise OrderError(OrderRefusal.MALFORMED, str(error)) from error
    except WebAuthnError as error:
        raise OrderError(
            OrderRefusal.BAD_SIGNATURE, f"signature of {key.owner} does not count: {error}"
        ) from error


def _read(content: bytes) -> tuple[Order, OrderBody]:
    try:
        values = decode(content, "order")
        word = values.get(_TYPE_KEY) if isinstance(values, dict) else None
        if isinstance(word, str) and word not in set(OrderType):
            claimed = repr(word[:_MAX_CLAIMED_TYPE])
            raise OrderError(OrderRefusal.UNKNOWN_TYPE, f"no order is called {claimed}")
        order = from_map(Order, values, "order")
        body = from_map(RULES[order.type].body, values.get(_BODY_KEY), "body")
    except DecodeError as error:
        raise OrderError(OrderRefusal.MALFORMED, str(error)) from error
    return order, body


def _check_signers(type_: OrderType, keys: Sequence[OrderKey]) -> None:
    rule = RULES[type_]
    for key in keys:
        if rule.signatory not in key.signatories:
            raise OrderError(
                OrderRefusal.UNKNOWN_SIGNER,
                f"{key.owner} does not sign as {rule.signatory.value}",
            )
    people = {key.owner for key in keys}
    if len(people) < rule.signatures:
        raise OrderError(
            OrderRefusal.NOT_SIGNED_BY_TWO,
            f"{len(people)} of {rule.signatures} different signers",
        )


def _claims(content: bytes) -> tuple[bytes, str]:
    """What an order says it is, before anything about it is verified: for reports only."""
    try:
        values = decode(content)
    except DecodeError:
        return b"", ""
    if not isinstance(values, dict):
        return b"", ""
    order_id, type_ = values.get(_ID_KEY), values.get(_TYPE_KEY)
    return (
        order_id if isinstance(order_id, bytes) and len(order_id) == 16 else b"",
        type_ if isinstance(type_, str) and type_ in set(OrderType) else "",
    )


def claimed_id(raw: bytes) -> bytes:
    """Id that an order's bytes claim; empty where they cannot be read. Verifies nothing."""
    try:
        return _claims(_parts(raw)[0])[0]
    except DecodeError:
        return b""


def read_content(content: bytes) -> tuple[Order, OrderBody]:
    """Head and body of bytes that are still to be signed; raises OrderError."""
    return _read(content)


def read_order(raw: bytes) -> Order:
    """Head of an order from one's own store, where only verified ones are."""
    return _read(_parts(raw)[0])[0]


def read_body(raw: bytes) -> OrderBody:
    """Body of an order from one's own store, where only verified ones are."""
    return _read(_parts(raw)[0])[1]
