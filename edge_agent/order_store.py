"""The durable side of the orders: one SQLite file, every step one transaction, synced to disk."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge_agent.step_file import StepFile

_SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT, raw BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (digest BLOB PRIMARY KEY, expires INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
  order_id BLOB PRIMARY KEY, issuer TEXT NOT NULL, counter INTEGER NOT NULL,
  type TEXT NOT NULL, state TEXT NOT NULL, raw BLOB NOT NULL, attempt INTEGER NOT NULL,
  expires INTEGER NOT NULL, account BLOB, until INTEGER,
  UNIQUE (issuer, counter)
);
CREATE INDEX IF NOT EXISTS orders_by_account ON orders (account, state);
CREATE INDEX IF NOT EXISTS orders_by_term ON orders (state, until);
CREATE TABLE IF NOT EXISTS ends (order_id BLOB PRIMARY KEY);
CREATE TABLE IF NOT EXISTS results (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS bundles (
  kind TEXT NOT NULL, version INTEGER NOT NULL, state TEXT NOT NULL, raw BLOB NOT NULL,
  starts INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (kind, version)
);
CREATE TABLE IF NOT EXISTS floor (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL);
"""


class OrderState(StrEnum):
    """Where an order stands; what comes after ``applied`` is reported from its own row."""

    VERIFIED = "verified"
    APPLIED = "applied"
    ENDED = "ended"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """One order that was taken, with its id used for good."""

    order_id: bytes
    issuer: str
    counter: int
    type: str
    state: OrderState
    raw: bytes
    attempt: int
    expires: int
    account: bytes | None
    until: int | None


class OrderStore(StepFile):
    """What orders left behind, and what is to be done with them next."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _SCHEMA, ["journal_mode = WAL"])

    def waiting(self) -> int:
        """Messages that nobody has judged yet."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM inbox").fetchone()[0])

    def next_inbox(self) -> tuple[int, bytes] | None:
        """The oldest message that nobody has judged."""
        with self._lock:
            row = self._db.execute("SELECT id, raw FROM inbox ORDER BY id LIMIT 1").fetchone()
        return None if row is None else (row[0], row[1])

    def next_result(self) -> tuple[int, bytes] | None:
        """The oldest result that is not in the outbox."""
        with self._lock:
            row = self._db.execute("SELECT id, body FROM results ORDER BY id LIMIT 1").fetchone()
        return None if row is None else (row[0], row[1])

    def floor(self) -> int | None:
        """The latest moment that a disciplined clock has told, to the minute."""
        with self._lock:
            row = self._db.execute("SELECT at FROM floor").fetchone()
        return None if row is None else int(row[0])

    def orders(self, state: OrderState, until: int | None = None) -> list[OrderRow]:
        """Orders in a state, oldest counter first; with ``until``, those whose term is over."""
        query = f"SELECT {_COLUMNS} FROM orders WHERE state = ?"  # noqa: S608 - fixed columns
        arguments: list[str | int] = [state.value]
        if until is not None:
            query += " AND until <= ?"
            arguments.append(until)
        with self._lock:
            rows = self._db.execute(query + " ORDER BY counter", arguments).fetchall()
        return [_row(row) for row in rows]

    def of_account(self, account: bytes) -> list[OrderRow]:
        """Applied orders that hold an account."""
        query = f"SELECT {_COLUMNS} FROM orders WHERE account = ? AND state = 'applied'"  # noqa: S608
        with self._lock:
            return [_row(row) for row in self._db.execute(query, (account,)).fetchall()]

    def applied(self, type_: str, after: int) -> list[OrderRow]:
        """Applied orders of one type whose term ends after a moment, oldest counter first."""
        query = (
            f"SELECT {_COLUMNS} FROM orders WHERE state = 'applied' AND until > ? AND type = ?"  # noqa: S608
            " ORDER BY counter"
        )
        with self._lock:
            return [_row(row) for row in self._db.execute(query, (after, type_)).fetchall()]

    def bundle(self, kind: str) -> tuple[int, str, bytes] | None:
        """Newest bundle in force: version, state and bytes."""
        with self._lock:
            row = self._db.execute(
                "SELECT version, state, raw FROM bundles WHERE kind = ? AND state != 'rolled_back'"
                " ORDER BY version DESC LIMIT 1",
                (kind,),
            ).fetchone()
        return None if row is None else (row[0], row[1], row[2])


_COLUMNS = "order_id, issuer, counter, type, state, raw, attempt, expires, account, until"


def _row(
    row: tuple[bytes, str, int, str, str, bytes, int, int, bytes | None, int | None],
) -> OrderRow:
    return OrderRow(
        order_id=row[0],
        issuer=row[1],
        counter=row[2],
        type=row[3],
        state=OrderState(row[4]),
        raw=row[5],
        attempt=row[6],
        expires=row[7],
        account=row[8],
        until=row[9],
    )
