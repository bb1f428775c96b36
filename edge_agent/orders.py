"""The device's side of orders: received, verified, applied or refused, reported, each durably.

A kill between any two steps loses nothing and does nothing twice: what a step has to do next stands
in the store, and a result has an id that derives from its content, so that reporting it again adds
nothing. An effect outside the store (a part started again) may happen once more after a crash.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from sqlite3 import Connection

import structlog

from contract.accounts import CardRef
from contract.clock import Clock, UnixMicros
from contract.codec import MAX_MESSAGE_BYTES, decode, encode, from_map, to_map
from contract.cosign import (
    OrderError,
    OrderKey,
    SignedOrder,
    claimed_id,
    officer_key,
    open_order,
    order_digest,
    read_body,
)
from contract.envelope import EnvelopeError, message_digest, open_envelope
from contract.keys import CENTRAL, FindKey, key_id
from contract.messages import OrderDelivery, OrderResult, TimeHint
from contract.orders import (
    RULES,
    AccountHold,
    AccountRelease,
    Configuration,
    Officers,
    OrderBody,
    ended_by,
    term_of,
)
from contract.topics import Channel
from contract.words import (
    DecisionReason,
    DeviceKind,
    OrderOutcome,
    OrderRefusal,
    OrderType,
    Signatory,
)
from edge_agent.central_time import CentralTime
from edge_agent.order_store import OrderRow, OrderState, OrderStore

MAX_WAITING = 1000
"""Messages that may wait to be judged; beyond that the broker keeps them."""

MAX_REFUSALS_A_MINUTE = 20
"""Refusals that are reported; a flood beyond that is only counted."""

MAX_STARTS = 3
"""Starts of the agent with a configuration that never proved itself, then it is rolled back."""

TRIAL_US = 600 * 1_000_000
"""A configuration under which the central was not heard for so long is rolled back."""

_MINUTE_US = 60 * 1_000_000
_IDLE_S = 1.0
_RETRY_S = 1.0
_STOPS = {OrderType.STOP_PAYMENT, OrderType.EXTEND_STOP}

log = structlog.get_logger("orders")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Who this device is and whose signatures it knows."""

    tenant: str
    device: str
    kind: DeviceKind
    find_central: FindKey
    find_root: FindKey
    """Key that signs the bundle of officers."""


class CannotApplyError(Exception):
    """An order that verified and whose effect is not possible here; the text is reported."""


class OrderDesk:
    """Judges, applies and reports. :meth:`take` and the look-ups may be called from any thread."""

    def __init__(
        self,
        store: OrderStore,
        receiver: Receiver,
        *,
        clock: Clock,
        time: CentralTime,
        report: Callable[[OrderResult], None],
        act: Callable[[OrderBody], None],
        on_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        """``report`` returns when a result is durable in the outbox; ``act`` carries out commands.

        ``on_step`` is called between any two steps: where a test kills the process.
        """
        self._store = store
        self._me = receiver
        self._clock = clock
        self._time = time
        self._report = report
        self._act = act
        self._on_step = on_step
        self._work = threading.Condition()
        self._is_stopping = False
        self._minute, self._refusals = 0, 0
        self._trial_since: int | None = None
        self._read_officers: tuple[bytes, Officers, dict[bytes, OrderKey]] | None = None
        self.counters = {"received": 0, "applied": 0, "refused": 0, "ended": 0, "unreported": 0}
        self._count_start()

    # -- the downlink ------------------------------------------------------------------------------

    def take(self, channel: Channel, payload: bytes) -> None:
        """Make a message durable; raises while too many wait. Time hints are used at once."""
        if channel is Channel.TIME:
            self._take_hint(payload)
            return
        if self._store.waiting() >= MAX_WAITING:
            raise OSError(f"{MAX_WAITING} orders wait to be judged")
        with self._store.transaction() as db:
            # One byte too many is enough to be refused, and no stranger fills the disk.
            db.execute("INSERT INTO inbox (raw) VALUES (?)", (payload[: MAX_MESSAGE_BYTES + 1],))
        self.counters["received"] += 1
        self._on_step("received")
        with self._work:
            self._work.notify_all()

    def _take_hint(self, payload: bytes) -> None:
        try:
            envelope = open_envelope(
                payload, tenant=self._me.tenant, find_key=self._me.find_central
            )
        except EnvelopeError as error:
            log.warning("time_hint_refused", reason=error.refusal.value)
            return
        hint = envelope.body
        if not isinstance(hint, TimeHint) or hint.device != self._me.device:
            return
        if self._time.note(envelope.payload.wall, hint.echo_boot, hint.echo_mono):
            self.confirm_configuration()

    # -- what others ask ---------------------------------------------------------------------------

    def hold_on(self, account: CardRef) -> DecisionReason | None:
        """Whether money may not leave an account now, and why: a stop goes before a freeze."""
        now = self._time.now()
        live = [r for r in self._store.of_account(account.hmac) if r.until and r.until > now]
        if any(OrderType(row.type) in _STOPS for row in live):
            return DecisionReason.STOP_PAYMENT
        return DecisionReason.FROZEN if live else None

    def link_orders(self) -> dict[bytes, bytes]:
        """Orders to link visits that are in force now, each by its id."""
        rows = self._store.applied(OrderType.CROSS_ATM_LINK.value, self._time.now())
        return {row.order_id: row.raw for row in rows}

    def find_key(self, kid: bytes) -> OrderKey | None:
        """Whose key signs orders now: officers of the newest bundle, central, root."""
        return self._order_keys()(kid)

    def setting(self, name: str) -> float | None:
        """A number that a configuration in force has set; None where none does."""
        found = self._store.bundle("configuration")
        if found is None:
            return None
        body = read_body(found[2])
        value = body.settings.get(name) if isinstance(body, Configuration) else None
        return None if value is None else float(value)

    # -- the steps ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until :meth:`stop`; a full outbox or disk is tried again."""
        while not self._is_stopping:
            wait_s = _IDLE_S
            try:
                self.step()
            except Exception:
                log.exception("orders_failed")
                wait_s = _RETRY_S
            with self._work:
                if not self._is_stopping and self._store.next_inbox() is None:
                    self._work.wait(wait_s)

    def stop(self) -> None:
        """Ask :meth:`run` to end."""
        with self._work:
            self._is_stopping = True
            self._work.notify_all()

    def step(self) -> None:
        """Do all that is to be done now."""
        while (item := self._store.next_inbox()) is not None:
            self._judge(*item)
            self._on_step("judged")
            self._apply_all()
        self._apply_all()
        self._end_terms()
        self._end_trial()
        self._report_all()

    def _judge(self, inbox_id: int, raw: bytes) -> None:
        """Received to verified or refused, in one transaction."""
        delivery, order_raw = self._unwrap(raw)
        attempt = delivery.attempt if delivery is not None else 0
        delivery_id = message_digest(raw)
        now = self._now()
        with self._store.transaction() as db:
            db.execute("DELETE FROM inbox WHERE id = ?", (inbox_id,))
            used = db.execute(
                "SELECT expires FROM orders WHERE order_id = ? AND raw = ?",
                (claimed_id(order_raw), order_raw),
            ).fetchone()
            is_known_delivery = db.execute(
                "SELECT 1 FROM deliveries WHERE digest = ?", (delivery_id,)
            ).fetchone()
            if used is not None and delivery is not None and not is_known_delivery:
                # The central itself sends again: it has not got our result yet.
                self._remember(db, delivery_id, used[0])
                return
            try:
                if used is not None or is_known_delivery:
                    raise OrderError(
                        OrderRefusal.REPLAYED,
                        "its id was taken before",
                        order_id=claimed_id(order_raw),
                    )
                if delivery is not None and delivery.device != self._me.device:
                    raise OrderError(OrderRefusal.WRONG_TARGET, f"sent to {delivery.device}")
                signed = self._verified(db, order_raw, now)
            except OrderError as error:
                self._refuse(db, order_raw, error, attempt)
                return
            self._remember(db, delivery_id, signed.order.expires)
            self._insert(db, signed, attempt)

    def _unwrap(self, raw: bytes) -> tuple[OrderDelivery | None, bytes]:
        """Return the central's delivery and the order in it, or the bytes as a bare order."""
        try:
            envelope = open_envelope(raw, tenant=self._me.tenant, find_key=self._me.find_central)
        except EnvelopeError:
            return None, raw
        body = envelope.body
        if envelope.payload.device != CENTRAL or not isinstance(body, OrderDelivery):
            return None, raw
        return body, body.order

    def _verified(self, db: Connection, raw: bytes, now: int) -> SignedOrder:
        """Signatures, target, time and use; raises OrderError."""
        signed = open_order(raw, tenant=self._me.tenant, find_key=self._order_keys())
        order = signed.order

        def refuse(reason: OrderRefusal, detail: str) -> OrderError:
            return OrderError(reason, detail, order_id=order.order_id, type_=order.type.value)

        if not order.is_for(self._me.device, self._me.kind):
            raise refuse(OrderRefusal.WRONG_TARGET, "it is for other devices")
        if now >= order.expires:
            raise refuse(OrderRefusal.EXPIRED, "its time is over")
        if now < order.not_before:
            raise refuse(OrderRefusal.NOT_YET_VALID, "its time has not come")
        if RULES[order.type].signatory is Signatory.OFFICER:
            self._check_officers(signed, refuse)
        if db.execute(
            "SELECT 1 FROM orders WHERE order_id = ? OR (issuer = ? AND counter = ?)",
            (order.order_id, order.issuer, order.counter),
        ).fetchone():
            raise refuse(OrderRefusal.REPLAYED, f"its id or counter {order.counter} was used")
        if isinstance(signed.body, Officers | Configuration):
            newest = db.execute(
                "SELECT max(version) FROM bundles WHERE kind = ?", (order.type.value,)
            ).fetchone()[0]
            if newest is not None and signed.body.bundle <= newest:
                raise refuse(OrderRefusal.OLD_VERSION, f"version {newest} is here")
        is_ended = db.execute("SELECT 1 FROM ends WHERE order_id = ?", (order.order_id,)).fetchone()
        term = term_of(signed.body)
        if is_ended or (term is not None and term <= now):
            raise refuse(OrderRefusal.SUPERSEDED, "its end came before it")
        return signed

    def _check_officers(
        self, signed: SignedOrder, refuse: Callable[[OrderRefusal, str], OrderError]
    ) -> None:
        issued = signed.order.issued_at
        bundle, keys = self._officers()
        # An officer may have several keys: what counts is the one that signed.
        for kid, entry in zip(keys, bundle.officers, strict=True):
            if kid in signed.kids and not entry.valid_from <= issued < entry.valid_until:
                raise refuse(OrderRefusal.UNKNOWN_SIGNER, f"{entry.officer} might not sign then")

    def _insert(self, db: Connection, signed: SignedOrder, attempt: int) -> None:
        order, body = signed.order, signed.body
        db.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                order.order_id,
                order.issuer,
                order.counter,
                order.type.value,
                OrderState.VERIFIED.value,
                signed.raw,
                attempt,
                order.expires,
                body.account.hmac if isinstance(body, AccountHold) else None,
                term_of(body),
            ),
        )

    def _apply_all(self) -> None:
        for row in self._store.orders(OrderState.VERIFIED):
            self._apply(row)
            self._on_step("applied")

    def _apply(self, row: OrderRow) -> None:
        """Verified to applied; what lies in the store changes in the same transaction."""
        body = read_body(row.raw)
        problem = ""
        if RULES[OrderType(row.type)].channel is Channel.COMMANDS:
            try:
                self._act(body)
            except CannotApplyError as error:
                problem = str(error)
            self._on_step("acted")
        with self._store.transaction() as db:
            if problem:
                self._set_state(db, row, OrderState.REFUSED)
                self._result(db, row, OrderOutcome.REFUSED, OrderRefusal.CANNOT_APPLY, problem)
                self.counters["refused"] += 1
                return
            for name in ended_by(body):
                self._end_named(db, body, name)
            if isinstance(body, Officers | Configuration):
                state = "trial" if isinstance(body, Configuration) else "good"
                db.execute(
                    "INSERT OR IGNORE INTO bundles (kind, version, state, raw) VALUES (?,?,?,?)",
                    (row.type, body.bundle, state, row.raw),
                )
            self._set_state(db, row, OrderState.APPLIED)
            self._result(db, row, OrderOutcome.APPLIED)
        self.counters["applied"] += 1
        log.info("order_applied", order=row.order_id.hex(), type=row.type)

    def _end_named(self, db: Connection, body: OrderBody, name: bytes) -> None:
        """A release ends only holds on its own account."""
        db.execute("INSERT OR IGNORE INTO ends VALUES (?)", (name,))
        account = body.account.hmac if isinstance(body, AccountRelease) else None
        db.execute(
            "UPDATE orders SET state = 'ended' WHERE order_id = ? AND state IN ('applied',"
            " 'verified') AND account IS ?",
            (name, account),
        )

    def _end_terms(self) -> None:
        """What nobody released ends by itself, and the central is told."""
        for row in self._store.orders(OrderState.APPLIED, until=self._now()):
            with self._store.transaction() as db:
                self._set_state(db, row, OrderState.ENDED)
                self._result(db, row, OrderOutcome.ENDED)
            self.counters["ended"] += 1
            self._on_step("ended")

    def _report_all(self) -> None:
        while (item := self._store.next_result()) is not None:
            number, body = item
            self._report(from_map(OrderResult, decode(body)))
            self._on_step("reported")
            with self._store.transaction() as db:
                db.execute("DELETE FROM results WHERE id = ?", (number,))

    # -- bundles -----------------------------------------------------------------------------------

    def confirm_configuration(self) -> None:
        """The central is heard with the present configuration: it stays."""
        found = self._store.bundle("configuration")
        if found is not None and found[1] == "trial":
            with self._store.transaction() as db:
                db.execute(
                    "UPDATE bundles SET state = 'good' WHERE kind = 'configuration'"
                    " AND version = ?",
                    (found[0],),
                )

    def roll_back(self) -> bool:
        """Go back from a configuration on trial to the one before it; False if none is on trial."""
        found = self._store.bundle("configuration")
        if found is None or found[1] != "trial":
            return False
        version, _, raw = found
        with self._store.transaction() as db:
            db.execute(
                "UPDATE bundles SET state = 'rolled_back' WHERE kind = 'configuration'"
                " AND version = ?",
                (version,),
            )
            self._put_result(
                db,
                OrderResult(
                    digest=order_digest(raw),
                    order_id=claimed_id(raw),
                    type=OrderType.CONFIGURATION.value,
                    outcome=OrderOutcome.ROLLED_BACK,
                    at=self._clock.wall(),
                    attempt=0,
                ),
            )
        log.warning("configuration_rolled_back", version=version)
        return True

    def _end_trial(self) -> None:
        found = self._store.bundle("configuration")
        if found is None or found[1] != "trial":
            self._trial_since = None
        elif self._trial_since is None:
            self._trial_since = self._clock.mono()
        elif self._clock.mono() - self._trial_since >= TRIAL_US:
            self.roll_back()

    def _count_start(self) -> None:
        """An agent that dies again and again with a new configuration goes back to the former."""
        with self._store.transaction() as db:
            db.execute("UPDATE bundles SET starts = starts + 1 WHERE state = 'trial'")
            starts = db.execute("SELECT max(starts) FROM bundles WHERE state = 'trial'").fetchone()
        if starts[0] is not None and starts[0] >= MAX_STARTS:
            self.roll_back()

    def _officers(self) -> tuple[Officers, dict[bytes, OrderKey]]:
        """The newest bundle and its keys by their ids; read anew only when it is another one."""
        found = self._store.bundle("officers")
        raw = b"" if found is None else found[2]
        known = self._read_officers  # as it is now: another thread may replace it
        if known is None or known[0] != raw:
            body = read_body(raw) if raw else None
            bundle = body if isinstance(body, Officers) else Officers(bundle=1, officers=())
            found_keys = [officer_key(bundle, entry) for entry in bundle.officers]
            keys = {key_id(key.public): key for key in found_keys}
            known = self._read_officers = raw, bundle, keys
        return known[1], known[2]

    def _order_keys(self) -> Callable[[bytes], OrderKey | None]:
        _, keys = self._officers()

        def find(kid: bytes) -> OrderKey | None:
            central, root = self._me.find_central(kid), self._me.find_root(kid)
            if known := central or root:
                roles = {Signatory.CENTRAL} if central else set()
                roles |= {Signatory.ROOT} if root else set()
                return OrderKey(known.owner, frozenset(roles), known.public)
            return keys.get(kid)

        return find

    # -- small things ------------------------------------------------------------------------------

    def _now(self) -> int:
        """Time for judging; it never goes back, even over a restart with a wrong clock."""
        now = int(self._time.now())
        floor = self._store.floor()
        is_later = floor is None or now > floor + _MINUTE_US
        # Only a disciplined clock raises the floor: one wild reading must not end orders.
        if is_later and self._clock.quality().is_synced:
            with self._store.transaction() as db:
                db.execute("INSERT OR REPLACE INTO floor VALUES (1, ?)", (now,))
        return now if floor is None else max(now, floor)

    def _remember(self, db: Connection, digest: bytes, expires: int) -> None:
        db.execute("INSERT OR IGNORE INTO deliveries VALUES (?, ?)", (digest, expires))

    def _set_state(self, db: Connection, row: OrderRow, state: OrderState) -> None:
        db.execute(
            "UPDATE orders SET state = ? WHERE order_id = ? AND state != 'ended'",
            (state.value, row.order_id),
        )

    def _result(
        self,
        db: Connection,
        row: OrderRow,
        outcome: OrderOutcome,
        reason: OrderRefusal | None = None,
        detail: str = "",
    ) -> None:
        self._put_result(
            db,
            OrderResult(
                digest=order_digest(row.raw),
                order_id=row.order_id,
                type=row.type,
                outcome=outcome,
                reason=reason,
                detail=detail[:200],
                at=self._clock.wall(),
                attempt=row.attempt,
            ),
        )

    def _refuse(self, db: Connection, raw: bytes, error: OrderError, attempt: int) -> None:
        self.counters["refused"] += 1
        log.warning("order_refused", reason=error.refusal.value, detail=error.detail)
        minute = self._clock.mono() // _MINUTE_US
        if minute != self._minute:
            self._minute, self._refusals = minute, 0
        self._refusals += 1
        if self._refusals > MAX_REFUSALS_A_MINUTE:
            self.counters["unreported"] += 1
            return
        self._put_result(
            db,
            OrderResult(
                digest=order_digest(raw),
                order_id=error.order_id,
                type=error.type,
                outcome=OrderOutcome.REFUSED,
                reason=error.refusal,
                detail=error.detail[:200],
                at=UnixMicros(self._clock.wall()),
                attempt=attempt,
            ),
        )

    def _put_result(self, db: Connection, result: OrderResult) -> None:
        db.execute("INSERT INTO results (body) VALUES (?)", (encode(to_map(result)),))
