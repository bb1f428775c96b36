"""A copy of a central that can be put back: its store from one moment, its keys, its authority.

The store is copied while the central runs (SQLite's own backup). What a start makes anew – the
broker's state, certificates that live for days – is left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from central.config import CentralSettings
from contract.clock import Clock
from contract.codec import rfc3339
from contract.files import replace_durably, sync_folder

SCHEMA = "qianshao-backup/1"
MANIFEST = "backup.json"
MADE_ANEW = frozenset({"broker", "broker-tls", "tls", "enrol-tls", "take-over", "lists"})
"""Folders below the central's that its next start makes again."""

_BLOCK = 1024 * 1024
_PAGES_AT_ONCE = 1000
_SQLITE = b"SQLite format 3\0"


class BackupError(Exception):
    """A copy that cannot be made or put back; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy holds."""

    folder: Path
    made_at: str
    files: int
    size_bytes: int
    messages: int


def back_up(settings: CentralSettings, to: Path, clock: Clock) -> Copied:
    """Copy a central, which may be running, into a new folder; it appears whole or not at all.

    Raises BackupError.
    """
    _needs_file_store(settings)
    if to.exists():
        raise BackupError(f"{to} exists: name a folder that does not")
    if not settings.store_path.is_file():
        raise BackupError(f"{settings.store_path} is not there: was 'qianshao ca init' run?")
    unfinished = to.with_name(f".{to.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(mode=0o700, parents=True)
        files = {
            str(name): _copy(settings.folder / name, unfinished / name)
            for name in _kept(settings.folder)
        }
        manifest = {
            "schema": SCHEMA,
            "made_at": rfc3339(clock.wall()),
            "tenant": settings.tenant,
            "messages": _messages_in(unfinished / settings.store_path.name),
            "files": files,
        }
        replace_durably(unfinished / MANIFEST, json.dumps(manifest, indent=1).encode())
        unfinished.rename(to)
        sync_folder(to.parent)
    except (OSError, sqlite3.Error) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise BackupError(f"{to} cannot be written: {error}") from error
    return _told(to, manifest)


def restore(settings: CentralSettings, source: Path) -> Copied:
    """Put a copy in the place of a central's folder, which must be absent or empty.

    Every file is compared with the list of the copy first. Raises BackupError.
    """
    _needs_file_store(settings)
    manifest = _checked(source, settings)
    folder = settings.folder
    if folder.exists() and any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty: stop the central and move it away first")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(mode=0o700, parents=True)
        for name in manifest["files"]:
            _copy(source / name, unfinished / name)
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
        sync_folder(folder.parent)
    except (OSError, sqlite3.Error) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise BackupError(f"{folder} cannot be written: {error}") from error
    return _told(source, manifest)


def _needs_file_store(settings: CentralSettings) -> None:
    if settings.store_url is not None:
        raise BackupError(
            "the store is in PostgreSQL: copy it with pg_dump and the folder "
            f"{settings.folder} with your own tools, the folder last"
        )


def _kept(folder: Path) -> Iterator[Path]:
    """Files below a folder that a copy holds, by their names from there."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        is_beside = name.name.endswith(("-wal", "-shm"))  # SQLite's own, within the copy already
        is_unfinished = name.name.startswith(".")
        if path.is_file() and not (name.parts[0] in MADE_ANEW or is_beside or is_unfinished):
            yield name


def _copy(source: Path, to: Path) -> dict[str, Any]:
    """Copy one file durably; returns its hash and size."""
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = 0o600 if source.stat().st_mode & 0o077 == 0 else 0o644
    with source.open("rb") as file:
        is_sqlite = file.read(len(_SQLITE)) == _SQLITE
    descriptor = os.open(to, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as target:
        if is_sqlite:
            _copy_sqlite(source, to)
        else:
            with source.open("rb") as file:
                shutil.copyfileobj(file, target, _BLOCK)
        target.flush()
        os.fsync(target.fileno())
    sync_folder(to.parent)
    return {"sha256": _sha256(to), "size_bytes": to.stat().st_size}


def _copy_sqlite(source: Path, to: Path) -> None:
    """Copy a data base as of one moment, in steps between which others may write."""
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as live,
        closing(sqlite3.connect(to)) as copy,
    ):
        # One read transaction over all steps: without it each write of the central begins anew.
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_master").fetchone()
        live.backup(copy, pages=_PAGES_AT_ONCE, sleep=0.0)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
        found = copy.execute("PRAGMA quick_check(1)").fetchone()
    if found != ("ok",):
        raise BackupError(f"{source} is damaged: {found[0] if found else 'no answer'}")


def _messages_in(store: Path) -> int:
    with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM messages").fetchone()[0])


def _checked(source: Path, settings: CentralSettings) -> dict[str, Any]:
    """Return the list of a copy after comparing every file with it."""
    try:
        manifest = json.loads((source / MANIFEST).read_bytes())
        is_known = manifest["schema"] == SCHEMA
        files = {str(name): str(told["sha256"]) for name, told in manifest["files"].items()}
        tenant = manifest["tenant"]
    except OSError as error:
        raise BackupError(f"{source} holds no finished copy: {error}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BackupError(f"{source / MANIFEST} cannot be read: {error}") from error
    if not is_known:
        raise BackupError(f"{source / MANIFEST} has another form than {SCHEMA}")
    if tenant != settings.tenant:
        raise BackupError(f"the copy is of tenant {tenant!r}, the configuration of another")
    for name, sha256 in files.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BackupError(f"{source / MANIFEST} names {name!r}, which lies outside")
        try:
            is_same = _sha256(source / name) == sha256
        except OSError as error:
            raise BackupError(f"{source / name} cannot be read: {error.strerror}") from error
        if not is_same:
            raise BackupError(f"{source / name} is not what was copied")
    return dict(manifest)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _told(folder: Path, manifest: dict[str, Any]) -> Copied:
    files = manifest["files"]
    size_bytes = sum(told["size_bytes"] for told in files.values())
    return Copied(folder, manifest["made_at"], len(files), size_bytes, manifest["messages"])
