"""An officer's signature made by an authenticator: a WebAuthn assertion over orders.

WebAuthn level 2 section 7.2, as far as a machine can check it that was not there: the authenticator
signed, on a page of the central, after it had seen and verified its user, exactly these orders.
The challenge is no random number: it is the hash of what is signed, and an order is taken once.

One press signs all orders that stand on one page (those on all cards of a person). So the challenge
is over the digests of all of them, and each order carries the digests of the others.

The authenticator's counter of signatures is not looked at: machines that see some orders and not
others cannot know it, and passkeys that are synchronised do not count.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from contract.codec import DecodeError, decode, encode
from contract.keys import Algorithm, PublicKey, verifies

MAX_TOGETHER = 60
"""Orders that one assertion signs."""
MAX_CLIENT_DATA = 1024
MAX_CREDENTIAL_ID = 512
MAX_ORIGINS = 8

_DOMAIN = b"qianshao/webauthn/1\0"
_DIGEST_BYTES = 32
_MAX_DER = 72  # two integers of 33 bytes and their heads
_AUTHENTICATOR_DATA = 37  # hash of the domain, flags, counter
_USER_PRESENT, _USER_VERIFIED = 0x01, 0x04
_CAN_BACK_UP, _IS_BACKED_UP = 0x08, 0x10
_HAS_CREDENTIAL, _HAS_EXTENSIONS = 0x40, 0x80
_DOMAIN_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
)
_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+)(:[1-9][0-9]{0,4})?")


class WebAuthnError(ValueError):
    """An assertion, or a new credential, that is not what this page asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """Which credential signs, and on whose pages."""

    credential_id: bytes
    rp_id: str
    """Domain that the credential is bound to."""
    origins: tuple[str, ...]
    """Pages on which it may have been used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """What an authenticator gave, and the digests of all that it signed at once."""

    authenticator_data: bytes
    client_data: bytes
    """JSON, the bytes as the browser made them."""
    signature: bytes
    """As WebAuthn has it: DER for ES256, 64 bytes for Ed25519."""
    digests: tuple[bytes, ...]


def digest_of(signing_input: bytes) -> bytes:
    """SHA-256 of what a key file would have signed."""
    return hashlib.sha256(signing_input).digest()


def challenge_of(digests: Iterable[bytes]) -> bytes:
    """Return the challenge under which orders are signed together, 32 bytes.

    Digests have one length, so that no two lists give the same bytes.
    """
    return hashlib.sha256(_DOMAIN + b"".join(sorted(digests))).digest()


def pack(assertion: Assertion) -> bytes:
    """Encode an assertion as the signature of one order."""
    parts = [assertion.authenticator_data, assertion.client_data, assertion.signature]
    return encode([*parts, sorted(assertion.digests)])


def unpack(value: bytes) -> Assertion:
    """Read what :func:`pack` wrote; raises DecodeError."""
    parts: Any = decode(value, "assertion")
    if not (isinstance(parts, list) and len(parts) == 4 and isinstance(parts[3], list)):
        raise DecodeError("assertion", "expected three byte strings and an array of digests")
    authenticator_data, client_data, signature, digests = parts
    if not all(isinstance(part, bytes) for part in (*parts[:3], *digests)):
        raise DecodeError("assertion", "expected byte strings")
    if not 1 <= len(digests) <= MAX_TOGETHER:
        raise DecodeError("assertion", f"signs 1 to {MAX_TOGETHER} orders at once")
    if any(len(digest) != _DIGEST_BYTES for digest in digests) or not _grows(digests):
        raise DecodeError("assertion", "digests have 32 bytes each, sorted, none twice")
    return Assertion(
        authenticator_data=authenticator_data,
        client_data=client_data,
        signature=signature,
        digests=tuple(digests),
    )


def _grows(digests: Sequence[bytes]) -> bool:
    return all(one < other for one, other in itertools.pairwise(digests))


def check_assertion(
    assertion: Assertion, signing_input: bytes, public: PublicKey, passkey: Passkey
) -> None:
    """Check that a credential signed an order, as its user, on a page of the central.

    ``signing_input``: what a key file would sign of the order. Raises WebAuthnError.
    """
    if digest_of(signing_input) not in assertion.digests:
        raise WebAuthnError("the order is not among those that were signed")
    challenge = challenge_of(assertion.digests)
    check_client_data(assertion.client_data, "webauthn.get", challenge, passkey.origins)
    if len(assertion.authenticator_data) != _AUTHENTICATOR_DATA:
        raise WebAuthnError(f"authenticator data have {_AUTHENTICATOR_DATA} bytes here")
    flags = check_authenticator(assertion.authenticator_data, passkey.rp_id)
    if flags & (_HAS_CREDENTIAL | _HAS_EXTENSIONS):
        raise WebAuthnError("authenticator data announce what is not there")
    data = assertion.authenticator_data + hashlib.sha256(assertion.client_data).digest()
    if not _verifies(public, data, assertion.signature):
        raise WebAuthnError("the authenticator's signature does not verify")


def _verifies(public: PublicKey, data: bytes, signature: bytes) -> bool:
    if isinstance(public, ed25519.Ed25519PublicKey):
        return verifies(public, Algorithm.EDDSA, data, signature)
    if len(signature) > _MAX_DER:
        return False
    try:
        r, s = decode_dss_signature(signature)  # refuses what is not DER to the last byte
        raw = r.to_bytes(_DIGEST_BYTES, "big") + s.to_bytes(_DIGEST_BYTES, "big")
    except (ValueError, OverflowError):
        return False
    return verifies(public, Algorithm.ES256, data, raw)


def check_client_data(raw: bytes, type_: str, challenge: bytes, origins: Sequence[str]) -> None:
    """Check what the browser says of a use: its kind, challenge and page; raises WebAuthnError."""
    said = _read_json(raw)
    wanted = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode("ascii")
    if said.get("type") != type_:
        raise WebAuthnError(f"its type is not {type_}")
    if said.get("challenge") != wanted:
        raise WebAuthnError("its challenge is another one")
    origin = said.get("origin")
    if not isinstance(origin, str) or origin not in origins:
        raise WebAuthnError(f"used on another page: {str(origin)[:60]!r}")
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise WebAuthnError("used inside another site's page")


def _read_json(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_CLIENT_DATA:
        raise WebAuthnError(f"client data have at most {MAX_CLIENT_DATA} bytes")
    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise WebAuthnError("client data are no JSON with each name once") from None
    if not isinstance(found, dict):
        raise WebAuthnError("client data are no object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def check_authenticator(data: bytes, rp_id: str) -> int:
    """Check domain, presence and verification of the user; returns the flags.

    Raises WebAuthnError.
    """
    if len(data) < _AUTHENTICATOR_DATA:
        raise WebAuthnError("authenticator data are cut")
    if data[:_DIGEST_BYTES] != hashlib.sha256(rp_id.encode("ascii")).digest():
        raise WebAuthnError("bound to another domain")
    flags = data[_DIGEST_BYTES]
    if not flags & _USER_PRESENT:
        raise WebAuthnError("nobody was present")
    if not flags & _USER_VERIFIED:
        raise WebAuthnError("the user was not verified")
    if flags & _IS_BACKED_UP and not flags & _CAN_BACK_UP:
        raise WebAuthnError("the flags contradict each other")
    return flags


def check_place(rp_id: str, origins: Sequence[str]) -> None:
    """Raise ValueError unless the origins are safe pages of the domain.

    Browsers offer WebAuthn over HTTPS, and over HTTP on this machine's own ``localhost`` alone.
    """
    if not _DOMAIN_NAME.fullmatch(rp_id):
        raise ValueError(f"{rp_id[:60]!r} is no domain in small letters")
    if not 1 <= len(origins) <= MAX_ORIGINS or len(set(origins)) != len(origins):
        raise ValueError(f"1 to {MAX_ORIGINS} different origins")
    for origin in origins:
        found = _ORIGIN.fullmatch(origin)
        if found is None:
            raise ValueError(f"{origin[:60]!r} is no origin such as https://central.example")
        scheme, host = found[1], found[2]
        if host != rp_id and not host.endswith(f".{rp_id}"):
            raise ValueError(f"{origin[:60]} is no page of {rp_id}")
        if scheme != "https" and host != "localhost":
            raise ValueError(f"{origin[:60]}: over HTTP no browser offers it")
