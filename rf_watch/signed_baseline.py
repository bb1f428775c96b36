"""A baseline under the central's signature, as it goes out to the agents of a region.

COSE_Sign1 around the baseline's canonical JSON: an agent takes it from nobody but its central, and
never an older one after a newer.
"""

from __future__ import annotations

from typing import Final

from contract.codec import DecodeError
from contract.keys import CENTRAL, FindKey, Signer
from contract.sign1 import (
    BadSignatureError,
    DocumentKind,
    UnknownKeyError,
    open_document,
    sign_document,
)
from rf_watch.baseline import Baseline, BaselineError, parse_baseline

KIND: Final = DocumentKind("cell-baseline")
_TAG = 0xD2
"""First octet of every tagged COSE_Sign1; no JSON begins with it."""


def is_signed(raw: bytes) -> bool:
    """Whether a file claims to be a signed baseline."""
    return raw[:1] == bytes((_TAG,))


def seal_baseline(baseline: Baseline, *, tenant: str, signer: Signer) -> bytes:
    """Return the file that is handed to agents."""
    return sign_document(baseline.to_json().encode(), KIND, tenant, signer)


def open_baseline(raw: bytes, *, tenant: str, find_key: FindKey) -> Baseline:
    """Check the central's signature and read the baseline; raises BaselineError."""
    try:
        content, known = open_document(raw, KIND, tenant, find_key)
        text = content.decode()
    except (DecodeError, UnknownKeyError, BadSignatureError, ValueError) as error:
        raise BaselineError(f"signature: {error}") from None
    if known.owner != CENTRAL:
        raise BaselineError(f"signature: of {known.owner}, not of the central")
    return parse_baseline(text)
