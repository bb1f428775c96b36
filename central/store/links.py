"""Parcels that wait between machines, and the visits that machines linked, in the store.

A parcel is ciphertext here. It is kept while its order is in force and its machine has not compared
it, and no longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from central.store import link_tables as lt
from central.store import tables as t
from central.store.interface import Device
from central.store.list_tables import device_boxes
from contract.cosign import read_body, read_order
from contract.messages import VisitLinkReport
from contract.orders import CrossAtmLink, CrossAtmLinkEnd, Order
from contract.visit_links import MAX_WAITING
from contract.words import DeviceKind, OrderType

if TYPE_CHECKING:
    from central.store.sql import SqlStore


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingParcel:
    """A parcel that waits for a machine, without its bytes."""

    digest: bytes
    order_id: bytes
    sender: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkComparison:
    """What one machine said of one parcel."""

    machine: str
    sender: str
    is_opened: bool
    faces: int
    compared: int
    linked: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitLink:
    """A visit at a machine whose face is like one that another machine sent."""

    machine: str
    sender: str
    visit: int
    captured_at: int
    similarity: float


def link_keys(store: SqlStore) -> list[tuple[Device, bytes]]:
    """Enrolled machines with the keys to which parcels for them are sealed."""
    with store.reading() as connection:
        rows = connection.execute(sa.select(device_boxes)).all()
    keys = {row.device: bytes(row.public) for row in rows}
    return [
        (device, keys[device.device])
        for device in store.devices()
        if device.kind is DeviceKind.ATM and device.revoked_at is None and device.device in keys
    ]


def link_order(connection: sa.Connection, order_id: bytes) -> tuple[Order, CrossAtmLink] | None:
    """Head and body of an order to link visits that was published, whatever became of it."""
    query = sa.select(t.orders.c.raw).where(
        t.orders.c.order_id == order_id, t.orders.c.type == OrderType.CROSS_ATM_LINK
    )
    raw = connection.execute(query).scalar()
    if raw is None:
        return None
    body = read_body(raw)
    assert isinstance(body, CrossAtmLink)
    return read_order(raw), body


def order_in_force(
    connection: sa.Connection, order_id: bytes, now: int
) -> tuple[Order, CrossAtmLink] | None:
    """Return the same while it is in force: begun, not over, and not ended by another order."""
    found = link_order(connection, order_id)
    if found is None or not found[0].not_before <= now < found[1].until:
        return None
    ends = sa.select(t.orders.c.raw).where(t.orders.c.type == OrderType.END_CROSS_ATM_LINK)
    for raw in connection.execute(ends).scalars():
        body = read_body(raw)
        if isinstance(body, CrossAtmLinkEnd) and order_id in body.ends:
            return None
    return found


def add_parcel(
    connection: sa.Connection, waiting: WaitingParcel, recipient: str, parcel: bytes, now: int
) -> bool:
    """Keep a parcel; the same bytes again, or what was compared, add nothing. False: too many."""
    p, c = lt.link_parcels.c, lt.link_comparisons.c
    for known in (
        sa.select(p.digest).where(p.digest == waiting.digest),
        sa.select(c.digest).where(c.machine == recipient, c.digest == waiting.digest),
    ):
        if connection.execute(known).first() is not None:
            return True
    before = sa.select(sa.func.count()).where(
        p.order_id == waiting.order_id, p.sender == waiting.sender, p.recipient == recipient
    )
    if connection.execute(before).scalar_one() >= MAX_WAITING:
        return False
    row = {
        "digest": waiting.digest,
        "order_id": waiting.order_id,
        "sender": waiting.sender,
        "recipient": recipient,
        "parcel": parcel,
        "came_at": now,
    }
    connection.execute(lt.link_parcels.insert(), row)
    return True


def waiting_for(connection: sa.Connection, machine: str) -> Sequence[WaitingParcel]:
    """What waits for a machine, oldest first."""
    p = lt.link_parcels.c
    query = (
        sa.select(p.digest, p.order_id, p.sender)
        .where(p.recipient == machine)
        .order_by(p.came_at, p.digest)
        .limit(MAX_WAITING)
    )
    return [WaitingParcel(**row._mapping) for row in connection.execute(query)]


def parcel_for(
    connection: sa.Connection, machine: str, digest: bytes
) -> tuple[bytes, bytes] | None:
    """The order and the bytes of a parcel that waits for a machine."""
    p = lt.link_parcels.c
    query = sa.select(p.order_id, p.parcel).where(p.recipient == machine, p.digest == digest)
    row = connection.execute(query).first()
    return None if row is None else (bytes(row.order_id), bytes(row.parcel))


def drop_parcel(connection: sa.Connection, machine: str, digest: bytes) -> int:
    """Erase a parcel that its machine has compared."""
    p = lt.link_parcels.c
    gone = lt.link_parcels.delete().where(p.recipient == machine, p.digest == digest)
    return connection.execute(gone).rowcount


def orders_with_parcels(connection: sa.Connection) -> Sequence[bytes]:
    """Orders for which something waits."""
    return list(connection.execute(sa.select(lt.link_parcels.c.order_id).distinct()).scalars())


def drop_parcels_of(connection: sa.Connection, order_id: bytes) -> int:
    """Erase everything that waits under an order."""
    gone = lt.link_parcels.delete().where(lt.link_parcels.c.order_id == order_id)
    return connection.execute(gone).rowcount


def note_report(connection: sa.Connection, machine: str, report: VisitLinkReport) -> bool:
    """Keep what a machine found; False for a report that no order asked this machine for.

    A visit that two parcels of one machine are like is one link, with the greater similarity.
    """
    found = link_order(connection, report.order_id)
    if found is None or found[1].key_of(machine) is None or report.sender == machine:
        return False
    c, v = lt.link_comparisons, lt.linked_visits
    known = sa.select(c.c.digest).where(c.c.machine == machine, c.c.digest == report.parcel)
    if connection.execute(known).first() is not None:
        return True
    row = {
        "machine": machine,
        "digest": report.parcel,
        "order_id": report.order_id,
        "sender": report.sender,
        "is_opened": int(report.is_opened),
        "faces": report.faces,
        "compared": report.compared,
        "linked": report.linked,
        "at": int(report.at),
    }
    connection.execute(c.insert(), row)
    for visit in report.visits if report.is_opened else ():
        this = (
            (v.c.order_id == report.order_id)
            & (v.c.machine == machine)
            & (v.c.sender == report.sender)
            & (v.c.visit == visit.visit)
        )
        before = connection.execute(sa.select(v.c.similarity).where(this)).scalar()
        if before is None:
            connection.execute(
                v.insert(),
                {
                    "order_id": report.order_id,
                    "machine": machine,
                    "sender": report.sender,
                    "visit": visit.visit,
                    "captured_at": int(visit.captured_at),
                    "similarity": visit.similarity,
                },
            )
        elif visit.similarity > before:
            connection.execute(v.update().where(this).values(similarity=visit.similarity))
    return True


def comparisons(connection: sa.Connection, order_id: bytes) -> Sequence[LinkComparison]:
    """What machines said under an order, oldest first."""
    c = lt.link_comparisons.c
    query = (
        sa.select(c.machine, c.sender, c.is_opened, c.faces, c.compared, c.linked, c.at)
        .where(c.order_id == order_id)
        .order_by(c.at, c.machine, c.digest)
    )
    rows = [row._mapping for row in connection.execute(query)]
    return [LinkComparison(**(dict(row) | {"is_opened": bool(row["is_opened"])})) for row in rows]


def visit_links(connection: sa.Connection, order_id: bytes, most: int) -> Sequence[VisitLink]:
    """Linked visits under an order, the most alike first."""
    v = lt.linked_visits.c
    query = (
        sa.select(v.machine, v.sender, v.visit, v.captured_at, v.similarity)
        .where(v.order_id == order_id)
        .order_by(v.similarity.desc(), v.machine, v.visit, v.sender)
        .limit(most)
    )
    return [VisitLink(**row._mapping) for row in connection.execute(query)]
