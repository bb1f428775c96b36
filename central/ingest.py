"""Ingest: deliveries in, one commit for each batch, then the acknowledgement and the receipts.

The order is the promise: commit, PUBACK, events, receipt. A crash between any two of them makes
the broker or the device send again, and what is stored already adds nothing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue

import structlog

from central.admission import Admitted, Refused, admit, faulty
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
        while not self._stop.is_set():
            self.step(IDLE_WAIT_S)
        self._desk.flush()

    def stop(self) -> None:
        """Ask :meth:`run` to end; a batch that is not committed stays with the broker."""
        self._stop.set()

    def step(self, wait_s: float = 0.0) -> int:
        """Do one round and return how many deliveries it settled."""
        due_s = self._desk.next_due_s()
        if due_s is not None and self._intake.is_connected:
            wait_s = min(wait_s, due_s)
        deliveries = self._intake.batch(self._batch_messages, wait_s)
        settled = self._settle(deliveries) if deliveries else 0
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

    def _settle(self, deliveries: Sequence[Delivery]) -> int:
        """Store a batch. A fault of ours in one message must not keep out all others for ever.

        That message is refused: it gets no receipt, so its device keeps it, puts it aside after a
        few tries, says so in its health, and sends it again when it is told to.
        """
        try:
            recorded = self._commit_or_retry(deliveries)
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
        self, deliveries: Sequence[Delivery], *, are_faulty: bool = False
    ) -> Recorded | None:
        """Commit a batch, however long the store is away; None if asked to stop meanwhile."""
        delay_s = self._first_retry_s
        while True:
            try:
                recorded = self._commit(deliveries, are_faulty=are_faulty)
            except StoreUnavailableError as error:
                _log.error("store_unavailable", problem=error.problem, retry_in_s=delay_s)
                self._status = replace(
                    self._status,
                    store_problem=error.problem,
                    store_retries=self._status.store_retries + 1,
                )
                if self._stop.wait(delay_s):
                    return None
                delay_s = min(2 * delay_s, self._longest_retry_s)
            else:
                self._status = replace(self._status, store_problem=None)
                return recorded

    def _commit(self, deliveries: Sequence[Delivery], *, are_faulty: bool) -> Recorded:
        if are_faulty:
            items: list[Admitted | Refused] = [faulty(d, self._tenant) for d in deliveries]
        else:
            items = self._admit_all(
                deliveries
            )  # signatures are checked before the write lock is held
        with self._store.transaction() as tx:
            recorder = Recorder(
                tx, self._clock.wall(), self._area, self._take_alarm, self._take_feed
            )
            recorder.expect(items)
            for item in items:
                recorder.apply(item)
            return recorder.finish()

    def _admit_all(self, deliveries: Sequence[Delivery]) -> list[Admitted | Refused]:
        """Admit a batch. Each key is looked up once for it: a revocation counts from the next."""
        with self._store.finding_keys() as find:
            return [admit(d, tenant=self._tenant, find_key=find) for d in deliveries]
