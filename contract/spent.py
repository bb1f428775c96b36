"""What was spent: a small SQLite file, so that an assertion is good once over restarts too."""

from __future__ import annotations

import sqlite3
from pathlib import Path


class SpentAssertions:
    """Ids of used assertions until their expiry; several processes may share the file."""

    def __init__(self, path: Path) -> None:
        """Raises sqlite3.Error for a file that cannot be used."""
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS spent (id BLOB PRIMARY KEY, expires INTEGER NOT NULL)"
        )

    def spend(self, assertion_id: bytes, expires_us: int) -> bool:
        """Mark an id, durably; False if it was there."""
        done = self._db.execute(
            "INSERT OR IGNORE INTO spent VALUES (?, ?)", (assertion_id, expires_us)
        )
        return done.rowcount == 1

    def forget(self, before_us: int) -> int:
        """Drop what expired before this time anyway; returns how many."""
        return self._db.execute("DELETE FROM spent WHERE expires < ?", (before_us,)).rowcount

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
