"""The SQLite file under the outbox: schema, chain state, rows and receipts.

Nothing here knows threads or signatures; :mod:`edge_agent.outbox` brings both.
"""

from __future__ import annotations

import importlib.resources
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.clock import UnixMicros
from contract.envelope import NO_PREVIOUS
from contract.messages import SeqRange
from contract.topics import Lane
from edge_agent.outbox_errors import BrokenStoreError, OutboxError
from mqtt_bridge.ports import OutboxRow

APPLICATION_ID = 0x5153_4F42  # "QSOB"
PAGE_BYTES = 4096
KEPT_RECEIPTS = 32
KEPT_KNOWN = 500_000
KEPT_RELEASED = 100_000
KNOWN_FOR_US = 30 * 24 * 3600 * 1_000_000

_CHUNK = 1000
_FOR_EVER = 2**62
_BUSY_S = 5.0
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@dataclass(frozen=True, slots=True)
class Chain:
    """Where the device's hash chain stands and how far the central has receipted it."""

    last_seq: int
    head: bytes
    receipted: int
    receipted_head: bytes


@dataclass(frozen=True, slots=True)
class LaneUsage:
    """What waits of one lane, or what went of it."""

    rows: int = 0
    size_bytes: int = 0

    def plus(self, rows: int, size_bytes: int) -> LaneUsage:
        """Return the sum; negative numbers take away."""
        return LaneUsage(self.rows + rows, self.size_bytes + size_bytes)


@dataclass(frozen=True, slots=True)
class Usage:
    """What waits in the store. ``top_seq`` is the newest waiting row, 0 where none waits."""

    lanes: dict[Lane, LaneUsage]
    top_seq: int

    @property
    def rows(self) -> int:
        """Messages of all lanes."""
        return sum(lane.rows for lane in self.lanes.values())

    @property
    def size_bytes(self) -> int:
        """Bytes of all lanes."""
        return sum(lane.size_bytes for lane in self.lanes.values())

    def without(self, gone: dict[Lane, LaneUsage], top_seq: int) -> Usage:
        """Return what is left when some rows have gone."""
        none = LaneUsage()
        lanes = {
            lane: used.plus(-gone.get(lane, none).rows, -gone.get(lane, none).size_bytes)
            for lane, used in self.lanes.items()
        }
        return Usage(lanes, top_seq)


class Tally:
    """The same while a transaction changes it, one message after the other."""

    __slots__ = ("lane_bytes", "lane_rows", "rows", "size_bytes", "top_seq")

    def __init__(self, usage: Usage) -> None:
        self.lane_rows = {lane: used.rows for lane, used in usage.lanes.items()}
        self.lane_bytes = {lane: used.size_bytes for lane, used in usage.lanes.items()}
        self.rows, self.size_bytes, self.top_seq = usage.rows, usage.size_bytes, usage.top_seq

    def add(self, lane: Lane, rows: int, size_bytes: int) -> None:
        """Count rows of a lane; negative numbers take away."""
        self.lane_rows[lane] += rows
        self.lane_bytes[lane] += size_bytes
        self.rows += rows
        self.size_bytes += size_bytes

    def usage(self) -> Usage:
        """Return what was counted."""
        rows, sizes = self.lane_rows, self.lane_bytes
        return Usage({lane: LaneUsage(rows[lane], sizes[lane]) for lane in rows}, self.top_seq)


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One signed message as it is kept."""

    seq: int
    lane: Lane
    digest: bytes
    put_at: UnixMicros
    cose: bytes


@dataclass(frozen=True, slots=True)
class DropRow:
    """A waiting row without its bytes."""

    seq: int
    digest: bytes
    put_at: UnixMicros
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A message that was put aside, with why."""

    seq: int
    lane: Lane
    put_at: UnixMicros
    cose: bytes
    refused_at: UnixMicros
    why: str


_REFUSED = "SELECT seq, lane, put_at_us, cose, refused_at_us, why FROM refused"


def _refused_row(
    seq: int, lane: str, put_at: int, cose: bytes, refused_at: int, why: str
) -> RefusedRow:
    return RefusedRow(seq, Lane(lane), UnixMicros(put_at), cose, UnixMicros(refused_at), why)


def error_code(error: sqlite3.Error) -> int:
    """Primary SQLite result code of an error, 0 where the driver itself complained."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _marked(values: Sequence[Any]) -> tuple[str, list[Any]]:
    """Marks of a statement for some values, and these filled up with NULL, which equals nothing.

    A statement for each count of values would be kept for each: megabytes for a thousand marks.
    """
    size = 1 << max(0, len(values) - 1).bit_length()
    return ",".join("?" * size), [*values, *[None] * (size - len(values))]


def _schema_steps() -> list[str]:
    folder = importlib.resources.files("edge_agent") / "outbox_schema"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [file.read_text(encoding="utf-8") for file in files]


class OutboxStore:
    """One connection that writes; use it from one thread at a time."""

    def __init__(self, path: Path, max_file_bytes: int | None = None) -> None:
        """Open or create the file; raises BrokenStoreError, or OutboxError for a foreign file."""
        self.path = path
        try:
            self._db = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise OutboxError(path, f"cannot be opened: {error}") from error
        try:
            self._prepare(max_file_bytes)
        except sqlite3.Error as error:
            self._db.close()
            kind = BrokenStoreError if error_code(error) in _BROKEN else OutboxError
            raise kind(path, f"cannot be opened: {error}") from error
        except OutboxError:
            self._db.close()
            raise

    def _prepare(self, max_file_bytes: int | None) -> None:
        db = self._db
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION_ID and (application or tables):
            raise OutboxError(self.path, "is a data base, but not an outbox")
        if not tables:
            db.execute(f"PRAGMA page_size={PAGE_BYTES}")
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        # The log keeps its size on the disk, so that a receipt can free rows on a full one.
        db.execute("PRAGMA journal_size_limit=-1")
        if max_file_bytes is not None:
            db.execute(f"PRAGMA max_page_count={max(1, max_file_bytes // PAGE_BYTES)}")
        if tables and (found := [row[0] for row in db.execute("PRAGMA quick_check(1)")]) != ["ok"]:
            raise BrokenStoreError(self.path, f"fails its check: {found[0]}")
        self._migrate()

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        steps = _schema_steps()
        if version > len(steps):
            raise OutboxError(
                self.path, f"has schema version {version}, this software knows {len(steps)}"
            )
        for number, step in enumerate(steps[version:], start=version + 1):
            self._db.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id={APPLICATION_ID};\n{step}\n"
                f"PRAGMA user_version={number}; COMMIT;"
            )

    def close(self) -> None:
        """Close the connection; the last one folds the log into the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, durable when the block has been left."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite has rolled back by itself after some errors
                self._db.execute("ROLLBACK")
            raise

    # -- the chain --------------------------------------------------------------------------

    def owner(self) -> tuple[str, str] | None:
        """(tenant, device) whose store this is; None before its chain was begun."""
        row = self._db.execute("SELECT tenant, device FROM chain").fetchone()
        return None if row is None else (row[0], row[1])

    def begin_chain(self, tenant: str, device: str, after_seq: int) -> None:
        """Begin a chain whose first message will be ``after_seq`` + 1, with ``prev`` zeros."""
        self._db.execute(
            "INSERT INTO chain VALUES (1, ?, ?, ?, ?, 0, x'') ON CONFLICT (one) DO UPDATE"
            " SET last_seq = excluded.last_seq, head = excluded.head",
            (tenant, device, after_seq, NO_PREVIOUS),
        )

    def chain(self) -> Chain:
        """Return the state of the chain."""
        row = self._db.execute(
            "SELECT last_seq, head, receipted, receipted_head FROM chain"
        ).fetchone()
        return Chain(*row)

    def set_head(self, last_seq: int, head: bytes) -> None:
        """Move the chain to its newest message."""
        self._db.execute("UPDATE chain SET last_seq = ?, head = ?", (last_seq, head))

    # -- rows -------------------------------------------------------------------------------

    def insert(self, rows: Iterable[StoredRow]) -> None:
        """Add rows."""
        self._db.executemany(
            "INSERT INTO outbox VALUES (?, ?, ?, ?, ?)",
            [(r.seq, r.lane.value, r.digest, r.put_at, r.cose) for r in rows],
        )

    def usage(self) -> Usage:
        """Count what waits: a scan, for the opening."""
        found = self._db.execute(
            "SELECT lane, count(*), sum(length(cose)) FROM outbox GROUP BY lane"
        )
        lanes = dict.fromkeys(Lane, LaneUsage())
        lanes.update((Lane(lane), LaneUsage(rows, size)) for lane, rows, size in found)
        return Usage(lanes, self.top_seq())

    def top_seq(self) -> int:
        """Newest waiting row, 0 where none waits."""
        (top,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM outbox").fetchone()
        return int(top)

    def known_seqs(self, message_ids: Collection[bytes]) -> dict[bytes, int]:
        """Sequence numbers under which content-derived ids were enqueued; others are left out."""
        wanted, known = list(message_ids), dict[bytes, int]()
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks, values = _marked(chunk)
            known.update(
                self._db.execute(
                    f"SELECT message_id, seq FROM known WHERE message_id IN ({marks})",  # noqa: S608 - marks only
                    values,
                )
            )
        return known

    def remember(self, ids: Iterable[tuple[bytes, int, UnixMicros]]) -> None:
        """Note content-derived ids that have been enqueued: id, seq, when."""
        self._db.executemany("INSERT INTO known VALUES (?, ?, ?)", ids)

    # -- receipts ---------------------------------------------------------------------------

    def digest_of(self, seq: int) -> bytes | None:
        """Hash of a message, None where it is no longer (or was never) recorded."""
        row = self._db.execute(
            "SELECT digest FROM outbox WHERE seq = ?1"
            " UNION ALL SELECT digest FROM released WHERE seq = ?1"
            " UNION ALL SELECT receipted_head FROM chain WHERE receipted = ?1 LIMIT 1",
            (seq,),
        ).fetchone()
        return None if row is None else row[0]

    def release_prefix(self, up_to: int, head: bytes) -> dict[Lane, LaneUsage]:
        """Delete every row up to a seq; returns what went of each lane."""
        found = self._db.execute(
            "SELECT lane, count(*), sum(length(cose)) FROM outbox WHERE seq <= ? GROUP BY lane",
            (up_to,),
        )
        gone = {Lane(lane): LaneUsage(rows, size) for lane, rows, size in found}
        self._db.execute("DELETE FROM outbox WHERE seq <= ?", (up_to,))
        self._db.execute("DELETE FROM released WHERE seq <= ?", (up_to,))
        self._db.execute("UPDATE chain SET receipted = ?, receipted_head = ?", (up_to, head))
        return gone

    def release_range(self, held: SeqRange) -> dict[Lane, LaneUsage]:
        """Delete the rows of a range beyond a hole, keeping their hashes; returns what went."""
        gone = dict.fromkeys(Lane, LaneUsage())
        while chunk := self._db.execute(
            "SELECT seq, digest, lane, length(cose) FROM outbox WHERE seq BETWEEN ? AND ?"
            " ORDER BY seq LIMIT ?",
            (held.first, held.last, _CHUNK),
        ).fetchall():
            # Deleted first: the hashes then fit into the pages that this frees in a full file.
            self._db.execute(
                "DELETE FROM outbox WHERE seq BETWEEN ? AND ?", (chunk[0][0], chunk[-1][0])
            )
            self._db.executemany(
                "INSERT INTO released VALUES (?, ?)", [(seq, digest) for seq, digest, *_ in chunk]
            )
            for _, _, lane, size in chunk:
                gone[Lane(lane)] = gone[Lane(lane)].plus(1, size)
        return gone

    # -- what will not be sent ------------------------------------------------------------------

    def oldest(self, lane: Lane, limit: int, put_before: UnixMicros | None = None) -> list[DropRow]:
        """Oldest waiting rows of a lane, only those put before some time if it is given."""
        found = self._db.execute(
            "SELECT seq, digest, put_at_us, length(cose) FROM outbox WHERE lane = ?"
            " AND put_at_us < ? ORDER BY seq LIMIT ?",
            (lane.value, _FOR_EVER if put_before is None else put_before, limit),
        )
        return [DropRow(*row) for row in found]

    def drop(self, rows: Iterable[DropRow]) -> None:
        """Delete rows that will not be sent, keeping their hashes for receipts to come."""
        gone = [(row.seq, row.digest) for row in rows]
        self._db.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq, _ in gone])
        self._db.executemany("INSERT OR IGNORE INTO released VALUES (?, ?)", gone)

    def row(self, seq: int) -> StoredRow | None:
        """One waiting row."""
        found = self._db.execute(
            "SELECT seq, lane, digest, put_at_us, cose FROM outbox WHERE seq = ?", (seq,)
        ).fetchone()
        if found is None:
            return None
        return StoredRow(found[0], Lane(found[1]), *found[2:])

    def put_aside(self, row: StoredRow, at: UnixMicros, why: str) -> None:
        """Move a waiting row to those that were refused."""
        self._db.execute(
            "INSERT INTO refused VALUES (?, ?, ?, ?, ?, ?, ?)",
            (row.seq, row.lane.value, row.digest, row.put_at, row.cose, at, why),
        )
        self.drop([DropRow(row.seq, row.digest, row.put_at, len(row.cose))])

    def aside(self) -> int:
        """How many rows were put aside as refused."""
        (count,) = self._db.execute("SELECT count(*) FROM refused").fetchone()
        return int(count)

    def refused_row(self, seq: int) -> RefusedRow | None:
        """One row that was put aside."""
        found = self._db.execute(f"{_REFUSED} WHERE seq = ?", (seq,)).fetchone()
        return None if found is None else _refused_row(*found)

    def forget_refused(self, seq: int, message_id: bytes | None) -> None:
        """Take a row out of those that were put aside, and its content's id out of the known."""
        self._db.execute("DELETE FROM refused WHERE seq = ?", (seq,))
        if message_id is not None:
            self._db.execute("DELETE FROM known WHERE message_id = ?", (message_id,))

    def data_version(self) -> int:
        """A number that changes when another connection has written."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        return int(version)

    def spare_bytes(self) -> int:
        """Free pages inside the file: room that needs none of the disk's."""
        (pages,) = self._db.execute("PRAGMA freelist_count").fetchone()
        return int(pages) * PAGE_BYTES

    def keep_receipt(self, up_to: int, at: UnixMicros, raw: bytes) -> None:
        """Keep the bytes of a receipt; the oldest go (the newest proves what they proved)."""
        cursor = self._db.execute(
            "INSERT INTO receipts (up_to, received_at_us, raw) VALUES (?, ?, ?)", (up_to, at, raw)
        )
        newest = cursor.lastrowid or 0
        self._db.execute("DELETE FROM receipts WHERE id <= ?", (newest - KEPT_RECEIPTS,))

    # -- housekeeping -----------------------------------------------------------------------

    def prune(self, now: UnixMicros | None) -> None:
        """Forget old ids and hashes, give free pages back; without a trusted time by count only."""
        if now is not None:
            self._db.execute("DELETE FROM known WHERE known_at_us < ?", (now - KNOWN_FOR_US,))
        self._db.execute(
            "DELETE FROM known WHERE seq <= (SELECT max(seq) FROM known) - ?", (KEPT_KNOWN,)
        )
        self._db.execute(
            "DELETE FROM released WHERE seq <= (SELECT max(seq) FROM released) - ?",
            (KEPT_RELEASED,),
        )
        self._db.execute(f"PRAGMA incremental_vacuum({_CHUNK})").fetchall()  # a page for each step


class OutboxReader:
    """A second connection that only reads; SQLite's log lets it read while the writer writes."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(
            path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._db.execute("PRAGMA query_only=ON")

    def rows(self, after_seq: int, limit: int) -> list[OutboxRow]:
        """Oldest waiting rows after a seq, in order."""
        found = self._db.execute(
            "SELECT seq, lane, cose FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?",
            (after_seq, limit),
        )
        return [OutboxRow(seq, Lane(lane), cose) for seq, lane, cose in found]

    def lane_rows(self, lane: Lane, after_seq: int, up_to_seq: int, limit: int) -> list[OutboxRow]:
        """Oldest waiting rows of a lane within a range, in order."""
        found = self._db.execute(
            "SELECT seq, cose FROM outbox WHERE lane = ? AND seq > ? AND seq <= ?"
            " ORDER BY seq LIMIT ?",
            (lane.value, after_seq, up_to_seq, limit),
        )
        return [OutboxRow(seq, lane, cose) for seq, cose in found]

    def held(self, seqs: Collection[int]) -> set[int]:
        """Those of some sequence numbers that still wait."""
        wanted, held = sorted(seqs), set[int]()
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks, values = _marked(chunk)
            found = self._db.execute(f"SELECT seq FROM outbox WHERE seq IN ({marks})", values)  # noqa: S608 - marks only
            held.update(seq for (seq,) in found)
        return held

    def refused_rows(self) -> list[RefusedRow]:
        """What was put aside, in order of seq."""
        return [_refused_row(*row) for row in self._db.execute(f"{_REFUSED} ORDER BY seq")]

    def oldest_put_at(self) -> UnixMicros | None:
        """Wall time at which the oldest waiting row was put, None where none waits."""
        row = self._db.execute("SELECT put_at_us FROM outbox ORDER BY seq LIMIT 1").fetchone()
        return None if row is None else UnixMicros(row[0])

    def last_receipt(self) -> bytes | None:
        """Bytes of the newest receipt that was applied."""
        row = self._db.execute("SELECT raw FROM receipts ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        """Close the connection."""
        self._db.close()
