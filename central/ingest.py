"""Ingest: deliveries in, one commit for each batch, then the acknowledgement and the receipts.

The order is the promise: commit, PUBACK, events, receipt. A crash between any two of them makes
the broker or the device send again, and what is stored already adds nothing.

While a batch is stored, the signatures of the next one are being checked.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue

import structlog

from central.admission import (
    Admitted,
    Refused,
    Unchecked,
    admit,
    conclude,
    faulty,
    prepare,
)
from central.checking import CheckHere, Results, SignatureCheck
from central.receipts import ReceiptDesk
from central.record import Recorded, Recorder, TakeAlarm, TakeFeed
from central.store.interface import Event, Store, StoreUnavailableError
from contract import Clock
from contract.clock import machine_boot_id
from contract.keys import Signer
from mqtt_bridge.brokers.violations import Violation
from mqtt_bridge.ports import Delivery, IntakePort

_log = structlog.get_logger(__name__)

IDLE_WAIT_S = 0.5
"""Longest wait for a delivery while no receipt is owed."""

_TOGETHER = 100
"""Signatures that are handed over at once: the next are prepared while these are checked."""

_FEW = 20
"""So few are checked here: a message that comes alone waits for nobody to wake up."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """A batch whose signatures are being checked, in parts."""

    deliveries: Sequence[Delivery]
    parts: Sequence[tuple[Sequence[Unchecked | Refused], Results]] | None
    """None: something failed on the way, and has to be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestStatus:
    """What ingest knows of itself, for the health of the central."""

    stored: int = 0
    duplicates: int = 0
    refused: int = 0
    receipts: int = 0
    store_retries: int = 0
    store_problem: str | None = None
    """Why the present batch cannot be committed; None while all is well."""
    is_connected: bool = False


class Ingest:
    """Takes what devices say into the store. One thread runs it; ``status`` may be read by any."""

    def __init__(
        self,
        store: Store,
        intake: IntakePort,
        *,
        tenant: str,
        signer: Signer,
        clock: Clock,
        on_events: Callable[[Sequence[Event]], None],
        on_heard: Callable[[dict[str, tuple[bytes, int, bool]]], None] = lambda heard: None,
        batch_messages: int = 1000,
        receipt_interval_ms: int = 1000,
        first_retry_s: float = 0.1,
        longest_retry_s: float = 5.0,
        area: str = "",
        take_alarm: TakeAlarm | None = None,
        take_feed: TakeFeed | None = None,
        signatures: SignatureCheck | None = None,
    ) -> None:
        self._store = store
        self._intake = intake
        self._tenant = tenant
        self._clock = clock
        self._on_events = on_events
        self._on_heard = on_heard
        self._batch_messages = batch_messages
        self._area = area
        self._take_alarm = take_alarm
        self._take_feed = take_feed
        self._first_retry_s = first_retry_s
        self._longest_retry_s = longest_retry_s
        self._violations: SimpleQueue[Sequence[Violation]] = SimpleQueue()
        self._noted: Counter[Violation] = Counter()
        self._stop = threading.Event()
        self._here = CheckHere()
        self._signatures = signatures or self._here
        self._next: _Begun | None = None
        self._status = IngestStatus()
        self._desk = ReceiptDesk(
            store,
            intake,
            tenant=tenant,
            signer=signer,
            clock=clock,
            boot_id=machine_boot_id(),
            interval_ms=receipt_interval_ms,
        )

    @property
    def status(self) -> IngestStatus:
        """Counters since the start, and what is wrong now."""
        return replace(
            self._status, receipts=self._desk.published, is_connected=self._intake.is_connected
        )

    def run(self) -> None:
        """Work until :meth:`stop`; owed receipts are tried once more at the end."""
        try:
            while not self._stop.is_set():
                self.step(IDLE_WAIT_S)
            self._desk.flush()
        finally:
            self._signatures.close()

    def stop(self) -> None:
        """Ask :meth:`run` to end; a batch that is not committed stays with the broker."""
        self._stop.set()

    def step(self, wait_s: float = 0.0) -> int:
        """Do one round and return how many deliveries it settled."""
        due_s = self._desk.next_due_s()
        if due_s is not None and self._intake.is_connected:
            wait_s = min(wait_s, due_s)
        batch = self._next or self._begin(self._intake.batch(self._batch_messages, wait_s))
        self._next, settled = None, 0
        if batch is not None:
            items = _items(batch)
            self._next = self._begin(self._intake.batch(self._batch_messages, 0.0))
            settled = self._settle(batch.deliveries, items)
        self._settle_violations()
        self._desk.flush()
        return settled

    def note_violations(self, violations: Sequence[Violation]) -> None:
        """Take what the broker refused, from any thread; :meth:`step` stores it."""
        if violations:
            self._violations.put(violations)

    def _settle_violations(self) -> None:
        """Store them in one commit; while the store is away they wait, gathered."""
        while not self._violations.empty():
            self._noted.update(self._violations.get_nowait())
        if not self._noted:
            return
        try:
            with self._store.transaction() as tx:
                recorder = Recorder(tx, self._clock.wall(), self._area)
                recorder.note_violations(self._noted)
                recorded = recorder.finish()
        except StoreUnavailableError as error:
            _log.warning("store_unavailable", problem=error.problem)
            return
        self._noted.clear()
        self._on_events(recorded.events)

    def _begin(self, deliveries: Sequence[Delivery]) -> _Begun | None:
        """Begin with a batch. A revocation counts from the one that begins after it.

        Each key is looked up once for a batch.
        """
        if not deliveries:
            return None
        by = self._here if len(deliveries) < _FEW else self._signatures
        parts = []
        try:
            with self._store.finding_keys() as find:
                for at in range(0, len(deliveries), _TOGETHER):
                    part = [
                        prepare(delivery, tenant=self._tenant, find_key=find)
                        for delivery in deliveries[at : at + _TOGETHER]
                    ]
                    unchecked = [i.message for i in part if isinstance(i, Unchecked)]
                    parts.append((part, by.begin(unchecked)))
        except Exception:  # noqa: BLE001 - who settles the batch tries again, and finds out where
            return _Begun(deliveries, None)
        return _Begun(deliveries, parts)

    def _settle(
        self, deliveries: Sequence[Delivery], items: Sequence[Admitted | Refused] | None = None
    ) -> int:
        """Store a batch. A fault of ours in one message must not keep out all others for ever.

        That message is refused: it gets no receipt, so its device keeps it, puts it aside after a
        few tries, says so in its health, and sends it again when it is told to.
        """
        try:
            recorded = self._commit_or_retry(deliveries, items)
        except Exception:  # noqa: BLE001 - whatever it is: the others go on
            _log.exception("ingest_fault", messages=len(deliveries), topic=deliveries[0].topic)
            if len(deliveries) > 1:
                return sum(self._settle([delivery]) for delivery in deliveries)
            recorded = self._commit_or_retry(deliveries, are_faulty=True)
        if recorded is None:
            return 0
        for delivery in deliveries:
            delivery.ack()
        self._status = replace(
            self._status,
            stored=self._status.stored + recorded.stored,
            duplicates=self._status.duplicates + recorded.duplicates,
            refused=self._status.refused + recorded.refused,
        )
        if recorded.heard:
            self._on_heard(recorded.heard)
        self._desk.owe(recorded.owed)
        if recorded.events:
            self._on_events(recorded.events)
        return len(deliveries)

    def _commit_or_retry(
        self,
        deliveries: Sequence[Delivery],
        items: Sequence[Admitted | Refused] | None = None,
        *,
        are_faulty: bool = False,
    ) -> Recorded | None:
        """Commit a batch, however long the store is away; None if asked to stop meanwhile."""
        delay_s = self._first_retry_s
        while True:
            try:
                recorded = self._commit(deliveries, items, are_faulty=are_faulty)
            except StoreUnavailableError as error:
                _log.error("store_unavailable", problem=error.problem, retry_in_s=delay_s)
                self._status = replace(
                    self._status,
                    store_problem=error.problem,
                    store_retries=self._status.store_retries + 1,
                )
                items = None  # a key may be revoked meanwhile: what was checked is checked again
                if self._next is not None:
                    self._next = _Begun(self._next.deliveries, None)
                if self._stop.wait(delay_s):
                    return None
                delay_s = min(2 * delay_s, self._longest_retry_s)
            else:
                self._status = replace(self._status, store_problem=None)
                return recorded

    def _commit(
        self,
        deliveries: Sequence[Delivery],
        items: Sequence[Admitted | Refused] | None,
        *,
        are_faulty: bool,
    ) -> Recorded:
        if are_faulty:
            items = [faulty(delivery, self._tenant) for delivery in deliveries]
        elif items is None:
            items = self._admit_all(deliveries)
        # Signatures were checked before the write lock is held.
        with self._store.transaction() as tx:
            recorder = Recorder(
                tx, self._clock.wall(), self._area, self._take_alarm, self._take_feed
            )
            recorder.expect(items)
            for item in items:
                recorder.apply(item)
            return recorder.finish()

    def _admit_all(self, deliveries: Sequence[Delivery]) -> list[Admitted | Refused]:
        """Admit a batch at once; each key is looked up once for it."""
        with self._store.finding_keys() as find:
            return [admit(d, tenant=self._tenant, find_key=find) for d in deliveries]


def _items(batch: _Begun) -> list[Admitted | Refused] | None:
    """Wait for the signatures of a batch and open its messages; None: it has to be tried again."""
    items: list[Admitted | Refused] = []
    try:
        for part, results in batch.parts or ():
            are_good = iter(results())
            items += [
                conclude(item, is_good=next(are_good)) if isinstance(item, Unchecked) else item
                for item in part
            ]
    except Exception:  # noqa: BLE001 - who settles the batch tries again, and finds out where
        return None
    return None if batch.parts is None else items
