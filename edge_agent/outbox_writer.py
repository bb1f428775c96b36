"""The transactions of the outbox: number, chain, sign and insert; check a receipt and release.

No thread here: :class:`edge_agent.outbox.Outbox` calls from its one writer thread.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import cbor2

from contract.clock import Clock, ClockQuality, MonoMicros, UnixMicros
from contract.codec import MAX_MESSAGE_BYTES, check_time, from_map, to_map
from contract.envelope import Refusal, message_digest, message_id_of, seal
from contract.keys import Signer
from contract.messages import (
    BODY_TYPES,
    MAX_SPANS,
    Body,
    Detection,
    Gap,
    Health,
    OrderResult,
    Receipt,
    SeqRange,
    VisitLinkReport,
)
from contract.topics import Lane
from contract.words import GapReason
from edge_agent.outbox_errors import (
    MessageRefusedError,
    OutboxError,
    OutboxFullError,
    ReceiptMismatchError,
)
from edge_agent.outbox_quota import MAKES_ROOM, Quota, lack_of_disk, lack_of_room, thin
from edge_agent.outbox_store import (
    Chain,
    DropRow,
    LaneUsage,
    OutboxStore,
    StoredRow,
    Tally,
    Usage,
    error_code,
)
from edge_agent.safe_log import SafeLog
from edge_agent.seq_floor import SeqFloor

_PRUNE_EVERY_US = 3600 * 1_000_000
_THINNED_AT_ONCE = 1000
"""Rows of a lane that are looked at to make room: half of them are one gap of telemetry."""
_ASIDE_LIMIT = 10_000
"""Refused messages that are put aside; beyond that they go on waiting."""
_TYPE_KEY, _BODY_KEY = 9, 11  # of contract.envelope.Payload and its body
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_BAD_BODY = (ValueError, TypeError, AttributeError, ArithmeticError, cbor2.CBORError)
"""What packing says of a body that is no message."""

_log = SafeLog("outbox")


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
    usage: Tally
    free_bytes: int
    rows: list[StoredRow] = field(default_factory=list)
    known: dict[bytes, int] = field(default_factory=dict)
    """Content-derived ids of this transaction's messages that are enqueued, and their numbers."""
    new_ids: list[tuple[bytes, int, UnixMicros]] = field(default_factory=list)
    sealed_seq: int = 0
    """Number of the message that was signed last."""
    dropped: dict[Lane, int] = field(default_factory=dict)


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
        self._ages_due = clock.mono()
        self.dropped = dict.fromkeys(Lane, 0)
        """Messages given up since the store was opened; each is in a gap."""
        self.aside = store.aside()
        self.usage: Usage = store.usage()
        self.chain: Chain = store.chain()
        self._data_version = store.data_version()

    # -- messages ---------------------------------------------------------------------------

    def commit(self, puts: Sequence[Put]) -> list[Enqueued | OutboxError]:
        """Write messages in one transaction; returns for each what became of it."""
        try:
            return self._commit(puts)
        except (sqlite3.Error, OSError) as error:
            _log.warning("outbox_write_failed", messages=len(puts), error=str(error))
            return [self._write_failure(put.lane, error) for put in puts]

    def _commit(self, puts: Sequence[Put]) -> list[Enqueued | OutboxError]:
        ids = [self._content_id(put.body) for put in puts]
        with self._batch() as batch:
            batch.known = self._store.known_seqs({i for i in ids if isinstance(i, bytes)})
            return [self._add(put, i, batch) for put, i in zip(puts, ids, strict=True)]

    @contextmanager
    def _batch(self) -> Iterator[_Batch]:
        """Gather messages and what they push out, and commit it all together or nothing."""
        free_bytes = shutil.disk_usage(self._store.path.parent).free
        with self._store.transaction():
            before = self._store.chain()
            if (version := self._store.data_version()) != self._data_version:
                # Somebody at the command line put a message aside or let one go.
                self._data_version = version
                self.usage, self.aside = self._store.usage(), self._store.aside()
            free_bytes += self._store.spare_bytes()
            batch = _Batch(before.last_seq, before.head, Tally(self.usage), free_bytes)
            yield batch
            if batch.last_seq != before.last_seq:
                self._floor.reserve(batch.last_seq)
                self._flush(batch)
                self._store.set_head(batch.last_seq, batch.head)
        self.usage = batch.usage.usage()
        self.chain = Chain(batch.last_seq, batch.head, before.receipted, before.receipted_head)
        for lane, count in batch.dropped.items():
            self.dropped[lane] += count
            _log.warning("outbox_dropped", lane=lane.value, messages=count)

    def _flush(self, batch: _Batch) -> None:
        self._store.insert(batch.rows)
        self._store.remember(batch.new_ids)
        batch.rows.clear()
        batch.new_ids.clear()

    def _add(
        self, put: Put, message_id: bytes | Exception | None, batch: _Batch
    ) -> Enqueued | OutboxError:
        if isinstance(message_id, Exception):
            return self._refused(put, message_id)
        if message_id is not None and (known := batch.known.get(message_id)) is not None:
            return Enqueued(known, is_known=True)
        try:
            packed = to_map(put.body)  # what no reader would take gets no number
            cose = self._seal(put, packed, message_id, batch)
        except _BAD_BODY as error:
            return self._refused(put, error)
        if lack := self._make_room(put, len(cose), batch):
            return OutboxFullError(self._store.path, put.lane, lack)
        if batch.last_seq + 1 != batch.sealed_seq:  # a gap took the number meanwhile
            cose = self._seal(put, packed, message_id, batch)
        if message_id is not None:
            batch.known[message_id] = batch.sealed_seq
            batch.new_ids.append((message_id, batch.sealed_seq, put.wall))
        self._append(put, cose, batch)
        return Enqueued(batch.last_seq, is_known=False)

    def _refused(self, put: Put, error: Exception) -> MessageRefusedError:
        refused = MessageRefusedError(self._store.path, f"{type(put.body).__name__}: {error}")
        refused.__cause__ = error
        return refused

    @staticmethod
    def _append(put: Put, cose: bytes, batch: _Batch) -> None:
        digest, seq = message_digest(cose), batch.sealed_seq
        batch.rows.append(StoredRow(seq, put.lane, digest, put.wall, cose))
        batch.last_seq, batch.head = seq, digest
        batch.usage.add(put.lane, 1, len(cose))
        batch.usage.top_seq = seq

    # -- room -----------------------------------------------------------------------------------

    def _make_room(self, put: Put, size_bytes: int, batch: _Batch) -> str:
        """Give up what is worth less, if that helps; returns what is lacking still."""
        is_low = put.lane in {Lane.TELEMETRY, Lane.HEALTH}
        if is_low and (lack := lack_of_disk(self._quota, batch.free_bytes, put.lane)):
            return lack  # no thinning for their sake: the disk is not theirs
        while lack := self._lack(put.lane, size_bytes, batch):
            if not any(self._thin(lane, put, batch) for lane in MAKES_ROOM[put.lane]):
                return lack
        return ""

    def _lack(self, lane: Lane, size_bytes: int, batch: _Batch) -> str:
        return lack_of_room(self._quota, batch.usage, lane, size_bytes) or lack_of_disk(
            self._quota, batch.free_bytes, lane
        )

    def _thin(self, lane: Lane, put: Put, batch: _Batch) -> bool:
        """Give up some of a lane's stored rows and say so in the chain; False: there are none."""
        self._flush(batch)  # messages of this very batch may be the ones to go
        rows = thin(self._store.oldest(lane, _THINNED_AT_ONCE), lane)
        if not rows:
            return False
        self._drop(rows, lane, GapReason.CAPACITY, put, batch)
        return True

    def _drop(
        self, rows: Sequence[DropRow], lane: Lane, reason: GapReason, moment: Put, batch: _Batch
    ) -> None:
        self._store.drop(rows)
        self._note_gap(rows, lane, reason, moment, batch)
        batch.dropped[lane] = batch.dropped.get(lane, 0) + len(rows)
        batch.free_bytes += sum(row.size_bytes for row in rows)

    def _note_gap(
        self, rows: Sequence[DropRow], lane: Lane, reason: GapReason, moment: Put, batch: _Batch
    ) -> None:
        """Take rows out of the count and append the signed word of it, whatever the quota says."""
        size_bytes = sum(row.size_bytes for row in rows)
        gap = Gap(
            lane=lane,
            reason=reason,
            spans=spans_of([row.seq for row in rows]),
            size_bytes=size_bytes,
            digest=hashlib.sha256(b"".join(row.digest for row in rows)).digest(),
            first_put=UnixMicros(min(row.put_at for row in rows)),
            last_put=UnixMicros(max(row.put_at for row in rows)),
        )
        batch.usage.add(lane, -len(rows), -size_bytes)
        put = replace(moment, body=gap, lane=Lane.EVIDENCE)
        self._append(put, self._seal(put, to_map(gap), None, batch), batch)

    def _moment(self) -> Put:
        """Now, for a message of the outbox itself."""
        clock = self._clock
        nothing: Future[Enqueued] = Future()
        body = Health(uptime_s=0, version="", parts=())  # replaced by the gap
        return Put(body, Lane.EVIDENCE, clock.wall(), clock.mono(), clock.quality(), nothing)

    def drop_old(self) -> None:
        """Drop what is older than its lane is kept, each thousand with its gap."""
        for lane, quota in self._quota.lanes.items():
            if quota.max_age_s is None:
                continue
            before = UnixMicros(self._clock.wall() - round(quota.max_age_s * 1e6))
            while rows := self._store.oldest(lane, MAX_SPANS, before):
                with self._batch() as batch:
                    self._drop(rows, lane, GapReason.AGE, self._moment(), batch)

    def put_aside(self, seq: int, why: str) -> bool:
        """Stop sending a message that is refused again and again; False if it goes on waiting.

        A gap is never put aside: another gap would have to say so, and be refused as well.
        """
        row = self._store.row(seq)
        if row is None or self.aside >= _ASIDE_LIMIT or is_gap(row.cose):
            return False
        try:
            with self._batch() as batch:
                self._store.put_aside(row, self._clock.wall(), why)
                gone = DropRow(row.seq, row.digest, row.put_at, len(row.cose))
                self._note_gap([gone], row.lane, GapReason.REFUSED, self._moment(), batch)
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(self._store.path, f"cannot put aside {seq}: {error}") from error
        self.aside += 1
        return True

    def release(self, seq: int) -> int:
        """Let a message that was put aside go again, signed anew; returns its new number.

        Its old number is in a gap, and receipts go past it: under that number a receipt would
        delete it undelivered. A claim keeps the id that comes from its content, so it counts once.
        Raises OutboxError, also where nothing of that number was put aside.
        """
        path = self._store.path
        row = self._store.refused_row(seq)
        if row is None:
            raise OutboxError(path, f"no message {seq} was put aside")
        body = body_of(row.cose)
        put = replace(self._moment(), body=body, lane=row.lane)
        try:
            with self._batch() as batch:
                message_id = self._content_id(body)
                if isinstance(message_id, Exception):
                    raise OutboxError(path, f"message {seq} cannot be read: {message_id}")
                self._store.forget_refused(seq, message_id)
                outcome = self._add(put, message_id, batch)
                if isinstance(outcome, OutboxError):
                    raise outcome
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(path, f"cannot let {seq} go: {error}") from error
        self.aside -= 1
        return outcome.seq

    def _content_id(self, body: Body) -> bytes | Exception | None:
        """Id of a message that another run would derive again; None for all others.

        Or what is wrong with a body that has none.
        """
        if not isinstance(body, Detection | OrderResult | VisitLinkReport):
            return None
        try:
            return message_id_of(body, self._sender.device, 0, 0)
        except _BAD_BODY as error:
            return error

    def _seal(
        self, put: Put, packed: dict[int, Any], message_id: bytes | None, batch: _Batch
    ) -> bytes:
        """Sign a message with the next number."""
        check_time(put.wall, put.mono)
        seq = batch.sealed_seq = batch.last_seq + 1
        cose = seal(
            put.body,
            tenant=self._sender.tenant,
            device=self._sender.device,
            boot_id=self._sender.boot_id,
            seq=seq,
            wall=put.wall,
            mono=put.mono,
            quality=put.quality,
            prev=batch.head,
            signer=self._sender.signer,
            packed=packed,
            message_id=message_id,
        )
        if len(cose) > MAX_MESSAGE_BYTES:
            raise ValueError(f"{len(cose)} bytes, at most {MAX_MESSAGE_BYTES} are taken")
        return cose

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
        gone: list[dict[Lane, LaneUsage]] = []
        with self._store.transaction():
            chain = self._store.chain()
            if problem := contradiction(receipt, chain, self._store.digest_of(receipt.up_to)):
                raise ReceiptMismatchError(Refusal.BROKEN_CHAIN, problem)
            is_newer = receipt.up_to > chain.receipted
            if is_newer:
                gone.append(self._store.release_prefix(receipt.up_to, receipt.head))
            gone += [self._store.release_range(held) for held in receipt.ranges]
            rows = sum(used.rows for lanes in gone for used in lanes.values())
            if is_newer or rows:
                self._store.keep_receipt(receipt.up_to, self._clock.wall(), raw)
            chain, top_seq = self._store.chain(), self._store.top_seq()
        self.chain = chain
        for lanes in gone:
            self.usage = self.usage.without(lanes, top_seq)
        return rows

    # -- housekeeping -----------------------------------------------------------------------

    def prune_if_due(self) -> None:
        """Once an hour, forget what is too old to matter; drop what is too old to be sent."""
        self._drop_old_if_due()
        if self._clock.mono() < self._prune_due:
            return
        self._prune_due = MonoMicros(self._clock.mono() + _PRUNE_EVERY_US)
        now = self._clock.wall() if self._clock.quality().is_synced else None
        try:
            with self._store.transaction():
                self._store.prune(now)
        except sqlite3.Error as error:
            _log.warning("outbox_prune_failed", error=str(error))

    def _drop_old_if_due(self) -> None:
        """An age needs a wall clock that is right."""
        if self._clock.mono() < self._ages_due or not self._clock.quality().is_synced:
            return
        self._ages_due = MonoMicros(self._clock.mono() + round(self._quota.housekeeper_s * 1e6))
        try:
            self.drop_old()
        except (sqlite3.Error, OSError) as error:
            _log.warning("outbox_housekeeper_failed", error=str(error))


def spans_of(seqs: Sequence[int]) -> tuple[SeqRange, ...]:
    """Return numbers in order as ranges."""
    spans: list[SeqRange] = []
    for seq in seqs:
        if spans and seq == spans[-1].last + 1:
            spans[-1] = SeqRange(first=spans[-1].first, last=seq)
        else:
            spans.append(SeqRange(first=seq, last=seq))
    return tuple(spans)


def is_gap(cose: bytes) -> bool:
    """Whether a message of this outbox is a gap."""
    return type_in(cose) == "gap"


def type_in(cose: bytes) -> str:
    """Type of a message of this outbox, which needs no check: it was signed here."""
    return str(_content_of(cose).get(_TYPE_KEY))


def body_of(cose: bytes) -> Body:
    """Body of a message of this outbox."""
    content = _content_of(cose)
    return from_map(BODY_TYPES[content[_TYPE_KEY]], content[_BODY_KEY])


def _content_of(cose: bytes) -> dict[int, Any]:
    return dict(cbor2.loads(cbor2.loads(cose).value[2]))


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
