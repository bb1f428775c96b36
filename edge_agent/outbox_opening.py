"""Opening an outbox: a sound store as it is, a broken one put aside, read out and replaced."""

from __future__ import annotations

import datetime as dt
import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from contract.clock import UnixMicros
from contract.topics import Lane
from edge_agent.outbox_errors import BrokenStoreError, OutboxError, SeqFloorError
from edge_agent.outbox_store import OutboxStore, StoredRow
from edge_agent.seq_floor import BLOCK, SeqFloor

GROUP = 100
"""Messages of one commit at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What was found when the store was opened, for the log and for health."""

    quarantined: Path | None = None
    """Where a broken file was put aside."""
    salvaged: int = 0
    """Messages that could be read out of it and wait again."""
    new_chain_after: int | None = None
    """Sequence floor above which a new chain begins because the old one is lost or too old."""


def open_store(
    path: Path,
    *,
    tenant: str,
    device: str,
    floor: SeqFloor,
    now: UnixMicros,
    max_file_bytes: int | None = None,
) -> tuple[OutboxStore, Opening]:
    """Open the store; a broken file is put aside, read out as far as possible, and replaced.

    Raises OutboxError where the file belongs to somebody else, or where no sequence floor says
    above which number a new chain may begin.
    """
    aside: Path | None = None
    try:
        store = OutboxStore(path, max_file_bytes)
    except BrokenStoreError:
        _needed_floor(floor)  # before anything is moved: without it nothing may begin
        aside = _quarantine(path, now)
        store = OutboxStore(path, max_file_bytes)
    try:
        salvaged = 0
        with store.transaction():
            if aside is not None:
                salvaged = _salvage(aside, store)
            began_after = _ensure_chain(store, tenant, device, floor, is_lost=aside is not None)
    except sqlite3.Error as error:
        store.close()
        raise OutboxError(path, f"cannot be prepared: {error}") from error
    except OutboxError:
        store.close()
        raise
    return store, Opening(quarantined=aside, salvaged=salvaged, new_chain_after=began_after)


def _needed_floor(floor: SeqFloor) -> int:
    value = floor.read()
    if value is None:
        raise SeqFloorError(
            floor.path,
            "is missing and the outbox is broken: write a number into it that is higher than any "
            "sequence number this device has ever sent",
        )
    return value


def _ensure_chain(
    store: OutboxStore, tenant: str, device: str, floor: SeqFloor, *, is_lost: bool
) -> int | None:
    """Begin a chain where there is none or only an outdated one; returns the seq it begins after.

    A floor more than one block above the newest message means that the file is older than the
    floor: somebody put a copy back, and the numbers in between have been used.
    """
    owner = store.owner()
    if owner is None:
        after = _needed_floor(floor) if is_lost else floor.read() or 0
        store.begin_chain(tenant, device, after)
        return after or None
    if owner != (tenant, device):
        raise OutboxError(store.path, f"belongs to {owner[1]} of {owner[0]}, not to {device}")
    last_seq = store.chain().last_seq
    try:
        after = floor.read() or 0
    except SeqFloorError:
        return None  # the sound store itself knows the number; the floor is written anew
    if after - last_seq <= BLOCK + GROUP:
        return None
    store.begin_chain(tenant, device, after)
    return after


def _quarantine(path: Path, now: UnixMicros) -> Path:
    """Rename the file and its log, with the time in the name; returns the file's new name."""
    moment = dt.datetime.fromtimestamp(now // 1_000_000, tz=dt.UTC)
    stem = f"{path.name}.broken-{moment:%Y%m%dT%H%M%SZ}"
    aside, count = path.with_name(stem), 1
    while aside.exists():
        count += 1
        aside = path.with_name(f"{stem}-{count}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    return aside


def _salvage(broken: Path, store: OutboxStore) -> int:
    """Copy every waiting message that can still be read and has its hash; returns how many."""
    count = 0
    try:
        source = sqlite3.connect(f"{broken.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error:
        return 0
    with closing(source):
        for order in ("ASC", "DESC"):  # from both ends, up to the broken page
            for row in _readable_rows(source, order):
                if store.digest_of(row.seq) is None:
                    store.insert([row])
                    count += 1
    return count


def _readable_rows(source: sqlite3.Connection, order: str) -> Iterator[StoredRow]:
    try:
        for seq, lane, digest, put_at, cose in source.execute(
            f"SELECT seq, lane, digest, put_at_us, cose FROM outbox ORDER BY seq {order}"  # noqa: S608 - a word of ours
        ):
            if _is_sound(lane, digest, put_at, cose):
                yield StoredRow(seq, Lane(lane), digest, UnixMicros(put_at), cose)
    except sqlite3.Error:
        return  # what lies behind the broken page stays in the file that was put aside


def _is_sound(lane: object, digest: object, put_at: object, cose: object) -> bool:
    return (
        lane in [known.value for known in Lane]
        and isinstance(put_at, int)
        and isinstance(cose, bytes)
        and hashlib.sha256(cose).digest() == digest
    )
