"""The transactions of the outbox: number, chain, sign and insert; check a receipt and release.

No thread here: :class:`edge_agent.outbox.Outbox` calls from its one writer thread.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import cbor2
import structlog

from contract.clock import Clock, ClockQuality, MonoMicros, UnixMicros
from contract.codec import MAX_MESSAGE_BYTES, from_map, to_map
from contract.envelope import Refusal, message_digest, message_id_of, seal
from contract.keys import Signer
from contract.messages import Body, Detection, OrderResult, Receipt
from contract.topics import Lane
from edge_agent.outbox_errors import (
    MessageRefusedError,
    OutboxError,
    OutboxFullError,
    ReceiptMismatchError,
)
from edge_agent.outbox_store import Chain, OutboxStore, StoredRow, Usage, error_code
from edge_agent.seq_floor import SeqFloor

LANE_SHARE = {Lane.EVIDENCE: 1.0, Lane.DECISIONS: 0.9, Lane.TELEMETRY: 0.7, Lane.HEALTH: 0.5}
"""Part of the quota above which a lane is refused, so that evidence finds room last."""

_PRUNE_EVERY_US = 3600 * 1_000_000
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}

_log = structlog.get_logger("outbox")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How much may wait. No row is ever dropped for a newer one: a full outbox refuses."""

    max_rows: int = 1_000_000
    max_bytes: int = 512 * 1024 * 1024
    """Sum of the signed messages."""
    max_file_bytes: int | None = None
    """Limit of the SQLite file itself; None: the disk is the limit."""
    min_free_bytes: int = 16 * 1024 * 1024
    """Free space that a message leaves on the disk, so that receipts can still be applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who signs, and under what name."""

    tenant: str
    device: str
    boot_id: bytes
    signer: Signer


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A message is durable. ``is_known``: it was before, under this seq, and nothing was added."""

    seq: int
    is_known: bool


@dataclass(frozen=True, slots=True)
class Put:
    """One message on its way to the store, with the moment at which it was handed over."""

    body: Body
    lane: Lane
    wall: UnixMicros
    mono: MonoMicros
    quality: ClockQuality
    done: Future[Enqueued]


@dataclass(slots=True)
class _Batch:
    """What one transaction has gathered so far."""

    last_seq: int
    head: bytes
    usage: Usage
    free_bytes: int
    rows: list[StoredRow] = field(default_factory=list)


class OutboxWriter:
    """Writes one store. ``usage`` and ``chain`` are replaced, never changed, after a commit."""

    def __init__(
        self, store: OutboxStore, floor: SeqFloor, sender: Sender, clock: Clock, quota: Quota
    ) -> None:
        self._store = store
        self._floor = floor
        self._sender = sender
        self._clock = clock
        self._quota = quota
        self._prune_due = clock.mono()
        self.usage: Usage = store.usage()
        self.chain: Chain = store.chain()

    # -- messages ---------------------------------------------------------------------------

    def commit(self, puts: Sequence[Put]) -> list[Enqueued | OutboxError]:
        """Write messages in one transaction; returns for each what became of it."""
        try:
            return self._commit(puts)
        except (sqlite3.Error, OSError) as error:
            _log.warning("outbox_write_failed", messages=len(puts), error=str(error))
            return [self._write_failure(put.lane, error) for put in puts]

    def _commit(self, puts: Sequence[Put]) -> list[Enqueued | OutboxError]:
        free_bytes = shutil.disk_usage(self._store.path.parent).free
        with self._store.transaction():
            before = self._store.chain()
            batch = _Batch(before.last_seq, before.head, self.usage, free_bytes)
            outcomes = [self._add(put, batch) for put in puts]
            if batch.rows:
                self._floor.reserve(batch.last_seq)
                self._store.insert(batch.rows)
                self._store.set_head(batch.last_seq, batch.head)
        self.usage = batch.usage
        self.chain = Chain(batch.last_seq, batch.head, before.receipted, before.receipted_head)
        return outcomes

    def _add(self, put: Put, batch: _Batch) -> Enqueued | OutboxError:
        seq = batch.last_seq + 1
        try:
            message_id = self._content_id(put.body)
            if message_id and (known := self._store.known_seq(message_id)) is not None:
                return Enqueued(known, is_known=True)
            cose = self._seal(put, seq, batch.head)
        except (ValueError, TypeError, AttributeError, ArithmeticError, cbor2.CBORError) as error:
            refused = MessageRefusedError(self._store.path, f"{type(put.body).__name__}: {error}")
            refused.__cause__ = error
            return refused
        if lack := self._lack(put.lane, len(cose), batch):
            return OutboxFullError(self._store.path, put.lane, lack)
        if message_id:
            self._store.remember(message_id, seq, put.wall)
        digest = message_digest(cose)
        batch.rows.append(StoredRow(seq, put.lane, digest, put.wall, cose))
        batch.last_seq, batch.head = seq, digest
        batch.usage = Usage(batch.usage.rows + 1, batch.usage.size_bytes + len(cose), seq)
        return Enqueued(seq, is_known=False)

    def _content_id(self, body: Body) -> bytes | None:
        """Id of a message that another run would derive again; None for all others."""
        if not isinstance(body, Detection | OrderResult):
            return None
        return message_id_of(body, self._sender.device, 0, 0)

    def _seal(self, put: Put, seq: int, prev: bytes) -> bytes:
        """Sign a message that the other side will be able to read.

        A message that no reader takes would be a hole in the chain for ever, so a body is read
        back before it gets a number.
        """
        from_map(type(put.body), to_map(put.body))
        cose = seal(
            put.body,
            tenant=self._sender.tenant,
            device=self._sender.device,
            boot_id=self._sender.boot_id,
            seq=seq,
            wall=put.wall,
            mono=put.mono,
            quality=put.quality,
            prev=prev,
            signer=self._sender.signer,
        )
        if len(cose) > MAX_MESSAGE_BYTES:
            raise ValueError(f"{len(cose)} bytes, at most {MAX_MESSAGE_BYTES} are taken")
        return cose

    def _lack(self, lane: Lane, size_bytes: int, batch: _Batch) -> str:
        """What there is too little of for one more message; empty: it may come in."""
        share, quota, usage = LANE_SHARE[lane], self._quota, batch.usage
        if usage.rows + 1 > share * quota.max_rows:
            return f"{usage.rows} messages wait, its limit is {share * quota.max_rows:.0f}"
        if usage.size_bytes + size_bytes > share * quota.max_bytes:
            return f"{usage.size_bytes} bytes wait, its limit is {share * quota.max_bytes:.0f}"
        if batch.free_bytes < quota.min_free_bytes:
            return f"{batch.free_bytes} bytes are free on the disk"
        return ""

    def _write_failure(self, lane: Lane, error: sqlite3.Error | OSError) -> OutboxError:
        if isinstance(error, OSError):
            is_full = error.errno in _NO_SPACE
        else:
            is_full = error_code(error) == sqlite3.SQLITE_FULL
        failure = (
            OutboxFullError(self._store.path, lane, "the disk or the file is full")
            if is_full
            else OutboxError(self._store.path, f"cannot be written: {error}")
        )
        failure.__cause__ = error
        return failure

    # -- receipts ---------------------------------------------------------------------------

    def apply(self, receipt: Receipt, raw: bytes) -> int:
        """Delete what a verified receipt covers; returns how many rows went.

        Raises ReceiptMismatchError if it contradicts the chain, OutboxError if the store fails.
        """
        try:
            return self._apply(receipt, raw)
        except sqlite3.Error as error:
            raise OutboxError(self._store.path, f"cannot take a receipt: {error}") from error

    def _apply(self, receipt: Receipt, raw: bytes) -> int:
        rows = size_bytes = 0
        with self._store.transaction():
            chain = self._store.chain()
            if problem := contradiction(receipt, chain, self._store.digest_of(receipt.up_to)):
                raise ReceiptMismatchError(Refusal.BROKEN_CHAIN, problem)
            is_newer = receipt.up_to > chain.receipted
            if is_newer:
                rows, size_bytes = self._store.release_prefix(receipt.up_to, receipt.head)
            for held in receipt.ranges:
                more_rows, more_bytes = self._store.release_range(held)
                rows, size_bytes = rows + more_rows, size_bytes + more_bytes
            if is_newer or rows:
                self._store.keep_receipt(receipt.up_to, self._clock.wall(), raw)
            chain, top_seq = self._store.chain(), self._store.top_seq()
        self.chain = chain
        self.usage = Usage(self.usage.rows - rows, self.usage.size_bytes - size_bytes, top_seq)
        return rows

    # -- housekeeping -----------------------------------------------------------------------

    def prune_if_due(self) -> None:
        """Once an hour, forget what is too old to matter."""
        if self._clock.mono() < self._prune_due:
            return
        self._prune_due = MonoMicros(self._clock.mono() + _PRUNE_EVERY_US)
        now = self._clock.wall() if self._clock.quality().is_synced else None
        try:
            with self._store.transaction():
                self._store.prune(now)
        except sqlite3.Error as error:
            _log.warning("outbox_prune_failed", error=str(error))


def contradiction(receipt: Receipt, chain: Chain, digest: bytes | None) -> str:
    """Say in what a receipt contradicts the chain; empty if it does not.

    ``digest`` is our hash of message ``up_to``. None: it is older than the last receipt, or went
    with a store that was lost; then the central's signature alone has to do.
    """
    if not 0 <= receipt.up_to <= chain.last_seq:
        return f"it covers {receipt.up_to}, the last message is {chain.last_seq}"
    for held in receipt.ranges:
        if not 1 <= held.first <= held.last <= chain.last_seq:
            return f"it covers {held.first}-{held.last}, the last message is {chain.last_seq}"
    if receipt.up_to == 0:
        return "" if receipt.head == b"" else "it has a head without a message"
    if digest is not None and digest != receipt.head:
        return f"its hash of message {receipt.up_to} is not ours"
    return ""
