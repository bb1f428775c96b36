"""Refunds in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.store import intake_tables as it
from central.store.case_tables import cases
from central.store.triage import within
from central.store.write import columns


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRow:
    """Shares of one account, and who did what with them."""

    id: int = 0
    case_id: int
    account: str
    held_fen: int
    method: str
    claims: list[Any]
    shares: list[Any]
    left_fen: int
    state: str
    proposed_by: str
    proposed_at: int
    approved_by: str | None = None
    approved_at: int | None = None
    notice_until: int | None = None
    decided_by: str | None = None
    decided_at: int | None = None
    done_by: str | None = None
    done_at: int | None = None
    note: str = ""
    version: int = 1


class RefundQueries:
    """The part of the store that knows refunds."""

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        raise NotImplementedError

    def _one(self, query: sa.Select[Any]) -> sa.Row[Any] | None:
        raise NotImplementedError

    def refund(self, refund_id: int) -> RefundRow | None:
        """Return one refund."""
        row = self._one(sa.select(it.refunds).where(it.refunds.c.id == refund_id))
        return None if row is None else RefundRow(**row._mapping)

    def refunds(
        self, areas: frozenset[str], case_id: int | None = None, limit: int = 200
    ) -> Sequence[tuple[RefundRow, str]]:
        """Return refunds with their case's number, newest first, of all or of one case."""
        r = it.refunds
        query = (
            sa.select(r, cases.c.number.label("case_number"))
            .join(cases, cases.c.id == r.c.case_id)
            .where(within(cases.c.area, areas))
            .order_by(r.c.id.desc())
            .limit(limit)
        )
        if case_id is not None:
            query = query.where(r.c.case_id == case_id)
        found = []
        for row in self._all(query):
            values = dict(row._mapping)
            number = values.pop("case_number")
            found.append((RefundRow(**values), number))
        return found


def add(connection: sa.Connection, row: RefundRow) -> int:
    """Store a refund and return its id."""
    values = columns(row)
    del values["id"]
    key = connection.execute(it.refunds.insert().values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def change(connection: sa.Connection, row: RefundRow) -> None:
    """Put a refund in the place of the stored one."""
    connection.execute(it.refunds.update().where(it.refunds.c.id == row.id).values(**columns(row)))


def read_refund(connection: sa.Connection, refund_id: int) -> RefundRow | None:
    """Return one refund as the transaction sees it."""
    r = it.refunds
    row = connection.execute(sa.select(r).where(r.c.id == refund_id)).one_or_none()
    return None if row is None else RefundRow(**row._mapping)
