"""One SQLite file that only its owner reads; every step is one transaction, synced to disk."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class StepFile:
    """Rows and transactions; methods may be called from any thread. Raise sqlite3.Error."""

    def __init__(self, path: Path, schema: str, pragmas: Sequence[str]) -> None:
        """``pragmas`` come before the schema, as ``journal_mode = WAL``."""
        self._lock = threading.RLock()
        path.touch(mode=0o600, exist_ok=True)
        path.chmod(0o600)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in (*pragmas, "synchronous = FULL"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One step: committed durably when the block ends, undone if it or the commit fails."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # A commit that failed may leave it open, and then no step could begin any more.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
