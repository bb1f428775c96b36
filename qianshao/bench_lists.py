"""Lists and numbers at the size of a country's: built, led on, and looked through, each timed.

Targets, not peers: a delta of ten thousand applied in two seconds and a whole list of ten million
made anew from the store in sixty; a million number rows made distinct in sixty. The rows of the
store are written before the clock starts. Each work that is weighed runs in a fresh process, whose
peak resident memory is given whole: the interpreter, and the pages of mapped lists, included.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

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
    """Seconds, and MiB that the process which did it held at most."""

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
            whole, rebuild_s, rebuild_mib = _alone(_rebuild, folder)
            assert whole.count == accounts
            (folder / "old").hardlink_to(folder / "central" / "accounts-1.list")
            files = ListFiles(folder / "central", store)
            assert files.open(_version_of(whole))  # else the next one would be made from the store
            began = time.perf_counter()
            newer = _change(store, files, changes)
            next_s = time.perf_counter() - began
            way = files.way(1)
            assert way is not None
            length, apply_s, apply_mib = _alone(_apply, folder, whole, way, newer)
            assert length == newer.count
        finally:
            store.close()
    distinct, dedupe_s, dedupe_mib = _alone(_dedupe, rows)
    assert distinct == min(rows, DISTINCT * rows // NUMBER_ROWS)
    return Figures(rebuild_s, rebuild_mib, next_s, apply_s, apply_mib, dedupe_s, dedupe_mib)


def _alone(work: Callable[..., Any], *args: Any) -> tuple[Any, float, float]:
    """Do a work in a process of its own: what it found, its seconds, its peak in MiB."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(_weighed, work, *args).result()


def _weighed(work: Callable[..., Any], *args: Any) -> tuple[Any, float, float]:
    began = time.perf_counter()
    found = work(*args)
    return found, time.perf_counter() - began, _peak_mib()


def _version_of(whole: ListManifest) -> stored.ListVersion:
    return stored.ListVersion(
        version=whole.version,
        why="change",
        count=whole.count,
        added=0,
        removed=0,
        sha256=whole.sha256,
        made_at=int(whole.made_at),
    )


def _rebuild(folder: Path) -> ListManifest:
    store = open_sqlite(folder / "central.sqlite3")
    try:
        return ListFiles(folder / "central", store).make(1, 1)
    finally:
        store.close()


def _apply(folder: Path, whole: ListManifest, way: Path, newer: ListManifest) -> int:
    with closing(AccountList(folder / "old", whole)) as old:
        led = apply_delta(old, way, folder / "new", newer)
        with closing(led):
            return len(led)


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


def _dedupe(rows: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        numbers = NumberStore(Path(name) / "numbers")
        refused = numbers.add(_rows(rows))
        distinct = sum(len(one.sources) > 0 for one in numbers)
        numbers.close()
    assert not refused
    return distinct


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
    """Linux's high-water mark of this process's own pages.

    Not ``ru_maxrss``: that one outlives exec, so that a child would show its parent's peak.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status names no VmHWM")
