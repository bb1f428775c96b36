"""Which accounts live orders hold, for the list: read from the signed orders themselves.

The machines get these orders anyway. The list repeats them, so that a machine that missed one, or
was enrolled later, refuses all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from central.store.sql import SqlStore
from contract.account_list import ListedFor
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


HoldSource = Callable[[int], Mapping[bytes, LiveHold]]
"""Live holds at a time (microseconds), by the order's id."""

_LISTED_FOR = {
    OrderType.STOP_PAYMENT: ListedFor.STOP,
    OrderType.EXTEND_STOP: ListedFor.STOP,
    OrderType.FREEZE: ListedFor.FREEZE,
    OrderType.EXTEND_FREEZE: ListedFor.FREEZE,
}
_RELEASES = frozenset({OrderType.RELEASE_STOP, OrderType.RELEASE_FREEZE})


class WireHolds:
    """Live stops and freezes among the orders that were sent; each order is read once."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._read_to = 0
        self._holds: dict[bytes, LiveHold] = {}
        self._ended: set[tuple[bytes, bytes]] = set()

    def __call__(self, now: int) -> Mapping[bytes, LiveHold]:
        """Return what is held at ``now``."""
        types = sorted({*_LISTED_FOR, *_RELEASES})
        for counter, raw in self._store.orders_after(self._read_to, types):
            self._take(raw)
            self._read_to = counter
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
                order.order_id, body.account, _LISTED_FOR[order.type], int(body.until)
            )
        elif isinstance(body, AccountRelease):  # it ends only holds on its own account
            self._ended |= {(ended, body.account.hmac) for ended in body.releases}
