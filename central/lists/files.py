"""The files of the lists: the newest whole list, mapped, and the way to it from earlier ones."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from central.lists.entries import over_on
from central.store import lists as stored
from central.store.lists import ListVersion, Merged
from central.store.sql import SqlStore
from contract.account_list import (
    AccountList,
    ListError,
    ListManifest,
    build_next,
    build_packed_delta,
    build_sorted,
    day_number,
    pack,
)
from contract.clock import UnixMicros

MAX_DELTA_ACCOUNTS = 200_000
"""A way longer than this is no shorter than the whole list."""
_KEPT_DELTAS = 8


class ListFiles:
    """One folder; one writer (the keeper), any number of readers."""

    def __init__(self, folder: Path, store: SqlStore) -> None:
        self._folder = folder
        self._store = store
        self._lock = threading.Lock()
        self._newest: AccountList | None = None
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def newest(self) -> AccountList | None:
        """The list in force."""
        return self._newest

    def whole(self, version: int) -> Path | None:
        """File of the list in force; None for another version."""
        newest = self._newest
        if newest is None or newest.manifest.version != version:
            return None
        return self._whole(version)

    def open(self, version: ListVersion) -> bool:
        """Map the file of a version; False if it is not there whole."""
        assert version.sha256 is not None
        manifest = ListManifest(
            version=version.version,
            count=version.count,
            sha256=version.sha256,
            made_at=UnixMicros(version.made_at),
        )
        try:
            self._use(AccountList(self._whole(version.version), manifest))
        except (OSError, ListError):
            return False
        return True

    def make(self, version: int, made_at: int) -> ListManifest:
        """Draw up a version from the list before it, or from the store, and map it."""
        path, newest = self._whole(version), self._newest
        with self._store.reading() as connection:
            changed = None
            if newest is not None:
                older = newest.manifest.version
                if stored.count_changed(connection, older) <= MAX_DELTA_ACCOUNTS:
                    changed = stored.changed_since(connection, older)
            if newest is None or changed is None:
                count = stored.count_accounts(connection)
                sha256 = build_sorted(path, version, count, packed(stored.whole_list(connection)))
            else:
                way = self._delta(newest.manifest.version, version)
                build_packed_delta(way, newest.manifest.version, version, records(changed))
                count, sha256 = build_next(newest, way, path)
        manifest = ListManifest(
            version=version, count=count, sha256=sha256, made_at=UnixMicros(made_at)
        )
        self._use(AccountList(path, manifest))
        return manifest

    def way(self, older: int) -> Path | None:
        """Return the delta from an earlier version to the one in force; None: fetch it whole."""
        newest = self._newest
        if newest is None or not 0 < older < newest.manifest.version:
            return None
        version = newest.manifest.version
        with self._lock:
            path = self._delta(older, version)
            if path.exists():
                return path
            with self._store.reading() as connection:
                known = stored.newest_version(connection)
                if known is None or known.version != version:
                    return None  # the next is being made: what is read here leads to that one
                if stored.count_changed(connection, older) > MAX_DELTA_ACCOUNTS:
                    return None
                changed = stored.changed_since(connection, older)
            build_packed_delta(path, older, version, records(changed))
            self._forget_deltas()
            return path

    def _use(self, newer: AccountList) -> None:
        older, self._newest = self._newest, newer
        for path in self._folder.glob("accounts-*.list"):
            if path != self._whole(newer.manifest.version):
                with contextlib.suppress(OSError):
                    path.unlink()
        for path in self._folder.glob(f"delta-*-{newer.manifest.version - 1}"):
            with contextlib.suppress(OSError):
                path.unlink()
        del older  # whoever still looks into it may finish

    def _forget_deltas(self) -> None:
        kept = sorted(self._folder.glob("delta-*"), key=lambda p: p.stat().st_mtime)
        for path in kept[:-_KEPT_DELTAS]:
            with contextlib.suppress(OSError):
                path.unlink()

    def _whole(self, version: int) -> Path:
        return self._folder / f"accounts-{version}.list"

    def _delta(self, older: int, newer: int) -> Path:
        return self._folder / f"delta-{older}-{newer}"


def records(accounts: Sequence[Merged]) -> Iterator[bytes]:
    """Return accounts as records of a file."""
    for one in accounts:
        day = _day(_NEVER if one.until_at is None else one.until_at)
        yield pack(one.account, one.listed_for, one.regime, day)


def packed(parts: Iterable[Sequence[stored.Reason]]) -> Iterator[bytes]:
    """Return a whole list in pieces; reasons of one account, which come together, are one record.

    Says of an account what :class:`central.store.lists.Merged` says: all reasons, the strictest
    regime, the last end, or none.
    """
    account, listed_for, regime, until_at = b"", 0, 0, _NEVER
    for part in parts:
        done: list[bytes] = []
        for found, reason, strict, ends in part:
            end = _NEVER if ends is None else ends
            if found == account:
                listed_for |= reason
                regime = min(regime, strict) if regime and strict else regime or strict
                until_at = max(until_at, end)
                continue
            if listed_for:
                done.append(pack(account, listed_for, regime, _day(until_at)))
            account, listed_for, regime, until_at = found, reason, strict, end
        yield b"".join(done)
    if listed_for:
        yield pack(account, listed_for, regime, _day(until_at))


_NEVER = 2**63


@functools.lru_cache(maxsize=65_536)
def _day(until_at: int) -> int:
    return 0 if until_at == _NEVER else day_number(over_on(until_at))
