"""One signature around one document: COSE_Sign1 (RFC 9052 section 4.2), strict and deterministic.

For documents that are no message of the bus: face assertions, list manifests. The kind of document
is in the content type and in the external data, so that none can be passed off as another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cbor2

from contract.codec import DecodeError, decode, encode
from contract.keys import Algorithm, FindKey, KnownKey, Signer, verifies

_COSE_SIGN1 = 18
_HEADER_ALG, _HEADER_CONTENT_TYPE, _HEADER_KID = 1, 3, 4


class UnknownKeyError(ValueError):
    """Nobody known signed it."""


class BadSignatureError(ValueError):
    """The signature is not the key's."""


@dataclass(frozen=True, slots=True)
class DocumentKind:
    """What a document is: ``assertion`` or ``list``."""

    name: str

    @property
    def content_type(self) -> str:
        """Media type in the protected header."""
        return f"application/vnd.qianshao.{self.name}+cbor"

    def aad(self, tenant: str) -> bytes:
        """External data: the kind, a version, and the tenant."""
        return f"qianshao/{self.name}/1".encode("ascii") + b"\0" + tenant.encode("ascii")


def sign_document(content: bytes, kind: DocumentKind, tenant: str, signer: Signer) -> bytes:
    """Return the tagged COSE_Sign1 around encoded content."""
    protected = encode(
        {
            _HEADER_ALG: int(signer.algorithm),
            _HEADER_CONTENT_TYPE: kind.content_type,
            _HEADER_KID: signer.kid,
        }
    )
    signature = signer.sign(_signed(protected, kind.aad(tenant), content))
    return encode(cbor2.CBORTag(_COSE_SIGN1, [protected, {}, content, signature]))


def open_document(
    raw: bytes, kind: DocumentKind, tenant: str, find_key: FindKey
) -> tuple[bytes, KnownKey]:
    """Check form and signature; returns the content and whose key it was.

    Raises DecodeError, UnknownKeyError or BadSignatureError, whatever the bytes are.
    """
    protected, content, signature = _parts(raw, kind.name)
    algorithm, kid = _header(decode(protected, "protected"), kind)
    known = find_key(kid)
    if known is None:
        raise UnknownKeyError(f"no key {kid.hex()[:16]}")
    if not verifies(
        known.public, algorithm, _signed(protected, kind.aad(tenant), content), signature
    ):
        raise BadSignatureError(f"signature of {known.owner} is wrong")
    return content, known


def _signed(protected: bytes, aad: bytes, content: bytes) -> bytes:
    return cbor2.dumps(["Signature1", protected, aad, content])


def _parts(raw: bytes, place: str) -> tuple[bytes, bytes, bytes]:
    outer = decode(raw, place)
    if not (isinstance(outer, cbor2.CBORTag) and outer.tag == _COSE_SIGN1):
        raise DecodeError(place, "not a tagged COSE_Sign1")
    parts = outer.value
    if not (isinstance(parts, list) and len(parts) == 4 and parts[1] == {}):
        raise DecodeError(place, "expected [protected, {}, payload, signature]")
    protected, _, content, signature = parts
    if not all(isinstance(part, bytes) for part in (protected, content, signature)):
        raise DecodeError(place, "protected, payload and signature are byte strings")
    return protected, content, signature


def _header(header: Any, kind: DocumentKind) -> tuple[int, bytes]:
    names = {_HEADER_ALG, _HEADER_CONTENT_TYPE, _HEADER_KID}
    if not isinstance(header, dict) or set(header) != names:
        raise DecodeError("protected", "expected algorithm, content type and key id")
    algorithm, kid = header[_HEADER_ALG], header[_HEADER_KID]
    if header[_HEADER_CONTENT_TYPE] != kind.content_type:
        raise DecodeError("protected", "another content type")
    if type(algorithm) is not int or algorithm not in set(Algorithm) or not isinstance(kid, bytes):
        raise DecodeError("protected", "unknown algorithm or key id")
    return algorithm, kid
