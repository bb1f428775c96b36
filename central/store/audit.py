"""The audit log in the store: one chain of rows, and signed seals of it.

Rows are only ever appended, by :func:`append`, inside the transaction of what they tell of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.store.tables import Json, _need, _table

audit = _table(
    "audit",
    _need("seq", sa.BigInteger, primary_key=True),
    _need("at", sa.BigInteger),
    _need("actor", sa.Text),
    _need("roles", Json),
    _need("action", sa.Text),
    _need("subject", sa.Text),
    _need("outcome", sa.Text),
    _need("detail", Json),
    _need("prev", sa.Text),
    _need("digest", sa.Text),
)
sa.Index("audit_by_actor", audit.c.actor)

audit_head = _table(
    "audit_head",
    _need("id", sa.BigInteger, primary_key=True),
    _need("seq", sa.BigInteger),
    _need("digest", sa.Text),
)

audit_seals = _table(
    "audit_seals",
    _need("seq", sa.BigInteger, primary_key=True),
    _need("digest", sa.Text),
    _need("at", sa.BigInteger),
    _need("kid", sa.Text),
    _need("signature", sa.Text),
)

_PAGE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One act: who, under which roles, did what to what, and how it ended."""

    seq: int
    at: int
    actor: str
    roles: Sequence[str]
    action: str
    subject: str
    outcome: str
    detail: dict[str, Any]
    prev: str
    digest: str


@dataclass(frozen=True, slots=True)
class Seal:
    """The chain up to a row, signed with the central's key."""

    seq: int
    digest: str
    at: int
    kid: str
    signature: str


def head(connection: sa.Connection) -> tuple[int, str]:
    """Number and digest of the last row; on PostgreSQL it stays locked until the commit."""
    row = connection.execute(sa.select(audit_head).with_for_update()).one()
    return row.seq, row.digest


def append(connection: sa.Connection, row: AuditRow) -> None:
    """Put a row at the end; the caller made it from :func:`head` in this same transaction."""
    values = {name: getattr(row, name) for name in AuditRow.__dataclass_fields__}
    values["roles"] = list(row.roles)
    connection.execute(audit.insert().values(**values))
    connection.execute(audit_head.update().values(seq=row.seq, digest=row.digest))


def add_seal(connection: sa.Connection, seal: Seal) -> None:
    """Keep a signature over the chain."""
    values = {name: getattr(seal, name) for name in Seal.__dataclass_fields__}
    connection.execute(audit_seals.insert().values(**values))


class AuditQueries:
    """The part of the store that reads the audit log."""

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        raise NotImplementedError

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        raise NotImplementedError

    def _one(self, query: sa.Select[Any]) -> sa.Row[Any] | None:
        raise NotImplementedError

    def audit_rows(
        self, limit: int, before: int | None = None, actor: str = "", action: str = ""
    ) -> Sequence[AuditRow]:
        """Rows of the audit log, the newest first; an action by the start of its name."""
        query = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.seq < before)
        if actor:
            query = query.where(audit.c.actor == actor)
        if action:
            query = query.where(audit.c.action.startswith(action, autoescape=True))
        return [AuditRow(**row._mapping) for row in self._all(query)]

    def audit_chain(self) -> Iterator[AuditRow]:
        """Every row from the first, without holding them all in memory."""
        after = 0
        while True:
            rows = self._all(
                sa.select(audit).where(audit.c.seq > after).order_by(audit.c.seq).limit(_PAGE)
            )
            yield from (AuditRow(**row._mapping) for row in rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1].seq

    def audit_head(self) -> tuple[int, str]:
        """Number and digest of the last row."""
        row = self._one(sa.select(audit_head))
        return (0, "") if row is None else (row.seq, row.digest)

    def audit_seals(self) -> Sequence[Seal]:
        """Every seal, the oldest first."""
        rows = self._all(sa.select(audit_seals).order_by(audit_seals.c.seq))
        return [Seal(**row._mapping) for row in rows]
