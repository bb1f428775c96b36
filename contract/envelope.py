"""The signed envelope: COSE_Sign1 (RFC 9052 section 4.2) over a deterministic CBOR payload.

Every message carries its identity (device, seq), the hash of the device's message before it, wall
and monotonic time with the boot they belong to, and what the device knows of its clock.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import cbor2

from contract.clock import ClockQuality, MonoMicros, UnixMicros
from contract.codec import (
    MAX_MESSAGE_BYTES,
    DecodeError,
    Key,
    bytes_item,
    decode,
    encode,
    from_map,
    head,
    integer_item,
    text_item,
    to_map,
)
from contract.keys import Algorithm, FindKey, KnownKey, Signer, verifies
from contract.messages import (
    BODY_TYPES,
    ID_BYTES,
    Body,
    Detection,
    OrderResult,
    VisitLinkReport,
    content_id,
    order_result_id,
    type_of,
    visit_link_report_id,
)

VERSION = 1
CONTENT_TYPE = "application/vnd.qianshao+cbor"
HASH_BYTES = 32
MAX_SEQ = 1 << 62
"""Far more than any device will ever send, and a store can count beyond it."""
NO_PREVIOUS = bytes(HASH_BYTES)
"""``prev`` of a device's first message."""

_COSE_SIGN1 = 18
_HEADER_ALG, _HEADER_CONTENT_TYPE, _HEADER_KID = 1, 3, 4
_SIGNATURE1 = head(0x80, 4) + text_item("Signature1")
_TAGGED_FOUR = bytes((0xC0 | _COSE_SIGN1,)) + head(0x80, 4)
_EMPTY_MAP = head(0xA0, 0)


class Refusal(StrEnum):
    """Why an envelope was not taken."""

    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    WRONG_SENDER = "wrong_sender"
    BROKEN_CHAIN = "broken_chain"
    SEQUENCE_REUSED = "sequence_reused"
    CENTRAL_FAULT = "central_fault"
    """The central's own fault, which its log describes; the device keeps the message."""


class EnvelopeError(ValueError):
    """A message that is refused, with the reason as a word and in a sentence."""

    def __init__(self, refusal: Refusal, detail: str, signer: str = "") -> None:
        super().__init__(f"{refusal.value}: {detail}")
        self.refusal = refusal
        self.detail = detail
        self.signer = signer
        """Owner of the key that really signed it, where that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What is signed. ``seq`` 0 stands outside the chain (births, wills, receipts)."""

    version: Annotated[int, Key(0, "version of the payload, 1")]
    message_id: Annotated[bytes, Key(1, "16 bytes; of a detection derived from its content")]
    device: Annotated[str, Key(2, "sender: device id, or central")]
    boot_id: Annotated[bytes, Key(3, "16 bytes that change with each boot")]
    seq: Annotated[int, Key(4, "per device, never reset; 0: outside the chain")]
    wall: Annotated[UnixMicros, Key(5, "sender's wall time")]
    mono: Annotated[MonoMicros, Key(6, "sender's monotonic time, microseconds")]
    is_clock_synced: Annotated[bool, Key(7, "whether the wall clock is disciplined")]
    clock_error_ms: Annotated[int | None, Key(8, "estimated error of the wall clock")] = None
    type: Annotated[str, Key(9, "message type")]
    prev: Annotated[bytes, Key(10, "SHA-256 of the message before, zeros for the first")]

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ValueError(f"version {self.version}, this side speaks {VERSION}")
        if self.type not in BODY_TYPES:
            raise ValueError(f"unknown message type {self.type!r}")
        _check_place(self.message_id, self.boot_id, self.seq, self.prev)


def _check_place(message_id: bytes, boot_id: bytes, seq: int, prev: bytes) -> None:
    if len(message_id) != ID_BYTES or len(boot_id) != ID_BYTES:
        raise ValueError("message_id and boot_id have 16 bytes")
    if len(prev) != HASH_BYTES:
        raise ValueError("prev has 32 bytes")
    if not 0 <= seq < MAX_SEQ:
        raise ValueError(f"seq lies between 0 and {MAX_SEQ}")


_BODY_KEY = 11  # beside the keys of Payload, in the same map


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message whose signature has been verified: payload, body, and the bytes as they came."""

    payload: Payload
    body: Body
    raw: bytes
    kid: bytes
    """The key that signed it."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of the whole message: the next one's ``prev``."""
        return message_digest(self.raw)


def message_digest(raw: bytes) -> bytes:
    """SHA-256 of a message as it is on the wire."""
    return hashlib.sha256(raw).digest()


def _external_aad(tenant: str) -> bytes:
    return b"qianshao/1\0" + tenant.encode("ascii")


@functools.lru_cache(maxsize=4096)  # one for each key that signs
def _signed_before(protected: bytes, tenant: str) -> bytes:
    """What stands before the payload in the structure that is signed."""
    return _SIGNATURE1 + bytes_item(protected) + bytes_item(_external_aad(tenant))


def _to_be_signed(protected: bytes, tenant: str, payload: bytes) -> bytes:
    return _signed_before(protected, tenant) + bytes_item(payload)


def message_id_of(body: Body, device: str, seq: int, mono: int) -> bytes:
    """Id of a message: from the content of a detection, a result or a report of links, else from
    its place.
    """
    if isinstance(body, Detection):
        return content_id("revision", body.detection_id, body.revision)
    if isinstance(body, OrderResult):
        return order_result_id(device, body)
    if isinstance(body, VisitLinkReport):
        return visit_link_report_id(device, body)
    return content_id("message", device, seq, mono if seq == 0 else 0)


@functools.lru_cache(maxsize=64)
def _protected(algorithm: int, kid: bytes) -> bytes:
    return encode({_HEADER_ALG: algorithm, _HEADER_CONTENT_TYPE: CONTENT_TYPE, _HEADER_KID: kid})


@functools.lru_cache(maxsize=64)
def _sender_items(device: str, boot_id: bytes) -> bytes:
    return b"\x02" + text_item(device) + b"\x03" + bytes_item(boot_id)


def seal(
    body: Body,
    *,
    tenant: str,
    device: str,
    boot_id: bytes,
    seq: int,
    wall: UnixMicros,
    mono: MonoMicros,
    quality: ClockQuality,
    prev: bytes,
    signer: Signer,
    packed: dict[int, Any] | None = None,
    message_id: bytes | None = None,
) -> bytes:
    """Sign one message and return its bytes (a tagged COSE_Sign1).

    ``packed`` is the body's map and ``message_id`` the id where the caller has made them already.
    """
    if message_id is None:
        message_id = message_id_of(body, device, seq, mono)
    _check_place(message_id, boot_id, seq, prev)
    error_ms = quality.estimated_error_ms
    # By hand, as Payload and encode() would: a generic encoder takes as long as the signature.
    content = b"".join(
        (
            head(0xA0, 11 if error_ms is None else 12),
            b"\x00" + integer_item(VERSION),
            b"\x01" + bytes_item(message_id),
            _sender_items(device, boot_id),
            b"\x04" + integer_item(seq),
            b"\x05" + integer_item(wall),
            b"\x06" + integer_item(mono),
            b"\x07\xf5" if quality.is_synced else b"\x07\xf4",
            b"" if error_ms is None else b"\x08" + integer_item(error_ms),
            b"\x09" + text_item(type_of(body)),
            b"\x0a" + bytes_item(prev),
            b"\x0b" + encode(to_map(body) if packed is None else packed),
        )
    )
    protected = _protected(int(signer.algorithm), signer.kid)
    signature = signer.sign(_to_be_signed(protected, tenant, content))
    return b"".join(
        (
            _TAGGED_FOUR,
            bytes_item(protected),
            _EMPTY_MAP,
            bytes_item(content),
            bytes_item(signature),
        )
    )


def _bytes_at(raw: bytes, at: int) -> tuple[bytes, int]:
    """Return the byte string there and where it ends; raises ValueError unless in shortest form."""
    first = raw[at]
    if first == 0x58:
        size, at = raw[at + 1], at + 2
        is_shortest = size >= 24
    elif first == 0x59:
        size, at = raw[at + 1] << 8 | raw[at + 2], at + 3
        is_shortest = size >= 1 << 8
    else:
        size, at = first - 0x40, at + 1
        is_shortest = 0 <= size < 24
    end = at + size
    if not is_shortest or end > len(raw):
        raise ValueError(f"no short byte string at {at}")
    return raw[at:end], end


def _quick_parts(raw: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Take the usual form apart; None: look closer, maybe to say what is wrong.

    Only shortest forms pass, so that decoding and encoding again would give the same bytes.
    """
    if raw[:2] != _TAGGED_FOUR or len(raw) > MAX_MESSAGE_BYTES:
        return None
    try:
        protected, at = _bytes_at(raw, 2)
        if raw[at] != _EMPTY_MAP[0]:
            return None
        content, at = _bytes_at(raw, at + 1)
        signature, at = _bytes_at(raw, at)
    except (ValueError, IndexError):
        return None
    return (protected, content, signature) if at == len(raw) else None


def _sign1_parts(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """Return protected header, payload and signature, all as bytes."""
    if (quick := _quick_parts(raw)) is not None:
        return quick
    outer = decode(raw, "envelope")
    if not (isinstance(outer, cbor2.CBORTag) and outer.tag == _COSE_SIGN1):
        raise DecodeError("envelope", "not a tagged COSE_Sign1")
    parts = outer.value
    if not (isinstance(parts, list) and len(parts) == 4 and parts[1] == {}):
        raise DecodeError("envelope", "expected [protected, {}, payload, signature]")
    protected, _, payload, signature = parts
    if not all(isinstance(part, bytes) for part in (protected, payload, signature)):
        raise DecodeError("envelope", "protected, payload and signature are byte strings")
    return protected, payload, signature


@functools.lru_cache(maxsize=4096)  # one for each key that signs: the same bytes in every message
def _header(protected: bytes) -> tuple[int, bytes]:
    """Return (algorithm, kid) of the protected header."""
    header: Any = decode(protected, "protected")
    if not isinstance(header, dict) or set(header) != {
        _HEADER_ALG,
        _HEADER_CONTENT_TYPE,
        _HEADER_KID,
    }:
        raise DecodeError("protected", "expected algorithm, content type and key id")
    algorithm, kid = header[_HEADER_ALG], header[_HEADER_KID]
    if header[_HEADER_CONTENT_TYPE] != CONTENT_TYPE:
        raise DecodeError("protected", "unknown content type")
    if type(algorithm) is not int or algorithm not in set(Algorithm) or not isinstance(kid, bytes):
        raise DecodeError("protected", "unknown algorithm or key id")
    return algorithm, kid


@dataclass(frozen=True, slots=True)
class Signed:
    """A message taken apart, and what its signature has to fit. Its content was not looked at."""

    raw: bytes
    kid: bytes
    known: KnownKey
    algorithm: int
    content: bytes
    signed: bytes
    signature: bytes

    def is_good(self) -> bool:
        """Whether the signature verifies."""
        return verifies(self.known.public, self.algorithm, self.signed, self.signature)


def take_apart(raw: bytes, *, tenant: str, find_key: FindKey) -> Signed:
    """Find out who claims to have signed a message; raises EnvelopeError."""
    try:
        protected, content, signature = _sign1_parts(raw)
        algorithm, kid = _header(protected)
    except DecodeError as error:
        raise EnvelopeError(Refusal.MALFORMED, str(error)) from error
    known = find_key(kid)
    if known is None:
        raise EnvelopeError(Refusal.UNKNOWN_KEY, f"no key {kid.hex()[:16]}")
    signed = _to_be_signed(protected, tenant, content)
    return Signed(raw, kid, known, algorithm, content, signed, signature)


def open_signed(message: Signed, *, is_good: bool) -> Envelope:
    """Open a message whose signature was checked; raises EnvelopeError, whatever the bytes are.

    The payload's ``device`` must be the owner of the key.
    """
    known = message.known
    if not is_good:
        raise EnvelopeError(Refusal.BAD_SIGNATURE, f"signature of {known.owner} does not verify")
    try:
        values = decode(message.content, "payload")
        payload = from_map(Payload, values, "payload")
        body = from_map(BODY_TYPES[payload.type], values.get(_BODY_KEY), "body")
    except DecodeError as error:
        raise EnvelopeError(Refusal.MALFORMED, str(error)) from error
    if payload.device != known.owner:
        raise EnvelopeError(
            Refusal.WRONG_SENDER, f"{known.owner}'s key signed for {payload.device}", known.owner
        )
    return Envelope(payload, body, message.raw, message.kid)


def open_envelope(raw: bytes, *, tenant: str, find_key: FindKey) -> Envelope:
    """Verify one message and return it; raises EnvelopeError, whatever the bytes are.

    The signature is checked before the payload is looked at.
    """
    message = take_apart(raw, tenant=tenant, find_key=find_key)
    return open_signed(message, is_good=message.is_good())
