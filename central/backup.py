"""A copy of a central that can be put back: its store from one moment, its keys, its authority.

The store is copied while the central runs (SQLite's own backup). What a start makes anew – the
broker's state, certificates that live for days – is left out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from central.config import CentralSettings
from contract.clock import Clock
from contract.codec import rfc3339
from contract.copies import CopyError, copy_file, new_folder, read_manifest, write_manifest

SCHEMA = "qianshao-backup/1"
MADE_ANEW = frozenset({"broker", "broker-tls", "tls", "enrol-tls", "take-over", "lists"})
"""Folders below the central's that its next start makes again."""


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

    Raises CopyError.
    """
    _needs_file_store(settings)
    if to.exists():
        raise CopyError(f"{to} exists: name a folder that does not")
    if not settings.store_path.is_file():
        raise CopyError(f"{settings.store_path} is not there: was 'qianshao ca init' run?")
    with new_folder(to) as unfinished:
        files = {
            str(name): copy_file(settings.folder / name, unfinished / name)
            for name in _kept(settings.folder)
        }
        manifest = {
            "schema": SCHEMA,
            "made_at": rfc3339(clock.wall()),
            "tenant": settings.tenant,
            "messages": _messages_in(unfinished / settings.store_path.name),
            "files": files,
        }
        write_manifest(unfinished, manifest)
    return _told(to, manifest)


def restore(settings: CentralSettings, source: Path) -> Copied:
    """Put a copy in the place of a central's folder, which must be absent or empty.

    Every file is compared with the list of the copy first. Raises CopyError.
    """
    _needs_file_store(settings)
    manifest = read_manifest(source, SCHEMA)
    if manifest.get("tenant") != settings.tenant:
        raise CopyError(
            f"the copy is of tenant {manifest.get('tenant')!r}, the configuration of another"
        )
    folder = settings.folder
    if folder.exists() and any(folder.iterdir()):
        raise CopyError(f"{folder} is not empty: stop the central and move it away first")
    with new_folder(folder) as unfinished:
        for name in manifest["files"]:
            copy_file(source / name, unfinished / name)
        if folder.exists():
            folder.rmdir()
    return _told(source, manifest)


def _needs_file_store(settings: CentralSettings) -> None:
    if settings.store_url is not None:
        raise CopyError(
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


def _messages_in(store: Path) -> int:
    with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM messages").fetchone()[0])


def _told(folder: Path, manifest: dict[str, Any]) -> Copied:
    files = manifest["files"]
    size_bytes = sum(told["size_bytes"] for told in files.values())
    return Copied(folder, manifest["made_at"], len(files), size_bytes, manifest["messages"])
