"""Raw evidence stays until the central has the messages that name it, and then as long as set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contract.clock import UnixMicros
from edge_agent.evidence import EvidenceLimits, EvidenceStore

DAY_US = 86_400_000_000
NOW = UnixMicros(1_790_000_000_000_000)
EVER = UnixMicros(2**62)


def kept(folder: Path, store: EvidenceStore, days_ago: float, size: int = 100) -> str:
    name = store.keep(os.urandom(size))
    moment_s = (NOW - days_ago * DAY_US) / 1e6
    os.utime(folder / name, (moment_s, moment_s))
    return name


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_blob_is_kept_under_its_hash_and_damage_is_seen(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path / "evidence")
    name = store.keep(b"frames")
    assert store.keep(b"frames") == name
    assert store.read(name) == b"frames"
    (tmp_path / "evidence" / name).write_bytes(b"others")
    with pytest.raises(ValueError, match="damaged"):
        store.read(name)


def test_what_is_old_goes_once_the_central_has_its_messages(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, EvidenceLimits(max_age_s=10 * 86_400))
    old, older, young = (kept(tmp_path, store, days) for days in (12, 20, 3))
    assert store.prune(now=NOW, before=UnixMicros(NOW - 15 * DAY_US)) == 1
    assert names(tmp_path) == {old, young}
    assert older not in names(tmp_path)
    assert store.prune(now=None, before=EVER) == 0  # nobody knows how old it is
    assert store.prune(now=NOW, before=EVER) == 1
    assert names(tmp_path) == {young}


def test_the_oldest_go_where_there_is_too_much(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, EvidenceLimits(max_bytes=250, max_age_s=None))
    blobs = [kept(tmp_path, store, days) for days in (4, 3, 2, 1)]
    (tmp_path / "a note").write_text("not ours")
    assert store.prune(now=NOW, before=EVER) == 2
    assert names(tmp_path) == {*blobs[2:], "a note"}
    for _ in range(3):
        kept(tmp_path, store, 5)
    assert store.prune(now=NOW, before=UnixMicros(NOW - 9 * DAY_US)) == 0  # no receipts since


def test_a_blob_that_is_named_again_counts_as_new(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, EvidenceLimits(max_age_s=86_400))
    name = store.keep(b"frames")
    os.utime(tmp_path / name, (0, 0))
    store.keep(b"frames")
    now = UnixMicros((tmp_path / name).stat().st_mtime_ns // 1000)
    assert store.prune(now=now, before=EVER) == 0


def test_no_folder_is_nothing_to_prune(tmp_path: Path) -> None:
    assert EvidenceStore(tmp_path / "none").prune(now=NOW, before=EVER) == 0
