"""A case that another unit takes over: a document with both names, signed by the central's key.

It names the case, who offered it, who accepted it for which unit, and the SHA-256 of the case's
whole history up to then, so that what was handed over can be held against what is stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from central.store.cases import CaseEvent, CaseRow
from central.store.interface import Json
from contract.clock import UnixMicros
from contract.codec import rfc3339
from contract.keys import KeySigner, verifies

SCHEMA = "qianshao-case-transfer/1"
_CONTEXT = b"qianshao case transfer 1\0"


def _canonical(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def history_digest(events: Sequence[CaseEvent]) -> str:
    """Return the SHA-256, in hexadecimal, of a case's history as it is stored."""
    rows = [{name: getattr(event, name) for name in CaseEvent.__slots__} for event in events]
    return hashlib.sha256(_canonical(rows)).hexdigest()


def signed_transfer(
    row: CaseRow, events: Sequence[CaseEvent], *, unit: str, by: str, at: int, signer: KeySigner
) -> Json:
    """Return the document and its signature, as the history keeps it."""
    document = {
        "schema": SCHEMA,
        "case": row.number,
        "kind": row.kind,
        "area": row.area,
        "state": row.state,
        "offered_by": row.transfer_by,
        "unit": unit,
        "accepted_by": by,
        "at": rfc3339(UnixMicros(at)),
        "events": len(events),
        "history_sha256": history_digest(events),
    }
    signature = signer.sign(_CONTEXT + _canonical(document))
    return {"transfer": document, "kid": signer.kid.hex(), "signature": signature.hex()}


def problem_of(signed: Json, events: Sequence[CaseEvent], signer: KeySigner) -> str | None:
    """Return what is wrong with a transfer; None: it verifies and the history is still the same.

    ``events``: the case's history before the transfer's own line.
    """
    document: Json = signed["transfer"]
    if signed["kid"] != signer.kid.hex():
        return "signed with another key than this central's"
    said = _CONTEXT + _canonical(document)
    try:
        signature = bytes.fromhex(signed["signature"])
    except ValueError:
        return "the signature is not readable"
    if not verifies(signer.public, signer.algorithm, said, signature):
        return "the signature does not verify"
    if document["history_sha256"] != history_digest(events[: document["events"]]):
        return "the history is no longer what was handed over"
    return None
