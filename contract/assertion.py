"""The face assertion: an ATM's signed word that face, card and PIN entry were good for one request.

COSE_Sign1 over deterministic CBOR, bound to STAN, amount, terminal, card, the caller's nonce and a
short time, and good once. There is none for a refusal: a host that asks for an assertion and gets
none declines. A host checks it off line with :func:`open_assertion` and a list of what was spent.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from contract.clock import UnixMicros
from contract.codec import DecodeError, Key, decode, encode, from_map, to_map
from contract.keys import FindKey, Signer
from contract.sign1 import (
    BadSignatureError,
    DocumentKind,
    UnknownKeyError,
    open_document,
    sign_document,
)
from contract.words import Pad

VERSION = 1
_KIND = DocumentKind("assertion")
MAX_ASSERTION_CHARS = 999
"""What an LLLVAR field of ISO 8583 holds."""
MIN_NONCE_BYTES = 16
MAX_NONCE_BYTES = 32
MAX_LIFE_US = 300_000_000
MAX_SKEW_US = 2_000_000


class AssertionRefusal(StrEnum):
    """Why an assertion is not taken."""

    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    WRONG_DEVICE = "wrong_device"
    WRONG_TERMINAL = "wrong_terminal"
    WRONG_STAN = "wrong_stan"
    WRONG_AMOUNT = "wrong_amount"
    WRONG_CARD = "wrong_card"
    WRONG_NONCE = "wrong_nonce"
    WRONG_BUSINESS = "wrong_business"
    """Cash for a transfer, a transfer for cash, or to somebody else."""
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    WEAK_LIVENESS = "weak_liveness"
    SIMULATED = "simulated"
    SPENT = "spent"


class AssertionRefusedError(ValueError):
    """An assertion that must not be acted on."""

    def __init__(self, refusal: AssertionRefusal, detail: str) -> None:
        super().__init__(f"{refusal.value}: {detail}")
        self.refusal = refusal
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceAssertion:
    """What is signed."""

    version: Annotated[int, Key(0, "1")]
    assertion_id: Annotated[bytes, Key(1, "16 random bytes; good once")]
    device: Annotated[str, Key(2, "the ATM's device id")]
    terminal: Annotated[str, Key(3, "DE41")]
    stan: Annotated[str, Key(4, "DE11")]
    amount_fen: Annotated[int, Key(5, "DE4, minor units")]
    currency: Annotated[str, Key(6, "ISO 4217, letters")]
    card: Annotated[bytes, Key(7, "HMAC of the card number under the tenant's key")]
    nonce: Annotated[bytes, Key(8, "the caller's, 16 to 32 bytes")]
    pad: Annotated[Pad, Key(9, "presentation-attack detection that was done and passed")]
    policy_version: Annotated[str, Key(10, "table and settings that decided")]
    issued_at: Annotated[UnixMicros, Key(11, "microseconds since 1970")]
    expires_at: Annotated[UnixMicros, Key(12, "from then on it is worth nothing")]
    is_simulated: Annotated[bool, Key(13, "a simulated camera or template was used")]
    transfer_to: Annotated[
        bytes | None, Key(14, "a transfer: HMAC of the payee's account; absent: cash")
    ] = None
    not_before: Annotated[
        UnixMicros | None, Key(15, "a transfer to others is carried out then, if not revoked")
    ] = None

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ValueError(f"version {self.version}, this side speaks {VERSION}")
        if len(self.assertion_id) != 16 or len(self.card) != 32:
            raise ValueError("assertion_id has 16 bytes and card 32")
        if not MIN_NONCE_BYTES <= len(self.nonce) <= MAX_NONCE_BYTES:
            raise ValueError(f"a nonce has {MIN_NONCE_BYTES} to {MAX_NONCE_BYTES} bytes")
        if not 0 < self.expires_at - self.issued_at <= MAX_LIFE_US:
            raise ValueError("it expires before it begins, or too late")
        if self.amount_fen <= 0:
            raise ValueError("an amount is positive")
        if self.transfer_to is not None and len(self.transfer_to) != 32:
            raise ValueError("transfer_to has 32 bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the host knows from its own request; every field must be the same."""

    device: str
    terminal: str
    stan: str
    amount_fen: int
    currency: str
    card: bytes
    nonce: bytes
    transfer_to: bytes | None = None
    """HMAC of the payee's account where the request is a transfer."""


Spend = Callable[[bytes, int], bool]
"""Mark an id as spent until its expiry, durably; False if it was spent before."""


def seal_assertion(assertion: FaceAssertion, tenant: str, signer: Signer) -> str:
    """Sign an assertion; base64url text for a field of ISO 8583 or a JSON document."""
    raw = sign_document(encode(to_map(assertion)), _KIND, tenant, signer)
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def read_assertion(text: str, *, tenant: str, find_key: FindKey) -> FaceAssertion:
    """Check form and signature only; raises AssertionRefusedError, whatever the text is."""
    try:
        content, known = open_document(_bytes(text), _KIND, tenant, find_key)
        assertion = from_map(FaceAssertion, decode(content, "assertion"), "assertion")
    except UnknownKeyError as error:
        raise _refused(AssertionRefusal.UNKNOWN_KEY, str(error)) from None
    except BadSignatureError as error:
        raise _refused(AssertionRefusal.BAD_SIGNATURE, str(error)) from None
    except ValueError as error:
        raise _refused(AssertionRefusal.MALFORMED, str(error)) from None
    if assertion.device != known.owner:
        raise _refused(AssertionRefusal.WRONG_DEVICE, f"the key is {known.owner}'s")
    return assertion


def open_assertion(
    text: str,
    expected: Expected,
    *,
    tenant: str,
    find_key: FindKey,
    now: UnixMicros,
    spend: Spend,
    pad_floor: Pad = Pad.CHALLENGE,
    accepts_simulated: bool = False,
) -> FaceAssertion:
    """Check everything and spend it; raises AssertionRefusedError.

    It is spent last: an assertion that is refused for any other reason can still be presented with
    the right request.
    """
    assertion = read_assertion(text, tenant=tenant, find_key=find_key)
    for name, refusal in _BOUND.items():
        if not _same(getattr(assertion, name), getattr(expected, name)):
            raise _refused(refusal, f"{name} is another")
    if now < assertion.issued_at - MAX_SKEW_US:
        raise _refused(AssertionRefusal.NOT_YET_VALID, "it was made in the future")
    if now >= assertion.expires_at:
        raise _refused(AssertionRefusal.EXPIRED, "its time is over")
    if assertion.pad.rank < pad_floor.rank:
        raise _refused(AssertionRefusal.WEAK_LIVENESS, f"{assertion.pad} is below {pad_floor}")
    if assertion.is_simulated and not accepts_simulated:
        raise _refused(AssertionRefusal.SIMULATED, "made by a simulated camera")
    if not spend(assertion.assertion_id, int(assertion.expires_at)):
        raise _refused(AssertionRefusal.SPENT, "it was used before")
    return assertion


_BOUND = {
    "device": AssertionRefusal.WRONG_DEVICE,
    "terminal": AssertionRefusal.WRONG_TERMINAL,
    "stan": AssertionRefusal.WRONG_STAN,
    "amount_fen": AssertionRefusal.WRONG_AMOUNT,
    "currency": AssertionRefusal.WRONG_AMOUNT,
    "card": AssertionRefusal.WRONG_CARD,
    "nonce": AssertionRefusal.WRONG_NONCE,
    "transfer_to": AssertionRefusal.WRONG_BUSINESS,
}


def _same(signed: object, expected: object) -> bool:
    if isinstance(signed, bytes) and isinstance(expected, bytes):
        return hmac.compare_digest(signed, expected)
    return signed == expected


def _bytes(text: str) -> bytes:
    if len(text) > MAX_ASSERTION_CHARS:
        raise DecodeError("assertion", f"longer than {MAX_ASSERTION_CHARS} characters")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise DecodeError("assertion", "no base64url") from None
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != text:
        raise DecodeError("assertion", "not in its one form")
    return raw


def _refused(refusal: AssertionRefusal, detail: str) -> AssertionRefusedError:
    return AssertionRefusedError(refusal, detail)
