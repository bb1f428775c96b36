"""The post office between machines that link visits: it carries what it cannot read.

A parcel is taken only from a machine that an order in force is for, to a machine that the order
names. It lies here until it was compared there, or until the order is over.
"""

from __future__ import annotations

import hashlib

from central.store import links
from central.store.links import WaitingParcel
from central.store.sql import SqlStore
from contract.clock import Clock
from contract.visit_links import MAX_PARCEL_BYTES
from contract.words import DeviceKind


class LinkRefusedError(Exception):
    """A step that is not allowed; with the status that the port answers."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class LinkDesk:
    """Methods may be called from any thread; they raise StoreUnavailableError."""

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def put(self, sender: str, order_id: bytes, recipient: str, parcel: bytes) -> None:
        """Take a parcel; raises LinkRefusedError. The same bytes again change nothing."""
        if len(parcel) > MAX_PARCEL_BYTES:
            raise LinkRefusedError(413, "the parcel is too long")
        if not parcel:
            raise LinkRefusedError(422, "the parcel is empty")
        now = int(self._clock.wall())
        with self._store.transaction() as tx:
            connection = tx._connection  # type: ignore[attr-defined]
            found = links.order_in_force(connection, order_id, now)
            if found is None:
                raise LinkRefusedError(403, "no such order is in force")
            order, body = found
            if not order.is_for(sender, DeviceKind.ATM):
                raise LinkRefusedError(403, "the order is for other machines")
            if recipient == sender or body.key_of(recipient) is None:
                raise LinkRefusedError(403, "the order does not let that machine compare")
            waiting = WaitingParcel(
                digest=hashlib.sha256(parcel).digest(), order_id=order_id, sender=sender
            )
            if not links.add_parcel(connection, waiting, recipient, parcel, now):
                raise LinkRefusedError(429, "too many parcels wait for that machine")

    def waiting(self, machine: str) -> list[WaitingParcel]:
        """What waits for a machine under orders in force, oldest first."""
        now = int(self._clock.wall())
        with self._store.reading() as connection:
            found = links.waiting_for(connection, machine)
            orders = {one.order_id for one in found}
            live = {o for o in orders if links.order_in_force(connection, o, now) is not None}
        return [one for one in found if one.order_id in live]

    def fetch(self, machine: str, digest: bytes) -> bytes:
        """Return a parcel to the machine that it is for; raises LinkRefusedError."""
        with self._store.reading() as connection:
            found = links.parcel_for(connection, machine, digest)
            if found is None:
                raise LinkRefusedError(404, "no such parcel waits for this machine")
            if links.order_in_force(connection, found[0], int(self._clock.wall())) is None:
                raise LinkRefusedError(403, "its order is not in force any more")
        return found[1]

    def drop(self, machine: str, digest: bytes) -> None:
        """Erase a parcel that its machine has compared; one that is gone is no error."""
        with self._store.transaction() as tx:
            links.drop_parcel(tx._connection, machine, digest)  # type: ignore[attr-defined]

    def forget_over(self) -> int:
        """Erase what waits under orders that are over; returns how many parcels went."""
        now = int(self._clock.wall())
        with self._store.reading() as connection:
            over = [
                order_id
                for order_id in links.orders_with_parcels(connection)
                if links.order_in_force(connection, order_id, now) is None
            ]
        if not over:
            return 0
        with self._store.transaction() as tx:
            connection = tx._connection  # type: ignore[attr-defined]
            return sum(links.drop_parcels_of(connection, order_id) for order_id in over)
