"""Which accounts live orders hold, for the list: read from the signed orders themselves.

The machines get these orders anyway. The list repeats them, so that a machine that missed one, or
was enrolled later, refuses all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from central.orders.effects import Flag
from central.orders.kinds import Hold
from central.store.sql import SqlStore
from contract.account_list import ListedFor, Regime
from contract.accounts import CardRef
from contract.cosign import read_body, read_order
from contract.orders import AccountHold, AccountRelease
from contract.words import OrderType


@dataclass(frozen=True, slots=True)
class LiveHold:
    """One order that lists one account until a moment."""

    order_id: bytes
    account: CardRef
    listed_for: ListedFor
    until: int
    since: int = 0
    """When it was drawn up: tells which of the tenant's keys its account is named under."""

    @property
    def regime(self) -> Regime:
        """A suspension by an order stops outgoing money outside the counter, no more."""
        is_sanction = ListedFor.SANCTION in self.listed_for
        return Regime.JOINT_2024 if is_sanction else Regime.NONE


HoldSource = Callable[[int], Mapping[bytes, LiveHold]]
"""Live holds at a time (microseconds), by the order's id."""

_LISTED_FOR = {
    OrderType.STOP_PAYMENT: ListedFor.STOP,
    OrderType.EXTEND_STOP: ListedFor.STOP,
    OrderType.FREEZE: ListedFor.FREEZE,
    OrderType.EXTEND_FREEZE: ListedFor.FREEZE,
}
_RELEASES = frozenset({OrderType.RELEASE_STOP, OrderType.RELEASE_FREEZE})


_FLAGS = {Hold.WATCH: ListedFor.WATCH, Hold.SUSPENSION: ListedFor.SANCTION}


def all_holds(wire: HoldSource, flags: Callable[[], Iterable[Flag]]) -> HoldSource:
    """Stops and freezes of the sent orders, and what the order desk watches and suspends."""

    def held(now: int) -> Mapping[bytes, LiveHold]:
        through = {
            flag.order_id: LiveHold(flag.order_id, flag.account, _FLAGS[flag.hold], int(flag.until))
            for flag in flags()
            if flag.until > now
        }
        return {**wire(now), **through}

    return held


class WireHolds:
    """Live stops and freezes among the orders that were sent; each order is read once."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._count = 0
        self._read: set[bytes] = set()
        self._holds: dict[bytes, LiveHold] = {}
        self._ended: set[tuple[bytes, bytes]] = set()

    def __call__(self, now: int) -> Mapping[bytes, LiveHold]:
        """Return what is held at ``now``."""
        count = self._store.count_orders()
        if count != self._count:
            types = sorted({*_LISTED_FOR, *_RELEASES})
            for order_id, raw in self._store.orders_unread(types, self._read):
                self._take(raw)
                self._read.add(order_id)
            self._count = count
        self._holds = {
            order_id: hold
            for order_id, hold in self._holds.items()
            if hold.until > now and (order_id, hold.account.hmac) not in self._ended
        }
        return self._holds

    def _take(self, raw: bytes) -> None:
        order, body = read_order(raw), read_body(raw)
        if isinstance(body, AccountHold):
            self._holds[order.order_id] = LiveHold(
                order.order_id,
                body.account,
                _LISTED_FOR[order.type],
                int(body.until),
                int(order.issued_at),
            )
        elif isinstance(body, AccountRelease):  # it ends only holds on its own account
            self._ended |= {(ended, body.account.hmac) for ended in body.releases}
