"""The outbox: what the device has to say is signed, chained and durable before anyone is told so.

One writer thread takes the next sequence number, chains, signs and inserts in one transaction
(synchronous=FULL), so that no crash can give a number to two messages or fork the chain. Messages
that wait together share a commit. Only the central's signed receipt deletes a row: a broker's
PUBACK says nothing about a data base.
"""

from __future__ import annotations

import collections
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from contract.clock import Clock
from contract.envelope import EnvelopeError, Refusal, open_envelope
from contract.keys import CENTRAL, FindKey, Signer
from contract.messages import Body, Receipt
from contract.topics import Lane
from edge_agent.outbox_errors import (
    BrokenStoreError,
    MessageRefusedError,
    OutboxClosedError,
    OutboxError,
    OutboxFullError,
    ReceiptMismatchError,
    SeqFloorError,
)
from edge_agent.outbox_opening import GROUP, Opening, open_store
from edge_agent.outbox_quota import LANE_SHARE, LaneQuota, Quota
from edge_agent.outbox_stats import LATELY_US, OutboxStats, Trouble, file_bytes
from edge_agent.outbox_store import LaneUsage, OutboxReader, OutboxStore, RefusedRow
from edge_agent.outbox_writer import Enqueued, OutboxWriter, Put, Sender
from edge_agent.safe_log import SafeLog
from edge_agent.seq_floor import SeqFloor
from mqtt_bridge.ports import OutboxRow

__all__ = [
    "LANE_SHARE",
    "BrokenStoreError",
    "Enqueued",
    "LaneQuota",
    "MessageRefusedError",
    "Opening",
    "Outbox",
    "OutboxClosedError",
    "OutboxError",
    "OutboxFullError",
    "OutboxStats",
    "Quota",
    "ReceiptMismatchError",
    "SeqFloorError",
    "Trouble",
]

GROUP_WINDOW_S = 0.010
"""How long a commit waits for company, once messages have begun to come in groups."""

MAX_PENDING = 10_000
"""Messages that may wait for the writer in memory."""

_log = SafeLog("outbox")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Task:
    """Something that the writer's thread does alone."""

    run: Callable[[], int]
    done: Future[int]


class Outbox:
    """A durable, signed, chained queue; all methods may be called from any thread."""

    def __init__(
        self,
        store: OutboxStore,
        writer: OutboxWriter,
        opening: Opening,
        sender: Sender,
        clock: Clock,
        central_keys: FindKey,
    ) -> None:
        """Use :meth:`open`."""
        self.opening = opening
        self._store = store
        self._writer = writer
        self._sender = sender
        self._clock = clock
        self._central_keys = central_keys
        self._reader = OutboxReader(store.path)
        self._reader_lock = threading.Lock()
        self._is_reader_closed = False
        self._changed = threading.Condition()  # guards what follows
        self._jobs: collections.deque[Put | _Task] = collections.deque()
        self._is_closing = False
        self._tell: Callable[[], None] | None = None
        self._usage, self._chain = writer.usage, writer.chain
        self._enqueued = self._known = self._receipts_refused = self._mismatches = 0
        self._refused = dict.fromkeys(Lane, 0)
        self._dropped, self._aside = dict(writer.dropped), writer.aside
        self._troubles: dict[Trouble, int] = {}
        self._thread = threading.Thread(target=self._run, name="outbox-writer", daemon=True)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        tenant: str,
        device: str,
        signer: Signer,
        clock: Clock,
        boot_id: bytes,
        central_keys: FindKey,
        quota: Quota | None = None,
    ) -> Outbox:
        """Open or create the store and start its writer; raises OutboxError.

        The folder must exist. Beside ``path`` lies ``seq.floor``. A broken file is put aside and a
        new chain begins above the floor, its first ``prev`` zeros: the central sees a hole there,
        and ``opening`` says what happened.
        """
        quota = quota or Quota()
        floor = SeqFloor(path.with_name("seq.floor"))
        store, opening = open_store(
            path,
            tenant=tenant,
            device=device,
            floor=floor,
            now=clock.wall(),
            max_file_bytes=quota.max_file_bytes,
        )
        if opening != Opening():
            _log.error(
                "outbox_restored",
                path=str(path),
                quarantined=str(opening.quarantined) if opening.quarantined else None,
                salvaged=opening.salvaged,
                new_chain_after=opening.new_chain_after,
            )
        sender = Sender(tenant=tenant, device=device, boot_id=boot_id, signer=signer)
        try:
            writer = OutboxWriter(store, floor, sender, clock, quota)
            outbox = cls(store, writer, opening, sender, clock, central_keys)
        except sqlite3.Error as error:
            store.close()
            raise OutboxError(path, f"cannot be read: {error}") from error
        outbox._thread.start()
        return outbox

    # -- producers --------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """File of the store."""
        return self._store.path

    def put(self, body: Body, lane: Lane) -> Future[Enqueued]:
        """Hand over one message; the future resolves when it is durable, never before.

        It fails with OutboxFullError, MessageRefusedError, OutboxClosedError, or OutboxError when
        the store cannot write. Never waits for the disk.
        """
        return self.put_many([(body, lane)])[0]

    def put_many(self, messages: Iterable[tuple[Body, Lane]]) -> list[Future[Enqueued]]:
        """Hand over several messages in order; each has its own future, commits are shared.

        All of them bear the moment of the call.
        """
        futures: list[Future[Enqueued]] = []
        clock = self._clock
        wall, mono, quality = clock.wall(), clock.mono(), clock.quality()
        with self._changed:
            for body, lane in messages:
                done: Future[Enqueued] = Future()
                done.set_running_or_notify_cancel()  # what was handed over cannot be taken back
                futures.append(done)
                if self._is_closing:
                    done.set_exception(OutboxClosedError(self._store.path))
                elif len(self._jobs) >= MAX_PENDING:
                    self._note(Trouble.REFUSED)
                    self._refused[lane] += 1
                    waiting = f"{MAX_PENDING} messages wait for the writer"
                    done.set_exception(OutboxFullError(self._store.path, lane, waiting))
                else:
                    self._jobs.append(Put(body, lane, wall, mono, quality, done))
            self._changed.notify_all()
        return futures

    # -- the uplink (OutboxPort) ------------------------------------------------------------

    def unreceipted(self, after_seq: int, limit: int) -> Sequence[OutboxRow]:
        """Oldest rows with seq > after_seq that no receipt covers yet, in order of seq."""
        return self._read(lambda reader: reader.rows(after_seq, limit))

    def lane_rows(
        self, lane: Lane, after_seq: int, up_to_seq: int, limit: int
    ) -> Sequence[OutboxRow]:
        """Oldest waiting rows of a lane with after_seq < seq <= up_to_seq, in order of seq."""
        return self._read(lambda reader: reader.lane_rows(lane, after_seq, up_to_seq, limit))

    def top_seq(self) -> int:
        """Newest waiting row, 0 where none waits; all rows below it can be read."""
        with self._changed:
            return self._usage.top_seq

    def held(self, seqs: Collection[int]) -> set[int]:
        """Those of some sequence numbers that no receipt covers yet."""
        return self._read(lambda reader: reader.held(seqs))

    def tell_of_rows(self, tell: Callable[[], None] | None) -> None:
        """Call ``tell`` whenever newer rows are durable, from the writer's thread; None: nobody.

        It must neither wait nor raise. Rows that were there before are not told of.
        """
        with self._changed:
            self._tell = tell

    def apply_receipt(self, raw: bytes) -> int:
        """Verify a signed receipt, delete what it covers; returns how many rows went.

        Raises EnvelopeError for bytes that are no receipt of the central for this device, and its
        subclass ReceiptMismatchError for one that contradicts the chain; then nothing is deleted.
        A receipt seen before, or older than another, is harmless. OutboxError: the store failed.
        """
        try:
            receipt = self._verified(raw)
        except EnvelopeError:
            with self._changed:
                self._receipts_refused += 1
                self._note(Trouble.STRANGE_RECEIPT)
            raise
        return self._do(lambda: self._writer.apply(receipt, raw))

    def put_aside(self, seq: int, why: str) -> bool:
        """Send a message no more that is refused again and again; it stays in the store.

        A signed gap goes into the chain in its place. False if it goes on waiting. Raises
        OutboxError if the store fails.
        """
        _log.error("outbox_put_aside", seq=seq, why=why)
        return bool(self._do(lambda: self._writer.put_aside(seq, why)))

    def release(self, seq: int) -> int:
        """Let a message that was put aside go again, under a new number, which is returned.

        Raises OutboxError where nothing of that number was put aside, or the store fails.
        """
        return self._do(lambda: self._writer.release(seq))

    def waiting(self) -> dict[Lane, LaneUsage]:
        """What waits of each lane."""
        with self._changed:
            return dict(self._usage.lanes)

    @property
    def depth(self) -> int:
        """Messages without a receipt."""
        with self._changed:
            return self._usage.rows

    def put_aside_rows(self) -> Sequence[RefusedRow]:
        """What was put aside."""
        return self._read(OutboxReader.refused_rows)

    def _do(self, run: Callable[[], int]) -> int:
        task = _Task(run, Future())
        with self._changed:
            if self._is_closing:
                raise OutboxClosedError(self._store.path)
            self._jobs.append(task)
            self._changed.notify_all()
        return task.done.result()

    def _note(self, trouble: Trouble) -> None:
        """Remember when something went wrong; the lock is held."""
        self._troubles[trouble] = self._clock.mono()

    def _verified(self, raw: bytes) -> Receipt:
        envelope = open_envelope(raw, tenant=self._sender.tenant, find_key=self._central_keys)
        if envelope.payload.device != CENTRAL:
            raise EnvelopeError(Refusal.WRONG_SENDER, "only the central receipts")
        if not isinstance(envelope.body, Receipt):
            raise EnvelopeError(Refusal.MALFORMED, f"{envelope.payload.type} is no receipt")
        if envelope.body.device != self._sender.device:
            raise EnvelopeError(Refusal.WRONG_SENDER, f"a receipt for {envelope.body.device}")
        return envelope.body

    # -- what is known about it -------------------------------------------------------------

    def last_receipt(self) -> bytes | None:
        """Bytes of the newest receipt that deleted or confirmed something: proof of custody."""
        return self._read(OutboxReader.last_receipt)

    def stats(self) -> OutboxStats:
        """Return gauges and counters; cheap enough for every health report."""
        oldest = self._read(OutboxReader.oldest_put_at)
        age_s = None if oldest is None else max(0.0, (self._clock.wall() - oldest) / 1e6)
        with self._changed:
            return OutboxStats(
                depth=self._usage.rows,
                size_bytes=self._usage.size_bytes,
                file_bytes=file_bytes(self._store.path),
                oldest_age_s=age_s,
                last_seq=self._chain.last_seq,
                receipted=self._chain.receipted,
                enqueued=self._enqueued,
                known=self._known,
                refused=dict(self._refused),
                dropped=dict(self._dropped),
                aside=self._aside,
                lately=frozenset(
                    trouble
                    for trouble, at in self._troubles.items()
                    if self._clock.mono() - at < LATELY_US
                ),
                receipts_refused=self._receipts_refused,
                mismatches=self._mismatches,
                quarantined=self.opening.quarantined,
            )

    def close(self) -> None:
        """Write what was handed over, then stop; a second call does nothing."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()
        with self._reader_lock:
            if not self._is_reader_closed:
                self._is_reader_closed = True
                self._reader.close()
                self._store.close()

    def __enter__(self) -> Outbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, ask: Callable[[OutboxReader], T]) -> T:
        with self._reader_lock:
            if self._is_reader_closed:
                raise OutboxClosedError(self._store.path)
            try:
                return ask(self._reader)
            except sqlite3.Error as error:
                raise OutboxError(self._store.path, f"cannot be read: {error}") from error

    # -- the writer thread ------------------------------------------------------------------

    def _run(self) -> None:
        is_busy = False
        while jobs := self._next_jobs(is_busy=is_busy):
            is_busy = len(jobs) > 1
            try:
                self._work(jobs)
            except Exception as error:  # noqa: BLE001 - no caller may wait for ever
                self._settle_rest(jobs, error)

    def _work(self, jobs: Sequence[Put | _Task]) -> None:
        puts = [job for job in jobs if isinstance(job, Put)]
        if puts:
            self._settle(puts, self._outcomes(puts))
        for job in jobs:
            if isinstance(job, _Task):
                self._settle_task(job)
        self._writer.prune_if_due()
        self._show_writer()

    def _settle_rest(self, jobs: Sequence[Put | _Task], error: Exception) -> None:
        """Tell everybody who still waits; the thread lives on."""
        for job in jobs:
            if not job.done.done():
                failure = OutboxError(self._store.path, f"failed: {type(error).__name__}: {error}")
                failure.__cause__ = error
                job.done.set_exception(failure)
        _log.exception("outbox_thread_failed")

    def _next_jobs(self, *, is_busy: bool) -> list[Put | _Task]:
        """Wait for work: messages that share a commit, or one task; empty: closed and done.

        A lone message is committed at once; while they come in groups, waiting a little for the
        group costs less than a disk flush for each.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._is_closing)
            if is_busy:
                self._changed.wait_for(
                    lambda: len(self._jobs) >= GROUP or self._is_closing, GROUP_WINDOW_S
                )
            jobs: list[Put | _Task] = []
            while self._jobs and len(jobs) < GROUP:
                if isinstance(self._jobs[0], _Task) and jobs:
                    break
                job = self._jobs.popleft()
                jobs.append(job)
                if isinstance(job, _Task):
                    break
            return jobs

    def _outcomes(self, puts: Sequence[Put]) -> list[Enqueued | OutboxError]:
        try:
            return self._writer.commit(puts)
        except Exception as error:  # noqa: BLE001 - a signer fails in its own ways; each caller is told
            failure = OutboxError(self._store.path, f"cannot sign: {error}")
            failure.__cause__ = error
            return [failure for _ in puts]

    def _settle(self, puts: Sequence[Put], outcomes: Sequence[Enqueued | OutboxError]) -> None:
        self._show_writer()
        with self._changed:
            for put, outcome in zip(puts, outcomes, strict=True):
                if isinstance(outcome, OutboxError):
                    self._refused[put.lane] += 1
                    self._note(Trouble.REFUSED)
                elif outcome.is_known:
                    self._known += 1
                else:
                    self._enqueued += 1
        for put, outcome in zip(puts, outcomes, strict=True):
            if isinstance(outcome, OutboxError):
                put.done.set_exception(outcome)
            else:
                put.done.set_result(outcome)

    def _show_writer(self) -> None:
        """Let the other threads see what the writer has committed."""
        writer = self._writer
        with self._changed:
            if writer.dropped != self._dropped:
                self._note(Trouble.DROPPED)
            self._dropped, self._aside = dict(writer.dropped), writer.aside
            is_newer = writer.usage.top_seq > self._usage.top_seq
            self._usage, self._chain = writer.usage, writer.chain
            tell = self._tell
        if is_newer and tell is not None:
            tell()

    def _settle_task(self, task: _Task) -> None:
        try:
            result = task.run()
        except Exception as error:  # noqa: BLE001 - the caller gets it; this thread lives on
            if isinstance(error, ReceiptMismatchError):
                _log.error("outbox_receipt_mismatch", detail=error.detail)
                with self._changed:
                    self._mismatches += 1
                    self._note(Trouble.MISMATCH)
            task.done.set_exception(error)
            return
        self._show_writer()
        task.done.set_result(result)
