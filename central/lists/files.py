"""The files of the lists: the newest whole list, mapped, and the way to it from earlier ones."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
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
                sha256 = build_sorted(
                    path, version, count, (packed(p) for p in stored.whole_list(connection))
                )
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
        day = day_number(over_on(one.until_at))
        yield pack(one.account, one.listed_for, one.regime, day)


def packed(accounts: Sequence[Merged]) -> bytes:
    """Return a piece of a whole list."""
    return b"".join(records(accounts))
