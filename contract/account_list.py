"""The list of accounts that an ATM looks at: sorted, truncated keyed hashes in a mapped file.

One file holds every listed account: twelve bytes of its HMAC, what it is listed for, and until
when. A signed manifest names version and SHA-256 of the file; a delta leads from one version to the
next and is checked by the hash of what comes out. Looking up maps the file and reads a few pages of
it, so that ten million accounts cost no memory of the agent's own.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import itertools
import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Final

from contract.clock import UnixMicros
from contract.codec import DecodeError, Key, decode, encode, from_map, to_map
from contract.files import sync_folder
from contract.keys import CENTRAL, FindKey, Signer
from contract.sign1 import (
    BadSignatureError,
    DocumentKind,
    UnknownKeyError,
    open_document,
    sign_document,
)

KEY_BYTES: Final = 12
"""Of an HMAC-SHA-256: among ten million accounts a stranger is hit once in 10^22."""

_RECORD: Final = struct.Struct(">12sBBH")
_HEAD: Final = struct.Struct(">8sQQ8x")
_FULL, _DELTA = b"QSLIST\0\1", b"QSDELTA\1"
_EPOCH: Final = dt.date(2000, 1, 1)
_COPY_BYTES: Final = 1 << 20
_KIND = DocumentKind("list")


class ListedFor(IntFlag):
    """Why an account is on the list; 0 in a delta takes it off."""

    STOP = 1
    FREEZE = 2
    WATCH = 4
    SANCTION = 8
    LISTED_PAYEE = 16
    DORMANT = 32
    STEP_UP = 64
    WARNED = 128
    """The customer may be under somebody's influence: asked before money goes, never told."""


class Regime(IntEnum):
    """Sanction regime of an entry; 0: none."""

    NONE = 0
    PBOC_2016_261 = 1
    PBOC_2019_85 = 2
    JOINT_2024 = 3


@dataclass(frozen=True, slots=True)
class Listed:
    """What the list says of one account."""

    listed_for: ListedFor
    regime: Regime = Regime.NONE
    until: dt.date | None = None
    """The day on which it is over; None: open."""


class ListError(ValueError):
    """A list, delta or manifest that is not used; what was there before stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListManifest:
    """What the central signs: which file is the list."""

    version: Annotated[int, Key(0, "grows with each list")]
    count: Annotated[int, Key(1, "accounts in it")]
    sha256: Annotated[bytes, Key(2, "of the whole file")]
    made_at: Annotated[UnixMicros, Key(3, "when it was drawn up")]


def seal_manifest(manifest: ListManifest, tenant: str, signer: Signer) -> bytes:
    """Sign a manifest."""
    return sign_document(encode(to_map(manifest)), _KIND, tenant, signer)


def open_manifest(raw: bytes, *, tenant: str, find_key: FindKey) -> ListManifest:
    """Check and read the central's manifest; raises ListError."""
    try:
        content, known = open_document(raw, _KIND, tenant, find_key)
        manifest = from_map(ListManifest, decode(content, "manifest"), "manifest")
    except (DecodeError, UnknownKeyError, BadSignatureError, ValueError) as error:
        raise ListError(f"manifest: {error}") from None
    if known.owner != CENTRAL:
        raise ListError(f"manifest: signed by {known.owner}")
    return manifest


# -- building --------------------------------------------------------------------------------------

Entries = Iterable[tuple[bytes, Listed | None]]


def build_list(path: Path, version: int, entries: Iterable[tuple[bytes, Listed]]) -> bytes:
    """Write a full list, durably; returns its SHA-256. Keys are cut and sorted here."""
    records = sorted(_pack(key, listed) for key, listed in entries)
    return _write(path, _FULL, version, 0, [b"".join(records)], len(records))


def build_delta(path: Path, older: int, newer: int, changes: Entries) -> bytes:
    """Write what changed from one version to a later one; None takes an account off."""
    return build_packed_delta(path, older, newer, (_pack(key, listed) for key, listed in changes))


def build_packed_delta(path: Path, older: int, newer: int, changes: Iterable[bytes]) -> bytes:
    """Write a delta of records; one that is listed for nothing takes its account off."""
    records = sorted(changes)
    return _write(path, _DELTA, newer, older, [b"".join(records)], len(records))


def build_sorted(path: Path, version: int, count: int, parts: Iterable[bytes]) -> bytes:
    """Write a full list of ``count`` records that come sorted, in pieces: of any length, in
    bounded memory; returns its SHA-256."""
    return _write(path, _FULL, version, 0, parts, count)


def pack(key: bytes, listed_for: int, regime: int, day: int) -> bytes:
    """Return one record of a file: 12 bytes of the key, why, regime, day (0: open)."""
    return _RECORD.pack(key[:KEY_BYTES], listed_for, regime, day)


def day_number(day: dt.date | None) -> int:
    """Return a day as the files have it; 0: none."""
    return 0 if day is None else (day - _EPOCH).days


def _pack(key: bytes, listed: Listed | None) -> bytes:
    if len(key) < KEY_BYTES:
        raise ListError(f"a key has at least {KEY_BYTES} bytes")
    if listed is None:
        return pack(key, 0, 0, 0)
    return pack(key, listed.listed_for, listed.regime, day_number(listed.until))


def _write(
    path: Path, magic: bytes, version: int, older: int, parts: Iterable[bytes], count: int
) -> bytes:
    """Beside, synced, then in place of: never half a list."""
    digest = hashlib.sha256()
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        head = _HEAD.pack(magic, version, count)
        if magic == _DELTA:
            head += older.to_bytes(8, "big")
        for part in (head, *parts) if isinstance(parts, list) else _chain(head, parts):
            file.write(part)
            digest.update(part)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)
    return digest.digest()


def _chain(head: bytes, parts: Iterable[bytes]) -> Iterator[bytes]:
    yield head
    yield from parts


# -- reading ---------------------------------------------------------------------------------------


class AccountList:
    """A mapped list; looking up takes no lock and may go on while a newer one is put in place."""

    def __init__(self, path: Path, manifest: ListManifest) -> None:
        """Map a file and check it against its manifest; raises ListError, OSError."""
        self.manifest = manifest
        with path.open("rb") as file:  # the map outlives it, and ends with its last reader
            self._check(path, file)
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def _check(self, path: Path, file: BufferedReader) -> None:
        digest = hashlib.file_digest(file, "sha256").digest()
        if digest != self.manifest.sha256:
            raise ListError(f"{path.name} is not the file of version {self.manifest.version}")
        file.seek(0)
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise ListError(f"{path.name} is cut")
        magic, version, count = _HEAD.unpack(head)
        size = _HEAD.size + count * _RECORD.size
        wanted = (_FULL, self.manifest.version, self.manifest.count)
        if (magic, version, count) != wanted or path.stat().st_size != size:
            raise ListError(f"{path.name} does not hold what its manifest says")

    def __len__(self) -> int:
        return self.manifest.count

    def close(self) -> None:
        """Unmap."""
        self._map.close()

    def find(self, account: bytes) -> Listed | None:
        """Look one account up by its HMAC."""
        place, is_there = self.place_of(account[:KEY_BYTES])
        return self._read(place) if is_there else None

    def place_of(self, key: bytes) -> tuple[int, bool]:
        """Index of a key, or where it would be; by halves, each a page at most."""
        low, high = 0, self.manifest.count
        data, size, start = self._map, _RECORD.size, _HEAD.size
        while low < high:
            middle = (low + high) // 2
            at = start + middle * size
            if data[at : at + KEY_BYTES] < key:
                low = middle + 1
            else:
                high = middle
        at = start + low * size
        return low, low < self.manifest.count and data[at : at + KEY_BYTES] == key

    def _read(self, place: int) -> Listed:
        _, listed_for, regime, day = _RECORD.unpack_from(
            self._map, _HEAD.size + place * _RECORD.size
        )
        until = _EPOCH + dt.timedelta(days=day) if day else None
        try:
            return Listed(ListedFor(listed_for), Regime(regime), until)
        except ValueError:
            # A regime of a newer central: what it is listed for still counts.
            return Listed(ListedFor(listed_for), Regime.NONE, until)

    def slices(self, first: int, last: int) -> Iterator[bytes]:
        """Return records from first up to last, in pieces."""
        start, end = (_HEAD.size + place * _RECORD.size for place in (first, last))
        for at in range(start, end, _COPY_BYTES):
            yield self._map[at : min(at + _COPY_BYTES, end)]


def apply_delta(old: AccountList, delta: Path, path: Path, manifest: ListManifest) -> AccountList:
    """Write the next full list out of the old one and a delta, and map it; raises ListError.

    The result must have the hash that the manifest names: a wrong delta changes nothing. Whoever
    still looks something up in the old list may finish.
    """
    older, newer, changes = _read_delta(delta)
    if (older, newer) != (old.manifest.version, manifest.version):
        raise ListError(f"{delta.name} leads from {older} to {newer}")
    beside = path.with_name(f".{path.name}.delta")
    try:
        digest = _write(beside, _FULL, newer, 0, _merged(old, changes), manifest.count)
        if digest != manifest.sha256:
            raise ListError(f"{delta.name} does not lead to version {newer}")
        beside.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
    return AccountList(path, manifest)


def build_next(old: AccountList, delta: Path, path: Path) -> tuple[int, bytes]:
    """Write the list that a delta leads to, before anybody has signed it; returns its count and
    SHA-256. Raises ListError for a delta from another list."""
    older, newer, changes = _read_delta(delta)
    if older != old.manifest.version:
        raise ListError(f"{delta.name} leads from {older} to {newer}")
    count = len(old)
    for record in changes:
        _, is_there = old.place_of(record[:KEY_BYTES])
        count += bool(record[KEY_BYTES]) - is_there
    return count, _write(path, _FULL, newer, 0, _merged(old, changes), count)


def _read_delta(delta: Path) -> tuple[int, int, list[bytes]]:
    """Return the versions from which and to which a delta leads, and its records."""
    raw = delta.read_bytes()
    start = _HEAD.size + 8
    if len(raw) < start or (len(raw) - start) % _RECORD.size:
        raise ListError(f"{delta.name} is cut")
    magic, newer, count = _HEAD.unpack_from(raw)
    older = int.from_bytes(raw[_HEAD.size : start], "big")
    if magic != _DELTA or count != (len(raw) - start) // _RECORD.size:
        raise ListError(f"{delta.name} is no delta")
    changes = [raw[at : at + _RECORD.size] for at in range(start, len(raw), _RECORD.size)]
    if any(one[:KEY_BYTES] >= two[:KEY_BYTES] for one, two in itertools.pairwise(changes)):
        raise ListError(f"{delta.name} is not sorted")
    return older, newer, changes


def _merged(old: AccountList, changes: list[bytes]) -> Iterator[bytes]:
    """Copy the long runs between the changes."""
    at = 0
    for record in changes:
        place, is_there = old.place_of(record[:KEY_BYTES])
        yield from old.slices(at, place)
        if record[KEY_BYTES]:
            yield record
        at = place + is_there
    yield from old.slices(at, len(old))
