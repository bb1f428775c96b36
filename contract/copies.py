"""Copies of a state that runs: whole or not at all, with a list of hashes that is compared later.

A data base of SQLite is copied as of one moment, by SQLite's own backup, while others write to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from contract.files import replace_durably, sync_folder

MANIFEST = "backup.json"

_BLOCK = 1024 * 1024
_PAGES_AT_ONCE = 1000
_SQLITE = b"SQLite format 3\0"


class CopyError(Exception):
    """A copy that cannot be made or put back; the message says why and what to do."""


@contextlib.contextmanager
def new_folder(to: Path) -> Iterator[Path]:
    """Give a folder to fill, which gets its name only when everything in it is done.

    Raises CopyError, also for what cannot be written or read meanwhile; then nothing is left.
    """
    unfinished = to.with_name(f".{to.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(mode=0o700, parents=True)
        yield unfinished
        unfinished.rename(to)
        sync_folder(to.parent)
    except (OSError, sqlite3.Error) as error:
        raise CopyError(f"{to} cannot be written: {error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def copy_file(source: Path, to: Path) -> dict[str, Any]:
    """Copy one file durably; returns its hash and size. Raises OSError, sqlite3.Error, CopyError.

    What its owner alone could read stays so. ``to`` must not exist.
    """
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
    return {"sha256": sha256_of(to), "size_bytes": to.stat().st_size}


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the list of a copy; ``files`` maps each name to what :func:`copy_file` returned."""
    replace_durably(folder / MANIFEST, json.dumps(manifest, indent=1).encode())


def read_manifest(source: Path, schema: str) -> dict[str, Any]:
    """Return the list of a copy after comparing every file with it; raises CopyError."""
    try:
        manifest = dict(json.loads((source / MANIFEST).read_bytes()))
        is_known = manifest["schema"] == schema
        files = {str(name): str(told["sha256"]) for name, told in manifest["files"].items()}
    except OSError as error:
        raise CopyError(f"{source} holds no finished copy: {error}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise CopyError(f"{source / MANIFEST} cannot be read: {error}") from error
    if not is_known:
        raise CopyError(f"{source / MANIFEST} has another form than {schema}")
    for name, sha256 in files.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise CopyError(f"{source / MANIFEST} names {name!r}, which lies outside")
        try:
            is_same = sha256_of(source / name) == sha256
        except OSError as error:
            raise CopyError(f"{source / name} cannot be read: {error.strerror}") from error
        if not is_same:
            raise CopyError(f"{source / name} is not what was copied")
    return manifest


def sha256_of(path: Path) -> str:
    """Hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy_sqlite(source: Path, to: Path) -> None:
    """Copy a data base as of one moment, in steps between which others may write."""
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as live,
        closing(sqlite3.connect(to)) as copy,
    ):
        # One read transaction over all steps: without it each write of the owner begins anew.
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_master").fetchone()
        live.backup(copy, pages=_PAGES_AT_ONCE, sleep=0.0)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
        found = copy.execute("PRAGMA quick_check(1)").fetchone()
    if found != ("ok",):
        raise CopyError(f"{source} is damaged: {found[0] if found else 'no answer'}")
