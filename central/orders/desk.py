"""The desk where orders are drawn up, signed by two, sent, fed back, and ended in time.

Every step is an event that is on disk before the next one begins. A kill between any two of them
leaves an order that :meth:`OrderDesk.tick` takes up again: the bank answers the same serial as
before, and the machines take the same bytes once.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog

from central.actor import Actor
from central.orders.book import Application, Book, Event, OrderRecord
from central.orders.content import content_of
from central.orders.kinds import (
    AT_THE_BANK,
    KINDS,
    OrderKind,
    OrderRefusedError,
    OrderState,
    Reason,
    Trigger,
)
from central.orders.platform import BankAdapter, BankError, BankRequest, Codes, Feedback, Sealed
from central.orders.sealed import Vault
from contract.clock import Clock, UnixMicros
from contract.cosign import (
    FindOrderKey,
    OrderError,
    Signature,
    assemble,
    check_signature,
    open_order,
)
from contract.words import OrderRefusal

SIGNERS = 2
"""Platform practice, 经办人 + 协查人: order.signers of the scenario format."""
DRAFT_LIFE_US = 30 * 60 * 1_000_000
"""A draft that nobody signed lapses: its term began when it was drawn up."""

_SYSTEM = "central"
_log = structlog.get_logger(__name__)


class OrderLog(Protocol):
    """Where events are kept: appended, never changed."""

    def load(self) -> Iterable[Event]:
        """All events, in the order in which they happened."""

    def append(
        self, events: Sequence[Event], by: Actor | None = None, sealed: bytes | None = None
    ) -> None:
        """Keep events together, durably; ``sealed`` belongs to the first one's order."""

    def refuse(self, by: Actor | None, subject: str, error: OrderRefusedError) -> None:
        """Put a refusal into the audit."""

    def sealed(self, order_id: bytes) -> bytes | None:
        """Return what an order sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What a desk works with."""

    tenant: str
    issuer: str
    clock: Clock
    find_key: Callable[[UnixMicros], FindOrderKey]
    """Look-up of the officers who may sign what is issued at a moment: ``order_keys``."""
    bank: BankAdapter
    codes: Codes
    vault: Vault
    publish: Callable[[bytes], object]
    """Sends a signed order to the machines; the same bytes again do nothing."""
    counter: Callable[[], int]
    """Gives a counter that no order had; drafts of this book have their own besides."""


class OrderDesk:
    """Draws up and carries out. Methods may be called from any thread."""

    def __init__(self, book: Book, log: OrderLog, wiring: Wiring) -> None:
        self.book = book
        self._log = log
        self._with = wiring
        self._lock = threading.RLock()
        self.waiting: dict[bytes, str] = {}
        """Orders that the bank has not answered, with what came instead."""

    def records(self) -> list[OrderRecord]:
        """All orders, oldest draft first, as they stand at one moment."""
        with self._lock:
            return list(self.book)

    def live(self) -> list[OrderRecord]:
        """Orders that hold something now."""
        with self._lock:
            now = self._with.clock.wall()
            return [record for record in self.book.open() if record.is_live(now)]

    # -- people ------------------------------------------------------------------------------------

    def draft(self, actor: Actor, application: Application, sealed: Sealed) -> OrderRecord:
        """Draw an order up; raises OrderRefusedError, and the refusal is in the audit."""
        with self._lock:
            now = self._with.clock.wall()
            try:
                self._check_area(actor, application.area)
                name = application.order_id or secrets.token_bytes(16)
                counter = max(self.book.last_counter + 1, self._with.counter())
                completed = self.book.check_draft(
                    replace(
                        application,
                        order_id=name,
                        drafted_by=actor.name,
                        counter=counter,
                        sender=application.sender or self._with.codes.centre,
                    ),
                    now,
                )
                content_of(completed, self._with.issuer)  # it can be said to the machines
            except ValueError as error:
                raise self._refused(
                    actor,
                    application.application_id,
                    OrderRefusedError(Reason.MALFORMED, str(error)),
                ) from None
            except OrderRefusedError as error:
                raise self._refused(actor, application.application_id, error) from None
            event = Event(
                order_id=name, trigger=Trigger.DRAFT, at=now, by=actor.name, application=completed
            )
            self._log.append([event], actor, self._with.vault.seal(name, sealed))
            return self.book.apply(event)

    def content(self, order_id: bytes) -> bytes:
        """Return the bytes that each officer signs."""
        with self._lock:
            return content_of(self.book.get(order_id).application, self._with.issuer)

    def sign(self, actor: Actor, order_id: bytes, signature: Signature) -> OrderRecord:
        """Take one officer's signature; the second one sends the order at once.

        The signature must be of the person's own key in the newest bundle of officers, and their
        area must cover the order's. Raises OrderRefusedError.
        """
        with self._lock:
            now = self._with.clock.wall()
            try:
                self._check_signature(actor, order_id, signature, now)
            except OrderRefusedError as error:
                raise self._refused(actor, order_id.hex(), error) from None
            signers = len(self.book.get(order_id).signers) + 1
            event = Event(
                order_id=order_id,
                trigger=Trigger.COMPLETE if signers >= SIGNERS else Trigger.SIGN,
                at=now,
                by=actor.name,
                detail={"protected": signature.protected.hex(), "value": signature.value.hex()},
            )
            self._log.append([event], actor)
            self.book.apply(event)
            if signers >= SIGNERS:
                self._proceed(order_id)
            return self.book.get(order_id)

    def withdraw(self, actor: Actor, order_id: bytes) -> OrderRecord:
        """Take a draft back."""
        with self._lock:
            record = self.book.get(order_id)
            try:
                self._check_area(actor, record.application.area)
                if record.state is not OrderState.DRAFTED:
                    raise OrderRefusedError(Reason.NOT_NOW, f"the order is {record.state.value}")
            except OrderRefusedError as error:
                raise self._refused(actor, order_id.hex(), error) from None
            return self._move(order_id, Trigger.WITHDRAW, actor=actor)

    def open_sealed(self, order_id: bytes) -> Sealed:
        """Open what an order sealed; whoever asks for a person notes that in the audit."""
        raw = self._log.sealed(order_id)
        if raw is None:
            raise OrderRefusedError(Reason.UNKNOWN_ORDER, "nothing is sealed for it")
        return self._with.vault.open(order_id, raw)

    def _check_area(self, actor: Actor, area: str) -> None:
        if not actor.covers(area):
            raise OrderRefusedError(
                Reason.WRONG_TIER, f"{actor.name} does not act for {area or 'no area'}"
            )

    def _check_signature(
        self, actor: Actor, order_id: bytes, signature: Signature, now: UnixMicros
    ) -> None:
        record = self.book.check_sign(order_id, actor.name, now)
        self._check_area(actor, record.application.area)
        try:
            key = check_signature(
                self.content(order_id),
                signature,
                tenant=self._with.tenant,
                find_key=self._with.find_key(record.application.drafted_at),
            )
        except OrderError as error:
            reason = (
                Reason.UNKNOWN_SIGNER
                if error.refusal is OrderRefusal.UNKNOWN_SIGNER
                else Reason.BAD_SIGNATURE
            )
            raise OrderRefusedError(reason, error.detail) from None
        if key.owner != actor.name:
            raise OrderRefusedError(
                Reason.UNKNOWN_SIGNER, f"this is the key of {key.owner}, not of {actor.name}"
            )

    def _refused(
        self, actor: Actor | None, subject: str, error: OrderRefusedError
    ) -> OrderRefusedError:
        self._log.refuse(actor, subject, error)
        return error

    # -- by itself ---------------------------------------------------------------------------------

    def tick(self) -> int:
        """End what is over, lapse what nobody signed, take up what was cut off; returns how many.

        Runs at the start and then every second: a term ends by itself, without any person.
        """
        with self._lock:
            now = self._with.clock.wall()
            moved = 0
            for record in self.book.over(now):
                until = record.application.until
                assert until is not None
                self._move(record.application.order_id, Trigger.EXPIRE, at=until)
                moved += 1
            for record in self.book.open():
                name = record.application.order_id
                if record.state in _STEPS:
                    moved += self._proceed(name)
                elif (
                    record.state is OrderState.DRAFTED
                    and now - record.application.drafted_at >= DRAFT_LIFE_US
                ):
                    self._move(name, Trigger.LAPSE)
                    moved += 1
            return moved

    def _move(
        self,
        order_id: bytes,
        trigger: Trigger,
        *,
        at: UnixMicros | None = None,
        detail: Mapping[str, Any] | None = None,
        actor: Actor | None = None,
        also: Sequence[Event] = (),
    ) -> OrderRecord:
        event = Event(
            order_id=order_id,
            trigger=trigger,
            at=self._with.clock.wall() if at is None else at,
            by=_SYSTEM if actor is None else actor.name,
            detail=detail or {},
        )
        self._log.append([event, *also], actor)
        record = self.book.apply(event)
        for other in also:
            self.book.apply(other)
        return record

    def _proceed(self, order_id: bytes) -> bool:
        """Carry a signed order as far as it goes now; whether it went any further."""
        before = self.book.get(order_id).state
        state: OrderState | None = None
        while state is not (state := self.book.get(order_id).state):
            step = _STEPS.get(state)
            if step is not None:
                step(self, order_id)
        return state is not before

    def _send(self, order_id: bytes) -> None:
        try:
            self.book.check_send(order_id, self._with.clock.wall())
            self._check_all_signatures(order_id)
        except OrderRefusedError as error:
            self._log.refuse(None, order_id.hex(), error)
            detail = {"failures": [error.reason.value], "hint": error.hint}
            self._move(order_id, Trigger.REFUSE, detail=detail)
            return
        self._move(order_id, Trigger.SEND)

    def _check_all_signatures(self, order_id: bytes) -> None:
        """An officer may have been removed since: the machines would refuse the order."""
        application = self.book.get(order_id).application
        if KINDS[application.kind].wire is None:
            return
        try:
            open_order(
                self.signed_bytes(order_id),
                tenant=self._with.tenant,
                find_key=self._with.find_key(application.drafted_at),
            )
        except OrderError as error:
            raise OrderRefusedError(Reason.UNKNOWN_SIGNER, error.detail) from None

    def _match(self, order_id: bytes) -> None:
        application = self.book.get(order_id).application
        if application.until is not None and application.until <= self._with.clock.wall():
            detail = {"failures": [Reason.TOO_LATE.value]}  # the bank was away for the whole term
            self._move(order_id, Trigger.REFUSE, detail=detail)
            return
        if application.kind not in AT_THE_BANK:
            self._move(order_id, Trigger.MATCH)
            return
        try:
            feedback = self._ask_bank(application)
        except BankError as error:
            if self.waiting.get(order_id) != str(error):  # it is asked again each second
                _log.warning("bank_does_not_answer", order=order_id.hex(), problem=str(error))
            self.waiting[order_id] = str(error)
            return
        self.waiting.pop(order_id, None)
        if feedback.is_executed:
            trigger = Trigger.MATCH
        elif feedback.failures:
            trigger = Trigger.MISMATCH
        else:
            trigger = Trigger.REFUSE
        self._move(order_id, trigger, detail=feedback.detail())

    def _ask_bank(self, application: Application) -> Feedback:
        request = BankRequest(
            serial=application.order_id.hex(),
            txcode=self._with.codes.requests[application.kind],
            application=application,
            sealed=self.open_sealed(application.order_id),
        )
        return self._with.bank.submit(request)

    def _execute(self, order_id: bytes) -> None:
        record = self.book.get(order_id)
        if KINDS[record.application.kind].wire is not None:
            try:
                self._with.publish(self.signed_bytes(order_id))
            except OrderError as error:  # an officer was removed between signature and bank
                _log.error("order_not_published", order=order_id.hex(), problem=error.detail)
        now = self._with.clock.wall()
        rule = KINDS[record.application.kind]
        trigger = Trigger.EXTEND if rule.renews is not None else Trigger.RELEASE
        ended = [
            Event(
                order_id=name,
                trigger=trigger,
                at=now,
                by=_SYSTEM,
                detail={"by_order": order_id.hex()},
            )
            for name in record.application.targets
            if self.book.get(name).state.is_live
        ]
        self._move(order_id, Trigger.EXECUTE, at=now, also=ended)

    def signed_bytes(self, order_id: bytes) -> bytes:
        """Return the order as it goes to the machines, with all its signatures."""
        record = self.book.get(order_id)
        signatures = [
            Signature(bytes.fromhex(e.detail["protected"]), bytes.fromhex(e.detail["value"]))
            for e in record.events
            if e.trigger in {Trigger.SIGN, Trigger.COMPLETE}
        ]
        return assemble(content_of(record.application, self._with.issuer), signatures)

    def _feed_back(self, order_id: bytes) -> None:
        kind = self.book.get(order_id).application.kind
        code = self._with.codes.feedbacks.get(kind, "")
        self._move(order_id, Trigger.FEED_BACK, detail={"code": code})


_STEPS: Mapping[OrderState, Callable[[OrderDesk, bytes], None]] = {
    OrderState.SIGNED: OrderDesk._send,
    OrderState.SENT: OrderDesk._match,
    OrderState.MATCHED: OrderDesk._execute,
    OrderState.EXECUTED: OrderDesk._feed_back,
}


class MemoryLog:
    """A log in memory, for scenarios and tests."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.refusals: list[tuple[str, str, OrderRefusedError]] = []
        self._sealed: dict[bytes, bytes] = {}

    def load(self) -> Iterable[Event]:
        """See :class:`OrderLog`."""
        return list(self.events)

    def append(
        self, events: Sequence[Event], by: Actor | None = None, sealed: bytes | None = None
    ) -> None:
        """See :class:`OrderLog`."""
        self.events.extend(events)
        if sealed is not None:
            self._sealed[events[0].order_id] = sealed

    def refuse(self, by: Actor | None, subject: str, error: OrderRefusedError) -> None:
        """See :class:`OrderLog`."""
        self.refusals.append(("" if by is None else by.name, subject, error))

    def sealed(self, order_id: bytes) -> bytes | None:
        """See :class:`OrderLog`."""
        return self._sealed.get(order_id)


__all__ = ["DRAFT_LIFE_US", "SIGNERS", "MemoryLog", "OrderDesk", "OrderKind", "OrderLog", "Wiring"]
