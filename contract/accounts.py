"""Card and account numbers outside their place: a keyed hash and the last four digits, no more."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated

from contract.codec import Key

MIN_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRef:
    """A card as messages name it: never the number itself."""

    hmac: Annotated[bytes, Key(0, "HMAC-SHA-256 of the full number under the tenant's key")]
    last4: Annotated[str, Key(1, "last four digits, for a person's eye")]


def card_ref(pan: str, tenant_key: bytes) -> CardRef:
    """Return the reference of a card number of 12 to 19 digits (ISO/IEC 7812)."""
    if not (pan.isascii() and pan.isdigit() and 12 <= len(pan) <= 19):
        raise ValueError("a card number has 12 to 19 digits")  # the number itself is never echoed
    if len(tenant_key) < MIN_KEY_BYTES:
        raise ValueError(
            f"the tenant key has {len(tenant_key)} bytes, at least {MIN_KEY_BYTES} are needed"
        )
    digest = hmac.new(tenant_key, b"qianshao/card/1\0" + pan.encode(), hashlib.sha256).digest()
    return CardRef(hmac=digest, last4=pan[-4:])
