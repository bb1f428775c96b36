"""Orders in the store: as they were signed, each device's result, and who has not answered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.store import order_tables as ot
from central.store import tables as t
from contract.cosign import SignedOrder
from contract.words import OrderOutcome, OrderRefusal, OrderType

_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An order that a device has not answered."""

    order_id: bytes
    device: str
    type: OrderType
    expires: int
    raw: bytes
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An order of one type that a device was sent, and what it did with it."""

    order_id: bytes
    issued_at: int
    expires: int
    raw: bytes
    attempts: int
    outcome: OrderOutcome | None
    reason: OrderRefusal | None
    detail: str
    answered_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one device did with an order; ``outcome`` None: it is pending."""

    device: str
    outcome: OrderOutcome | None
    reason: OrderRefusal | None
    answered_at: int | None


class OrderQueries:
    """The part of the store that knows orders."""

    _engine: sa.Engine

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        raise NotImplementedError

    def transaction(self) -> AbstractContextManager[Any]:
        """See :class:`central.store.interface.Store`."""
        raise NotImplementedError

    def add_order(self, signed: SignedOrder, devices: Sequence[str]) -> None:
        """Store an order and the devices it is for; the same bytes again add nothing."""
        order = signed.order
        with self.transaction() as tx:
            connection: sa.Connection = tx._connection
            known = connection.execute(
                sa.select(t.orders.c.raw).where(t.orders.c.order_id == order.order_id)
            ).scalar()
            if known is not None:
                if known != signed.raw:
                    raise ValueError("another order has this id")
                return
            connection.execute(
                t.orders.insert(),
                {
                    "order_id": order.order_id,
                    "type": order.type,
                    "counter": order.counter,
                    "issued_at": int(order.issued_at),
                    "expires": int(order.expires),
                    "signers": list(signed.signers),
                    "raw": signed.raw,
                },
            )
            if devices:
                connection.execute(
                    t.order_targets.insert(),
                    [{"order_id": order.order_id, "device": device} for device in devices],
                )

    def drop_former(self, type_: OrderType, counter: int) -> None:
        """Let no device get an older order of a type any more: each bundle replaces the former."""
        older = sa.select(t.orders.c.order_id).where(
            t.orders.c.type == type_, t.orders.c.counter < counter
        )
        with self.transaction() as tx:
            tx._connection.execute(
                t.order_targets.delete().where(
                    t.order_targets.c.outcome.is_(None), t.order_targets.c.order_id.in_(older)
                )
            )

    def take_order_counter(self) -> int:
        """Give a counter that no order had: devices take each one once (contract.orders.Order)."""
        last = ot.order_counter.c.last
        with self.transaction() as tx:
            connection: sa.Connection = tx._connection
            connection.execute(ot.order_counter.update().values(last=last + 1))
            found = connection.execute(sa.select(last)).scalar_one()
        return int(found)

    def pending_orders(self, now: int) -> Sequence[Pending]:
        """Orders in force that some device has not answered, oldest counter first."""
        query = (
            sa.select(
                t.order_targets.c.order_id,
                t.order_targets.c.device,
                t.orders.c.type,
                t.orders.c.expires,
                t.orders.c.raw,
                t.order_targets.c.attempts,
            )
            .join(t.orders, t.orders.c.order_id == t.order_targets.c.order_id)
            .where(t.order_targets.c.outcome.is_(None), t.orders.c.expires > now)
            .order_by(t.orders.c.counter)
        )
        with self._reading() as connection:
            return [Pending(**row._mapping) for row in connection.execute(query)]

    def note_attempts(self, sent: Sequence[Pending]) -> None:
        """Count deliveries."""
        if not sent:
            return
        target = t.order_targets.c
        one = (
            t.order_targets.update()
            .where(target.order_id == sa.bindparam("of_order"), target.device == sa.bindparam("to"))
            .values(attempts=target.attempts + 1)
        )
        with self.transaction() as tx:
            tx._connection.execute(
                one, [{"of_order": item.order_id, "to": item.device} for item in sent]
            )

    def answers(self, order_id: bytes) -> Sequence[Answer]:
        """What each device did with an order, pending ones included."""
        query = (
            sa.select(
                t.order_targets.c.device,
                t.order_targets.c.outcome,
                t.order_targets.c.reason,
                t.order_targets.c.answered_at,
            )
            .where(t.order_targets.c.order_id == order_id)
            .order_by(t.order_targets.c.device)
        )
        with self._reading() as connection:
            return [Answer(**row._mapping) for row in connection.execute(query)]

    def told(self, device: str, type_: OrderType, limit: int = 20) -> Sequence[Told]:
        """Return what a device was sent of one type, the newest first."""
        o, c = t.orders.c, t.order_targets.c
        query = (
            sa.select(
                o.order_id, o.issued_at, o.expires, o.raw,
                c.attempts, c.outcome, c.reason, c.detail, c.answered_at,
            )
            .join(t.orders, o.order_id == c.order_id)
            .where(c.device == device, o.type == type_)
            .order_by(o.counter.desc())
            .limit(limit)
        )  # fmt: skip
        with self._reading() as connection:
            return [Told(**row._mapping) for row in connection.execute(query)]

    def newest_order(self, type_: OrderType) -> bytes | None:
        """Bytes of the order of one type with the greatest counter."""
        query = (
            sa.select(t.orders.c.raw)
            .where(t.orders.c.type == type_)
            .order_by(t.orders.c.counter.desc())
            .limit(1)
        )
        with self._reading() as connection:
            found: bytes | None = connection.execute(query).scalar()
        return found

    def count_orders(self) -> int:
        """How many orders there are; none is ever taken away."""
        with self._reading() as connection:
            found = connection.execute(sa.select(sa.func.count()).select_from(t.orders))
            return int(found.scalar() or 0)

    def orders_unread(
        self, types: Sequence[OrderType], read: Collection[bytes]
    ) -> Sequence[tuple[bytes, bytes]]:
        """Orders of some types that are not among those read, each with its id.

        Not by their counters: one that was drawn up earlier may be signed later.
        """
        o = t.orders.c
        with self._reading() as connection:
            known = connection.execute(sa.select(o.order_id).where(o.type.in_(types))).scalars()
            unread = [order_id for order_id in known if order_id not in read]
            found: list[tuple[bytes, bytes]] = []
            for at in range(0, len(unread), _AT_ONCE):
                query = sa.select(o.order_id, o.raw).where(
                    o.order_id.in_(unread[at : at + _AT_ONCE])
                )
                found += [(row.order_id, row.raw) for row in connection.execute(query)]
        return found

    def orders_of_type(self, type_: OrderType, limit: int) -> Sequence[bytes]:
        """Bytes of the orders of one type, newest first."""
        query = (
            sa.select(t.orders.c.raw)
            .where(t.orders.c.type == type_)
            .order_by(t.orders.c.counter.desc())
            .limit(limit)
        )
        with self._reading() as connection:
            return list(connection.execute(query).scalars())

    def orders_unknown_to(self, device: str, now: int) -> Sequence[bytes]:
        """Orders in force that have no row for a device, oldest counter first."""
        named = sa.select(t.order_targets.c.order_id).where(t.order_targets.c.device == device)
        query = (
            sa.select(t.orders.c.raw)
            .where(t.orders.c.expires > now, t.orders.c.order_id.not_in(named))
            .order_by(t.orders.c.counter)
        )
        with self._reading() as connection:
            return list(connection.execute(query).scalars())

    def add_target(self, order_id: bytes, device: str) -> None:
        """Let a device get an order that it has no row for."""
        with self.transaction() as tx:
            tx._connection.execute(
                t.order_targets.insert(), {"order_id": order_id, "device": device}
            )
