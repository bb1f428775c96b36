"""What a machine has to remember while it links visits: one SQLite file, synced at each step.

What was sealed waits here until the central has it, so that a kill between the two sends the same
bytes again and never the same visit twice. All of it goes when its order is over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_agent.step_file import StepFile

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sent (
  order_id BLOB NOT NULL, recipient TEXT NOT NULL, up_to INTEGER NOT NULL,
  PRIMARY KEY (order_id, recipient)
);
CREATE TABLE IF NOT EXISTS outgoing (
  id INTEGER PRIMARY KEY AUTOINCREMENT, order_id BLOB NOT NULL, recipient TEXT NOT NULL,
  parcel BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS compared (digest BLOB PRIMARY KEY, order_id BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A sealed parcel that the central does not have yet."""

    number: int
    order_id: bytes
    recipient: str
    parcel: bytes


class LinkBook(StepFile):
    """What is to be sent, and what was compared."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _SCHEMA, ["secure_delete = ON", "journal_mode = DELETE"])

    def keep_only(self, orders: Collection[bytes]) -> None:
        """Erase everything of orders that are not in force any more."""
        with self._lock:
            known = {
                row[0]
                for table in ("sent", "outgoing", "compared")
                for row in self._db.execute(f"SELECT DISTINCT order_id FROM {table}")  # noqa: S608
            }
        over = known - set(orders)
        if not over:
            return
        with self.transaction() as db:
            for order_id in over:
                for table in ("sent", "outgoing", "compared"):
                    db.execute(f"DELETE FROM {table} WHERE order_id = ?", (order_id,))  # noqa: S608

    def up_to(self, order_id: bytes, recipient: str) -> int:
        """Number of the visit up to which a machine has been served; 0: not at all."""
        with self._lock:
            row = self._db.execute(
                "SELECT up_to FROM sent WHERE order_id = ? AND recipient = ?",
                (order_id, recipient),
            ).fetchone()
        return 0 if row is None else int(row[0])

    def add(self, order_id: bytes, parcels: Mapping[str, bytes], up_to: int) -> None:
        """Keep sealed parcels, and up to which visit their machines have been served."""
        with self.transaction() as db:
            db.executemany(
                "INSERT INTO outgoing (order_id, recipient, parcel) VALUES (?, ?, ?)",
                [(order_id, recipient, parcel) for recipient, parcel in parcels.items()],
            )
            db.executemany(
                "INSERT OR REPLACE INTO sent VALUES (?, ?, ?)",
                [(order_id, recipient, up_to) for recipient in parcels],
            )

    def outgoing(self) -> list[Outgoing]:
        """Parcels that the central does not have, oldest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT id, order_id, recipient, parcel FROM outgoing ORDER BY id"
            ).fetchall()
        return [Outgoing(number=n, order_id=o, recipient=r, parcel=p) for n, o, r, p in rows]

    def took(self, number: int) -> None:
        """The central has a parcel: it is not kept here any longer."""
        with self.transaction() as db:
            db.execute("DELETE FROM outgoing WHERE id = ?", (number,))

    def is_compared(self, digest: bytes) -> bool:
        """Whether a parcel was compared and reported before."""
        with self._lock:
            row = self._db.execute("SELECT 1 FROM compared WHERE digest = ?", (digest,)).fetchone()
        return row is not None

    def note_compared(self, digest: bytes, order_id: bytes) -> None:
        """A parcel's report is durable: it is done with."""
        with self.transaction() as db:
            db.execute("INSERT OR IGNORE INTO compared VALUES (?, ?)", (digest, order_id))
