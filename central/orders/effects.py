"""What orders that go to no machine directly do: watched and suspended accounts, for the list.

The machines learn of these through the list of accounts. Nothing is pushed: whoever builds the list
asks here, so that a kill between an order and its effect loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from central.orders.book import OrderRecord
from central.orders.kinds import KINDS, Hold
from contract.accounts import CardRef
from contract.clock import UnixMicros

THROUGH_THE_LIST = frozenset({Hold.WATCH, Hold.SUSPENSION})


@dataclass(frozen=True, slots=True)
class Flag:
    """One account that a live order watches or suspends."""

    order_id: bytes
    account: CardRef
    hold: Hold
    until: UnixMicros
    since: UnixMicros


def flagged(orders: Iterable[OrderRecord], now: UnixMicros | int) -> Iterator[Flag]:
    """Accounts that the list must name besides stops and freezes."""
    for record in orders:
        application = record.application
        hold = KINDS[application.kind].begins
        if hold not in THROUGH_THE_LIST or not record.is_live(now):
            continue
        if application.account is not None and application.until is not None:
            yield Flag(
                application.order_id,
                application.account,
                hold,
                application.until,
                application.drafted_at,
            )
