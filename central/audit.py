"""Who did what: a chain in which a removed or a changed row shows, sealed with the central's key.

Each row holds the SHA-256 of the row before it. Whoever can write the store can also make a new
chain; so the central signs the end of the chain now and then (:meth:`AuditLog.seal`), and a chain
without its seals' rows does not verify. A head written down elsewhere (``expect``) also finds a
store that was put back to an earlier day.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.actor import Actor
from central.store import audit as stored
from central.store.audit import AuditRow, Seal
from central.store.sql import SqlStore
from contract.clock import Clock, UnixMicros
from contract.codec import rfc3339
from contract.keys import KeySigner, verifies

FIRST = ""
"""``prev`` of the first row."""
DONE, REFUSED = "done", "refused"
SYSTEM = "central"
"""Actor of what the central does by itself."""
TERMINAL = "terminal"
"""Actor of what is done on the central's own machine."""

_SEAL_CONTEXT = b"qianshao audit seal 1\0"


def row_digest(row: AuditRow) -> str:
    """SHA-256, in hexadecimal, of everything in a row but the digest itself."""
    named = {name: getattr(row, name) for name in AuditRow.__dataclass_fields__ if name != "digest"}
    named["roles"] = list(row.roles)
    text = json.dumps(named, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def record(
    tx: Any,
    at: int,
    actor: Actor | str,
    action: str,
    subject: str = "",
    *,
    outcome: str = DONE,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append one act to the chain, inside the transaction ``tx`` of what it did.

    ``detail`` holds JSON values; no secret, account number or face belongs in it.
    """
    connection = _connection(tx)
    seq, digest = stored.head(connection)
    row = AuditRow(
        seq=seq + 1,
        at=at,
        actor=actor.name if isinstance(actor, Actor) else actor,
        roles=sorted(role.value for role in actor.roles) if isinstance(actor, Actor) else [],
        action=action,
        subject=subject,
        outcome=outcome,
        detail=dict(detail or {}),
        prev=digest,
        digest="",
    )
    made = {name: getattr(row, name) for name in AuditRow.__dataclass_fields__}
    stored.append(connection, AuditRow(**{**made, "digest": row_digest(row)}))


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the chain that is not as it was written."""

    seq: int
    problem: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying found."""

    rows: int
    seals: int
    head: str
    findings: tuple[Finding, ...]

    @property
    def is_intact(self) -> bool:
        """Whether nothing was removed or changed."""
        return not self.findings


class AuditLog:
    """Appends acts that stand alone, seals and verifies the chain."""

    def __init__(self, store: SqlStore, clock: Clock, signer: KeySigner | None = None) -> None:
        self._store = store
        self._clock = clock
        self.signer = self._signer = signer

    def note(
        self,
        actor: Actor | str,
        action: str,
        subject: str = "",
        *,
        outcome: str = DONE,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Append one act that changes nothing else in the store."""
        with self._store.transaction() as tx:
            record(tx, self._clock.wall(), actor, action, subject, outcome=outcome, detail=detail)

    def seal(self) -> bool:
        """Sign the end of the chain; False where that is done or there is no key."""
        if self._signer is None:
            return False
        seq, digest = self._store.audit_head()
        seals = self._store.audit_seals()
        if seq == 0 or (seals and seals[-1].seq >= seq):
            return False
        signature = self._signer.sign(_sealed(seq, digest))
        seal = Seal(seq, digest, self._clock.wall(), self._signer.kid.hex(), signature.hex())
        with self._store.transaction() as tx:
            stored.add_seal(_connection(tx), seal)
        return True

    def verify(self, expect: str | None = None) -> Verdict:
        """Walk the whole chain; ``expect``: a digest that must be in it, written down elsewhere."""
        findings: list[Finding] = []
        digests: dict[int, str] = {}
        prev, seq = FIRST, 0
        for row in self._store.audit_chain():
            if row.seq != seq + 1:
                findings.append(Finding(row.seq, f"rows {seq + 1} to {row.seq - 1} are missing"))
            elif row.prev != prev:
                findings.append(Finding(row.seq, "does not follow from the row before it"))
            if row.digest != row_digest(row):
                findings.append(Finding(row.seq, "was changed after it was written"))
            seq, prev = row.seq, row.digest
            digests[seq] = prev
        if self._store.audit_head() != (seq, prev):
            findings.append(Finding(seq, "is not where the chain ended: rows after it are missing"))
        seals = self._store.audit_seals()
        findings += [
            Finding(seal.seq, problem)
            for seal in seals
            if (problem := self._wrong_with(seal, digests.get(seal.seq)))
        ]
        if expect is not None and expect not in digests.values():
            findings.append(Finding(seq, f"no row has the digest {expect}"))
        return Verdict(len(digests), len(seals), prev, tuple(findings))

    def _wrong_with(self, seal: Seal, digest: str | None) -> str | None:
        if digest != seal.digest:
            return f"is not as it was sealed at {rfc3339(UnixMicros(seal.at))}"
        if self._signer is None:
            return None
        if seal.kid != self._signer.kid.hex():
            return "is sealed with another key than this central's"
        sealed = _sealed(seal.seq, seal.digest)
        signature = bytes.fromhex(seal.signature)
        if not verifies(self._signer.public, self._signer.algorithm, sealed, signature):
            return "has a seal that does not verify"
        return None


def _connection(tx: Any) -> sa.Connection:
    connection: sa.Connection = tx._connection
    return connection


def _sealed(seq: int, digest: str) -> bytes:
    return _SEAL_CONTEXT + f"{seq} {digest}".encode()
