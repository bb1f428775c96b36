"""Lists and numbers at the size of a country's: built, led on, and looked through, each timed.

Targets, not peers: a delta of ten thousand applied in two seconds and a whole list of ten million
made anew from the store in sixty; a million number rows made distinct in sixty. The rows of the
store are written before the clock starts. Memory is what this process grew by at most.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from central.lists.files import ListFiles
from central.numbers import NumberStore, Row
from central.store import lists as stored
from central.store.sql import SqlStore
from central.store.sqlite import open_sqlite
from contract.account_list import AccountList, ListManifest, apply_delta
from contract.clock import UnixMicros

ACCOUNTS: Final = 10_000_000
CHANGES: Final = 10_000
NUMBER_ROWS: Final = 1_000_000
DISTINCT: Final = 800_000
REBUILD_S, DELTA_S, DEDUPE_S = 60.0, 2.0, 60.0
_AT_ONCE: Final = 100_000


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds, and MiB that the process grew by meanwhile."""

    rebuild_s: float
    rebuild_mib: float
    next_s: float
    """At the central: mark ten thousand changes, and make the next file from the one before."""
    apply_s: float
    """At the ATM: the delta applied, synced, hashed and mapped."""
    apply_mib: float
    dedupe_s: float
    dedupe_mib: float


def measure(accounts: int = ACCOUNTS, changes: int = CHANGES, rows: int = NUMBER_ROWS) -> Figures:
    """Run all of it in one temporary folder; its list is checked against the store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = _filled(folder / "central.sqlite3", accounts)
        try:
            files = ListFiles(folder / "central", store)
            before, began = _peak_mib(), time.perf_counter()
            whole = files.make(1, 1)
            rebuild_s, rebuild_mib = time.perf_counter() - began, _peak_mib() - before
            assert whole.count == accounts
            atm = folder / "atm"
            atm.mkdir()
            (atm / "old").hardlink_to(folder / "central" / "accounts-1.list")
            began = time.perf_counter()
            newer = _change(store, files, changes)
            next_s = time.perf_counter() - began
            old = AccountList(atm / "old", whole)
            way = files.way(1)
            assert way is not None
            before, began = _peak_mib(), time.perf_counter()
            led = apply_delta(old, way, atm / "new", newer)
            apply_s, apply_mib = time.perf_counter() - began, _peak_mib() - before
            assert len(led) == newer.count
            led.close()
            old.close()
        finally:
            store.close()
    dedupe_s, dedupe_mib = _dedupe(rows)
    return Figures(rebuild_s, rebuild_mib, next_s, apply_s, apply_mib, dedupe_s, dedupe_mib)


def _account(number: int) -> bytes:
    """Sorted as they are numbered, spread over all keys, so that the store is filled in order."""
    return (number * (2**96 // (2 * ACCOUNTS))).to_bytes(12, "big") + number.to_bytes(20, "big")


_INSERT = (
    "INSERT INTO list_entries (account, last4, listed_for, regime, until_at, source, source_ref,"
    " note, added_version, key_number) VALUES (?, '0000', 4, 0, NULL, 'file', 'bench', '', ?, 1)"
)


def _filled(path: Path, accounts: int) -> SqlStore:
    open_sqlite(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        for at in range(0, accounts, _AT_ONCE):
            numbers = range(at, min(at + _AT_ONCE, accounts))
            db.executemany(_INSERT, ((_account(2 * n), 1) for n in numbers))
        db.execute("INSERT INTO list_versions VALUES (1, 'change', 0, 0, 0, NULL, 1)")
        db.execute("COMMIT")
    return open_sqlite(path)


def _change(store: SqlStore, files: ListFiles, changes: int) -> ListManifest:
    """Half come, half go."""
    from central.alert_work import sql_of
    from central.store import list_tables as t

    with store.transaction() as tx:
        connection = sql_of(tx)._connection
        version = stored.begin_version(connection, "change", 2)
        step = ACCOUNTS // changes
        stored.add_entries(
            connection,
            (
                stored.ListEntry(
                    account=_account(2 * n * step + 1), last4="0000", listed_for=4,
                    source="file", source_ref="bench", added_version=version,
                )
                for n in range(changes // 2)
            ),
        )  # fmt: skip
        stored.take_off(connection, version, t.list_entries.c.id <= changes // 2)
    manifest = files.make(version, 2)
    return ListManifest(
        version=version, count=manifest.count, sha256=manifest.sha256, made_at=UnixMicros(2)
    )


def _dedupe(rows: int) -> tuple[float, float]:
    before, began = _peak_mib(), time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        numbers = NumberStore(Path(name) / "numbers")
        refused = numbers.add(_rows(rows))
        distinct = sum(len(one.sources) > 0 for one in numbers)
        numbers.close()
    seconds = time.perf_counter() - began
    assert not refused
    assert distinct == min(rows, DISTINCT * rows // NUMBER_ROWS)
    return seconds, _peak_mib() - before


def _rows(count: int) -> Iterator[Row]:
    """Four spellings; a fifth of them say a number that another row says."""
    distinct = max(1, DISTINCT * count // NUMBER_ROWS)
    for line in range(1, count + 1):
        mixed = int.from_bytes(
            hashlib.blake2b((line % distinct).to_bytes(8, "big")).digest()[:2], "big"
        )
        digits = f"1{line % distinct:08}{mixed % 100:02}"
        spelling = (digits, f"+86 {digits}", f"0086{digits[:3]}-{digits[3:]}", f" {digits} ")
        yield Row(spelling[line % 4], f"feed {line % 7}", line)


def _peak_mib() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage / 1024 if os.uname().sysname == "Linux" else usage / 2**20
