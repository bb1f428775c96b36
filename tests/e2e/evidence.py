"""What the central's store holds at the end, checked from the outside."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from contract.envelope import open_envelope
from contract.keys import FindKey, KnownKey, key_id, load_public_pem


def stored(folder: Path, query: str) -> list[tuple[object, ...]]:
    store = folder / "central" / "central.sqlite3"
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as central:
        return central.execute(query).fetchall()


def keys_of(folder: Path) -> FindKey:
    known = {}
    for device, pem in stored(folder, "SELECT device, public_pem FROM device_keys"):
        public = load_public_pem(str(pem))
        known[key_id(public)] = KnownKey(str(device), public)
    return known.get


def assert_evidence_holds(folder: Path) -> None:
    """Every stored message verifies, and each device's chain is whole from its first message."""
    find = keys_of(folder)
    rows = stored(folder, "SELECT device, seq, cose FROM messages ORDER BY device, seq")
    assert rows
    before: dict[object, bytes] = {}
    for device, seq, cose in rows:
        assert isinstance(cose, bytes)
        envelope = open_envelope(cose, tenant="demo", find_key=find)
        assert (envelope.payload.device, envelope.payload.seq) == (device, seq)
        assert envelope.payload.prev == before.get(device, bytes(32)), (device, seq)
        before[device] = envelope.digest
