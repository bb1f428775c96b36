"""Signed receipts: the central's word that a device may delete what it sent."""

from __future__ import annotations

import bisect
from collections.abc import Collection

import structlog

from central.store.interface import Run, Store, StoreUnavailableError
from contract import Clock, Receipt, SeqRange, seal
from contract.envelope import NO_PREVIOUS
from contract.keys import CENTRAL, Signer
from contract.topics import receipts as receipt_topic
from mqtt_bridge.ports import IntakePort

MAX_RANGES = 2000
"""Islands that one receipt names: 26 KB at most, well below the limit of a message, and as many
as a device has messages on their way."""

_RETRY_US = 500_000
"""Rest after a receipt that could not be made or published."""

_log = structlog.get_logger(__name__)


def pick_ranges(islands: tuple[Run, ...], came: Collection[int]) -> tuple[SeqRange, ...]:
    """Return the islands that a receipt names, in order: those that just came, then the newest."""
    numbers = sorted(came)
    fresh: list[Run] = []
    others: list[Run] = []
    for run in reversed(islands):
        at = bisect.bisect_left(numbers, run.first)
        is_fresh = at < len(numbers) and numbers[at] <= run.last
        (fresh if is_fresh else others).append(run)
    chosen = sorted((fresh + others)[:MAX_RANGES], key=lambda run: run.first)
    return tuple(SeqRange(first=run.first, last=run.last) for run in chosen)


class ReceiptDesk:
    """Owes receipts to devices and publishes them, each device at most once an interval.

    Nothing here needs to survive a crash: a device sends again what no receipt covers, and a
    duplicate is owed a receipt like a first delivery.
    """

    def __init__(
        self,
        store: Store,
        intake: IntakePort,
        *,
        tenant: str,
        signer: Signer,
        clock: Clock,
        boot_id: bytes,
        interval_ms: int,
    ) -> None:
        self._store = store
        self._intake = intake
        self._tenant = tenant
        self._signer = signer
        self._clock = clock
        self._boot_id = boot_id
        self._interval_us = interval_ms * 1000
        self._owed: dict[str, set[int]] = {}
        self._sent_at: dict[str, int] = {}
        self._not_before: int | None = None
        self.published = 0

    def owe(self, owed: dict[str, set[int]]) -> None:
        """Note what came; the receipt is published by :meth:`flush`."""
        for device, seqs in owed.items():
            self._owed.setdefault(device, set()).update(seqs)

    def next_due_s(self) -> float | None:
        """Seconds until a receipt may go out, 0 if one may go now; None if none is owed."""
        if not self._owed:
            return None
        now = self._clock.mono()
        due = min(self._sent_at.get(d, now - self._interval_us) for d in self._owed)
        due = max(due + self._interval_us, self._not_before or 0)
        return max(0.0, (due - now) / 1e6)

    def flush(self) -> int:
        """Publish every receipt that is due and return how many; the others stay owed."""
        if not self._owed or not self._intake.is_connected:
            return 0
        now = self._clock.mono()
        if self._not_before is not None and now < self._not_before:
            return 0
        self._not_before = None
        sent: dict[str, int] = {}
        try:
            for receipt in self._receipts(now):
                if not self._publish(receipt):
                    self._not_before = now + _RETRY_US
                    break
                sent[receipt.device] = receipt.up_to
                self._sent_at[receipt.device] = now
                del self._owed[receipt.device]
            if sent:
                self._store.note_receipts(self._clock.wall(), sent)
        except StoreUnavailableError as error:
            self._not_before = now + _RETRY_US
            _log.warning("receipts_delayed", problem=error.problem, owed=len(self._owed))
        self.published += len(sent)
        return len(sent)

    def _receipts(self, now: int) -> list[Receipt]:
        """Make the receipts that are due."""
        due = {
            device: came
            for device, came in self._owed.items()
            if now - self._sent_at.get(device, now - self._interval_us) >= self._interval_us
        }
        return [
            Receipt(
                device=device,
                up_to=stored.up_to,
                head=stored.head,
                ranges=pick_ranges(stored.islands, due[device]),
            )
            for device, stored in (self._store.stored_by(due) if due else {}).items()
        ]

    def _publish(self, receipt: Receipt) -> bool:
        raw = seal(
            receipt,
            tenant=self._tenant,
            device=CENTRAL,
            boot_id=self._boot_id,
            seq=0,
            wall=self._clock.wall(),
            mono=self._clock.mono(),
            quality=self._clock.quality(),
            prev=NO_PREVIOUS,
            signer=self._signer,
        )
        return self._intake.publish(receipt_topic(self._tenant, receipt.device), raw)
