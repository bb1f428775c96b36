"""The book of orders: a fold over what happened. Pure: the same events give the same book.

An event is the only thing that changes an order, and the transition table is asked for each. What
lies on an account follows from the live orders alone; nothing else can hold it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from central.clocks import Law, Subject, day_of, months_later
from central.orders.kinds import (
    KINDS,
    TRANSITIONS,
    Hold,
    OrderKind,
    OrderRefusedError,
    OrderState,
    Reason,
    Trigger,
    is_over,
)
from contract.accounts import CardRef
from contract.clock import UnixMicros
from contract.orders import ComparingMachine

HOUR_US = 3600 * 1_000_000
FREEZE_CODE = "100201"
DUPLICATE_CODE = "200003"
_NEVER = UnixMicros(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What an officer applies for. Names and full numbers stand in the sealed column only."""

    order_id: bytes
    kind: OrderKind
    sender: str
    """Organisation that applies; with ``application_id`` it makes a duplicate known."""
    application_id: str
    case: str
    area: str
    """Administrative code of the case; who signs must cover it."""
    account: CardRef | None = None
    amount_fen: int = 0
    transfer_at: UnixMicros = _NEVER
    limit_fen: int | None = None
    """Limit of a freeze; None: the whole account."""
    is_urgent: bool = False
    parent: bytes | None = None
    """HMAC of the account that the money came from."""
    tier: int = 1
    targets: tuple[bytes, ...] = ()
    """Orders that it ends or renews."""
    ground: str = ""
    drafted_by: str = ""
    drafted_at: UnixMicros = _NEVER
    until: UnixMicros | None = None
    counter: int = 0
    machines: tuple[ComparingMachine, ...] = ()
    """Machines that may compare visits, with the keys that they had at the draft."""
    group: str = ""
    """Application that it is a part of: one order on a person is one on each of their accounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened to one order."""

    order_id: bytes
    trigger: Trigger
    at: UnixMicros
    by: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    application: Application | None = None


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as it stands."""

    application: Application
    state: OrderState
    events: tuple[Event, ...]

    @property
    def signers(self) -> tuple[str, ...]:
        """Officers who signed, in the order in which they did."""
        signs = {Trigger.SIGN, Trigger.COMPLETE}
        return tuple(event.by for event in self.events if event.trigger in signs)

    def at(self, trigger: Trigger) -> UnixMicros | None:
        """When it was last moved by a trigger."""
        found = [event.at for event in self.events if event.trigger is trigger]
        return found[-1] if found else None

    @property
    def feedback(self) -> Mapping[str, Any]:
        """What the bank said: ``code``, ``return_code``, ``failures``, ``held_fen``."""
        says = {Trigger.MATCH, Trigger.MISMATCH, Trigger.REFUSE}
        found = [event.detail for event in self.events if event.trigger in says]
        return found[-1] if found else {}

    @property
    def held_fen(self) -> int:
        """What the bank really held."""
        return int(self.feedback.get("held_fen", 0))

    def is_live(self, now: UnixMicros | int) -> bool:
        """Whether it holds something at ``now``, whatever was noted of its end."""
        until = self.application.until
        return (
            KINDS[self.application.kind].begins is not None
            and self.state.is_live
            and (until is None or now < until)
        )


class Book:
    """All orders. Guards raise OrderRefusedError and change nothing."""

    def __init__(self, law: Law, events: Iterable[Event] = ()) -> None:
        self._law = law
        self._orders: dict[bytes, OrderRecord] = {}
        self._applications: dict[tuple[str, str], bytes] = {}
        self._by_account: dict[bytes, list[bytes]] = {}
        self._open: dict[bytes, None] = {}
        self._last_counter = 0
        for event in events:
            self.apply(event)

    def __iter__(self) -> Iterator[OrderRecord]:
        return iter(self._orders.values())

    def get(self, order_id: bytes) -> OrderRecord:
        """Return an order; raises OrderRefusedError."""
        found = self._orders.get(order_id)
        if found is None:
            raise OrderRefusedError(Reason.UNKNOWN_ORDER, f"no order {order_id.hex()}")
        return found

    @property
    def last_counter(self) -> int:
        """Greatest counter that a draft was given."""
        return self._last_counter

    def apply(self, event: Event) -> OrderRecord:
        """Take an event; raises OrderRefusedError where the table has no such step."""
        if event.trigger is Trigger.DRAFT:
            return self._begin(event)
        record = self.get(event.order_id)
        after = TRANSITIONS.get((record.state, event.trigger))
        if after is None:
            raise OrderRefusedError(
                Reason.NOT_NOW, f"a {record.state.value} order cannot {event.trigger.value}"
            )
        changed = replace(record, state=after, events=(*record.events, event))
        self._orders[event.order_id] = changed
        if is_over(record.application.kind, after):
            self._open.pop(event.order_id, None)
        return changed

    def _begin(self, event: Event) -> OrderRecord:
        application = event.application
        if application is None or event.order_id in self._orders:
            raise OrderRefusedError(Reason.NOT_NOW, "a draft needs an application of its own")
        record = OrderRecord(application, OrderState.DRAFTED, (event,))
        self._orders[event.order_id] = record
        self._open[event.order_id] = None
        self._applications[application.sender, application.application_id] = event.order_id
        self._last_counter = max(self._last_counter, application.counter)
        if application.account is not None:
            self._by_account.setdefault(application.account.hmac, []).append(event.order_id)
        return record

    # -- what holds --------------------------------------------------------------------------------

    def of_account(self, account: bytes) -> list[OrderRecord]:
        """Every order on an account, oldest first."""
        return [self._orders[name] for name in self._by_account.get(account, ())]

    def live(self, account: bytes, now: UnixMicros | int, hold: Hold) -> list[OrderRecord]:
        """Orders that hold an account in one way."""
        return [
            record
            for record in self.of_account(account)
            if KINDS[record.application.kind].begins is hold and record.is_live(now)
        ]

    def executed_stops(self, account: bytes) -> int:
        """How often an account was really stopped; an extension is a stop too (at most two)."""
        return sum(
            1
            for record in self.of_account(account)
            if KINDS[record.application.kind].begins is Hold.STOP
            and record.at(Trigger.EXECUTE) is not None
        )

    def times(self, order_id: bytes) -> int:
        """Which executed stop on its account an order is."""
        record = self.get(order_id)
        account = record.application.account
        done = [
            other.application.order_id
            for other in sorted(
                self.of_account(account.hmac if account else b""),
                key=lambda r: r.at(Trigger.EXECUTE) or 0,
            )
            if KINDS[other.application.kind].begins is Hold.STOP and other.at(Trigger.EXECUTE)
        ]
        return done.index(order_id) + 1 if order_id in done else 0

    def open(self) -> list[OrderRecord]:
        """Orders that something may still move: a few, however many there were."""
        return [self._orders[name] for name in self._open]

    def over(self, now: UnixMicros | int) -> list[OrderRecord]:
        """Executed orders whose term is over and not noted yet."""
        return [
            record
            for record in self.open()
            if record.state.is_live
            and record.application.until is not None
            and record.application.until <= now
            and KINDS[record.application.kind].begins is not None
        ]

    # -- guards ------------------------------------------------------------------------------------

    def check_draft(self, application: Application, now: UnixMicros) -> Application:
        """Complete an application: its term and what it ends; raises OrderRefusedError."""
        key = application.sender, application.application_id
        if key in self._applications:
            raise OrderRefusedError(
                Reason.DUPLICATE,
                f"application {application.application_id} was made before",
                return_code=DUPLICATE_CODE,
            )
        if not application.application_id or not application.case:
            raise OrderRefusedError(Reason.MALFORMED, "an order needs its application and case")
        if application.amount_fen < 0 or (application.limit_fen or 1) <= 0:
            raise OrderRefusedError(Reason.MALFORMED, "an amount is positive")
        rule = KINDS[application.kind]
        if rule.begins not in {None, Hold.LINK} and application.account is None:
            raise OrderRefusedError(Reason.MALFORMED, "it names no account")
        if rule.begins is Hold.STOP:
            self._check_times(application, now)
        targets = application.targets
        if rule.ends is not None or rule.renews is not None:
            targets = self._check_targets(application, now)
        until = self._term(application, now)
        return replace(
            application,
            targets=targets,
            until=until,
            drafted_at=now,
            counter=application.counter or self._last_counter + 1,
        )

    def _check_times(self, application: Application, now: UnixMicros) -> None:
        assert application.account is not None
        most = int(self._law.row(Subject.STOP_PAYMENT, day_of(now)).values["max_times"])
        if self.executed_stops(application.account.hmac) >= most:
            raise OrderRefusedError(
                Reason.MAX_TWO_STOPS,
                f"the account was stopped {most} times: freeze it instead",
                hint=FREEZE_CODE,
            )

    def _check_targets(self, application: Application, now: UnixMicros) -> tuple[bytes, ...]:
        rule = KINDS[application.kind]
        wanted = rule.ends or rule.renews
        assert wanted is not None
        if wanted is Hold.LINK:
            live = [
                record
                for record in self
                if record.application.case == application.case
                and KINDS[record.application.kind].begins is Hold.LINK
                and record.is_live(now)
            ]
        else:
            account = application.account.hmac if application.account else b""
            live = self.live(account, now, wanted)
        known = {record.application.order_id for record in live}
        targets = application.targets or tuple(sorted(known))
        if not targets or not set(targets) <= known | self._renewed(tuple(known), now):
            raise OrderRefusedError(
                Reason.TOO_LATE if rule.renews else Reason.NOTHING_TO_END,
                f"no live {wanted.value} is there",
            )
        return targets if rule.renews else tuple(sorted({*targets, *self._renewed(targets, now)}))

    def _renewed(self, targets: tuple[bytes, ...], now: UnixMicros) -> set[bytes]:
        """Orders that the targets renewed and whose own term still runs.

        A machine holds each until its own end: a release that named the newest alone would leave
        the account held there.
        """
        found: set[bytes] = set()
        waiting = list(targets)
        while waiting:
            application = self._orders[waiting.pop()].application
            former = set(application.targets) - found if KINDS[application.kind].renews else set()
            waiting += former
            found |= {n for n in former if (self._orders[n].application.until or 0) > now}
        return found

    def _term(self, application: Application, now: UnixMicros) -> UnixMicros | None:
        """End of the term: from the law where it says so; it starts now, never later."""
        rule = KINDS[application.kind]
        if rule.begins is None:
            return None
        if rule.term is None:
            if application.until is None or application.until <= now:
                raise OrderRefusedError(Reason.MALFORMED, "it needs an end that is still to come")
            return application.until
        values = self._law.row(rule.term, day_of(now)).values
        if rule.term is Subject.STOP_PAYMENT:
            longest = UnixMicros(now + int(values["hours"]) * HOUR_US)
        else:
            longest = months_later(now, int(values["months"]))
        if application.until is None:
            return longest
        if not now < application.until <= longest:
            raise OrderRefusedError(Reason.MALFORMED, "its end is past, or beyond the law's term")
        return application.until

    def check_sign(self, order_id: bytes, officer: str, now: UnixMicros) -> OrderRecord:
        """Return the draft that an officer may sign; raises OrderRefusedError."""
        record = self.get(order_id)
        if record.state is not OrderState.DRAFTED:
            raise OrderRefusedError(Reason.NOT_NOW, f"the order is {record.state.value}")
        if officer in record.signers:
            raise OrderRefusedError(Reason.SAME_OFFICER, "two different officers sign")
        until = record.application.until
        if until is not None and until <= now:
            raise OrderRefusedError(Reason.TOO_LATE, "its term is over")
        return record

    def check_send(self, order_id: bytes, now: UnixMicros) -> OrderRecord:
        """Return the signed order that may go to the bank: what was true at its draft may not be.

        A stop drafted while another was being signed would be the third; a release may have come
        too late.
        """
        record = self.get(order_id)
        if record.state is not OrderState.SIGNED:
            raise OrderRefusedError(
                Reason.NOT_SIGNED_BY_TWO if record.state is OrderState.DRAFTED else Reason.NOT_NOW,
                f"the order is {record.state.value}",
            )
        application = record.application
        if application.until is not None and application.until <= now:
            raise OrderRefusedError(Reason.TOO_LATE, "its term is over")
        rule = KINDS[application.kind]
        if rule.begins is Hold.STOP:
            self._check_times(application, now)
        if rule.renews is not None:
            self._check_targets(application, now)
        if rule.ends is not None and not any(
            self._orders[name].is_live(now) for name in application.targets
        ):
            # One that ended meanwhile must not keep the others from being released.
            raise OrderRefusedError(Reason.NOTHING_TO_END, "what it ends is over")
        return record
